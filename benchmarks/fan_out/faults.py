"""A minute of faults on every edge; two seconds after it everybody must hold what the market said last."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import redis
from django.conf import settings
from django.db import connection
from redis.exceptions import RedisError

from benchmarks.fan_out import audience
from benchmarks.fan_out.audience import Audience, Fan
from benchmarks.fan_out.load import How, Load, load
from benchmarks.fan_out.orders import Ordered
from benchmarks.fan_out.servers import web
from benchmarks.fan_out.size import EACH, Size
from benchmarks.fan_out.values import Held
from benchmarks.harness import used
from benchmarks.harness.report import Result, at_least, say
from benchmarks.harness.roles import role, wait_until
from core.embedded import servers
from core.embedded.redis import Redis

TICKERS = 40
QUIET_S = 2.0
# Nothing of it is promised, but who is not right by then never will be.
HEALED_WITHIN_S = 20.0
REDIS_AWAY_S = 1.0
CUT_SHARE = 3
KINDS = ("socket", "events", "polling")
HOW = How(priced=False, longest_pause_s=2.0)


def play(size: Size, result: Result) -> None:
    fans = audience.logged_in(TICKERS, audience.tastes(size.connections, TICKERS, EACH))
    with scene(fans, size) as on:
        say(f"{size.connections} clients of three kinds; {size.seconds:.0f} s of faults")
        on.load.ask("begin")
        cpu = used.CpuWatch(on.web_pid)
        done = play_faults(on, size.seconds)
        server_cpu = cpu.percent()
        right = on.plant({"stop": True})
        stopped = time.monotonic()
        ages = on.load.ask("end")
        time.sleep(QUIET_S)
        on.readers.ask("poll")
        after, examples = on.wrong(right)
        lost = len({one.connection for one in wrong_sockets(on.naive, right)})
        healed_s = wait_until_healed(on, right, stopped)
        status, told = on.load.ask("status"), on.readers.ask("finals")
        memory_mb = used.memory_mb(on.web_pid)
    right_at_once = size.connections - len(after)
    violations = status["falling"] + status["repeated"] + sum(one["violations"] for one in told)
    result.must(violations == 0, f"{violations} positions fell or were told twice")
    result.must(status["changed"] == 0, "a value changed without a new position")
    result.must(healed_s is not None, f"{len(after)} clients never got the last prices, such as {examples}")
    result.must(len(done) > 0, "nothing was broken")
    result.bars.append(at_least("right_after_2_s", right_at_once, size.connections))
    result.figures |= {
        "connections": size.connections,
        "updates_per_s": size.rates[0],
        "deliveries_per_s": ages["groups"][0]["deliveries"] / ages["seconds"],
        **{name: ages["groups"][0][name] for name in ("p50_ms", "p95_ms", "p99_ms")},
        "server_mb": memory_mb,
        "server_cpu_percent": server_cpu,
        "client_cpu_percent": ages["cpu_s"] / ages["seconds"] * 100,
        "seq_violations": violations,
        "right_after_2_s": right_at_once,
        "wrong_after_2_s": examples,
        "all_right_after_s": healed_s,
        "faults": done,
        "connections_lost": status["closes"],
        "recovered": status["recovered"],
        "not_recovered": status["unrecovered"],
        "events_connects": sum(one["connects"] for one in told if one["kind"] == "events"),
        **{f"{kind}_failures": failures_of(told, kind) for kind in KINDS[1:]},
    }
    # The same sockets once more, without coming back after a loss.
    result.baseline |= {"connections": len(on.sockets), "right_after_2_s": len(on.sockets) - lost}
    result.ratio["right_vs_without_coming_back"] = (right_at_once / size.connections) / max(
        (len(on.sockets) - lost) / len(on.sockets), 1 / len(on.sockets)
    )


# --- what is there


@dataclass
class Scene:
    """What the faults break, and who suffers."""

    fans: Audience
    load: Load
    naive: Load
    readers: Ordered
    web_pid: int
    plant_address: str
    stack: ExitStack
    redis_child: Any = None
    tapes: int = 0
    sockets: list[Fan] = field(default_factory=list)
    others: list[Fan] = field(default_factory=list)

    def plant(self, request: dict[str, Any]) -> Any:
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(self.plant_address)
            wire.sendall(orjson.dumps(request) + b"\n")
            with wire.makefile("rb") as answer:
                return orjson.loads(answer.readline())

    def start_tape(self) -> None:
        self.tapes += 1
        self.stack.enter_context(
            role(f"tape-{self.tapes}", "-m", "benchmarks.fan_out.plant_provider"),
        )

    def wrong(self, right: dict[str, int]) -> tuple[set[str], list[str]]:
        """Who does not hold the last price of all that he follows; and some of what is wrong."""
        found, examples = set(), []
        for one in wrong_sockets(self.load, right):
            found.add(f"socket {one.connection}")
            examples.append(f"socket {one.connection}: {one.symbol} {one.price} for {right[one.symbol]}")
        for number, (fan, told) in enumerate(zip(self.others, self.readers.ask("finals"), strict=True)):  # type: ignore[arg-type]
            for symbol in self._symbols(fan):
                if told["prices"].get(symbol) != f"{right[symbol] / 100:.2f}":
                    found.add(f"{told['kind']} {number}")
                    examples.append(
                        f"{told['kind']} {number}: {symbol} {told['prices'].get(symbol)} for {right[symbol]}"
                    )
        return found, examples[:6]

    def _symbols(self, fan: Fan) -> list[str]:
        return [self.fans.symbols[position] for position in fan.follows]


@contextmanager
def scene(fans: Audience, size: Size) -> Iterator[Scene]:
    address = str(settings.BUNDLE.run_dir / "plant.sock")
    os.environ["PLANT"] = address
    base_us = time.monotonic_ns() // 1000
    sockets = fans.fans[0 :: len(KINDS)]
    others = [fan for number, fan in enumerate(fans.fans) if number % len(KINDS)]
    kinds = [KINDS[number % len(KINDS)] for number in range(len(fans.fans)) if number % len(KINDS)]
    plant = [
        "-m",
        "benchmarks.fan_out.plant",
        address,
        str(size.rates[0]),
        str(base_us),
        ",".join(fans.symbols),
    ]
    with ExitStack() as stack:
        child = stack.enter_context(role("plant", *plant))
        wait_until(Path(address).exists, child, "plant")
        server = stack.enter_context(
            web(size.server, application="benchmarks.fan_out.plant_provider:application")
        )
        only_sockets = Audience(fans.symbols, sockets)
        load_client = stack.enter_context(load(only_sockets, server.port, base_us, HOW))
        naive = stack.enter_context(load(only_sockets, server.port, base_us, HOW, name="naive"))
        readers = stack.enter_context(reading(fans, others, kinds, server.port))
        on = Scene(
            fans, load_client, naive, readers, server.pid, address, stack, sockets=sockets, others=others
        )
        on.start_tape()
        on.start_tape()
        stack.callback(stop_redis, on)
        on.load.ask("retry 1")
        on.load.connect()
        on.naive.connect()
        wait_for_everybody(on)
        yield on


@contextmanager
def reading(fans: Audience, others: Sequence[Fan], kinds: Sequence[str], port: int) -> Iterator[Ordered]:
    told = [
        {"kind": kind, "cookie": fan.cookie, "symbols": [fans.symbols[one] for one in fan.follows]}
        for kind, fan in zip(kinds, others, strict=True)
    ]
    file = settings.BUNDLE.run_dir / "readers.json"
    file.write_text(json.dumps({"port": port, "readers": told}))
    argv = [sys.executable, "-m", "benchmarks.fan_out.readers", str(file)]
    process = Ordered("readers", argv, settings.BUNDLE.log_dir / "readers.log")
    try:
        yield process
    finally:
        process.close()


def wait_for_everybody(on: Scene) -> None:
    """Until each has some price of all that he follows."""
    deadline = time.monotonic() + HEALED_WITHIN_S * 2
    while time.monotonic() < deadline:
        held = all(one.price is not None for one in on.load.finals())
        told = on.readers.ask("finals")
        if held and all(len(one["prices"]) == EACH for one in told):  # type: ignore[call-overload]
            return
        time.sleep(0.5)
    say("not everybody had prices before the faults began")


def wait_until_healed(on: Scene, right: dict[str, int], stopped: float) -> float | None:
    """Seconds from the last trade until everybody holds it; None: not in a long time."""
    while time.monotonic() - stopped < HEALED_WITHIN_S:
        if not on.wrong(right)[0]:
            return round(time.monotonic() - stopped, 1)
        time.sleep(0.5)
        on.readers.ask("poll")
    return None


def failures_of(told: Any, kind: str) -> Counter[str]:
    return sum((Counter(one["failures"]) for one in told if one["kind"] == kind), start=Counter())


def wrong_sockets(load_client: Load, right: dict[str, int]) -> list[Held]:
    return [one for one in load_client.finals() if one.price != right[one.symbol] * 10_000]


# --- what is broken


def play_faults(on: Scene, seconds: float) -> list[str]:
    """One after the other; the owner dies twice, early enough for its lease to run out before the end."""
    script: tuple[tuple[float, Callable[[Scene], None]], ...] = (
        (0.03, cut_connections), (0.08, kill_pubsub), (0.14, kill_redis), (0.24, kill_owner), (0.34, cut_upstream),
        (0.40, cut_connections), (0.46, forget_everything), (0.54, kill_everybody), (0.60, kill_owner),
        (0.70, kill_redis), (0.78, cut_connections), (0.84, kill_pubsub), (0.88, cut_upstream), (0.93, kill_redis),
        (0.98, cut_connections),
    )  # fmt: skip
    began, done = time.monotonic(), []
    for share, fault in script:
        time.sleep(max(0.0, began + share * seconds - time.monotonic()))
        say(fault.__name__.replace("_", " "))
        fault(on)
        done.append(fault.__name__)
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    return done


def cut_connections(on: Scene) -> None:
    """Of those who come back, and of those who do not know that they should."""
    on.load.ask(f"cut {len(on.sockets) // CUT_SHARE}")
    on.naive.ask(f"cut {len(on.sockets) // CUT_SHARE}")
    on.readers.ask("cut")


def cut_upstream(on: Scene) -> None:
    on.plant({"cut": True})


def kill_pubsub(_: Scene) -> None:
    _tell_redis("CLIENT", "KILL", "TYPE", "pubsub")


def kill_everybody(_: Scene) -> None:
    _tell_redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def forget_everything(_: Scene) -> None:
    _tell_redis("FLUSHALL")


def _tell_redis(*words: str) -> None:
    with suppress(RedisError), redis.Redis.from_url(settings.REDIS_URL) as client:
        client.execute_command(*words)


def kill_redis(on: Scene) -> None:
    """Killed outright, away for a moment, and back with what its file kept."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        pid = int(client.info("server")["process_id"])  # type: ignore[index]
    os.kill(pid, signal.SIGKILL)
    if on.redis_child is not None:
        on.redis_child.wait()
    time.sleep(REDIS_AWAY_S)
    (on.redis_child,) = servers.start([Redis(settings.BUNDLE)])


def stop_redis(on: Scene) -> None:
    """The one that we started; the first one was killed."""
    if on.redis_child is not None:
        servers.stop([on.redis_child])


def kill_owner(on: Scene) -> None:
    """`kill -9`; the one that stood by takes over, and another stands by."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT holder FROM core_lease WHERE name = 'tape:0/1' AND expires_at > clock_timestamp()"
        )
        row = cursor.fetchone()
    if row is not None:
        with suppress(ProcessLookupError):
            os.kill(int(row[0].split(":")[-2]), signal.SIGKILL)
    on.start_tape()
