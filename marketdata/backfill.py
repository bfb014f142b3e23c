"""Past bars for charts: asked of a provider when a ticker is opened, in the slow queue, once for everybody.

Five years of daily bars and the minutes of the running session; later the tape keeps both up to date. It is level
triggered: what a lost message leaves out, the periodic job finds by `bars_loaded_at`. Whoever sets that by a
conditional UPDATE has claimed the ticker, so that any number of tasks cost two requests.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta

from django.db.models import Q
from kombu.exceptions import OperationalError as QueueAway

from core import clock, metrics
from marketdata import day_bars, lookup, store
from marketdata.asking import ask_in_bulk
from marketdata.errors import NotFound, PlanLocked, ProviderError
from marketdata.models import Ticker
from marketdata.providers.base import Interval, Provider
from marketdata.providers.registry import Purpose
from marketdata.quotes import Bar, Quote

logger = logging.getLogger(__name__)

DAILY_SPAN = timedelta(days=5 * 366)
MINUTE_SPAN = timedelta(hours=24)
LOADED_FOR = timedelta(hours=6)
# A claim runs out by itself, for the case that its process is killed: above the time limit of a task.
CLAIMED_FOR = timedelta(minutes=2)


def ask_for(symbols: Iterable[str]) -> None:
    """Queue the loading of past bars where it is overdue, a task for each ticker.

    A queue that is away is no error, the periodic job asks again.
    """
    from marketdata.tasks import load_bars  # noqa: PLC0415 -- tasks import this module

    try:
        for symbol in overdue(symbols):
            load_bars.delay(symbol)
    except QueueAway:
        metrics.redis_failures.labels(used_by="queue").inc()


def overdue(symbols: Iterable[str]) -> list[str]:
    """Those tickers whose past bars were not asked for lately, and are not being asked for."""
    found = Ticker.objects.filter(_is_overdue(clock.now()), symbol__in=list(symbols))
    return list(found.order_by("symbol").values_list("symbol", flat=True))


def _is_overdue(now: datetime) -> Q:
    return Q(bars_loaded_at=None) | Q(bars_loaded_at__lte=now - LOADED_FOR)


def load(symbol: str) -> int:
    """Ask for the past bars of one ticker and store them; how many rows changed. A provider without bars: 0.

    Nothing is asked where it is not overdue. A provider that is down for the moment leaves the ticker overdue, so
    that the periodic job asks again.
    """
    claimed = _claim(symbol)
    if claimed is None:
        return 0
    ids = store.ticker_ids([symbol])
    days, minutes = _daily(symbol), _minutes(symbol)
    changed = day_bars.keep(symbol, days or []) + store.store_minute_bars(minutes or [], ids)
    is_done = days is not None and minutes is not None
    Ticker.objects.filter(symbol=symbol, bars_loaded_at=claimed).update(
        bars_loaded_at=clock.now() if is_done else None
    )
    return changed


def _claim(symbol: str) -> datetime | None:
    """The mark of our claim, which is a loading so long ago that it is overdue soon; None: there is nothing to do."""
    now = clock.now()
    mark = now - LOADED_FOR + CLAIMED_FOR
    mine = Ticker.objects.filter(_is_overdue(now), symbol=symbol).update(bars_loaded_at=mark)
    return mark if mine else None


def _daily(symbol: str) -> list[Bar] | None:
    quote = lookup.get_quotes([symbol])[symbol]
    today = (quote.replay_date if isinstance(quote, Quote) else None) or clock.now().date()
    until = datetime.combine(today, time(), UTC)
    return _ask(symbol, Purpose.DAY_BARS, Interval.DAY, until - DAILY_SPAN, until)


def _minutes(symbol: str) -> list[Bar] | None:
    now = clock.now()
    # The running minute belongs to the tape, which has seen its ticks.
    until = now.replace(second=0, microsecond=0)
    return _ask(symbol, Purpose.MINUTE_BARS, Interval.MINUTE, now - MINUTE_SPAN, until)


def _ask(
    symbol: str, purpose: Purpose, interval: Interval, start: datetime, end: datetime
) -> list[Bar] | None:
    """None when asking again later may help."""

    async def ask(provider: Provider) -> list[Bar]:
        return await provider.fetch_bars(symbol, interval, start, end)

    try:
        return ask_in_bulk(purpose, symbol, ask)
    except ProviderError as error:
        logger.warning("no %s bars of %s: %s", interval.value, symbol, error)
        return [] if isinstance(error, (NotFound, PlanLocked)) else None
