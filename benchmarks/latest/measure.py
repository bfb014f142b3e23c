"""Eight quotes, as a watchlist asks for them, from each tier; then all quotes into the table, again and again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from statistics import median, quantiles
from typing import Any

from redis.connection import AbstractConnection

from benchmarks.harness.population import make_tickers
from benchmarks.harness.report import Result, at_least, at_most, say
from benchmarks.latest import table
from core import clock
from core.redis import client
from marketdata import cache
from marketdata.cache import Found
from marketdata.quotes import Quote

SEED = 20_250_103
TICKERS = 5_000
AT_ONCE = 8
READS, QUICK_READS = 20_000, 4_000
PASSES, QUICK_PASSES = 1_000, 60
SINGLES, QUICK_SINGLES = 2_000, 600


def measure(*, quick: bool) -> Result:
    result = Result()
    rng = random.Random(SEED)
    symbols = [ticker.symbol for ticker in make_tickers(TICKERS, "QC")]
    quotes = {symbol: quote_of(symbol, rng) for symbol in symbols}
    wishes = [rng.sample(symbols, AT_ONCE) for _ in range(QUICK_READS if quick else READS)]
    local(wishes, quotes, result)
    from_redis(wishes, quotes, result)
    written = table.write_again_and_again(list(quotes.values()), QUICK_PASSES if quick else PASSES, result)
    single = table.write_one_by_one(list(quotes.values()), QUICK_SINGLES if quick else SINGLES, result)
    compare(result, written, single)
    return result


def quote_of(symbol: str, rng: random.Random) -> Quote:
    now = clock.now()
    price = Decimal(rng.randrange(100, 100_000)).scaleb(-2)
    return Quote(
        symbol, price, now, now, now + timedelta(hours=1), "benchmark", volume=rng.randrange(10**7),
        open=price, high=price, low=price, previous_close=price,
    )  # fmt: skip


def local(wishes: Sequence[Sequence[str]], quotes: dict[str, Quote], result: Result) -> None:
    say(f"{len(wishes):,} times {AT_ONCE} quotes from memory")
    for quote in quotes.values():
        cache.remember(Found(quote, streaming=False))
    cache.MEMORY_TTL_S = 3600.0  # the tier is measured, not its end
    for quote in quotes.values():
        cache.remember(Found(quote, streaming=False))
    took = timed(cache.from_memory, wishes, quotes, result, "memory")
    result.figures |= {"local_8_us_p50": median(took), "local_8_us_p99": percentile_99(took)}
    result.bars.append(at_most("local_8_us_p50", median(took), 10))


def from_redis(wishes: Sequence[Sequence[str]], quotes: dict[str, Quote], result: Result) -> None:
    say(f"{len(wishes):,} times {AT_ONCE} quotes from Redis")
    cache.fill_redis(list(quotes.values()))
    with round_trips() as trips:
        took = timed(cache.from_redis, wishes, quotes, result, "Redis")
    each = trips[0] / len(wishes)
    result.figures |= {
        "redis_8_us_p50": median(took), "redis_8_us_p99": percentile_99(took), "redis_round_trips": each,
    }  # fmt: skip
    result.must(each == 1.0, f"a read took {each} round trips")
    result.bars.append(at_most("redis_8_us_p50", median(took), 150))
    pings = [timed_ping() for _ in wishes[: len(wishes) // 4]]
    result.baseline["redis_ping_us_p50"] = median(pings)
    result.ratio["redis_vs_ping"] = median(took) / median(pings)
    naive = timed(one_after_the_other, wishes[: len(wishes) // 4], quotes, result, "single reads")
    result.baseline["redis_8_single_reads_us_p50"] = median(naive)
    result.ratio["redis_vs_single_reads"] = median(naive) / median(took)


def timed_ping() -> float:
    """Microseconds of a round trip with nothing in it: the least that any read costs on this machine."""
    began = time.perf_counter_ns()
    client().ping()
    return (time.perf_counter_ns() - began) / 1000


def one_after_the_other(symbols: Sequence[str]) -> dict[str, Found]:
    """The naive way: a round trip for each symbol."""
    raw = {symbol: client().hget(cache.LATEST_KEY, symbol) for symbol in symbols}
    return {symbol: Found(cache.decode(one), streaming=False) for symbol, one in raw.items() if one}


def timed(
    read: Callable[[Sequence[str]], dict[str, Found]],
    wishes: Sequence[Sequence[str]],
    quotes: dict[str, Quote],
    result: Result,
    tier: str,
) -> list[float]:
    """Microseconds of each read; what it returned is compared with what was put in."""
    took = []
    wrong = 0
    for wish in wishes:
        began = time.perf_counter_ns()
        found = read(wish)
        took.append((time.perf_counter_ns() - began) / 1000)
        wrong += list(found) != list(wish) or any(found[one].quote.price != quotes[one].price for one in wish)
    result.must(not wrong, f"{wrong} reads from {tier} were not what had been stored")
    return took


@contextmanager
def round_trips() -> Iterator[list[int]]:
    """Counts what is sent to Redis: a pipeline is sent in one piece."""
    counted = [0]
    send = AbstractConnection.send_packed_command

    def counting(self: Any, *args: Any, **options: Any) -> Any:
        counted[0] += 1
        return send(self, *args, **options)

    AbstractConnection.send_packed_command = counting  # type: ignore[method-assign]
    try:
        yield counted
    finally:
        AbstractConnection.send_packed_command = send  # type: ignore[method-assign]


def percentile_99(took: list[float]) -> float:
    return quantiles(took, n=100)[98]


def compare(result: Result, written: table.Written, single_ms: float) -> None:
    result.figures |= {
        "tickers": TICKERS,
        "passes": written.passes,
        "upsert_5000_ms_p50": written.ms_p50,
        "upsert_5000_ms_p95": written.ms_p95,
        "hot_percent": written.hot_percent,
        "table_growth": written.growth,
        "table_mb": written.size_mb,
    }
    result.baseline["single_statements_5000_ms"] = single_ms
    result.ratio["upsert_vs_single"] = single_ms / written.ms_p50
    result.bars += [
        at_most("upsert_5000_ms_p50", written.ms_p50, 80),
        at_least("hot_percent", written.hot_percent, 95),
        at_most("table_growth", written.growth, 3),
        at_least("upsert_vs_single", result.ratio["upsert_vs_single"], 20),
    ]
