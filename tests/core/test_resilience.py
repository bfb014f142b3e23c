from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from core.resilience import Backoff


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
