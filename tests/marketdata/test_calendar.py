from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest

from marketdata.calendar import NEW_YORK, Calendar, SpecialDay, closures, easter, holidays
from marketdata.quotes import Session

CALENDAR = Calendar()


def ny(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def clock_of(moment: datetime | None) -> str:
    assert moment is not None
    return f"{moment.astimezone(NEW_YORK):%H:%M}"


@pytest.mark.filterwarnings("ignore")  # pandas warns exchange_calendars, not us
def test_every_day_of_28_years_has_the_hours_that_exchange_calendars_knows():
    import exchange_calendars  # noqa: PLC0415 -- a second and 76 MB, for this test only

    known = exchange_calendars.get_calendar("XNYS", start="2000-01-03", end="2027-12-31")
    rows = zip(known.schedule.index, known.schedule["open"], known.schedule["close"], strict=True)
    expected = {day.date(): (opens.to_pydatetime(), closes.to_pydatetime()) for day, opens, closes in rows}

    first = date(2000, 1, 3)
    days = [first + timedelta(days=n) for n in range((date(2027, 12, 31) - first).days + 1)]
    found = {day: (CALENDAR.opens(day), CALENDAR.closes(day)) for day in days if CALENDAR.is_trading_day(day)}

    assert found == expected
    early = known.early_closes
    assert [day for day in days if CALENDAR.early_close(day)] == [day.date() for day in early]


def test_the_holidays_of_2026_are_those_the_exchange_announced():
    announced = ["01-01", "01-19", "02-16", "04-03", "05-25", "06-19", "07-03", "09-07", "11-26", "12-25"]

    assert sorted(holidays(2026)) == [date.fromisoformat(f"2026-{day}") for day in announced]


@pytest.mark.parametrize(
    ("year", "day"), [(2000, "04-23"), (2008, "03-23"), (2011, "04-24"), (2024, "03-31"), (2038, "04-25")]
)
def test_easter_is_where_the_church_puts_it(year, day):
    assert easter(year) == date.fromisoformat(f"{year}-{day}")


@pytest.mark.parametrize(
    ("moment", "session"),
    [
        ("2026-01-14T03:59:59.999999", "closed"),
        ("2026-01-14T04:00:00", "pre"),
        ("2026-01-14T09:29:59.999999", "pre"),
        ("2026-01-14T09:30:00", "regular"),
        ("2026-07-14T15:59:59.999999", "regular"),
        ("2026-07-14T16:00:00", "post"),
        ("2026-07-14T19:59:59.999999", "post"),
        ("2026-07-14T20:00:00", "closed"),
        ("2026-07-18T12:00:00", "closed"),  # Saturday
        ("2026-07-19T12:00:00", "closed"),  # Sunday
        ("2026-04-03T12:00:00", "closed"),  # Good Friday
        ("2025-01-09T12:00:00", "closed"),  # by nobody foreseen
    ],
)
def test_the_session_follows_new_york_hours_in_winter_and_summer(moment, session):
    assert CALENDAR.session_at(ny(moment)) == session


@pytest.mark.parametrize("day", ["2026-11-27", "2026-12-24", "2025-07-03"])
@pytest.mark.parametrize(
    ("hour", "session"),
    [
        ("09:29:59.999999", "pre"),
        ("09:30", "regular"),
        ("12:59:59.999999", "regular"),
        ("13:00", "post"),
        ("16:00", "post"),
        ("16:59:59.999999", "post"),
        ("17:00", "closed"),
    ],
)
def test_a_half_day_ends_at_13_and_its_evening_at_17_to_the_minute(day, hour, session):
    assert CALENDAR.session_at(ny(f"{day}T{hour}")) == session


@pytest.mark.parametrize(
    ("day", "utc"),
    [
        ("2026-03-06", "14:30"),  # the clocks go forward on Sunday 8 March
        ("2026-03-09", "13:30"),
        ("2026-10-30", "13:30"),  # and back on Sunday 1 November
        ("2026-11-02", "14:30"),
    ],
)
def test_the_open_moves_by_an_hour_when_new_york_changes_its_clocks(day, utc):
    opens = CALENDAR.opens(date.fromisoformat(day))

    assert opens is not None
    assert f"{opens.astimezone(UTC):%H:%M}" == utc
    assert CALENDAR.session_at(opens) is Session.REGULAR
    assert CALENDAR.session_at(opens - timedelta(microseconds=1)) is Session.PRE


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("2026-07-14T09:29:59", "2026-07-14T09:30"),
        ("2026-07-14T09:30:00", "2026-07-15T09:30"),
        ("2026-03-06T17:00", "2026-03-09T09:30"),
        ("2026-12-31T17:00", "2027-01-04T09:30"),
        ("2025-01-08T16:00", "2025-01-10T09:30"),
        ("2001-09-10T16:00", "2001-09-17T09:30"),
    ],
)
def test_the_next_open_skips_weekends_holidays_and_closures(moment, opens):
    assert CALENDAR.next_open(ny(moment)) == ny(opens)


