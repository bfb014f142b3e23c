"""get_quotes(): the accessor everybody uses. Memory, Redis, database, then one shared request to a provider.

It never raises for a dead dependency: whatever is known is returned, marked stale with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from random import Random

from core import clock, metrics
from core.database import if_there
from core.outages import DATABASE_ERRORS
from marketdata import cache, early, market_hours, staleness, store
from marketdata.cache import Found
from marketdata.fetcher import ANYBODY, BatchFetcher
from marketdata.providers import registry
from marketdata.providers.chain import Asking
from marketdata.quotes import NoQuote, Quote, Reason
from marketdata.quoting import Outcome

# Who can be shown an old price, marked stale, waits no longer for a new one.
PATIENCE_S = 0.35
_lots = Random()  # noqa: S311 -- chance spreads load here, and guards nothing


def get_quotes(
    symbols: Iterable[str],
    *,
    max_age: timedelta | None = None,
    asking: Asking = ANYBODY,
    patience_s: float | None = PATIENCE_S,
    most_s: float | None = None,
) -> dict[str, Outcome]:
    """One outcome per canonical symbol; asks a provider only for what no tier knows fresh enough.

    `max_age` asks for a quote that was checked at most so long ago; without it a quote is good until it expires.
    While it streams it is always good. What is known but too old is waited for `patience_s` at most (None: as long
    as the providers take) and then returned stale; it is fetched nevertheless, for the next reader. What is not known
    is waited for `most_s` at most. What a stream that is gone has left behind is told as stale until it expires, and
    is asked for then.
    """
    market_hours.refresh()
    wanted = list(dict.fromkeys(symbols))
    metrics.quotes_asked.inc(len(wanted))
    good, known = _look(wanted, lambda found, now: found.is_good(now, max_age))
    if max_age is None:  # else the reader says how old it may be, such as the timer with its own rhythm
        _renew_early(good.values())
    # Who says how old it may be takes it as it is.
    shown = {symbol: _shown(found) if max_age is None else found.quote for symbol, found in good.items()}
    if len(good) == len(wanted):
        return {symbol: shown[symbol] for symbol in wanted}
    missing = [symbol for symbol in wanted if symbol not in good]
    metrics.quote_reads.labels(tier="provider").inc(len(missing))
    hurried = fetcher.begin([one for one in missing if one in known], asking, patience_s=patience_s)
    waited_for = fetcher.begin([one for one in missing if one not in known], asking, patience_s=most_s)
    bought = {**hurried.result(), **waited_for.result()}
    return {
        symbol: shown[symbol] if symbol in shown else _best(symbol, bought[symbol], known)
        for symbol in wanted
    }


def _renew_early(good: Iterable[Found]) -> None:
    """Have some of what will run out soon fetched, chosen by lot; nobody waits for it."""
    now = clock.now()
    due = []
    for found in good:
        remaining_s = (found.quote.expires_at - now).total_seconds()
        if found.streaming or remaining_s <= 0:  # who accepts an expired one has said so by his `max_age`
            continue
        if early.should_refresh(remaining_s, fetcher.typical_s, _lots.random):
            due.append(found.quote.symbol)
    if due:
        metrics.quotes_renewed_early.inc(len(due))
        fetcher.begin(due, ANYBODY)


def stored_quotes(symbols: Iterable[str]) -> dict[str, Outcome]:
    """The same without ever asking a provider: for pages, which must not wait, and are filled by the stream."""
    wanted = list(dict.fromkeys(symbols))
    good, known = _look(wanted, lambda found, now: found.is_good(now, None))
    best = known | good
    return {
        symbol: _shown(best[symbol]) if symbol in best else NoQuote(symbol, Reason.NO_DATA_YET)
        for symbol in wanted
    }


def _shown(found: Found) -> Quote:
    """Marked stale where it is: the same rule as the live stream's."""
    if found.streaming or not staleness.is_stale(found.quote, clock.now(), found.lost_at):
        return found.quote
    return found.quote.marked_stale(Reason.PROVIDER_DOWN)


def _look(
    symbols: Sequence[str], is_good: Callable[[Found, datetime], bool]
) -> tuple[dict[str, Found], dict[str, Found]]:
    """(what is good enough, the newest of whatever is known) by symbol, asking each tier for the rest only."""
    now = clock.now()
    good: dict[str, Found] = {}
    known: dict[str, Found] = {}
    for tier in (cache.from_memory, cache.from_redis, _from_database):
        rest = [symbol for symbol in symbols if symbol not in good]
        for symbol, found in tier(rest).items():
            if registry.is_dismissed(found.quote.provider):
                continue
            if is_good(found, now):
                good[symbol] = found
            if symbol not in known or found.quote.as_of > known[symbol].quote.as_of:
                known[symbol] = found
    return good, known


def _from_database(symbols: Sequence[str]) -> dict[str, Found]:
    try:
        return if_there(cache.from_database, symbols) if symbols else {}
    except DATABASE_ERRORS:
        metrics.database_failures.labels(used_by="quotes").inc()
        return {}


def _best(symbol: str, bought: Outcome, known: dict[str, Found]) -> Outcome:
    old = known[symbol].quote if symbol in known else None
    if isinstance(bought, Quote):
        return bought if old is None or bought.as_of >= old.as_of else old
    if old is None:
        return bought
    metrics.quote_reads.labels(tier="stale").inc()
    return old.marked_stale(bought.reason)


def keep(quotes: Sequence[Quote]) -> None:
    """Give fetched quotes to every tier; a database that is away keeps the older row."""
    for quote in quotes:
        cache.remember(Found(quote, streaming=False))
    cache.fill_redis(quotes)
    try:
        if_there(_store, quotes)
    except DATABASE_ERRORS:
        metrics.database_failures.labels(used_by="quotes").inc()


def _store(quotes: Sequence[Quote]) -> None:
    store.store_fetched(quotes, store.ticker_ids(quote.symbol for quote in quotes))


fetcher = BatchFetcher(route=registry.candidates, store=keep)
