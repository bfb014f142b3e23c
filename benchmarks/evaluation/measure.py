"""What is done, one after the other, and what was promised."""

from __future__ import annotations

import gc
import random

from benchmarks.evaluation import field, living, passes, ticking
from benchmarks.harness.report import Result
from core import serving

SEED = 20_250_103
TICKERS = 5_000
ALERTS, QUICK_ALERTS = 1_000_000, 150_000
TICKS, QUICK_TICKS = 1_000_000, 150_000
EMPTY_PASSES, QUICK_EMPTY_PASSES = 15, 5
FULL_PASSES, QUICK_FULL_PASSES = 3, 1
LIVE_S, QUICK_LIVE_S = 20, 5


def measure(*, quick: bool) -> Result:
    result, rng = Result(), random.Random(SEED)
    made = field.make(QUICK_ALERTS if quick else ALERTS, TICKERS, rng)
    result.figures |= {"alerts": QUICK_ALERTS if quick else ALERTS, "tickers": TICKERS}
    ticking.measure(made, QUICK_TICKS if quick else TICKS, rng, result)
    # The engine goes; what the oracle knows is no concern of the collector.
    gc.unfreeze()
    serving.relax_collector()
    passes.prepare(made)
    passes.nothing(QUICK_EMPTY_PASSES if quick else EMPTY_PASSES, result)
    passes.load_and_loop(result)
    passes.plans(result)
    fired = passes.many(made, QUICK_FULL_PASSES if quick else FULL_PASSES, result)
    passes.arm_again(fired)
    living.measure(made, QUICK_LIVE_S if quick else LIVE_S, rng, result)
    return result
