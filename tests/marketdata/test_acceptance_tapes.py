"""Whole tapes through the judge; single decisions are in test_acceptance.py."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from marketdata import acceptance
from marketdata.acceptance import Acceptance, Refusal
from marketdata.plausibility import TOO_BIG
from tests.marketdata.test_acceptance import NOW, SECOND, tick

HALF = Decimal("0.5")


def test_of_a_hostile_tape_only_real_prices_come_out():
    judge = Acceptance()
    clock = itertools.count(NOW - 3600 * SECOND, SECOND)
    real, out = [], []

    def play(price, *, is_real, at=None, **fields):
        now = next(clock)
        one = tick(price, now if at is None else at(now), **fields)
        if is_real:
            real.append(one)
        out.extend(judge.judge(one, now).ticks)
        return one

    for i in range(30):
        play(Decimal("100.00") + Decimal(i % 7) / 100, is_real=True)
        play("NaN", is_real=False)
        play("Infinity", is_real=False)
        play("0", is_real=False)
        play("-100", is_real=False)
        play("10000", is_real=False)
        play("1", is_real=False)
        play("1e308", is_real=False)
        play("100.05", is_real=False, at=lambda now: now + 60 * SECOND)
        play("100.05", is_real=False, at=lambda now: now - 86_400 * SECOND)
        play("100.05", is_real=False, at=lambda now: now - 15 * SECOND)
        play("100.05", is_real=False, size=-1)
        last = play("100.02", is_real=True)
        out.extend(judge.judge(last, last.as_of_us).ticks)
    gap_begins = next(clock)
    for i in range(20):
        play(Decimal("65.00") - Decimal(i) / 10, is_real=True)
    gap_out = [one for one in out if one.price < 80]

    assert out == real
    assert gap_out[0].as_of_us - gap_begins <= 3 * SECOND
    assert sum(judge.refused.values()) == 30 * 12 + 1


def naive(window, price):
    ordered = sorted(window)
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) * HALF
    return Decimal("0.8") * middle <= price <= Decimal("1.2") * middle


@given(st.lists(st.integers(min_value=80, max_value=128), min_size=1, max_size=120))
def test_the_quick_check_decides_like_the_median_of_the_last_twenty(steps):
    """Prices move by up to 28 % a tick; each verdict is compared with one worked out the slow way."""
    judge = Acceptance()
    price, window = Decimal(1000), []
    for i, step in enumerate(steps):
        price = max(Decimal(1), (price * step / 100).quantize(Decimal("0.01")))
        verdict = judge.judge(tick(price, NOW + i), NOW)
        if not window or naive(window, price):
            assert verdict.accepted
            window = [*window, price][-acceptance.WINDOW :]
        elif verdict.accepted:
            window = [out.price for out in verdict.ticks]
            assert len(window) == 2
        else:
            assert verdict.refusal is Refusal.OUTLIER_HELD


@given(
    st.lists(
        st.tuples(
            st.decimals(allow_nan=True, allow_infinity=True),
            st.integers(min_value=-10 * SECOND, max_value=10 * SECOND),
            st.integers(min_value=0, max_value=3),
            st.integers(min_value=-1, max_value=5),
        ),
        max_size=60,
    )
)
def test_what_comes_out_is_always_a_price_in_order(tape):
    judge = Acceptance()
    out = [
        one
        for price, offset, sequence, size in tape
        for one in judge.judge(
            replace(tick("1"), price=price, as_of_us=NOW + offset, sequence=sequence, size=size), NOW
        ).ticks
    ]

    assert all(one.price.is_finite() and 0 < one.price < TOO_BIG and one.size >= 0 for one in out)
    assert [one.as_of_us for one in out] == sorted(one.as_of_us for one in out)
    assert judge.accepted == len(out)
