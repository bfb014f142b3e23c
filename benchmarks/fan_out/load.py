"""The load client as the benchmark sees it: compiled where there is a C compiler, else the one in Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from benchmarks.fan_out.audience import Audience
from benchmarks.fan_out.orders import Ordered
from benchmarks.fan_out.values import Held
from benchmarks.harness.report import say

HERE = Path(__file__).parent
PATH = "/ws/v1/stream"
EVERYBODY = -1
CONNECT_PATIENCE_S = 240.0


@dataclass(frozen=True)
class How:
    """How the clients behave."""

    connects_per_s: int = 600
    under_way: int = 40
    acks: bool = True
    priced: bool = True
    first_pause_s: float = 0.5
    longest_pause_s: float = 4.0
    receive_buffers: dict[int, int] = field(default_factory=dict)


class Load:
    """All connections; see client.c for the orders."""

    def __init__(self, process: Ordered) -> None:
        self._process = process

    def connect(self, group: int = EVERYBODY) -> dict[str, Any]:
        """Returns when everybody is subscribed, or has failed."""
        return self._process.ask(f"connect {group}", CONNECT_PATIENCE_S)

    def ask(self, order: str) -> dict[str, Any]:
        return self._process.ask(order)

    def finals(self) -> list[Held]:
        file = settings.BUNDLE.run_dir / "finals.txt"
        self.ask(f"finals {file}")
        return [_held(line.split()) for line in file.read_text().splitlines()]


def _held(fields: list[str]) -> Held:
    connection, group, is_open, code, symbol, seen, epoch, number, price = fields
    position = (int(epoch), int(number)) if seen == "1" else None
    return Held(
        connection=int(connection),
        group=int(group),
        open=is_open == "1",
        close_code=int(code),
        symbol=symbol,
        position=position,
        price=int(price) if seen == "1" else None,
    )


@contextmanager
def load(
    audience: Audience, port: int, base_us: int, how: How | None = None, *, name: str = "load"
) -> Iterator[Load]:
    config = settings.BUNDLE.run_dir / f"{name}.conf"
    config.write_text("\n".join(config_of(audience, port, base_us, how or How())) + "\n")
    process = Ordered(
        "load client",
        [*program(settings.BUNDLE.run_dir), str(config)],
        settings.BUNDLE.log_dir / f"{name}.log",
    )
    try:
        yield Load(process)
    finally:
        process.close()


def config_of(audience: Audience, port: int, base_us: int, how: How) -> Iterator[str]:
    pauses = f"{how.first_pause_s * 1e6:.0f} {how.longest_pause_s * 1e6:.0f}"
    yield from (f"tcp 127.0.0.1 {port}", f"path {PATH}", f"base {base_us}", f"rate {how.connects_per_s}")
    yield from (f"pending {how.under_way}", f"retry {pauses}", f"acks {how.acks:d}", f"priced {how.priced:d}")
    yield f"symbols {' '.join(audience.symbols)}"
    yield from (f"rcvbuf {group} {size}" for group, size in how.receive_buffers.items())
    for fan in audience.fans:
        yield f"conn {fan.group} {fan.cookie} {','.join(map(str, fan.follows))}"


IN_PYTHON = (sys.executable, "-m", "benchmarks.fan_out.client")


@lru_cache(maxsize=1)
def program(folder: Path) -> tuple[str, ...]:
    """The command line of the client, compiled into the folder at the first use."""
    compiler = shutil.which("cc")
    if compiler is None:
        say("there is no C compiler (cc): the load client is the one in Python, which is slower")
        return IN_PYTHON
    made = str(folder / "load-client")
    subprocess.run([compiler, "-O2", "-o", made, str(HERE / "client.c")], check=True)  # noqa: S603 -- our own source
    return (made,)


def language() -> str:
    return "Python" if program(settings.BUNDLE.run_dir) == IN_PYTHON else "C"
