"""The real runner, the real stream: from an accepted tick to the commit of what it fired."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import orjson
from django.conf import settings

from alerts import committing
from alerts.engine import Effect
from alerts.models import Position, Trigger
from alerts.runner import LEASE_TTL, Term, lease_name
from benchmarks.evaluation import oracle, passes
from benchmarks.evaluation.field import Field
from benchmarks.harness.report import Result, at_most, say
from benchmarks.harness.roles import role
from core import clock, leases, serving
from core.database import in_thread
from core.redis import close_async_client
from marketdata import accepted

BACKGROUND_PER_S, FIRES_PER_S = 2_000, 20
# A price that has fired something is back so much later.
BACK_AFTER_MS = 500
STREAM_EPOCH = 1
PATIENCE_S = 60.0
# PostgreSQL's PGSTAT_IDLE_INTERVAL, and some more.
TOLD_WITHIN_S = 20.0
Planned = tuple[int, str, str]


def measure(field: Field, seconds: int, rng: random.Random, result: Result) -> None:
    plan = _plan(field, seconds, rng)
    path = Path(settings.BUNDLE.run_dir) / "plan.json"
    path.write_bytes(orjson.dumps(plan))
    known = Trigger.objects.count()
    before = passes.updates()
    with _watching() as watch:
        asyncio.run(_run(path))
    _judge(watch, result)
    _check(field, plan, known, before, result)


def _plan(field: Field, seconds: int, rng: random.Random) -> list[Planned]:
    """Prices at which nothing happens, and here and there one that exceeds the nearest level of its ticker."""
    count, symbols = len(field.symbols), field.symbols
    plan = [
        (number * 1000 // BACKGROUND_PER_S, symbols[place], str(field.prices[place]))
        for number, place in ((n, rng.randrange(count)) for n in range(seconds * BACKGROUND_PER_S))
    ]
    places = rng.sample(range(count), (seconds - 1) * FIRES_PER_S)
    excited = set(places)
    plan = [one for one in plan if one[1] not in {symbols[place] for place in excited}]
    for number, place in enumerate(places):
        at = number * 1000 // FIRES_PER_S + rng.randrange(1000 // FIRES_PER_S)
        beyond = field.upwards(place)[0].threshold + Decimal("0.00000001")
        plan += [
            (at, symbols[place], str(beyond)),
            (at + BACK_AFTER_MS, symbols[place], str(field.prices[place])),
        ]
    return sorted(plan)


class _Watch:
    """When batches were read, and how long after that, and after the tick, a fire was committed."""

    def __init__(self) -> None:
        self.read_at = 0.0
        self.since_read_ms: list[float] = []
        self.since_accepted_ms: list[float] = []
        self.effects: list[Effect] = []


@contextmanager
def _watching() -> Iterator[_Watch]:
    watch, read, commit = _Watch(), accepted.read, committing.commit

    async def reading(*arguments: Any, **named: Any) -> Any:
        found = await read(*arguments, **named)
        watch.read_at = time.perf_counter()
        return found

    def committed(*arguments: Any, **named: Any) -> Any:
        began = watch.read_at
        written = commit(*arguments, **named)
        now, now_us = time.perf_counter(), clock.now_us()
        for effect in arguments[3]:
            if effect.fires:
                watch.since_read_ms.append((now - began) * 1000)
                watch.since_accepted_ms.append((now_us - effect.at_us) / 1000)
        watch.effects += arguments[3]
        return written

    accepted.read, committing.commit = reading, committed
    try:
        yield watch
    finally:
        accepted.read, committing.commit = read, commit


async def _run(path: Path) -> None:
    say("the runner, and a stream of ticks")
    serving.relax_collector()
    epoch = await in_thread(leases.take, lease_name(0, 1), leases.holder_name(), LEASE_TTL)
    term, stop = Term(0, 1, epoch), asyncio.Event()
    serving_term = asyncio.create_task(term.run(stop))
    try:
        await asyncio.wait_for(term.ready.wait(), PATIENCE_S)
        serving.relax_collector()
        await asyncio.to_thread(_produce, path)
        await _until_read()
    finally:
        stop.set()
        await serving_term
        await close_async_client()


def _produce(path: Path) -> None:
    with role("producer", "-m", "benchmarks.evaluation.producer", str(path), str(STREAM_EPOCH)) as child:
        if child.wait(PATIENCE_S) != 0:
            log = settings.BUNDLE.log_dir / "producer.log"
            raise RuntimeError(f"the producer failed:\n{log.read_text()[-2000:]}")


async def _until_read() -> None:
    last, until = await accepted.newest(0), clock.monotonic() + PATIENCE_S
    while clock.monotonic() < until:
        if await in_thread(Position.objects.filter(entry=last).exists):
            return
        await asyncio.sleep(0.05)
    raise RuntimeError("the runner did not come to the end of the stream")


def _judge(watch: _Watch, result: Result) -> None:
    for name, took, most in (
        ("tick_to_commit", watch.since_read_ms, 10),
        ("accepted_to_commit", watch.since_accepted_ms, 50),
    ):
        p95 = quantiles(took, n=20)[18]
        result.figures |= {f"{name}_p50_ms": median(took), f"{name}_p95_ms": p95, f"{name}_max_ms": max(took)}
        result.bars.append(at_most(f"{name}_p95_ms", p95, most))


def _check(field: Field, plan: Sequence[Planned], known: int, before: int, result: Result) -> None:
    """What the oracle says of the same prices, fire by fire; and no row of an alert was written for nothing."""
    places = {symbol: place for place, symbol in enumerate(field.symbols)}
    prices = defaultdict(list)
    for number, (_, symbol, price) in enumerate(plan):
        prices[places[symbol]].append((number, Decimal(price)))
    right = oracle.over(field.everyone(), prices)
    fires = sorted((did.level, Decimal(plan[did.number][2])) for did in right if did.fired)
    triggers = Trigger.objects.order_by("pk").values_list("alert_id", "price")[known:]
    result.must(
        sorted(triggers) == fires, f"the runner has not fired exactly the {len(fires)} that were exceeded"
    )
    updated = _updates_since(before, len(right))
    result.must(updated == len(right), f"{updated} alerts were updated for {len(right)} fires and re-arms")
    result.figures |= {
        "live_triggers": len(fires),
        "live_rearms": len(right) - len(fires),
        "live_ticks": len(plan),
    }


def _updates_since(before: int, right: int) -> int:
    """A backend that has nothing to do tells what it has counted within 10 s; only this one's can be asked for."""
    until = clock.monotonic() + TOLD_WITHIN_S
    while (updated := passes.updates() - before) < right and clock.monotonic() < until:
        time.sleep(0.2)
    return updated
