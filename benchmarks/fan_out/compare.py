"""How many deliveries a second: the hub against Channels alone, each driven until values are left out."""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.fan_out import audience
from benchmarks.fan_out.oracle import Findings, judge, right_finals
from benchmarks.fan_out.servers import NAIVE, web
from benchmarks.fan_out.size import EACH, TICKERS, Size
from benchmarks.fan_out.stage import Stage, Step, connect_everybody, stage
from benchmarks.harness import used
from benchmarks.harness.report import Result, at_least, say

ENOUGH = 0.95
# What is older waits in a queue that grows. Channels alone is at 1 to 2 s when it is saturated.
TOO_OLD_MS = 3_000.0
REST_S = 2.0
WARM_UP_S, QUICK_WARM_UP_S = 1.5, 1.0
# Who has no last value by then has lost it; a busy machine may need a few seconds for thousands of frames.
SETTLED_WITHIN_S, LOOK_EVERY_S = 20.0, 1.0
# What was promised for the full size.
TIMES = {"daphne": 50, "uvicorn": 100}


def play(size: Size, result: Result) -> None:
    follows = audience.tastes(size.connections, TICKERS, EACH)
    fans = audience.logged_in(TICKERS, follows)
    say("Channels alone, on Daphne")
    naive = naive_best(size, audience.strangers(fans.symbols, follows), result)
    say(f"the hub, on {size.server}")
    with web(size.server) as server, stage(fans, server) as on:
        connect_everybody(on)
        memory_mb = used.memory_mb(server.pid)
        steps = climb(on, size.rates, size)
        best = best_of(steps)
        found = verdict(on, result)
        result.figures |= figures_of(best, size.connections, found) | {"server_mb": memory_mb}
    result.figures["kept_up"] = keeps_up(best)
    result.figures["steps"] = [str(step) for step in steps]
    ratio = best.deliveries_per_s / naive.deliveries_per_s
    result.ratio["deliveries_vs_naive"] = ratio
    result.ratio["most_deliveries_vs_naive"] = (
        max(one.deliveries_per_s for one in steps) / naive.deliveries_per_s
    )
    if size.thorough:  # with few connections the beat is the limit, not the processor
        result.bars.append(at_least("deliveries_vs_naive", ratio, TIMES[size.server]))


def naive_best(size: Size, fans: audience.Audience, result: Result) -> Step:
    per_update = sum(fans.followers) / len(fans.symbols)
    rates = [deliveries / per_update for deliveries in size.naive]
    with web("daphne", application=NAIVE) as server, stage(fans, server, kind="naive") as on:
        connect_everybody(on)
        memory_mb = used.memory_mb(server.pid)
        on.rest(REST_S)  # joining its groups, one after the other, has kept it busy
        best = best_of(climb(on, rates, size))
        on.rest(REST_S)
        published = on.publisher.ask("finals")
        right = right_finals(fans.symbols, published["epoch"], published["numbers"])
        lost = judge(on.status(), on.load.finals(), right).lost_finals
    result.baseline |= {
        "deliveries_per_s": best.deliveries_per_s,
        "updates_per_s": best.rate,
        "kept_up": keeps_up(best),
        "p50_ms": best.p50_ms,
        "p95_ms": best.p95_ms,
        "server_mb": memory_mb,
        "server_cpu_percent": best.server_cpu_percent,
        "last_values_lost": lost,
    }
    return best


def climb(on: Stage, rates: Sequence[float], size: Size) -> list[Step]:
    """Up to the first rate at which values are left out, twice measured; then once between it and the one before.

    A window is long enough for an update of each ticker: one reaches many, another nearly nobody.
    """
    warm_up_s = WARM_UP_S if size.thorough else QUICK_WARM_UP_S
    steps: list[Step] = []
    for number, rate in enumerate(rates):
        seconds = max(size.seconds, len(on.audience.symbols) / rate)
        step = on.window(rate, seconds, warm_up_s=warm_up_s)
        if not keeps_up(step):
            on.rest(REST_S)
            again = on.window(rate, seconds, warm_up_s=warm_up_s)
            step = max(step, again, key=lambda one: (keeps_up(one), one.share))
        steps.append(step)
        if not keeps_up(step):
            if number and size.thorough:
                on.rest(REST_S)
                steps.append(on.window((rates[number - 1] + rate) / 2, seconds))
            break
    return steps


def keeps_up(step: Step) -> bool:
    return step.share >= ENOUGH and step.p95_ms <= TOO_OLD_MS


def best_of(steps: Sequence[Step]) -> Step:
    """Of those that kept up; where none did, the first, which then speaks for itself."""
    return max(filter(keeps_up, steps), key=lambda step: step.deliveries_per_s, default=steps[0])


def verdict(on: Stage, result: Result) -> Findings:
    """Nothing more is published; everybody must soon hold what was published last."""
    on.at_rate(0)
    published = on.publisher.ask("finals")
    right = right_finals(on.audience.symbols, published["epoch"], published["numbers"])
    stopped = time.monotonic()
    while True:
        time.sleep(LOOK_EVERY_S)
        found = judge(on.status(), on.load.finals(), right)
        if not found.lost_finals or time.monotonic() - stopped > SETTLED_WITHIN_S:
            break
    result.figures["settled_s"] = round(time.monotonic() - stopped, 1)
    result.figures |= {name: on.status()[name] for name in ("cadences", "stale", "closes", "errors")}
    result.complaints += found.complaints
    return found


def figures_of(step: Step, connections: int, found: Findings) -> dict[str, float]:
    return {
        "connections": connections,
        "updates_per_s": step.rate,
        "offered_per_s": step.offered_per_s,
        "deliveries_per_s": step.deliveries_per_s,
        "frames_per_s": step.frames_per_s,
        "mb_per_s": step.mb_per_s,
        "p50_ms": step.p50_ms,
        "p95_ms": step.p95_ms,
        "p99_ms": step.p99_ms,
        "server_cpu_percent": step.server_cpu_percent,
        "client_cpu_percent": step.client_cpu_percent,
        "publisher_cpu_percent": step.publisher_cpu_percent,
        "publisher_late_ms": step.publisher_late_ms,
        "seq_violations": found.violations,
        "last_values_held": found.held,
    }
