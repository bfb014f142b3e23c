from __future__ import annotations

import random
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alerts.kinds import Priority
from alerts.quiet import (
    MINUTE,
    MOST_ATTEMPTS,
    SCHEDULE_S,
    Manners,
    QuietHours,
    Recent,
    Waiting,
    delay_s,
    plan,
)

NEW_YORK = ZoneInfo("America/New_York")
NIGHT = QuietHours(time(22), time(7), NEW_YORK)
NOON = datetime(2026, 3, 4, 17, tzinfo=UTC)
ZONES = ["America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "UTC", "Pacific/Apia"]

times = st.times().map(lambda one: one.replace(microsecond=0))
moments = st.integers(0, 4 * 365 * 86_400).map(
    lambda s: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=s)
)


def local(text: str, zone: ZoneInfo = NEW_YORK, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


# --- how long after a failure


def test_the_first_attempt_is_made_at_once_and_the_last_after_a_day():
    waits = [delay_s(attempts, random.Random(1)) for attempts in range(MOST_ATTEMPTS + 1)]

    assert waits[0] == 0
    assert waits[-1] is None
    assert all(
        wait is not None and least <= wait <= least * 1.2
        for least, wait in zip(SCHEDULE_S, waits[:-1], strict=True)
    )


@given(st.integers(1, MOST_ATTEMPTS - 1), st.floats(0, 1e9), st.integers())
def test_who_asks_for_patience_gets_it_up_to_a_day(attempts, after_s, seed):
    wait = delay_s(attempts, random.Random(seed), after_s)

    assert wait >= min(after_s, 86_400)
    assert wait <= max(SCHEDULE_S[attempts] * 1.2, 86_400)


# --- quiet hours


@pytest.mark.parametrize(
    ("moment", "over"),
    [
        ("2026-03-04 21:59:59", None),
        ("2026-03-04 22:00", "2026-03-05 07:00"),
        ("2026-03-05 06:59:59", "2026-03-05 07:00"),
        ("2026-03-05 07:00", None),
        # An hour is missing in the night of the 8th, and in the one of 1 November there is one twice.
        ("2026-03-07 23:30", "2026-03-08 07:00"),
        ("2026-10-31 23:30", "2026-11-01 07:00"),
    ],
)
def test_a_night_of_quiet_ends_by_the_clock_on_the_wall(moment, over):
    assert NIGHT.over_at(local(moment)) == (local(over) if over else None)


def test_quiet_hours_within_one_day():
    lunch = QuietHours(time(12), time(13, 30), ZoneInfo("Asia/Kolkata"))

    assert lunch.over_at(local("2026-05-01 12:10", lunch.zone)) == local("2026-05-01 13:30", lunch.zone)
    assert lunch.over_at(local("2026-05-01 13:30", lunch.zone)) is None


def test_an_end_that_the_clocks_leap_over_is_the_leap():
    early = QuietHours(time(22), time(2, 30), NEW_YORK)

    assert early.over_at(local("2026-03-08 01:59")) == local("2026-03-08 03:00")


def test_an_end_that_comes_twice_counts_both_times():
    early = QuietHours(time(22), time(1, 30), NEW_YORK)

    assert early.over_at(local("2026-11-01 01:10")) == local("2026-11-01 01:30")
    assert early.over_at(local("2026-11-01 01:10", fold=1)) == local("2026-11-01 01:30", fold=1)


def test_the_same_start_and_end_is_no_quiet_at_all():
    assert QuietHours(time(8), time(8), NEW_YORK).over_at(NOON) is None


@given(times, times, st.sampled_from(ZONES), moments)
def test_the_end_of_quiet_hours_is_later_and_not_quiet_and_the_next(start, end, zone, moment):
    hours = QuietHours(start, end, ZoneInfo(zone))

    over = hours.over_at(moment)

    assert (over is not None) == hours.cover(moment)
    if over:
        assert moment < over <= moment + timedelta(hours=50)  # a day that Samoa's clocks or ours make longer
        assert not hours.cover(over)
        wall = over.astimezone(hours.zone).time()
        assert (
            wall == end
            or (over - timedelta(seconds=1)).astimezone(hours.zone).utcoffset()
            != over.astimezone(hours.zone).utcoffset()
        )


# --- digests


def fresh(number: int, priority: int = Priority.MEDIUM) -> list[Waiting]:
    return [Waiting(one, priority) for one in range(1, number + 1)]


def held(number: int) -> list[Waiting]:
    return [Waiting(100 + one, Priority.LOW, is_held=True) for one in range(number)]


def test_up_to_the_limit_each_goes_by_itself():
    found = plan(Manners(digest_above=3), fresh(3), [], NOON)

    assert (found.singles, found.digest, found.later) == ([1, 2, 3], [], {})


def test_beyond_the_limit_the_rest_waits_until_the_minute_is_over():
    found = plan(Manners(digest_above=3), fresh(5), [], NOON)

    assert found.singles == [1, 2, 3]
    assert found.later == {4: NOON + MINUTE, 5: NOON + MINUTE}


def test_what_has_waited_goes_as_one_message():
    found = plan(Manners(digest_above=3), [*held(4), *fresh(1)], [], NOON)

    assert (found.singles, found.digest) == ([1], [100, 101, 102, 103])


def test_one_that_has_waited_alone_is_no_digest():
    found = plan(Manners(digest_above=3), held(1), [], NOON)

    assert (found.singles, found.digest) == ([100], [])


def test_with_a_digest_goes_what_would_have_had_to_wait():
    found = plan(Manners(digest_above=3), [*held(2), *fresh(4)], [], NOON)

    assert (found.singles, found.digest, found.later) == ([1, 2], [100, 101, 3, 4], {})


def test_a_second_digest_waits_until_the_first_is_a_minute_old():
    lately = NOON - timedelta(seconds=10)

    found = plan(Manners(digest_above=3), held(2), [Recent(lately, is_digest=True)], NOON)

    assert found.later == {100: lately + MINUTE, 101: lately + MINUTE}


def test_critical_ones_and_second_attempts_are_never_held():
    waiting = [*fresh(5, Priority.CRITICAL), Waiting(6, Priority.LOW, is_tried=True)]

    assert plan(Manners(digest_above=1), waiting, [], NOON).singles == [1, 2, 3, 4, 5, 6]


def test_who_wants_no_digest_gets_each_by_itself():
    assert plan(Manners(), [*held(2), *fresh(50)], [], NOON).singles == [100, 101, *range(1, 51)]


def test_in_quiet_hours_only_critical_ones_go():
    night = local("2026-03-05 01:00")
    waiting = [
        Waiting(1, Priority.CRITICAL),
        Waiting(2, Priority.HIGH),
        Waiting(3, Priority.LOW, is_tried=True),
    ]

    found = plan(Manners(quiet=NIGHT), waiting, [], night)

    morning = local("2026-03-05 07:00")
    assert (found.singles, found.later) == ([1], {2: morning, 3: morning})


def test_quiet_hours_may_hold_critical_ones_too():
    night = local("2026-03-05 01:00")

    found = plan(Manners(quiet=NIGHT, quiet_lets_critical=False), [Waiting(1, Priority.CRITICAL)], [], night)

    assert found.later == {1: local("2026-03-05 07:00")}


arrivals = st.lists(st.tuples(st.integers(0, 300), st.sampled_from(list(Priority))), max_size=120)


@given(arrivals, st.integers(1, 6))
@example(
    [(at, Priority.CRITICAL) for at in (0, 62, 64)] + [(at, Priority.HIGH) for at in (0, 61, 121, 123)], 1
)
def test_a_flood_makes_few_messages_a_minute_and_nothing_is_lost(flood, most):
    """Played second by second, as the dispatcher does it."""
    coming = [(NOON + timedelta(seconds=at), n, priority) for n, (at, priority) in enumerate(sorted(flood))]
    due = {one: (at, priority, False) for at, one, priority in coming}
    critical = {one for _, one, priority in coming if priority == Priority.CRITICAL}
    sent: list[tuple[datetime, list[int]]] = []
    for second in range(600):
        now = NOON + timedelta(seconds=second)
        waiting = [
            Waiting(one, priority, is_held=was) for one, (at, priority, was) in due.items() if at <= now
        ]
        recent = [Recent(at, len(ids) > 1, ids[0] in critical) for at, ids in sent if at > now - MINUTE]
        found = plan(Manners(digest_above=most), waiting, recent, now)
        sent += [(now, [one]) for one in found.singles] + ([(now, found.digest)] if found.digest else [])
        for one, until in found.later.items():
            assert now < until <= now + MINUTE
            due[one] = (until, due[one][1], True)
        for one in [*found.singles, *found.digest]:
            del due[one]

    assert sorted(one for _, ids in sent for one in ids) == [one for _, one, _ in coming]
    digests = [at for at, ids in sent if len(ids) > 1]
    assert all(later - earlier >= MINUTE for earlier, later in pairwise(digests))
    for end, _ in sent:
        others = [ids for at, ids in sent if end - MINUTE < at <= end and not critical & set(ids)]
        assert len(others) <= most + 1
    assert all(at == when for at, one, _ in coming if one in critical for when, ids in sent if one in ids)
