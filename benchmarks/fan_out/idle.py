"""Ten thousand who are logged in and look at prices that do not move: what they cost in memory and processor time."""

from __future__ import annotations

import time

from benchmarks.fan_out import audience
from benchmarks.fan_out.compare import verdict
from benchmarks.fan_out.load import How
from benchmarks.fan_out.servers import NAIVE, web
from benchmarks.fan_out.size import EACH, TICKERS, Size
from benchmarks.fan_out.stage import Stage, connect_everybody, stage
from benchmarks.harness import used
from benchmarks.harness.report import Result, at_most, say

MEMORY_MB = 450
# So many of the naive way tell what one of them costs.
NAIVE_CONNECTIONS = 1_000
HOW = How(connects_per_s=1_500, under_way=100)


def play(size: Size, result: Result) -> None:
    follows = audience.tastes(size.connections, TICKERS, EACH)
    fans = audience.logged_in(TICKERS, follows)
    with web(size.server) as server, stage(fans, server, how=HOW) as on:
        empty_mb = used.memory_mb(server.pid)
        connect_s = connect_everybody(on)
        connected_mb = used.memory_mb(server.pid)
        cpu = used.CpuWatch(server.pid)
        time.sleep(size.seconds)
        idle_cpu, idle_mb = cpu.percent(), used.memory_mb(server.pid)
        before = on.status()
        step = on.window(size.rates[0], 1.0, warm_up_s=0.0)
        found = verdict(on, result)
    result.must(before["ready"] == size.connections, f"only {before['ready']} were still connected")
    result.figures |= {
        "connections": size.connections,
        "updates_per_s": 0,
        "deliveries_per_s": 0,
        "p50_ms": step.p50_ms,
        "p95_ms": step.p95_ms,
        "p99_ms": step.p99_ms,
        "server_mb": max(connected_mb, idle_mb),
        "server_empty_mb": empty_mb,
        "kb_per_connection": (idle_mb - empty_mb) * 1024 / size.connections,
        "connect_s": connect_s,
        "server_cpu_percent": idle_cpu,
        "client_cpu_percent": step.client_cpu_percent,
        "heartbeats": before["heartbeats"],
        "seq_violations": found.violations,
        "last_values_held": found.held,
    }
    result.bars.append(at_most("server_mb", result.figures["server_mb"], MEMORY_MB))
    strangers = audience.strangers(fans.symbols, follows[:NAIVE_CONNECTIONS])
    result.baseline |= naive(strangers)
    result.ratio["memory_vs_naive"] = (
        result.baseline["kb_per_connection"] / result.figures["kb_per_connection"]
    )


def naive(fans: audience.Audience) -> dict[str, float]:
    say("Channels alone, on Daphne")
    with web("daphne", application=NAIVE) as server, stage(fans, server, kind="naive") as on:
        empty_mb = used.memory_mb(server.pid)
        _settle(on)
        kb = (used.memory_mb(server.pid) - empty_mb) * 1024 / len(fans.fans)
    return {"connections": len(fans.fans), "kb_per_connection": kb}


def _settle(on: Stage) -> None:
    connect_everybody(on)
    time.sleep(1)
