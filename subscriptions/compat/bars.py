"""Stored bars for vendors' protocols: read within bounds, restated in today's shares, merged into longer windows.

`stored_bars` reads rows; everything else here is plain arithmetic with time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from core import clock
from marketdata.adjusting import Adjustment
from marketdata.api.bars import end_of, replay_date
from marketdata.calendar import NEW_YORK
from marketdata.instruments import asset_class_of
from marketdata.models import DailyBar, MinuteBar, Ticker
from marketdata.providers.base import AssetClass, Interval
from marketdata.quotes import Bar
from marketdata.series import shown_days, shown_minutes

# Nothing is older, and a moment before or behind them would leave the calendar when it is moved by a zone.
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
COLUMNS = ("open", "high", "low", "close", "volume")
ROUND_THE_CLOCK = {AssetClass.CRYPTO, AssetClass.FOREX}
A_DAY = timedelta(days=1)
AN_HOUR = 60
_MOMENT = timedelta(microseconds=1)
_ORIGIN = datetime(1970, 1, 1)  # noqa: DTZ001 -- of wall clocks


@dataclass(frozen=True, slots=True)
class Asked:
    """Bars that start from `start` to `end`, both included; `limit` at most, from the one end or from the other."""

    interval: Interval
    start: datetime
    end: datetime
    limit: int
    newest_first: bool = False
    adjustment: Adjustment = Adjustment.RAW


def stored_bars(ticker: Ticker, asked: Asked) -> list[Bar]:
    """In the order that was asked for; of a replayed ticker no day beyond the one that is being replayed."""
    asked = replace(asked, start=max(asked.start, EARLIEST), end=min(asked.end, _newest(ticker, asked)))
    if asked.start > asked.end:
        return []
    oldest_first = _read(ticker, asked)
    if asked.newest_first:
        oldest_first.reverse()
    restated = shown_days if asked.interval is Interval.DAY else shown_minutes
    bars = restated(ticker, oldest_first, asked.adjustment)
    return bars[::-1] if asked.newest_first else bars


def _newest(ticker: Ticker, asked: Asked) -> datetime:
    last = end_of(replay_date(ticker)) if asked.interval is Interval.DAY else None
    return min(last, clock.now()) if last else clock.now()


def _read(ticker: Ticker, asked: Asked) -> list[Bar]:
    sign = "-" if asked.newest_first else ""
    if asked.interval is Interval.DAY:
        days = DailyBar.objects.filter(
            ticker=ticker, day__gte=_first_day(asked.start), day__lte=asked.end.date()
        )
        rows: Iterable[Any] = days.order_by(f"{sign}day").values_list("day", *COLUMNS)[: asked.limit]
        return [Bar(ticker.symbol, _utc(row[0]), *row[1:]) for row in rows]
    minutes = MinuteBar.objects.filter(ticker=ticker, start__gte=asked.start, start__lte=asked.end)
    rows = minutes.order_by(f"{sign}start").values_list("start", *COLUMNS)[: asked.limit]
    return [Bar(ticker.symbol, *row) for row in rows]


def _first_day(start: datetime) -> date:
    """A day begins at 00:00 UTC, so a start during a day leaves that day out."""
    day = start.astimezone(UTC).date()
    return day if start == _utc(day) else day + A_DAY


# --- windows


def zone_of(symbol: str) -> ZoneInfo:
    """Where the days of an instrument begin."""
    return ZoneInfo("UTC") if asset_class_of(symbol) in ROUND_THE_CLOCK else NEW_YORK


@dataclass(frozen=True, slots=True)
class Windows:
    """Stretches of `count` minutes, hours, days, weeks, months, quarters or years, without a gap between them.

    Minutes and hours are counted by the wall clock of `zone`; a week begins on Sunday.
    """

    count: int
    span: str
    zone: ZoneInfo

    @property
    def interval(self) -> Interval:
        """Of the bars that they are made of."""
        return Interval.MINUTE if self.span in _SECONDS else Interval.DAY

    @property
    def most_bars(self) -> int:
        """How many of those one window has at most."""
        most = self.count * _MOST_BARS[self.span]
        twice = self.interval is Interval.MINUTE and most > AN_HOUR  # the hour when summer time ends
        return most + AN_HOUR * twice

    def start_of(self, bar: Bar) -> datetime:
        """The beginning of the window that a bar belongs to."""
        if self.interval is Interval.DAY:
            return self._midnight(self._first_day(bar.start.date()))
        return self._first_minute(bar.start)

    def bounds(self, first: datetime, last: datetime) -> tuple[datetime, datetime]:
        """From which start to which end the bars of all windows lie that these two moments lie in."""
        if self.interval is Interval.MINUTE:
            behind = self._first_minute(last) + timedelta(seconds=self.count * _SECONDS[self.span])
            return self._first_minute(first), behind - _MOMENT
        start = self._first_day(first.astimezone(self.zone).date())
        behind_day = self._next_day(self._first_day(last.astimezone(self.zone).date()))
        return _utc(start), _utc(behind_day) - _MOMENT

    def _first_minute(self, moment: datetime) -> datetime:
        length = self.count * _SECONDS[self.span]
        local = moment.astimezone(self.zone)
        wall = math.floor((local.replace(tzinfo=None) - _ORIGIN).total_seconds())
        start = _ORIGIN + timedelta(seconds=wall - wall % length)
        return start.replace(tzinfo=self.zone, fold=local.fold).astimezone(UTC)

    def _first_day(self, day: date) -> date:
        if self.span in _MONTHS:
            length = self.count * _MONTHS[self.span]
            month = day.year * 12 + day.month - 1
            return _month_day(max(month - month % length, 12))
        length = self.count * _DAYS[self.span]
        return date.fromordinal(max(1, day.toordinal() - day.toordinal() % length))

    def _next_day(self, first: date) -> date:
        if self.span in _MONTHS:
            return _month_day(first.year * 12 + first.month - 1 + self.count * _MONTHS[self.span])
        return first + timedelta(days=self.count * _DAYS[self.span])

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone).astimezone(UTC)


def _utc(day: date) -> datetime:
    """A stored day begins at midnight in UTC, wherever it is traded."""
    return datetime.combine(day, time(), UTC)


_SECONDS = {"minute": 60, "hour": 3_600}
_DAYS = {"day": 1, "week": 7}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_MOST_BARS = {"minute": 1, "hour": 60, "day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}
SPANS = tuple(_MOST_BARS)


def _month_day(month: int) -> date:
    return date(month // 12, month % 12 + 1, 1)


def merged(bars: Sequence[Bar], windows: Windows) -> list[Bar]:
    """One bar of each window that has any, beginning where the window begins; oldest first, as they come."""
    return [_sum_of(start, list(those)) for start, those in groupby(bars, windows.start_of)]


def _sum_of(start: datetime, bars: Sequence[Bar]) -> Bar:
    return Bar(
        bars[0].symbol,
        start,
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        sum(bar.volume for bar in bars),
    )
