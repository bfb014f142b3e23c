"""One server, one publisher and one load client, and the measuring of a window."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from benchmarks.fan_out.audience import Audience
from benchmarks.fan_out.load import How, Load, load
from benchmarks.fan_out.orders import Ordered
from benchmarks.fan_out.servers import Web
from benchmarks.harness import on_cores, used
from benchmarks.harness.report import say
from core.processes import StartError
from core.redis import client

PUBLISHER_START_S = 60.0


@dataclass(frozen=True)
class Step:
    """What one window of one rate brought; `offered` is what would have come if nothing was left out."""

    rate: float
    offered_per_s: float
    deliveries_per_s: float
    frames_per_s: float
    mb_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    server_cpu_percent: float
    client_cpu_percent: float
    publisher_cpu_percent: float
    publisher_late_ms: float

    @property
    def share(self) -> float:
        return self.deliveries_per_s / self.offered_per_s if self.offered_per_s else 1.0

    def __str__(self) -> str:
        return (
            f"{self.rate:6,.0f} updates/s: {self.deliveries_per_s:9,.0f} of {self.offered_per_s:9,.0f} deliveries/s"
            f" in {self.frames_per_s:7,.0f} frames/s, p50 {self.p50_ms:5.1f} p95 {self.p95_ms:5.1f}"
            f" p99 {self.p99_ms:5.1f} ms; CPU server {self.server_cpu_percent:.0f} %,"
            f" client {self.client_cpu_percent:.0f} %, publisher {self.publisher_cpu_percent:.0f} %"
        )


class Stage:
    """Everything is running; `window` measures."""

    def __init__(self, audience: Audience, web: Web, publisher: Ordered, load_client: Load) -> None:
        self.audience, self.web = audience, web
        self.publisher, self.load = publisher, load_client

    def at_rate(self, rate: float) -> None:
        self.publisher.ask(f"rate {rate}")

    def window(self, rate: float, seconds: float, *, warm_up_s: float = 1.5, group: int = 0) -> Step:
        """Publish at this rate from now on, and measure after the warm-up."""
        self.at_rate(rate)
        time.sleep(warm_up_s)
        self.publisher.ask("begin")
        self.load.ask("begin")
        cpu = used.CpuWatch(self.web.pid)
        time.sleep(seconds)
        server_cpu = cpu.percent()
        got, published = self.load.ask("end"), self.publisher.ask("end")
        step = _step(rate, got, published, server_cpu, self._offered(published["updates"]), group)
        say(str(step))
        return step

    def _offered(self, updates: Sequence[int]) -> int:
        """Deliveries due: each update once to each of the ticker's followers."""
        return sum(
            count * followers for count, followers in zip(updates, self.audience.followers, strict=True)
        )

    def status(self) -> dict[str, Any]:
        """Everything that the load client has counted since it began."""
        return self.load.ask("status")

    def rest(self, seconds: float) -> None:
        """Nothing new is published; what is under way arrives."""
        self.at_rate(0)
        time.sleep(seconds)


def _step(
    rate: float, got: dict[str, Any], published: dict[str, Any], server_cpu: float, offered: int, group: int
) -> Step:
    seconds, ages = got["seconds"], got["groups"][group]
    return Step(
        rate=rate,
        offered_per_s=offered / seconds,
        deliveries_per_s=ages["deliveries"] / seconds,
        frames_per_s=ages["frames"] / seconds,
        mb_per_s=ages["bytes"] / seconds / 1e6,
        p50_ms=ages["p50_ms"],
        p95_ms=ages["p95_ms"],
        p99_ms=ages["p99_ms"],
        max_ms=ages["max_ms"],
        server_cpu_percent=server_cpu,
        client_cpu_percent=got["cpu_s"] / seconds * 100,
        publisher_cpu_percent=published["cpu_s"] / seconds * 100,
        publisher_late_ms=published["late_s"] * 1000,
    )


@contextmanager
def stage(audience: Audience, web: Web, *, kind: str = "hub", how: How | None = None) -> Iterator[Stage]:
    """Publisher and load client for a server that runs; nobody is connected yet, nothing is published."""
    base_us = time.monotonic_ns() // 1000
    with (
        publisher(kind, base_us, audience.symbols) as publishing,
        load(audience, web.port, base_us, how) as load_client,
    ):
        yield Stage(audience, web, publishing, load_client)


@contextmanager
def publisher(kind: str, base_us: int, symbols: Sequence[str]) -> Iterator[Ordered]:
    argv = [sys.executable, "-m", "benchmarks.fan_out.publisher", kind, str(base_us), ",".join(symbols)]
    process = Ordered("publisher", argv, settings.BUNDLE.log_dir / "publisher.log")
    try:
        process.answer(PUBLISHER_START_S)
        yield process
    finally:
        process.close()


def connect_everybody(on: Stage, group: int = -1) -> float:
    """Seconds until all are subscribed; who is refused ends the run, as its figures would mean nothing."""
    done = on.load.connect(group)
    if done["gone"]:
        status = on.status()
        logged = "\n".join(
            log.read_text(errors="replace")[-2000:] for log in settings.BUNDLE.log_dir.glob("web-*.log")
        )
        raise StartError(
            f"{done['gone']} connections failed: {status['closes']} {status['errors']}\n{logged}"
        )
    say(f"{done['ready']:,} connections ready after {done['seconds']:.1f} s")
    return float(done["seconds"])


def take_places() -> None:
    """Servers alone on their core: this process, what it starts, and the data servers stay on the other one."""
    on_cores.raise_open_files()
    on_cores.stay_on(on_cores.LOAD)
    redis_pid = int(client().info("server")["process_id"])
    postgres_pid = int((settings.BUNDLE.postgres_data / "postmaster.pid").read_text().splitlines()[0])
    for pid in (redis_pid, postgres_pid):
        if Path(f"/proc/{pid}").exists() and os.access(f"/proc/{pid}/task", os.R_OK):
            on_cores.stay_on(on_cores.LOAD, pid)
