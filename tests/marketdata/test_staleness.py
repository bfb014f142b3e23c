from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from marketdata import freshness
from marketdata.quotes import Quote
from marketdata.staleness import is_stale
from tests.providers import make_quote

# Wednesday; New York closes at 21:00 and opens at 14:30, and trades before and after it.
NOON = datetime(2026, 3, 4, 17, tzinfo=UTC)
CLOSE = datetime(2026, 3, 4, 21, tzinfo=UTC)
NIGHT = datetime(2026, 3, 5, 6, tzinfo=UTC)
OPEN = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)


def received(moment: datetime) -> Quote:
    ttl = freshness.ttl_of("AAPL", moment)
    return make_quote("AAPL", provider="gone", as_of=moment, received_at=moment, expires_at=moment + ttl)


def after(**span: float) -> timedelta:
    return timedelta(**span)


@pytest.mark.parametrize(
    ("at", "age", "stale"),
    [
        (NOON, after(seconds=20), False),  # polled every 12.5 to 17.5 s, and the answer takes its time
        (NOON, after(seconds=25), False),
        (NOON, after(seconds=26), True),  # with the hub's look less than twice 15 s
        (NIGHT, after(minutes=5, seconds=30), False),
        (NIGHT, after(minutes=9, seconds=55), False),
        (NIGHT, after(minutes=9, seconds=56), True),
    ],
)
def test_a_polled_price_is_stale_before_twice_its_time_to_live_and_never_while_polls_come(at, age, stale):
    assert is_stale(received(at), at + age, None) is stale


@pytest.mark.parametrize("age", [after(seconds=30), after(minutes=5)])
def test_the_last_price_before_the_close_is_good_as_long_as_one_after_it(age):
    quote = received(CLOSE - after(seconds=5))

    assert not is_stale(quote, CLOSE + age, None)
    assert is_stale(quote, CLOSE + after(minutes=10), None)


def test_a_price_from_before_the_open_is_stale_soon_after_it():
    quote = received(OPEN - after(minutes=4))

    assert not is_stale(quote, OPEN + after(seconds=10), None)
    assert is_stale(quote, OPEN + after(seconds=11), None)


@pytest.mark.parametrize(
    ("since", "stale"), [(after(seconds=1.4), False), (after(seconds=1.5), True), (after(hours=1), True)]
)
@pytest.mark.parametrize("age", [after(seconds=0), after(hours=1)])
def test_what_a_lost_stream_left_behind_is_stale_at_once_however_new_it_is(age, since, stale):
    assert is_stale(received(NOON - age), NOON + since, lost_at=NOON) is stale


def test_a_tick_that_was_published_just_after_the_loss_still_came_from_the_stream():
    quote = received(NOON + after(seconds=0.4))

    assert is_stale(quote, NOON + after(seconds=2), lost_at=NOON)


def test_a_price_that_was_polled_since_the_loss_is_as_good_as_any():
    quote = received(NOON + after(seconds=4))

    assert not is_stale(quote, NOON + after(seconds=29), lost_at=NOON)
    assert is_stale(quote, NOON + after(seconds=30), lost_at=NOON)


def test_while_the_market_is_closed_a_lost_stream_has_left_a_right_price():
    quote = received(CLOSE - after(seconds=5))

    assert not is_stale(quote, NIGHT + after(minutes=9), lost_at=NIGHT)
    assert is_stale(quote, NIGHT + after(minutes=10), lost_at=NIGHT)
