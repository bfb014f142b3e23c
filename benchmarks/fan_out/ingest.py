"""A whole market's ticks into one tape: whether it keeps up, and how old a price is when its group hears of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from accounts.tiers import Tier
from benchmarks.fan_out import audience
from benchmarks.fan_out.orders import Ordered
from benchmarks.fan_out.size import Size
from benchmarks.fan_out.stage import publisher
from benchmarks.harness import on_cores, used
from benchmarks.harness.population import make_tickers, make_users
from benchmarks.harness.report import Result, at_least, at_most, say
from benchmarks.harness.roles import role
from core.processes import StartError
from marketdata.quotes import price_text

EACH = 20
WARM_UP_S, REST_S, PATIENCE_S = 3.0, 2.0, 60.0
P95_MS = 150
NAIVE_S = 3.0


def play(size: Size, result: Result) -> None:
    """`connections` are symbols here, `rates` ticks per second."""
    rows = make_tickers(size.connections, "ING")
    users = make_users(-(-len(rows) // EACH), "holder", [Tier.EXPERT])
    positions = [tuple(range(start, min(start + EACH, len(rows)))) for start in range(0, len(rows), EACH)]
    audience.watch(users, rows, positions)
    result.baseline["publishes_per_s"] = naive([row.symbol for row in rows])
    for spread in ("even", "market"):
        flood(size, spread, result)
    result.ratio["ticks_vs_naive"] = size.rates[0] / result.baseline["publishes_per_s"]


def flood(size: Size, spread: str, result: Result) -> None:
    rate, file = size.rates[0], settings.BUNDLE.run_dir / f"flood-{spread}.json"
    say(f"{rate:,} ticks/s over {size.connections:,} symbols, {spread}")
    seconds = WARM_UP_S + size.seconds
    argv = ["-m", "benchmarks.fan_out.flood", str(rate), str(seconds), spread, str(file)]
    with ear() as hearing, role(f"tape-{spread}", *on_cores.argv(on_cores.SERVER, *argv)) as tape:
        wait_for_the_first(hearing)
        time.sleep(WARM_UP_S)
        hearing.ask("begin")
        cpu = used.CpuWatch(tape.pid)
        time.sleep(size.seconds - 0.5)
        tape_cpu, heard = cpu.percent(), hearing.ask("end")
        memory_mb = used.memory_mb(tape.pid)
        told = wait_for(file)
        time.sleep(REST_S)
        judge(told["last"], hearing.ask("last"), spread, result)
    found = figures_of(heard, told) | {"server_mb": memory_mb, "server_cpu_percent": tape_cpu}
    say(f"p95 {found['p95_ms']} ms, {found['deliveries_per_s']:,.0f} published/s, tape {tape_cpu:.0f} % CPU")
    promised(found, rate * seconds, spread, result)
    result.figures |= found if spread == "market" else {}
    result.figures[spread] = found
    result.must(found["seq_violations"] == 0, f"{spread}: positions fell or were told twice")
    result.figures |= {"connections": size.connections, "updates_per_s": rate}


def promised(found: dict[str, Any], due: float, spread: str, result: Result) -> None:
    result.bars += [
        at_most(f"{spread}_p95_ms", found["p95_ms"], P95_MS),
        at_least(f"{spread}_held_share", found["sent"] / due, 0.99),
    ]


def judge(last: dict[str, str], heard: dict[str, str], spread: str, result: Result) -> None:
    """The last tick of each symbol is what its group heard last."""
    right = {symbol: price_text(Decimal(price)) for symbol, price in last.items()}
    lost = [symbol for symbol, price in right.items() if heard.get(symbol) != price]
    result.must(bool(right), "nothing was sent")
    result.must(
        not lost, f"{spread}: the last price of {len(lost)} symbols was not heard, such as {lost[:3]}"
    )


def figures_of(heard: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    ages: Sequence[tuple[int, int]] = heard["ages"]
    return {
        "deliveries_per_s": sum(count for _, count in ages) / heard["seconds"],
        "p50_ms": share_of(ages, 0.50),
        "p95_ms": share_of(ages, 0.95),
        "p99_ms": share_of(ages, 0.99),
        "client_cpu_percent": heard["cpu_s"] / heard["seconds"] * 100,
        "sent": told["sent"],
        "taken_late_ms": told["late_ms"],
        "seq_violations": heard["violations"],
    }


def share_of(ages: Sequence[tuple[int, int]], share: float) -> int:
    """The age that so many are not above."""
    total, seen = sum(count for _, count in ages), 0
    for age, count in ages:
        seen += count
        if seen >= share * total:
            return age + 1
    raise StartError("nothing was published")


def naive(symbols: Sequence[str]) -> float:
    """How many ticks a second can be told one by one, each as a `group_send` of the core layer."""
    with publisher("naive", time.monotonic_ns() // 1000, symbols) as publishing:
        publishing.ask("rate 20000")
        time.sleep(1)
        publishing.ask("begin")
        time.sleep(NAIVE_S)
        return float(sum(publishing.ask("end")["updates"]) / NAIVE_S)


@contextmanager
def ear() -> Iterator[Ordered]:
    argv = [sys.executable, "-m", "benchmarks.fan_out.ear"]
    hearing = Ordered("ear", argv, settings.BUNDLE.log_dir / "ear.log")
    try:
        hearing.answer(PATIENCE_S)
        yield hearing
    finally:
        hearing.close()


def wait_for_the_first(hearing: Ordered) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not hearing.ask("end")["ages"]:
        if time.monotonic() > deadline:
            log = "\n".join(one.read_text()[-2000:] for one in settings.BUNDLE.log_dir.glob("tape-*.log"))
            raise StartError(f"the tape published nothing:\n{log}")
        time.sleep(0.1)


def wait_for(file: Path) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while not file.exists():
        if time.monotonic() > deadline:
            raise StartError("the flood did not end")
        time.sleep(0.1)
    told: dict[str, Any] = orjson.loads(file.read_bytes())
    return told
