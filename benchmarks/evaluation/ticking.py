"""The engine on its own: loaded from the table, then tick after tick."""

from __future__ import annotations

import gc
import random
import time
from collections import defaultdict
from decimal import Decimal
from statistics import fmean, median

from alerts import loading
from alerts.engine import Effect, Engine
from benchmarks.evaluation import oracle
from benchmarks.evaluation.field import Field
from benchmarks.harness.report import Result, at_most, say
from core import clock, serving
from marketdata.quotes import Accepted

# A step of a ticker's price in a million ticks, in parts of a hundred thousand: some thousand alerts are reached. With
# fewer ticks the steps are longer, so that the prices come as far.
STEP, OF = 90, 1_000_000
# Ticks that are measured together; what counts is the median, since a busy machine makes some of them slow.
TOGETHER = 10_000
CENT = Decimal("0.01")


def measure(field: Field, ticks: int, rng: random.Random, result: Result) -> None:
    engine = load(field, result)
    stream = _ticks(field, ticks, rng)
    say(f"{ticks:,} ticks through the engine")
    effects: list[Effect] = []
    gc.collect()
    took = [
        _through(engine, stream[first : first + TOGETHER], effects) for first in range(0, ticks, TOGETHER)
    ]
    result.figures |= {
        "engine_us_per_tick": median(took), "engine_us_per_tick_mean": fmean(took), "engine_ticks": ticks,
        "engine_fires": sum(effect.fires for effect in effects),
    }  # fmt: skip
    result.bars.append(at_most("engine_us_per_tick", median(took), 2))
    _check(field, stream, effects, result)


def _through(engine: Engine, ticks: list[Accepted], effects: list[Effect]) -> float:
    """Microseconds of processor time for each."""
    began = time.process_time_ns()
    for tick in ticks:
        found = engine.on_tick(tick)
        if found:
            effects.extend(found)
    return (time.process_time_ns() - began) / 1000 / len(ticks)


def load(field: Field, result: Result) -> Engine:
    """As the runner does at its start."""
    say("cold load")
    serving.relax_collector()
    engine, began, used = Engine(), time.perf_counter(), time.process_time()
    for some in loading.load(0, 1):
        engine.load(some)
    took = time.perf_counter() - began
    result.figures |= {"load_s": took, "load_cpu_s": time.process_time() - used}
    result.bars.append(at_most("load_s", took, 10))
    expected = sum(map(len, field.levels))
    result.must(len(engine) == expected, f"the engine has {len(engine)} of {expected} alerts")
    return engine


def _ticks(field: Field, count: int, rng: random.Random) -> list[Accepted]:
    """Each ticker walks on its own; the moment of receipt is the number of the tick."""
    prices, made, now = list(field.prices), [], clock.now_us()
    most = round(STEP * (OF / count) ** 0.5)
    for number in range(count):
        place = rng.randrange(len(prices))
        step = prices[place] * rng.randrange(-most, most + 1) / 100_000
        price = prices[place] = max(CENT, (prices[place] + step).quantize(CENT))
        made.append(Accepted(field.symbols[place], price, now + number, now + number, "simulator"))
    return made


def _check(field: Field, stream: list[Accepted], effects: list[Effect], result: Result) -> None:
    say("the same by brute force")
    places = {symbol: place for place, symbol in enumerate(field.symbols)}
    prices = defaultdict(list)
    for tick in stream:
        prices[places[tick.symbol]].append((tick.received_us, tick.price))
    right = oracle.over(field.everyone(), prices)
    found = [oracle.Did(effect.alert_id, effect.at_us, effect.fires) for effect in effects]
    result.must(len(found) == len(set(found)), "the engine did something twice")
    result.must(set(found) == right, f"{len(set(found) ^ right)} effects of the engine are not the oracle's")
    result.must(bool(right), "nothing fired, so nothing was compared")
