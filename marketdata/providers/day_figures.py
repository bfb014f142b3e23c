"""The day's figures of streamed symbols: vendors stream trades, a tick shows the day beside the price.

They begin with the last quote fetched over REST by the same process, follow each trade that counts, and end with
the day. Where no quote was fetched only what was streamed is known: the figures stay empty rather than guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from marketdata import freshness
from marketdata.instruments import asset_class_of
from marketdata.providers.base import AssetClass
from marketdata.quotes import EPOCH, Quote, Tick

NEW_YORK = ZoneInfo("America/New_York")
# Trades made just before a halt are told after it; one made later than this means that trading goes on.
LATE_US = 2_000_000


@dataclass(slots=True)
class Day:
    """What is known of one symbol's day; `volume` counts from 0 where no total was told."""

    date: date
    volume: int = 0
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    previous_close: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    price: Decimal | None = None
    halted_us: int | None = None
    """Since when trading is halted."""


class DayFigures:
    """Of one provider; shared by its REST side, which knows the day, and its stream, which needs it."""

    def __init__(self) -> None:
        self._days: dict[str, Day] = {}

    def day_of(self, symbol: str, moment: datetime) -> Day:
        """The running day of the symbol at this moment; a later date begins a new one."""
        today = trading_date(symbol, moment)
        known = self._days.get(symbol)
        if known is None or known.date < today:
            fresh = self._days[symbol] = Day(today)
            if known is not None:
                fresh.price, fresh.halted_us = known.price, known.halted_us
            return fresh
        return known

    def remember(self, quote: Quote) -> None:
        """A fetched quote tells the day so far; what was streamed meanwhile is not taken back."""
        day = self.day_of(quote.symbol, quote.as_of)
        if day.date != trading_date(quote.symbol, quote.as_of):
            return
        day.volume = max(day.volume, quote.volume or 0)
        day.open = quote.open or day.open
        day.high = max((price for price in (quote.high, day.high) if price), default=None)
        day.low = min((price for price in (quote.low, day.low) if price), default=None)
        day.previous_close = quote.previous_close or day.previous_close
        day.price = day.price or quote.price
        day.bid, day.ask = quote.bid or day.bid, quote.ask or day.ask

    def tick(self, symbol: str, price: Decimal, size: int, as_of_us: int, **fields: Any) -> Tick:
        """The tick of a trade that counts, with the day's figures; `fields` are further ones of Tick."""
        moment = EPOCH + timedelta(microseconds=as_of_us)
        day = self.day_of(symbol, moment)
        if day.date == trading_date(symbol, moment):  # else a straggler of yesterday
            self._count(day, price, size)
        if day.halted_us is not None and as_of_us > day.halted_us + LATE_US:
            day.halted_us = None
        return self._tick_of(symbol, price, size, as_of_us, day, fields)

    def halt(self, symbol: str, as_of_us: int, *, halted: bool, **fields: Any) -> Tick | None:
        """Trading is halted or goes on: the last price with that mark, None where no price is known."""
        day = self.day_of(symbol, EPOCH + timedelta(microseconds=as_of_us))
        day.halted_us = as_of_us if halted else None
        if day.price is None:
            return None
        return self._tick_of(symbol, day.price, 0, as_of_us, day, fields)

    def _tick_of(
        self, symbol: str, price: Decimal, size: int, as_of_us: int, day: Day, fields: Mapping[str, Any]
    ) -> Tick:
        figures = {
            "volume": day.volume,
            "open": day.open,
            "high": day.high,
            "low": day.low,
            "previous_close": day.previous_close,
            "bid": day.bid,
            "ask": day.ask,
            "halted": day.halted_us is not None,
            "session": freshness.session_of(symbol, EPOCH + timedelta(microseconds=as_of_us)),
        }
        return Tick(symbol=symbol, price=price, size=size, as_of_us=as_of_us, **{**figures, **fields})

    def _count(self, day: Day, price: Decimal, size: int) -> None:
        day.price = price
        day.volume += size
        if day.high is not None:
            day.high = max(day.high, price)
        if day.low is not None:
            day.low = min(day.low, price)


def trading_date(symbol: str, moment: datetime) -> date:
    """The date whose day this is: New York's, for coins that of UTC."""
    if asset_class_of(symbol) is AssetClass.CRYPTO:
        return moment.date()
    return moment.astimezone(NEW_YORK).date()
