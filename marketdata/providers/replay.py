"""Real history as if it were now: the trading days of 2012-05-18 to 2013-03-01, one by one, round and round.

Where the replay stands follows from the wall clock alone: day number = time since 1970 / length of a replayed
day. So all processes agree without talking, and a restart changes nothing. A replayed day lasts 390 minutes
divided by the speed, rounded to whole minutes; the next one follows at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.conf import settings

from core import clock
from marketdata.errors import NotFound
from marketdata.providers.base import AssetClass, Capabilities, Interval
from marketdata.providers.paced import (
    MINUTE_US,
    Now,
    PacedProvider,
    Wait,
    dollars,
    from_us,
    midnight,
)
from marketdata.providers.replay_bars import SYMBOLS, DailyRow, actions, histories, loop_days
from marketdata.providers.walk import Span, Walk, volume_at, walk
from marketdata.quotes import Action, Bar, Tick, microseconds

TRADING_DAY_MINUTES = 390
SLOWEST, FASTEST = 1.0, 390.0
# One tick in each, at an irregular moment: two a second.
SLOT_US = 500_000
FUNDAMENTALS_SEED = 1


def day_length_us(speed: float) -> int:
    return round(TRADING_DAY_MINUTES / speed) * MINUTE_US


def day_start(moment: datetime, speed: float) -> datetime:
    """When the replayed day that ran at this moment began."""
    us = microseconds(moment)
    return from_us(us - us % day_length_us(speed))


@dataclass(frozen=True, slots=True)
class ReplayedDay:
    """One symbol's walk through one real day."""

    number: int
    row: DailyRow
    previous_close: int | None
    path: Walk


