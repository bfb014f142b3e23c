"""Which tickers trade on another base from this morning on, and by how much.

The tape reads those of its own tickers. For quotes that are fetched each process knows all of today, read together with
the exceptions of the calendar (market_hours.py).
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal

from core import clock
from marketdata.baseline import Split, after_split
from marketdata.calendar import NEW_YORK
from marketdata.models import CorporateAction
from marketdata.quotes import ActionKind, Quote, change_of, microseconds, tick_of

_of_today: dict[str, Split] = {}


def split_factor(split_from: Decimal, split_to: Decimal) -> Decimal:
    """By what prices are divided: 4 where one share becomes four, 0.02 where fifty become one."""
    return split_to / split_from


def today() -> date:
    """The date in New York."""
    return clock.now().astimezone(NEW_YORK).date()


def morning_of(day: date) -> int:
    """When a day begins in New York, in microseconds since 1970: before its first trade in any session."""
    return microseconds(datetime.combine(day, time(), NEW_YORK))


def splits_on(day: date, ids: Container[str]) -> dict[str, Split]:
    """The splits of these tickers that are effective from the morning of this day on, by symbol."""
    return {symbol: split for symbol, split in _all_on(day).items() if symbol in ids}


def _all_on(day: date) -> dict[str, Split]:
    found = CorporateAction.objects.filter(kind=ActionKind.SPLIT.value, ex_date=day).select_related("ticker")
    return {
        action.ticker.symbol: Split(morning_of(day), split_factor(action.split_from, action.split_to))
        for action in found
        if action.split_from and action.split_to
    }


def reread() -> None:
    """Those of today, for `in_shares_of_today`; raises DATABASE_ERRORS, and then what was known stays."""
    global _of_today  # noqa: PLW0603 -- one day per process
    _of_today = _all_on(today())


def in_shares_of_today(quote: Quote) -> Quote:
    """The fetched quote with what its vendor still tells in shares of before today's split restated."""
    split = _of_today.get(quote.symbol)
    if split is None or microseconds(quote.as_of) < split.from_us:
        return quote
    tick = tick_of(quote)
    right = after_split(tick, split, None)
    if right == tick:
        return quote
    change, change_percent = change_of(quote.price, right.previous_close)
    return replace(
        quote,
        change=change,
        change_percent=change_percent,
        previous_close=right.previous_close,
        open=right.open,
        high=right.high,
        low=right.low,
    )