@pytest.mark.parametrize(
    ("moment", "closes"),
    [
        ("2026-07-14T15:59:59", "2026-07-13T16:00"),
        ("2026-07-14T16:00:00", "2026-07-14T16:00"),
        ("2026-11-29T12:00", "2026-11-27T13:00"),
        ("2026-11-01T12:00", "2026-10-30T16:00"),
        ("2027-01-01T12:00", "2026-12-31T16:00"),
    ],
)
def test_the_previous_close_knows_half_days(moment, closes):
    assert CALENDAR.previous_close(ny(moment)) == ny(closes)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-07-14T19:59", "2026-07-14"),
        ("2026-07-14T23:30", "2026-07-14"),  # already the 15th in UTC
        ("2026-07-15T03:59", "2026-07-14"),
        ("2026-07-15T04:00", "2026-07-15"),
        ("2026-07-18T12:00", "2026-07-17"),
        ("2026-07-20T03:00", "2026-07-17"),
        ("2026-04-05T12:00", "2026-04-02"),
    ],
)
def test_a_moment_belongs_to_the_day_whose_trading_began_last(moment, day):
    assert CALENDAR.trading_day_of(ny(moment)) == date.fromisoformat(day)


def test_closed_time_is_one_span_from_evening_to_morning():
    span = CALENDAR.span_at(ny("2026-11-28T12:00"))

    assert (span.start, span.end) == (ny("2026-11-27T17:00"), ny("2026-11-30T04:00"))
    assert span.session is Session.CLOSED


def test_the_spans_of_a_year_follow_each_other_without_a_gap():
    moment, end = ny("2026-01-01T00:00"), ny("2027-01-01T00:00")
    calendar = Calendar()
    seconds = dict.fromkeys(Session, 0.0)

    while moment < end:
        span = calendar.span_at(moment)
        assert span.start <= moment < span.end
        seconds[span.session] += (min(span.end, end) - moment).total_seconds()
        moment = span.end

    days = 251  # of which two are half days
    assert seconds[Session.REGULAR] == (days * 6.5 - 2 * 3) * 3600
    assert seconds[Session.PRE] == days * 5.5 * 3600
    assert seconds[Session.POST] == days * 4 * 3600


def test_an_operator_closes_a_day():
    calendar = Calendar([SpecialDay(date(2026, 7, 14))])

    assert not calendar.is_trading_day(date(2026, 7, 14))
    assert calendar.session_at(ny("2026-07-14T12:00")) is Session.CLOSED
    assert calendar.next_open(ny("2026-07-13T16:00")) == ny("2026-07-15T09:30")


def test_an_operator_lets_a_day_open_late_and_close_early():
    hours = SpecialDay(date(2026, 7, 14), closed=False, opens_at=time(11), closes_at=time(14, 15))
    calendar = Calendar([hours])

    assert calendar.session_at(ny("2026-07-14T10:59")) is Session.PRE
    assert calendar.session_at(ny("2026-07-14T11:00")) is Session.REGULAR
    assert clock_of(calendar.closes(date(2026, 7, 14))) == "14:15"
    assert calendar.early_close(date(2026, 7, 14))
    assert calendar.session_at(ny("2026-07-14T17:00")) is Session.CLOSED


def test_an_operator_opens_a_holiday_and_a_known_closure():
    days = [date(2026, 4, 3), date(2025, 1, 9)]
    calendar = Calendar(SpecialDay(day, closed=False) for day in days)

    assert [clock_of(calendar.opens(day)) for day in days] == ["09:30", "09:30"]
    assert [clock_of(calendar.closes(day)) for day in days] == ["16:00", "16:00"]


def test_every_closure_says_why():
    assert [special.day for special in closures().values() if not special.note] == []
