from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.calendar import NEW_YORK
from marketdata.quotes import Bar
from subscriptions.compat.bars import SPANS, Windows, merged, zone_of

UTC_ZONE = ZoneInfo("UTC")


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def bar(start, price="1", volume=1):
    return Bar("IBM", start, *[Decimal(price)] * 4, volume)


@pytest.mark.parametrize(
    ("count", "span", "moment", "start"),
    [
        (1, "minute", "2026-03-02T15:07", "2026-03-02T15:07"),
        (15, "minute", "2026-03-02T15:14", "2026-03-02T15:00"),
        (1, "hour", "2026-03-02T15:59", "2026-03-02T15:00"),
        (4, "hour", "2026-03-02T15:59", "2026-03-02T13:00"),  # 8:00 in New York
        (1, "day", "2026-03-02T00:00", "2026-03-02T05:00"),
        (1, "day", "2026-07-02T00:00", "2026-07-02T04:00"),  # summer time
        (1, "week", "2026-03-06T00:00", "2026-03-01T05:00"),  # of a Friday the Sunday before
        (1, "week", "2026-03-08T00:00", "2026-03-08T05:00"),
        (1, "month", "2026-03-31T00:00", "2026-03-01T05:00"),
        (1, "quarter", "2026-12-31T00:00", "2026-10-01T04:00"),
        (1, "year", "2026-12-31T00:00", "2026-01-01T05:00"),
        (6, "month", "2026-12-31T00:00", "2026-07-01T04:00"),
    ],
)
def test_a_window_begins_where_the_wall_clock_in_new_york_says(count, span, moment, start):
    assert Windows(count, span, NEW_YORK).start_of(bar(at(moment))) == at(start)


def test_what_trades_round_the_clock_has_days_of_utc():
    assert [str(zone_of(symbol)) for symbol in ("IBM", "BTC-USD", "EURUSD=X")] == [
        "America/New_York",
        "UTC",
        "UTC",
    ]


@pytest.mark.parametrize(
    ("count", "span", "bounds"),
    [
        (5, "minute", ("2026-03-02T15:05", "2026-03-02T15:20")),
        (1, "hour", ("2026-03-02T15:00", "2026-03-02T16:00")),
        (1, "day", ("2026-03-02T00:00", "2026-03-03T00:00")),
        (1, "week", ("2026-03-01T00:00", "2026-03-08T00:00")),
        (1, "month", ("2026-03-01T00:00", "2026-04-01T00:00")),
        (1, "year", ("2026-01-01T00:00", "2027-01-01T00:00")),
    ],
)
def test_the_bounds_hold_every_stored_bar_of_the_first_and_the_last_window(count, span, bounds):
    start, end = Windows(count, span, NEW_YORK).bounds(at("2026-03-02T15:07"), at("2026-03-02T15:16"))

    assert (start, end) == (at(bounds[0]), at(bounds[1]) - timedelta(microseconds=1))


def test_bars_of_a_window_become_one():
    start = at("2026-03-02T15:03")
    bars = [
        Bar("IBM", start, Decimal(2), Decimal(5), Decimal(1), Decimal(3), 10),
        Bar("IBM", start + timedelta(minutes=1), Decimal(3), Decimal(4), Decimal("0.5"), Decimal(4), 20),
        Bar("IBM", start + timedelta(minutes=2), Decimal(9), Decimal(9), Decimal(9), Decimal(9), 1),
    ]

    assert merged(bars, Windows(5, "minute", UTC_ZONE)) == [
        Bar("IBM", at("2026-03-02T15:00"), Decimal(2), Decimal(5), Decimal("0.5"), Decimal(4), 30),
        Bar("IBM", at("2026-03-02T15:05"), Decimal(9), Decimal(9), Decimal(9), Decimal(9), 1),
    ]


@given(
    st.integers(1, 400),
    st.sampled_from(SPANS),
    st.datetimes(at("1950-01-01").replace(tzinfo=None), at("2100-01-01").replace(tzinfo=None)),
    st.sampled_from([NEW_YORK, UTC_ZONE]),
)
def test_the_window_of_any_moment_holds_it_and_no_more_bars_than_said(count, span, moment, zone):
    windows, moment = Windows(count, span, zone), moment.replace(tzinfo=UTC)

    start, end = windows.bounds(moment, moment)

    is_minutes = span in {"minute", "hour"}
    day = moment.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    assert start <= (moment if is_minutes else day) <= end
    assert (end - start) / timedelta(minutes=1 if is_minutes else 1_440) <= windows.most_bars


def test_the_hour_that_comes_twice_is_two_windows():
    hours = Windows(1, "hour", NEW_YORK)

    assert [hours.start_of(bar(at(f"2026-11-01T{hour}:30"))) for hour in ("05", "06", "07")] == [
        at("2026-11-01T05:00"),
        at("2026-11-01T06:00"),
        at("2026-11-01T07:00"),
    ]
