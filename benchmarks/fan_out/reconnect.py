"""The web process dies and everybody comes back at once: how long it takes, and what the database notices of it."""

from __future__ import annotations

import time

from benchmarks.fan_out import audience
from benchmarks.fan_out.compare import figures_of, verdict
from benchmarks.fan_out.load import How
from benchmarks.fan_out.servers import free_port, web
from benchmarks.fan_out.size import EACH, TICKERS, Size
from benchmarks.fan_out.stage import Stage, connect_everybody, stage
from benchmarks.harness import used
from benchmarks.harness.report import Result, at_most, say
from benchmarks.harness.statements import StatementLog
from marketdata.models import Quote

READY_S = 10.0
PATIENCE_S = 120.0
# Nobody waits for anybody else when he comes back.
HOW = How(under_way=100_000)


def play(size: Size, result: Result) -> None:
    fans = audience.logged_in(TICKERS, audience.tastes(size.connections, TICKERS, EACH))
    port = free_port()
    with web(size.server, port=port) as first, stage(fans, first, how=HOW) as on:
        connect_everybody(on)
        before = on.window(size.rates[0], size.seconds)
        on.load.ask("retry 1")
        statements = StatementLog()
        statements.start()
        say("the web process is killed")
        killed = time.monotonic()
        first.child.kill()
        first.child.wait()
        with web(size.server, port=port) as second:
            listening = time.monotonic()
            ready = wait_for_all(on, size.connections)
            memory_mb = used.memory_mb(second.pid)
            sent = statements.read()
            on.web = second
            after = on.window(size.rates[0], size.seconds)
            found = verdict(on, result)
    reads = sum(Quote._meta.db_table in statement for statement in sent)  # noqa: SLF001 -- Django's own name for it
    result.figures |= figures_of(after, size.connections, found) | {
        "server_mb": memory_mb,
        "ready_s": ready - killed,
        "ready_after_listening_s": ready - listening,
        "database_queries_for_quotes": reads,
        "database_statements": len(sent),
        "before_p95_ms": before.p95_ms,
    }
    result.must(reads == 0, f"{reads} queries for quotes reached the database")
    # Each would have looked for a snapshot there.
    result.baseline["database_queries_for_quotes"] = size.connections
    result.bars.append(at_most("ready_s", ready - killed, READY_S))


def wait_for_all(on: Stage, connections: int) -> float:
    """When the last one was subscribed again, on the clock of this machine."""
    deadline = time.monotonic() + PATIENCE_S
    while (status := on.status())["ready"] < connections:
        if time.monotonic() > deadline:
            say(f"only {status['ready']} are back: {status['closes']} {status['errors']}")
            return deadline
        time.sleep(0.05)
    say(f"all back; recovered without a hole: {status['recovered']}")
    return float(status["last_ready_us"]) / 1e6
