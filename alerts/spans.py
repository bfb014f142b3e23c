"""Past bars as the values that an alert looks at: the range of each bar, and what it went through, one by one. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

from alerts.conditions import ZERO
from alerts.kinds import Kind, Rule, Way
from alerts.series import NO_REFERENCE, Reference, against, moved
from marketdata.calendar import NEW_YORK
from marketdata.quotes import Bar

DAY = timedelta(days=1)
YEAR = timedelta(weeks=52)
# What may lie between the first bar of a year of bars and the day a year ago.
LONGEST_HOLIDAY = timedelta(days=7)
AVERAGED_DAYS = 20
T = TypeVar("T")


class Source(StrEnum):
    """How long one bar is."""

    MINUTE = "minute"
    DAY = "day"


class Point(NamedTuple):
    """What the alert looked at, and the price then."""

    value: Decimal
    price: Decimal


class Span(Protocol):
    """One bar. No value of it lies outside `low` and `high`."""

    @property
    def at(self) -> datetime: ...

    @property
    def low(self) -> Decimal: ...

    @property
    def high(self) -> Decimal: ...

    def points(self) -> list[Point]:
        """In their order."""


def can_tell(rule: Rule, source: Source) -> bool:
    """A bar says nothing of silence, and a day nothing of the minutes in it."""
    if rule.kind is Kind.STALE:
        return False
    return rule.kind is not Kind.MOVES or source is Source.MINUTE or rule.window_s == DAY.total_seconds()


def spans_of(
    rule: Rule, bars: Iterable[Bar], source: Source, references: Mapping[date, Reference]
) -> Iterator[Span]:
    if rule.kind is Kind.MOVES:
        return _moves(rule, bars) if source is Source.MINUTE else _moves_of_days(rule, bars)
    if rule.kind is Kind.VOLUME:
        return _volumes(bars, source, references)
    if rule.kind in (Kind.HIGH_52W, Kind.LOW_52W):
        return _against_the_year(rule, bars, source, references)
    return (OfPrice(bar.start, bar.low, bar.high, bar) for bar in bars)


def way_of(bar: Bar) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """From the open to the nearer extreme, to the other one, to the close; as near to both: down first."""
    if bar.high - bar.open < bar.open - bar.low:
        return bar.open, bar.high, bar.low, bar.close
    return bar.open, bar.low, bar.high, bar.close


@dataclass(slots=True)
class OfPrice:
    at: datetime
    low: Decimal
    high: Decimal
    bar: Bar

    def points(self) -> list[Point]:
        return [Point(price, price) for price in way_of(self.bar)]


@dataclass(slots=True)
class OfMoves:
    """`lowest` and `highest` are those of the window before the bar; a price is compared with itself as well."""

    at: datetime
    high: Decimal
    bar: Bar
    lowest: Decimal
    highest: Decimal
    way: Way
    low: Decimal = ZERO

    def points(self) -> list[Point]:
        found, lowest, highest = [], self.lowest, self.highest
        for price in way_of(self.bar):
            lowest, highest = min(lowest, price), max(highest, price)
            found.append(Point(_move(self.way, lowest, highest, price, price), price))
        return found


@dataclass(slots=True)
class OfVolume:
    """What was traded on the day up to the end of the bar, in averages."""

    at: datetime
    low: Decimal
    price: Decimal

    @property
    def high(self) -> Decimal:
        return self.low

    def points(self) -> list[Point]:
        return [Point(self.low, self.price)]


@dataclass(slots=True)
class OfYear:
    """Percent above the old high, or above the old low."""

    at: datetime
    low: Decimal
    high: Decimal
    bar: Bar
    value: Callable[[Decimal], Decimal | None]

    def points(self) -> list[Point]:
        found = ((self.value(price), price) for price in way_of(self.bar))
        return [Point(value, price) for value, price in found if value is not None]


def _move(way: Way, lowest: Decimal, highest: Decimal, low: Decimal, high: Decimal) -> Decimal:
    """How far `high` is above the lowest, or `low` below the highest, in percent."""
    if way is Way.UP:
        return moved(lowest, high, Way.UP)
    down = moved(highest, low, Way.DOWN)
    return down if way is Way.DOWN else max(moved(lowest, high, Way.UP), down)


def _moves(rule: Rule, bars: Iterable[Bar]) -> Iterator[OfMoves]:
    """A window of five minutes is the bar and those that began less than five minutes before it."""
    window = timedelta(seconds=rule.window_s or 0)
    lows, highs = deque[Bar](), deque[Bar]()
    for bar in bars:
        for extremes in (lows, highs):
            while extremes and extremes[0].start <= bar.start - window:
                extremes.popleft()
        yield _moved_from(
            rule.way, bar, lows[0].low if lows else bar.open, highs[0].high if highs else bar.open
        )
        while lows and lows[-1].low >= bar.low:
            lows.pop()
        lows.append(bar)
        while highs and highs[-1].high <= bar.high:
            highs.pop()
        highs.append(bar)


def _moves_of_days(rule: Rule, bars: Iterable[Bar]) -> Iterator[OfMoves]:
    """A day, and the close of the day before; a weekend or a holiday is longer than the window."""
    before: Bar | None = None
    for bar in bars:
        follows = before is not None and bar.start - before.start <= DAY
        base = before.close if before is not None and follows else bar.open
        yield _moved_from(rule.way, bar, base, base)
        before = bar


def _moved_from(way: Way, bar: Bar, lowest: Decimal, highest: Decimal) -> OfMoves:
    most = _move(way, min(lowest, bar.low), max(highest, bar.high), bar.low, bar.high)
    return OfMoves(bar.start, most, bar, lowest, highest, way)


def _volumes(bars: Iterable[Bar], source: Source, references: Mapping[date, Reference]) -> Iterator[OfVolume]:
    for day, of_day in by_day(bars, source, _start):
        known, total = references.get(day, NO_REFERENCE), 0
        for bar in of_day:
            total += bar.volume
            ratio = against(Kind.VOLUME, known, bar.close, total)
            if ratio is not None:
                yield OfVolume(bar.start, ratio, bar.close)


def _against_the_year(
    rule: Rule, bars: Iterable[Bar], source: Source, references: Mapping[date, Reference]
) -> Iterator[OfYear]:
    for day, of_day in by_day(bars, source, _start):
        known = references.get(day, NO_REFERENCE)

        def value(price: Decimal, known: Reference = known) -> Decimal | None:
            return against(rule.kind, known, price, 0)

        for bar in of_day:
            low, high = value(bar.low), value(bar.high)
            if low is not None and high is not None:
                yield OfYear(bar.start, low, high, bar, value)


def days_in(spans: Iterable[Span], source: Source) -> int:
    """How many trading days something could be told of."""
    return sum(1 for _ in by_day(spans, source, _at))


def by_day(
    items: Iterable[T], source: Source, when: Callable[[T], datetime]
) -> Iterator[tuple[date, list[T]]]:
    """Oldest first, day by day; a minute belongs to its day in New York."""
    day, ends, found = date.min, datetime.min.replace(tzinfo=UTC), list[T]()
    for item in items:
        if when(item) >= ends:
            if found:
                yield day, found
            day, ends = _day_and_end(when(item), source)
            found = []
        found.append(item)
    if found:
        yield day, found


def _at(span: Span) -> datetime:
    return span.at


def _start(bar: Bar) -> datetime:
    return bar.start


def day_of(start: datetime, source: Source) -> date:
    return start.date() if source is Source.DAY else start.astimezone(NEW_YORK).date()


def _day_and_end(start: datetime, source: Source) -> tuple[date, datetime]:
    day = day_of(start, source)
    if source is Source.DAY:
        return day, start + DAY
    return day, datetime.combine(day + DAY, time(), NEW_YORK).astimezone(UTC)


def references_of(days: Sequence[Bar], wanted: Iterable[date]) -> dict[date, Reference]:
    """What each wanted day is compared with: the 52 weeks, and the 20 bars, before it. Daily bars, oldest first."""
    starts = [bar.start.date() for bar in days]
    return {day: _reference_of(day, days, starts) for day in wanted}


def _reference_of(day: date, days: Sequence[Bar], starts: Sequence[date]) -> Reference:
    """Without a whole year before it there is no 52-week high: the highest of a month is none."""
    end = bisect_left(starts, day)
    year, recent = days[bisect_left(starts, day - YEAR) : end], days[max(end - AVERAGED_DAYS, 0) : end]
    whole = bool(year) and starts[0] <= day - YEAR + LONGEST_HOLIDAY
    averaged = len(recent) == AVERAGED_DAYS
    return Reference(
        high_52w=max(one.high for one in year) if whole else None,
        low_52w=min(one.low for one in year) if whole else None,
        average_volume=Decimal(sum(one.volume for one in recent)) / AVERAGED_DAYS if averaged else None,
        day=starts[end - 1] if end else None,
    )
