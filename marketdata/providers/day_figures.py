"""The day's figures of streamed symbols: vendors stream trades, a tick shows the day beside the price.

They begin with the last quote fetched over REST by the same process, follow each trade that counts, and end with
the day. Where no quote was fetched only what was streamed is known: the figures stay empty rather than guessed.

Trades come here before anybody has judged them, so a single one is not believed: high and low follow the trades that
agree with the one before them, no size and no sum of sizes grows beyond what can be, and no time ahead of the clock
begins a new day, which would end today's figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from core import clock
from marketdata import freshness
from marketdata.freshness import Market
from marketdata.quotes import EPOCH, Quote, Tick

NEW_YORK = ZoneInfo("America/New_York")
# Trades made just before a halt are told after it; one made later than this means that trading goes on.
LATE_US = 2_000_000
# How far a vendor's clock may be ahead of ours.
AHEAD = timedelta(minutes=5)
# Two trades agree when neither is a fifth away from the other. However often a price comes that is this many times
# too high or too low, it is a mistake of units until a quote says the same.
FIFTH_LESS, FIFTH_MORE = Decimal("0.8"), Decimal("1.25")
MISTAKEN = 20
# Shares in one trade, and in a day: more has never been.
MOST_AT_ONCE, MOST_IN_A_DAY = 10**12, 10**15


@dataclass(slots=True)
class Day:
    """What is known of one symbol's day; `volume` counts from 0, and is the day's where a total was told."""

    date: date
    volume: int = 0
    is_total: bool = False
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    previous_close: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    price: Decimal | None = None
    """The last one that another agreed with."""
    told: Decimal | None = None
    """The last one."""
    halted_us: int | None = None
    """Since when trading is halted."""

    def total(self, volume: int) -> None:
        """The day's volume so far, as the vendor counts it; what was streamed meanwhile is not taken back."""
        self.volume, self.is_total = max(self.volume, volume), True


class DayFigures:
    """Of one provider; shared by its REST side, which knows the day, and its stream, which needs it."""

    def __init__(self) -> None:
        self._days: dict[str, Day] = {}

    def day_of(self, symbol: str, moment: datetime) -> Day:
        """The running day of the symbol at this moment; a later date begins a new one."""
        today = trading_date(symbol, moment)
        known = self._days.get(symbol)
        if known is not None and known.date >= today:
            return known
        if moment > clock.now() + AHEAD:
            return known or Day(today)
        fresh = self._days[symbol] = Day(today)
        if known is not None:
            fresh.price, fresh.told, fresh.halted_us = known.price, known.told, known.halted_us
        return fresh

    def remember(self, quote: Quote) -> None:
        """A fetched quote tells the day so far; what was streamed meanwhile is not taken back."""
        day = self.day_of(quote.symbol, quote.as_of)
        if day.date != trading_date(quote.symbol, quote.as_of):
            return
        if quote.volume is not None:
            day.total(quote.volume)
        day.open = quote.open or day.open
        day.high = max((price for price in (quote.high, day.high) if price), default=None)
        day.low = min((price for price in (quote.low, day.low) if price), default=None)
        day.previous_close = quote.previous_close or day.previous_close
        if day.price is None or _is_mistaken(day.price, quote.price):
            day.price = day.told = quote.price
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
            "volume": day.volume if day.is_total else 0,
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
        if size <= MOST_AT_ONCE:
            day.volume = min(day.volume + size, MOST_IN_A_DAY)
        before, day.told = day.told, price
        if before is not None and not before * FIFTH_LESS <= price <= before * FIFTH_MORE:
            return
        if day.price is not None and _is_mistaken(price, day.price):
            return
        day.price = price
        if day.high is not None:
            day.high = max(day.high, price)
        if day.low is not None:
            day.low = min(day.low, price)


def _is_mistaken(price: Decimal, right: Decimal) -> bool:
    return not right < price * MISTAKEN < right * MISTAKEN * MISTAKEN


def trading_date(symbol: str, moment: datetime) -> date:
    """The date whose day this is: New York's for what trades there, else that of UTC."""
    zone = NEW_YORK if freshness.market_of(symbol) is Market.NEW_YORK else UTC
    return moment.astimezone(zone).date()
