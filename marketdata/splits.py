"""Splits as the tape needs them: which tickers trade on another base from this morning on, and by how much."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal

from core import clock
from marketdata.baseline import Split
from marketdata.calendar import NEW_YORK
from marketdata.models import CorporateAction
from marketdata.quotes import ActionKind, microseconds


def split_factor(split_from: Decimal, split_to: Decimal) -> Decimal:
    """By what prices are divided: 4 where one share becomes four, 0.02 where fifty become one."""
    return split_to / split_from


def today() -> date:
    """The date in New York."""
    return clock.now().astimezone(NEW_YORK).date()


def morning_of(day: date) -> int:
    """When a day begins in New York, in microseconds since 1970: before its first trade in any session."""
    return microseconds(datetime.combine(day, time(), NEW_YORK))


def splits_on(day: date, ids: Mapping[str, int]) -> dict[str, Split]:
    """The splits of these tickers that are effective from the morning of this day on, by symbol."""
    symbols = {ticker_id: symbol for symbol, ticker_id in ids.items()}
    found = CorporateAction.objects.filter(kind=ActionKind.SPLIT.value, ex_date=day)
    return {
        symbols[action.ticker_id]: Split(morning_of(day), split_factor(action.split_from, action.split_to))
        for action in found
        if action.ticker_id in symbols and action.split_from and action.split_to
    }
