"""All quotes into PostgreSQL, durably, as the tape does it each second; and one statement each, as the naive way."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import median, quantiles
from typing import Any

from django.db import connection

from benchmarks.harness.report import Result, say
from marketdata import store
from marketdata.models import Quote as QuoteRow
from marketdata.quotes import Quote

TABLE = "marketdata_quote"
WARM_UP = 3


@dataclass(frozen=True)
class Written:
    passes: int
    ms_p50: float
    ms_p95: float
    hot_percent: float
    growth: float
    size_mb: float


def write_again_and_again(quotes: Sequence[Quote], passes: int, result: Result) -> Written:
    """Each pass changes every row."""
    say(f"{passes:,} times {len(quotes):,} quotes into the table")
    ids = store.ticker_ids(quote.symbol for quote in quotes)
    for number in range(WARM_UP):
        store.store_ticked(_later(quotes, number), ids)
    before, size = _updates(), _size()
    took = []
    for number in range(WARM_UP, WARM_UP + passes):
        changed = _later(quotes, number)
        began = time.perf_counter()
        rows = store.store_ticked(changed, ids)
        took.append((time.perf_counter() - began) * 1000)
        result.must(rows == len(quotes), f"pass {number} wrote {rows} rows")
    after = _updates()
    _check(quotes, WARM_UP + passes - 1, result)
    updates, hot = (new - old for new, old in zip(after, before, strict=True))
    result.must(updates == passes * len(quotes), f"the table counted {updates} updates")
    grown = _size()
    return Written(
        passes, median(took), quantiles(took, n=20)[18], 100 * hot / updates, grown / size, grown / 2**20
    )


def write_one_by_one(quotes: Sequence[Quote], sample: int, result: Result) -> float:
    """Milliseconds for all of them, one durable statement each, from a sample."""
    say(f"{sample:,} quotes with a statement each")
    ids = store.ticker_ids(quote.symbol for quote in quotes)
    chosen = _later(quotes[:sample], 10**6)
    began = time.perf_counter()
    for quote in chosen:
        result.must(store.store_ticked([quote], ids) == 1, "a single statement wrote nothing")
    return (time.perf_counter() - began) * 1000 * len(quotes) / sample


def _later(quotes: Sequence[Quote], number: int) -> list[Quote]:
    return [
        replace(
            quote, epoch=1, seq=number + 1, as_of=quote.as_of + timedelta(milliseconds=number), volume=number
        )
        for quote in quotes
    ]


def _check(quotes: Sequence[Quote], number: int, result: Result) -> None:
    """The table holds the last pass, price for price."""
    rows = dict(QuoteRow.objects.values_list("ticker__symbol", "price"))
    result.must(
        rows == {quote.symbol: quote.price for quote in quotes}, "the table does not hold what was written"
    )
    result.must(not QuoteRow.objects.exclude(seq=number + 1).exists(), "a row is not of the last pass")


def _updates() -> tuple[int, int]:
    """(updates, those made in place) of the table so far."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = %s", [TABLE])
        found: tuple[Any, Any] = cursor.fetchone()
    return int(found[0]), int(found[1])


def _size() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size(%s)", [TABLE])
        return int(cursor.fetchone()[0])
