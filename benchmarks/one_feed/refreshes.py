"""Refreshes through the code that Celery's beat runs, and the naive way: each user's tickers for each user."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta

from benchmarks.vendor.bill import Bill, Counted
from benchmarks.vendor.provider import CountedProvider, price_of
from core import clock
from marketdata import attention, cache, claims, demand, lookup, metering, polling
from marketdata.freshness import OPEN_TTL
from marketdata.providers import registry
from marketdata.quotes import Quote

# A fetch answers for everybody who asks this soon after it; a refresh comes later than that.
SETTLED_S = claims.SETTLED_MS / 1000 + 0.1
# Who asked has the quotes at once; the tiers that all others read follow.
STORING_PATIENCE_S = 2.0
# Naive connections are opened so many at once.
AT_ONCE = 50

_real_now, _real_now_us = clock.now, clock.now_us
_passed = timedelta()


def let_time_pass() -> None:
    """Until every quote is too old: really where Redis counts, by setting our clock forward for the rest."""
    set_clock_forward(_passed + OPEN_TTL)
    time.sleep(SETTLED_S)


def set_clock_forward(passed: timedelta) -> None:
    global _passed  # noqa: PLW0603 -- one clock per process
    _passed = passed
    clock.now = lambda: _real_now() + _passed
    clock.now_us = lambda: _real_now_us() + _passed // timedelta(microseconds=1)


def passed() -> timedelta:
    """How far the clock was set forward, for other processes to do the same."""
    return _passed


def refresh(bill: Bill) -> tuple[Counted, list[str]]:
    """One run of the periodic job when all quotes are too old; what it cost, and what is wrong with what it brought."""
    let_time_pass()
    bill.reset()
    with registry.override(CountedProvider(bill.address, streams=False)):
        attention.look(demand.wanted())  # what nobody looks at is asked every five minutes only
        polling.fetch_wanted()
    counted = bill.read()
    wrong = _wrong_prices(counted.prices)
    deadline = time.monotonic() + STORING_PATIENCE_S
    while wrong and time.monotonic() < deadline:
        time.sleep(0.05)
        wrong = _wrong_prices(counted.prices)
    return counted, wrong


def _wrong_prices(sold: Mapping[str, int]) -> list[str]:
    """Everybody must see what was sold last; pages read the tiers and buy nothing."""
    cache.forget_memory()
    seen = lookup.stored_quotes(demand.wanted())
    return [
        f"{symbol} shows {outcome}"
        for symbol, outcome in seen.items()
        if not isinstance(outcome, Quote) or outcome.stale or outcome.price != price_of(sold.get(symbol, 0))
    ]


def refresh_each_user(bill: Bill, watchlists: Sequence[Sequence[str]]) -> Counted:
    """The naive way: nothing is shared. The same vendor, the same batch size, the same watchlists."""
    bill.reset()
    asyncio.run(_each_user(CountedProvider(bill.address, streams=True), watchlists))
    deadline = time.monotonic() + 10
    while bill.read().streams and time.monotonic() < deadline:
        time.sleep(0.05)  # the vendor is still reading what was written before the connections ended
    return bill.read()


async def _each_user(provider: CountedProvider, watchlists: Sequence[Sequence[str]]) -> None:
    for start in range(0, len(watchlists), AT_ONCE):
        await asyncio.gather(*(_one_user(provider, one) for one in watchlists[start : start + AT_ONCE]))


async def _one_user(provider: CountedProvider, symbols: Sequence[str]) -> None:
    with metering.collecting():
        await provider.fetch_quotes(symbols)
    stream = await provider.open_stream()
    await stream.subscribe(symbols)
    await stream.close()
