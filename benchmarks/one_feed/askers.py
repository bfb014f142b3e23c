"""People of several processes who ask at the same moment, through the accessor that everybody uses."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import connections

from benchmarks.one_feed.refreshes import set_clock_forward
from benchmarks.vendor.provider import CountedProvider
from core import metrics
from marketdata import lookup
from marketdata.fetcher import Outcome
from marketdata.providers import registry
from marketdata.quotes import NoQuote, Quote, price_text

THREADS = 13


@dataclass
class Seen:
    """The prices that the people of one process saw, by symbol, and how often a dependency let it down."""

    prices: dict[str, set[str]] = field(default_factory=dict)
    failures: dict[str, float] = field(default_factory=dict)


def ask(address: str, passed: timedelta, wishes: Sequence[Sequence[str]]) -> Seen:
    """One thread per person; a quote that is missing or stale stands with its reason instead of its price."""
    set_clock_forward(passed)
    seen, before = Seen(), failures()
    with (
        registry.override(CountedProvider(address, streams=False)),
        ThreadPoolExecutor(THREADS) as people,
    ):
        for answer in people.map(_ask_one, wishes):
            for symbol, outcome in answer.items():
                seen.prices.setdefault(symbol, set()).add(_shown(outcome))
    seen.failures = {name: number - before.get(name, 0) for name, number in failures().items()}
    seen.failures = {name: number for name, number in seen.failures.items() if number}
    return seen


def _ask_one(symbols: Sequence[str]) -> dict[str, Outcome]:
    try:
        return lookup.get_quotes(symbols, patience_s=None)  # a stale price would hide who bought
    finally:
        connections.close_all()  # back to the pool, as at the end of a request


def _shown(outcome: Quote | NoQuote) -> str:
    if isinstance(outcome, NoQuote) or outcome.stale:
        return f"none: {outcome.reason}"
    return price_text(outcome.price)


def failures() -> dict[str, float]:
    """What this process has counted of a Redis or a provider that did not answer."""
    return {
        f"{sample.name}{sample.labels}": sample.value
        for counter in (metrics.redis_failures, metrics.provider_failures, metrics.database_failures)
        for family in counter.collect()
        for sample in family.samples
    }