class Replay(PacedProvider):
    name = "replay"
    capabilities = Capabilities(
        label="Replay",
        simulated=True,
        asset_classes=frozenset({AssetClass.STOCK}),
        max_symbols_per_request=50,
        intervals=frozenset({Interval.MINUTE, Interval.DAY}),
        streams=True,
        actions=True,
        fundamentals=True,
        always_open=True,
    )

    def __init__(self, *, speed: float = 1.0, now: Now = clock.now, wait: Wait = asyncio.sleep) -> None:
        super().__init__(now=now, wait=wait)
        if not SLOWEST <= speed <= FASTEST:
            raise ValueError(f"the speed of the replay must be from {SLOWEST:g} to {FASTEST:g}")
        self.day_us = day_length_us(speed)
        self._days: dict[str, ReplayedDay] = {}

    def covers(self, symbol: str) -> bool:
        return symbol in SYMBOLS

    def last_tick(self, symbol: str, us: int) -> Tick:
        day = self._day_at(symbol, us)
        return self._tick(symbol, day, day.path.index_at(us))

    def ticks(self, symbol: str, after_us: int, until_us: int) -> list[Tick]:
        found = []
        for day in self._days_between(symbol, after_us, until_us):
            positions = range(day.path.index_at(after_us) + 1, day.path.index_at(until_us) + 1)
            found += [self._tick(symbol, day, i) for i in positions]
        return found

    def bars(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> list[Bar]:
        if interval is Interval.DAY:
            return self._daily_bars(symbol, start, end)
        return self._minute_bars(symbol, start, end)

    async def fetch_actions(self, symbol: str, start: date, end: date) -> list[Action]:
        """The real ones; also those after the replayed day, as companies announce them: who reads hides the future."""
        self.requests += 1
        await self._answered("actions", [symbol])
        if not self.covers(symbol):
            raise NotFound(f"{self.name} does not know {symbol}")
        return [action for action in actions().get(symbol, ()) if start <= action.ex_date < end]

    def usual_price(self, symbol: str) -> tuple[Decimal, int]:
        """That of the first replayed day; prices and actions are real, fundamentals are not."""
        return dollars(histories()[symbol].row(loop_days()[0]).close), FUNDAMENTALS_SEED

    def _day_at(self, symbol: str, us: int) -> ReplayedDay:
        number = us // self.day_us
        day = self._days.get(symbol)
        if day is None or day.number != number:
            day = self._days[symbol] = self._walked(symbol, number)
        return day

    def _days_between(self, symbol: str, after_us: int, until_us: int) -> Iterator[ReplayedDay]:
        for number in range(after_us // self.day_us, until_us // self.day_us + 1):
            yield self._day_at(symbol, number * self.day_us)

    def _walked(self, symbol: str, number: int) -> ReplayedDay:
        days = loop_days()
        history = histories()[symbol]
        row = history.row(days[number % len(days)])
        path = walk(
            Span(open=row.open, high=row.high, low=row.low, close=row.close),
            start_us=number * self.day_us,
            slot_us=SLOT_US,
            steps=self.day_us // SLOT_US,
            seed=f"{symbol} {row.day}",
        )
        return ReplayedDay(number, row, history.close_before(row.day), path)

    def _tick(self, symbol: str, day: ReplayedDay, i: int) -> Tick:
        path = day.path
        cents = path.prices[i]
        volume = self._volume(day, i)
        return Tick(
            symbol=symbol,
            price=dollars(cents),
            size=volume - self._volume(day, i - 1),
            volume=volume,
            as_of_us=path.time_of(i),
            provider=self.name,
            sequence=day.number * len(path) + i + 1,
            open=dollars(day.row.open),
            high=dollars(path.highs[i]),
            low=dollars(path.lows[i]),
            previous_close=None if day.previous_close is None else dollars(day.previous_close),
            bid=dollars(cents - 1),
            ask=dollars(cents + 1),
            replay_date=day.row.day,
        )

    @staticmethod
    def _volume(day: ReplayedDay, i: int) -> int:
        return volume_at(day.row.volume, i, len(day.path), day.path.jitter[i]) if i >= 0 else 0

    def _daily_bars(self, symbol: str, start: datetime, end: datetime) -> list[Bar]:
        """The real days before the replayed one; the replay does not know its future."""
        today = self._day_at(symbol, microseconds(self.now())).row.day
        first_day = (start - timedelta(microseconds=1)).date() + timedelta(days=1)
        last_day = (end - timedelta(microseconds=1)).date()
        rows = histories()[symbol].rows(first_day, min(today, last_day + timedelta(days=1)))
        return [_daily_bar(symbol, row) for row in rows]

    def _minute_bars(self, symbol: str, start: datetime, end: datetime) -> list[Bar]:
        """The minutes of the replayed day up to now, in wall clock time; the last one may be running."""
        now_us = microseconds(self.now())
        day = self._day_at(symbol, now_us)
        known = day.path.index_at(now_us) + 1
        per_minute = MINUTE_US // SLOT_US
        bars = []
        for first in range(0, known, per_minute):
            moment = from_us(day.path.start_us + first * SLOT_US)
            if start <= moment < end:
                bars.append(
                    self._minute_bar(symbol, day, moment, range(first, min(first + per_minute, known)))
                )
        return bars

    def _minute_bar(self, symbol: str, day: ReplayedDay, moment: datetime, slots: range) -> Bar:
        prices = day.path.prices[slots.start : slots.stop]
        return Bar(
            symbol=symbol,
            start=moment,
            open=dollars(prices[0]),
            high=dollars(max(prices)),
            low=dollars(min(prices)),
            close=dollars(prices[-1]),
            volume=self._volume(day, slots.stop - 1) - self._volume(day, slots.start - 1),
        )


def _daily_bar(symbol: str, row: DailyRow) -> Bar:
    return Bar(
        symbol=symbol,
        start=midnight(row.day),
        open=dollars(row.open),
        high=dollars(row.high),
        low=dollars(row.low),
        close=dollars(row.close),
        volume=row.volume,
    )


def from_settings() -> Replay:
    return Replay(speed=settings.REPLAY_SPEED)
