from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.quotes import Action, ActionKind, Bar
from marketdata.unit_flips import LONGEST_RUN, without_unit_flips

FIRST = date(2024, 1, 1)


def bars_of(*closes):
    return [
        Bar("VOD.L", datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=i), *[Decimal(close)] * 4, 1000)
        for i, close in enumerate(closes)
    ]


def flipped(bars, days, factor):
    f = Decimal(factor)
    return [
        replace(one, open=one.open * f, high=one.high * f, low=one.low * f, close=one.close * f)
        if i in days
        else one
        for i, one in enumerate(bars)
    ]


CALM = bars_of(*(f"{70 + i % 7}.50" for i in range(200)))


@pytest.mark.parametrize("factor", ["100", "0.01"])
@pytest.mark.parametrize(
    "days", [range(50, 53), range(3), range(196, 200), range(20, 20 + LONGEST_RUN)], ids=str
)
def test_days_in_another_unit_are_put_back(days, factor):
    found, dates = without_unit_flips(flipped(CALM, days, factor))

    assert found == CALM
    assert dates == [FIRST + timedelta(days=i) for i in days]


def test_several_runs_are_put_back_each():
    days = {5, 6, 80, 120, 121}

    found, dates = without_unit_flips(flipped(flipped(CALM, days - {80}, "100"), {80}, "0.01"))

    assert (found, len(dates)) == (CALM, 5)


def test_a_change_that_stays_is_left_alone():
    changed = flipped(CALM, range(LONGEST_RUN + 1), "100")

    assert without_unit_flips(changed) == (changed, [])


def test_a_reverse_split_that_is_known_is_no_flip():
    changed = flipped(CALM, range(190, 200), "100")
    action = Action(
        "VOD.L",
        ActionKind.SPLIT,
        FIRST + timedelta(days=190),
        split_from=Decimal(100),
        split_to=Decimal(1),
    )

    assert without_unit_flips(changed, [action]) == (changed, [])


@pytest.mark.parametrize("factor", ["0.25", "4", "20", "50", "0.02", "10", "0.1", "0.65"])
def test_other_jumps_are_none_of_its_business(factor):
    changed = flipped(CALM, range(100, 110), factor)

    assert without_unit_flips(changed) == (changed, [])


@pytest.mark.parametrize("closes", [(), ("70",), ("70", "7000")])
def test_too_few_days_say_nothing(closes):
    bars = bars_of(*closes)

    assert without_unit_flips(bars) == (bars, [])


@given(
    start=st.integers(0, 170),
    length=st.integers(1, LONGEST_RUN),
    factor=st.sampled_from(["100", "0.01"]),
)
def test_any_short_run_is_put_back(start, length, factor):
    days = range(start, start + length)

    assert without_unit_flips(flipped(CALM, days, factor))[0] == CALM


@given(moves=st.lists(st.floats(0.66, 1.5), min_size=1, max_size=80))
def test_a_wild_but_real_history_is_never_touched(moves):
    price, closes = 100.0, []
    for move in moves:
        price *= move
        closes.append(f"{price:.8f}")
    bars = bars_of(*closes)
    if any(bar.close <= 0 for bar in bars):
        return

    assert without_unit_flips(bars) == (bars, [])
