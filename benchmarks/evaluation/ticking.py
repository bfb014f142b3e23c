"""The engine on its own: loaded from the table, then tick after tick."""

from __future__ import annotations

import gc
import random
import time
from collections import defaultdict
from decimal import Decimal

from alerts import loading
from alerts.engine import Effect, Engine
from benchmarks.evaluation import oracle
from benchmarks.evaluation.field import Field
from benchmarks.harness.report import Result, at_most, say
from core import clock, serving
from marketdata.quotes import Accepted

# A step of a ticker's price in parts of a hundred thousand: a few of all alerts are reached in the end.
STEP = 150
CENT = Decimal("0.01")


def measure(field: Field, ticks: int, rng: random.Random, result: Result) -> None:
    engine = load(field, result)
    stream = _ticks(field, ticks, rng)
    say(f"{ticks:,} ticks through the engine")
    effects: list[Effect] = []
    gc.collect()
    began = time.process_time_ns()
    for tick in stream:
        found = engine.on_tick(tick)
        if found:
            effects.extend(found)
    took = time.process_time_ns() - began
    result.figures["engine_us_per_tick"] = took / 1000 / ticks
    result.figures |= {"engine_ticks": ticks, "engine_fires": sum(effect.fires for effect in effects)}
    result.bars.append(at_most("engine_us_per_tick", took / 1000 / ticks, 2))
    _check(field, stream, effects, result)


def load(field: Field, result: Result) -> Engine:
    """As the runner does at its start."""
    say("cold load")
    serving.relax_collector()
    engine, began = Engine(), time.perf_counter()
    for some in loading.load(0, 1):
        engine.load(some)
    took = time.perf_counter() - began
    result.figures["load_s"] = took
    result.bars.append(at_most("load_s", took, 10))
    expected = sum(map(len, field.levels))
    result.must(len(engine) == expected, f"the engine has {len(engine)} of {expected} alerts")
    return engine


def _ticks(field: Field, count: int, rng: random.Random) -> list[Accepted]:
    """Each ticker walks on its own; the moment of receipt is the number of the tick."""
    prices, made, now = list(field.prices), [], clock.now_us()
    for number in range(count):
        place = rng.randrange(len(prices))
        step = prices[place] * rng.randrange(-STEP, STEP + 1) / 100_000
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
