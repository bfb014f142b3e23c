"""One rate for a while: how old a value is when it arrives, and whether all are delivered."""

from __future__ import annotations

from benchmarks.fan_out import audience
from benchmarks.fan_out.compare import figures_of, verdict
from benchmarks.fan_out.servers import web
from benchmarks.fan_out.size import EACH, TICKERS, Size
from benchmarks.fan_out.stage import connect_everybody, stage
from benchmarks.harness import on_cores, used
from benchmarks.harness.report import Result, at_least, at_most

# Of the full size; the load client must not be what limits.
DELIVERIES_PER_S = 380_000
P95_MS, CLIENT_CPU_PERCENT = 100, 80


def play(size: Size, result: Result) -> None:
    fans = audience.logged_in(TICKERS, audience.tastes(size.connections, TICKERS, EACH))
    cores = on_cores.ALL if size.workers > 1 else on_cores.SERVER
    with web(size.server, workers=size.workers, cores=cores) as server, stage(fans, server) as on:
        connect_s = connect_everybody(on)
        step = on.window(size.rates[0], size.seconds)
        memory_mb = used.memory_mb(server.pid)
        found = verdict(on, result)
    result.figures |= figures_of(step, size.connections, found)
    result.figures |= {"server_mb": memory_mb, "connect_s": connect_s}
    result.bars += [
        at_most("p95_ms", step.p95_ms, P95_MS),
        at_most("client_cpu_percent", step.client_cpu_percent, CLIENT_CPU_PERCENT),
    ]
    if size.workers > 1 and size.thorough:
        result.bars.append(at_least("deliveries_per_s", step.deliveries_per_s, DELIVERIES_PER_S))
    result.baseline["offered_per_s"] = step.offered_per_s
