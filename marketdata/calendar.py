"""When the New York market trades: rules for holidays and early closes, and a list of days that no rule foresees.

Pure. Checked day by day against `exchange_calendars` in a test; not used at run time, because it costs a second
and 76 MB in every process. Times are aware; what is asked and answered as a moment may be in any zone, days are
those of New York. The rules hold from 2000 on.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

from marketdata.quotes import Session

NEW_YORK = ZoneInfo("America/New_York")
CLOSURES = Path(__file__).resolve().parent / "data" / "closures.csv"

PRE_OPENS, OPENS, CLOSES, POST_CLOSES = time(4), time(9, 30), time(16), time(20)
EARLY_CLOSES, EARLY_POST_CLOSES = time(13), time(17)
# Juneteenth became a holiday of the exchange with this year.
JUNETEENTH_SINCE = 2022
# Days whose hours are kept; a watchlist looks at two or three of them.
DAYS_KEPT = 4_000


@dataclass(frozen=True, slots=True)
class SpecialDay:
    """A day that does not follow the rules: closed, or a trading day with these hours in New York time."""

    day: date
    closed: bool = True
    opens_at: time | None = None
    closes_at: time | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class TradingDay:
    """One trading day: its regular session lies from `opens` to `closes`, trading before and after around it."""

    day: date
    pre_opens: datetime
    opens: datetime
    closes: datetime
    post_closes: datetime

    def spans(self) -> Iterator[Span]:
        yield Span(self.pre_opens, self.opens, Session.PRE, self.day)
        yield Span(self.opens, self.closes, Session.REGULAR, self.day)
        yield Span(self.closes, self.post_closes, Session.POST, self.day)


@dataclass(frozen=True, slots=True)
class Span:
    """A session with `start <= moment < end`, and the day whose trading began last then."""

    start: datetime
    end: datetime
    session: Session
    day: date


class Calendar:
    """The rules, the known closures, and on top of both the exceptions of an operator."""

    def __init__(self, exceptions: Iterable[SpecialDay] = ()) -> None:
        self._special = closures() | {special.day: special for special in exceptions}
        self._days: dict[date, TradingDay | None] = {}
        self._last: Span | None = None

    def is_trading_day(self, day: date) -> bool:
        return self.hours(day) is not None

    def early_close(self, day: date) -> bool:
        """Whether the regular session of this day ends before 16:00."""
        hours = self.hours(day)
        return hours is not None and hours.closes.astimezone(NEW_YORK).time() < CLOSES

    def opens(self, day: date) -> datetime | None:
        """When the regular session of this day begins, in UTC; None where there is none."""
        hours = self.hours(day)
        return hours.opens if hours else None

    def closes(self, day: date) -> datetime | None:
        hours = self.hours(day)
        return hours.closes if hours else None

    def hours(self, day: date) -> TradingDay | None:
        """The hours of one day, in UTC; None on a day without trading."""
        if day not in self._days:
            if len(self._days) >= DAYS_KEPT:
                self._days.clear()
            self._days[day] = self._hours(day)
        return self._days[day]

    def session_at(self, moment: datetime) -> Session:
        return self.span_at(moment).session

    def span_at(self, moment: datetime) -> Span:
        """The session that the moment lies in; the closed time between two days is one as well."""
        last = self._last
        if last is not None and last.start <= moment < last.end:
            return last
        found = self._last = self._span_at(moment)
        return found

    def next_open(self, moment: datetime) -> datetime:
        """The first begin of a regular session after the moment."""
        return next(hours.opens for hours in self._from(_day_of(moment)) if hours.opens > moment)

    def previous_close(self, moment: datetime) -> datetime:
        """The last end of a regular session, at the moment or before it."""
        return next(hours.closes for hours in self._back_from(_day_of(moment)) if hours.closes <= moment)

    def trading_day_of(self, moment: datetime) -> date:
        """The day whose trading began last: of a moment at night, at a weekend or on a holiday the day before it."""
        return self.span_at(moment).day

    def _span_at(self, moment: datetime) -> Span:
        today = _day_of(moment)
        hours = self.hours(today)
        for span in hours.spans() if hours else ():
            if span.start <= moment < span.end:
                return span
        before = next(one for one in self._back_from(today) if one.post_closes <= moment)
        begins = next(one.pre_opens for one in self._from(today) if one.pre_opens > moment)
        return Span(before.post_closes, begins, Session.CLOSED, before.day)

    def _from(self, day: date) -> Iterator[TradingDay]:
        return filter(None, (self.hours(day + timedelta(days=n)) for n in count()))

    def _back_from(self, day: date) -> Iterator[TradingDay]:
        return filter(None, (self.hours(day - timedelta(days=n)) for n in count()))

    def _hours(self, day: date) -> TradingDay | None:
        special = self._special.get(day)
        if special is not None:
            return None if special.closed else _special_hours(special)
        if day.isoweekday() > 5 or day in holidays(day.year):
            return None
        return _trading_day(day, OPENS, EARLY_CLOSES if _closes_early(day) else CLOSES)


def _day_of(moment: datetime) -> date:
    return moment.astimezone(NEW_YORK).date()


def _special_hours(special: SpecialDay) -> TradingDay:
    return _trading_day(special.day, special.opens_at or OPENS, special.closes_at or CLOSES)


def _trading_day(day: date, opens: time, closes: time) -> TradingDay:
    """Trading before the open begins at 4:00, trading after the close ends at 20:00, at 17:00 on early days."""
    pre_opens = min(PRE_OPENS, opens)
    post_closes = max(closes, EARLY_POST_CLOSES if closes < CLOSES else POST_CLOSES)
    moments = (datetime.combine(day, one, NEW_YORK) for one in (pre_opens, opens, closes, post_closes))
    return TradingDay(day, *(moment.astimezone(UTC) for moment in moments))


def _closes_early(day: date) -> bool:
    """The Friday after Thanksgiving, Christmas Eve and the eve of Independence Day, where they are trading days."""
    if (day.month, day.day) in {(7, 3), (12, 24)}:
        return True
    return day.month == 11 and day == nth_weekday(day.year, 11, 4, nth=4) + timedelta(days=1)


@cache
def holidays(year: int) -> frozenset[date]:
    """The days of this year on which the market is closed by rule."""
    new_year = date(year, 1, 1)
    fixed = [date(year, 7, 4), date(year, 12, 25)]
    if year >= JUNETEENTH_SINCE:
        fixed.append(date(year, 6, 19))
    found = {
        # On a Saturday it is not moved: the last day of the old year is needed to close the books.
        new_year + timedelta(days=1) if new_year.isoweekday() == 7 else new_year,
        nth_weekday(year, 1, 1, nth=3),  # Martin Luther King
        nth_weekday(year, 2, 1, nth=3),  # Washington
        easter(year) - timedelta(days=2),  # Good Friday
        nth_weekday(year, 6, 1, nth=1) - timedelta(days=7),  # Memorial Day, the last Monday of May
        nth_weekday(year, 9, 1, nth=1),  # Labor Day
        nth_weekday(year, 11, 4, nth=4),  # Thanksgiving
        *map(_observed, fixed),
    }
    return frozenset(found)


def _observed(day: date) -> date:
    """A holiday on a Saturday is kept on Friday, one on a Sunday on Monday."""
    return day + timedelta(days={6: -1, 7: 1}.get(day.isoweekday(), 0))


def nth_weekday(year: int, month: int, weekday: int, *, nth: int) -> date:
    """The nth day of a month that is this weekday; Monday is 1."""
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.isoweekday()) % 7 + 7 * (nth - 1))


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar, by the method of Meeus, Jones and Butcher."""
    century, year_of_century = divmod(year, 100)
    golden = year % 19
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (year_of_century // 4) - epact - year_of_century % 4) % 7
    correction = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * correction + 114, 31)
    return date(year, month, day + 1)


@cache
def closures() -> dict[date, SpecialDay]:
    """What was not foreseen by any rule since 2000: marketdata/data/closures.csv."""
    with CLOSURES.open(newline="") as lines:
        return {special.day: special for special in map(_special_of, csv.DictReader(lines))}


def _special_of(row: dict[str, str]) -> SpecialDay:
    opens_at, closes_at = (
        time.fromisoformat(row[name]) if row[name] else None for name in ("opens_at", "closes_at")
    )
    closed = opens_at is None and closes_at is None
    return SpecialDay(date.fromisoformat(row["day"]), closed, opens_at, closes_at, row["note"])
