from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from marketdata.cadence import Need, Pace, pace_of
from marketdata.quotes import Session

NOW = datetime(2026, 7, 14, 15, tzinfo=UTC)
TOMORROW = NOW + timedelta(hours=22)
EXACT = timedelta(0)


def s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


OPEN = Need(Session.REGULAR, ttl=s(15), looked_at=True, fresh=s(15))
HELD = replace(OPEN, looked_at=False)
PRE = replace(OPEN, session=Session.PRE, ttl=s(300))


def pace(
    need: Need, *, now: datetime = NOW, opens: datetime | None = TOMORROW, beat: timedelta = EXACT
) -> Pace:
    return pace_of(need, now, opens, beat)


def test_what_somebody_looks_at_is_asked_each_time_to_live():
    assert pace(OPEN) == Pace(s(15), "visible")


def test_what_nobody_looks_at_is_asked_every_five_minutes():
    assert pace(HELD) == Pace(s(300), "held")


def test_who_is_content_with_less_is_not_asked_for_oftener():
    assert pace(replace(OPEN, fresh=s(60))) == Pace(s(60), "visible")
    assert pace(replace(OPEN, fresh=s(5))) == Pace(s(15), "visible")


@pytest.mark.parametrize("session", [Session.PRE, Session.POST, Session.CLOSED])
@pytest.mark.parametrize(("looked_at", "rank"), [(True, "visible"), (False, "held")])
def test_outside_the_session_five_minutes_are_enough_even_for_an_alert(session, looked_at, rank):
    need = replace(PRE, session=session, looked_at=looked_at, alert_fresh=s(15), alert_distance=0.001)

    assert pace(need) == Pace(s(300), rank)


@pytest.mark.parametrize(
    ("distance", "fresh"), [(None, 15), (0.001, 7.5), (0.002, 7.5), (0.0021, 15), (0.02, 15), (0.021, 30)]
)
def test_an_alert_is_served_though_nobody_looks_the_nearer_the_oftener(distance, fresh):
    need = replace(HELD, alert_fresh=s(15), alert_distance=distance)

    assert pace(need) == Pace(s(fresh), "alert")


def test_a_far_alert_does_not_slow_down_what_somebody_looks_at():
    assert pace(replace(OPEN, alert_fresh=s(60), alert_distance=0.5)) == Pace(s(15), "alert")


@pytest.mark.parametrize(
    ("left", "times"), [(1.0, 1), (0.10, 1), (0.0999, 2), (0.05, 2), (0.0499, 4), (0.0, 4)]
)
def test_a_budget_that_runs_low_slows_everything_down(left, times):
    assert pace(replace(OPEN, budget_left=left)).max_age == s(15) * times
    assert pace(replace(HELD, budget_left=left)).max_age == s(300) * times
    assert pace(replace(HELD, alert_fresh=s(15), budget_left=left)).max_age == s(15) * times


def test_before_the_open_everything_is_asked_once():
    opens = NOW + s(300)
    held = replace(PRE, looked_at=False)

    assert pace(held, now=opens - s(301), opens=opens) == Pace(s(300), "held")
    assert pace(held, now=opens - s(300), opens=opens) == Pace(s(0), "warm")
    # What was asked at the first of these moments is as old as this, and not older.
    assert pace(held, now=opens - s(180), opens=opens) == Pace(s(120), "warm")
    assert pace(PRE, now=opens - s(180), opens=opens) == Pace(s(120), "visible")


def test_a_low_budget_does_not_keep_the_first_price_of_the_day_away():
    need = replace(PRE, looked_at=False, budget_left=0.01)

    assert pace(need, now=NOW, opens=NOW + s(60)) == Pace(s(240), "warm")


def test_what_has_no_opening_hours_is_not_warmed():
    assert pace(OPEN, opens=None) == Pace(s(15), "visible")


def test_each_is_asked_at_the_beat_nearest_to_when_it_is_due():
    """Asked every 5 s, received 0.3 s later: 15 s apart, neither 10 nor 20."""
    beat, received, asked = s(5), None, []
    for number in range(25):
        now = NOW + beat * number
        if received is None or now - received > pace(OPEN, now=now, beat=beat).max_age:
            asked.append(number * 5)
            received = now + s(0.3)

    assert asked == [0, 15, 30, 45, 60, 75, 90, 105, 120]
