"""Some stop reading, as a phone in a tunnel does: what the others notice of it, and what the server has to keep."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection

from benchmarks.fan_out import audience
from benchmarks.fan_out.compare import figures_of, verdict
from benchmarks.fan_out.load import How
from benchmarks.fan_out.oracle import right_finals
from benchmarks.fan_out.servers import web
from benchmarks.fan_out.size import EACH, TICKERS, Size
from benchmarks.fan_out.stage import Stage, Step, connect_everybody, stage
from benchmarks.fan_out.values import Held, Position
from benchmarks.harness import used
from benchmarks.harness.report import Result, at_least, at_most, say

HEALTHY, SLEEPERS = 0, 1
# As many tickers as anybody may have: what is not read fills the kernel's buffers sooner.
SLEEPERS_EACH = 20
LOOK_EVERY_S = 0.5
WAKE_S = 5.0
# Who has been asked once whether he keeps up, and has answered, is held to it.
ASKED_WITHIN_S = 12.0
P95_TIMES, MORE_MB = 1.3, 50


def play(size: Size, result: Result) -> None:
    """A third of the connections sleeps."""
    sleepers = size.connections // 3
    healthy = size.connections - sleepers
    follows = audience.tastes(healthy, TICKERS, EACH) + audience.tastes(sleepers, TICKERS, SLEEPERS_EACH)
    fans = audience.logged_in(TICKERS, follows, [HEALTHY] * healthy + [SLEEPERS] * sleepers)
    with web(size.server) as server, stage(fans, server, how=How(priced=True)) as on:
        connect_everybody(on, HEALTHY)
        alone = on.window(size.rates[0], size.seconds / 3, group=HEALTHY)
        connect_everybody(on, SLEEPERS)
        time.sleep(min(ASKED_WITHIN_S, size.seconds / 3))
        with highest_memory(server.pid) as memory:
            on.load.ask(f"sleep {SLEEPERS}")
            asleep = on.window(size.rates[0], size.seconds, group=HEALTHY)
        say(f"{sleepers} sleepers wake up")
        on.load.ask(f"wake {SLEEPERS}")
        time.sleep(WAKE_S)
        found = verdict(on, result)
        ends, given_up = how_they_ended(on), slow_clients(server.port)
    result.figures |= figures_of(asleep, size.connections, found) | {"server_mb": memory.last}
    result.figures |= {
        "healthy": healthy,
        "sleepers": sleepers,
        "alone_p95_ms": alone.p95_ms,
        "server_more_mb": memory.most - memory.first,
        "kernel_more_mb": memory.kernel_most - memory.kernel_first,
        "sleepers_given_up": given_up,
        "sleepers_closed_4008": ends["closed 4008"],
        "sleepers_up_to_date": ends["up to date"],
        "sleepers_otherwise": {
            how: count for how, count in ends.items() if how not in ("closed 4008", "up to date")
        },
    }
    judge(alone, asleep, result)


def judge(alone: Step, asleep: Step, result: Result) -> None:
    figures = result.figures
    ratio = asleep.p95_ms / alone.p95_ms
    result.ratio["healthy_p95_vs_alone"] = ratio
    result.baseline["p95_ms"] = alone.p95_ms
    result.bars += [
        at_most("healthy_p95_vs_alone", ratio, P95_TIMES),
        at_most("server_more_mb", figures["server_more_mb"], MORE_MB),
        at_least(
            "sleepers_ended_well",
            max(figures["sleepers_given_up"], figures["sleepers_closed_4008"])
            + figures["sleepers_up_to_date"],
            figures["sleepers"],
        ),
    ]


class Memory:
    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.first = self.most = self.last = used.memory_mb(pid)
        self.kernel_first = self.kernel_most = used.tcp_memory_mb()

    def look(self) -> None:
        self.last = used.memory_mb(self._pid)
        self.most = max(self.most, self.last)
        self.kernel_most = max(self.kernel_most, used.tcp_memory_mb())


@contextmanager
def highest_memory(pid: int) -> Iterator[Memory]:
    """Looked at all the time in a thread."""
    memory, over = Memory(pid), threading.Event()

    def look() -> None:
        while not over.wait(LOOK_EVERY_S):
            memory.look()

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield memory
    finally:
        over.set()
        looking.join()
        memory.look()


def slow_clients(port: int) -> int:
    """How many the server has closed with 4008, by its own count.

    A sleeper reads that only if the connection was not reset meanwhile: the close frame stands behind what he left.
    """
    wire = HTTPConnection("127.0.0.1", port, timeout=10)
    wire.request("GET", "/metrics", headers={"Host": f"localhost:{port}"})
    found = re.search(r"slow_clients_total (\d+)", wire.getresponse().read().decode())
    wire.close()
    return int(found[1]) if found else 0


def how_they_ended(on: Stage) -> Counter[str]:
    published = on.publisher.ask("finals")
    right = right_finals(on.audience.symbols, published["epoch"], published["numbers"])
    by_connection: dict[int, list[Held]] = {}
    for one in on.load.finals():
        if one.group == SLEEPERS:
            by_connection.setdefault(one.connection, []).append(one)
    return Counter(_how(held, right) for held in by_connection.values())


def _how(held: Sequence[Held], right: dict[str, tuple[Position, int]]) -> str:
    if not held[0].open:
        return f"closed {held[0].close_code}"
    late = sum(one.symbol in right and one.position != right[one.symbol][0] for one in held)
    return "late" if late else "up to date"
