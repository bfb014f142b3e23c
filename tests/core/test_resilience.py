from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.resilience import Backoff, CircuitBreaker


class Longest(random.Random):
    def uniform(self, a: float, b: float) -> float:
        assert a == 0
        return b


def test_the_longest_wait_doubles_up_to_the_cap():
    backoff = Backoff(base_s=1, cap_s=10, rng=Longest())

    assert [backoff.next_s() for _ in range(6)] == [1, 2, 4, 8, 10, 10]


def test_after_a_reset_it_begins_again():
    backoff = Backoff(base_s=1, cap_s=10, rng=Longest())
    for _ in range(5):
        backoff.next_s()

    backoff.reset()

    assert backoff.next_s() == 1


def test_waits_are_spread_over_the_whole_range():
    backoff = Backoff(base_s=8, cap_s=8, rng=random.Random(1))
    waits = [backoff.next_s() for _ in range(1000)]

    assert min(waits) < 0.5
    assert max(waits) > 7.5


@given(attempts=st.integers(0, 10**9), base_s=st.floats(0.001, 100), cap_s=st.floats(0.001, 1000))
def test_no_wait_is_negative_or_above_the_cap_however_often_it_failed(attempts, base_s, cap_s):
    backoff = Backoff(base_s=base_s, cap_s=cap_s, attempts=attempts)

    assert 0 <= backoff.next_s() <= cap_s


# --- the breaker


def broken(**fields) -> CircuitBreaker:
    breaker = CircuitBreaker(fail_max=3, open_s=30, probe_s=10, **fields)
    for _ in range(3):
        breaker.failed(now=100)
    return breaker


def test_a_breaker_opens_after_so_many_failures_in_a_row():
    breaker = CircuitBreaker(fail_max=3)
    breaker.failed(1)
    breaker.failed(1)
    assert breaker.allows(1)

    breaker.failed(1)

    assert not breaker.allows(1)


def test_a_success_between_failures_begins_the_count_anew():
    breaker = CircuitBreaker(fail_max=3)
    breaker.failed(1)
    breaker.failed(1)
    breaker.succeeded()
    breaker.failed(1)
    breaker.failed(1)

    assert breaker.allows(1)


def test_when_its_time_has_passed_one_probe_is_allowed():
    breaker = broken()

    assert [breaker.allows(now) for now in (129.9, 130, 130, 139.9)] == [False, True, False, False]


def test_a_probe_nobody_answered_for_is_followed_by_another():
    breaker = broken()
    breaker.allows(130)

    assert [breaker.allows(now) for now in (140, 140)] == [True, False]


def test_a_failed_probe_opens_it_anew_and_a_good_one_closes_it():
    breaker = broken()
    breaker.allows(130)
    breaker.failed(131)
    assert [breaker.allows(now) for now in (160, 161)] == [False, True]

    breaker.succeeded()

    assert [breaker.allows(161) for _ in range(3)] == [True] * 3


def test_a_hold_counts_no_failure_and_never_shortens():
    breaker = CircuitBreaker()
    breaker.hold(500)
    breaker.hold(200)

    assert [breaker.allows(now) for now in (499, 500, 500)] == [False, True, True]
    assert breaker.failures == 0


@given(st.lists(st.sampled_from(["ask", "fail", "wait"]), max_size=200))
def test_what_always_fails_is_asked_thrice_and_then_once_in_a_window(steps):
    breaker, now, asked = CircuitBreaker(fail_max=3, open_s=30), 0.0, []
    for step in steps:
        now += 7 if step == "wait" else 0
        if step != "wait" and breaker.allows(now):
            asked.append(now)
            breaker.failed(now)

    assert all(later - before >= 30 for before, later in pairwise(asked[2:]))
