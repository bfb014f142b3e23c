"""What can be asked of past bars: whatever is written there, it is understood or refused."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.adjusting import Adjustment
from subscriptions.compat.access import Refusal, Wrong
from subscriptions.compat.alpaca_bars import EARLIEST, LATEST, Place, place_of, wish_of

NAMES = ("timeframe", "start", "end", "limit", "sort", "adjustment", "currency", "page_token")
LIKELY = st.sampled_from(
    [
        "1Day",
        "5Min",
        "2024-01-01",
        "9999-12-31T23:59:59+14:00",
        "0001-01-01T00:00:00-14:00",
        "1000",
        "asc",
        "all",
    ]
)


@given(st.dictionaries(st.sampled_from(NAMES), LIKELY | st.text(), min_size=1))
def test_anything_is_understood_or_refused(asked):
    with suppress(Refusal):
        wish_of({"timeframe": "1Day", **asked})
    with suppress(Refusal):
        place_of(asked.get("page_token", ""))


@given(
    st.from_regex(r"[A-Z]{1,10}", fullmatch=True),
    st.none() | st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)),  # noqa: DTZ001 -- made aware below
)
def test_a_token_leads_back_to_its_place(symbol, bar):
    place = Place(symbol, bar and bar.replace(tzinfo=UTC))

    assert place_of(place.token()) == place


def test_nothing_said_is_raw_oldest_first_and_up_to_now(monkeypatch):
    now = datetime(2026, 3, 2, 15, tzinfo=UTC)
    monkeypatch.setattr("core.clock.now", lambda: now)

    wish = wish_of({"timeframe": "15Min"})

    assert (wish.count, wish.span, wish.start, wish.end) == (15, "minute", None, now)
    assert (wish.limit, wish.newest_first, wish.adjustment) == (1000, False, Adjustment.RAW)


@pytest.mark.parametrize(
    ("text", "count", "span"),
    [
        ("1Min", 1, "minute"), ("59T", 59, "minute"), ("1Hour", 1, "hour"), ("23H", 23, "hour"), ("1D", 1, "day"),
        ("1W", 1, "week"), ("12Month", 12, "month"), ("3M", 3, "month"),
    ],
)  # fmt: skip
def test_timeframes_in_either_spelling(text, count, span):
    wish = wish_of({"timeframe": text})

    assert (wish.count, wish.span) == (count, span)


@pytest.mark.parametrize(
    ("start", "moment"),
    [
        ("2024-07-01", datetime(2024, 7, 1, 4, tzinfo=UTC)),
        ("2024-07-01T12:00:00Z", datetime(2024, 7, 1, 12, tzinfo=UTC)),
        ("2024-07-01T12:00:00", datetime(2024, 7, 1, 12, tzinfo=UTC)),
        ("2024-07-01T12:00:00-04:00", datetime(2024, 7, 1, 16, tzinfo=UTC)),
        ("2024-07-01T12:00:00 02:00", datetime(2024, 7, 1, 10, tzinfo=UTC)),
        ("0001-01-01", EARLIEST),
        ("9999-12-31T23:59:59-14:00", LATEST),
    ],
)
def test_a_date_is_a_day_in_new_york_and_a_time_without_a_zone_is_utc(start, moment):
    assert wish_of({"timeframe": "1Day", "start": start}).start == moment


def test_a_date_as_the_end_is_all_of_that_day(monkeypatch):
    monkeypatch.setattr("core.clock.now", lambda: LATEST)

    assert wish_of({"timeframe": "1Day", "end": "2024-07-01"}).end == datetime(
        2024, 7, 2, 4, tzinfo=UTC
    ) - timedelta(microseconds=1)


def test_a_refusal_is_one_of_a_parameter():
    with pytest.raises(Refusal) as caught:
        wish_of({})

    assert (caught.value.wrong, caught.value.message) == (Wrong.INVALID, "invalid timeframe")
