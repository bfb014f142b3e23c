from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summaries.budget import Percents, allows, femto_of, step_of, usd_of, wants_cheaper, worst
from summaries.kinds import Step

USUAL = Percents()
LIMIT = 5 * 10**15
PERCENTS = st.lists(st.integers(0, 100), min_size=3, max_size=3).map(lambda found: Percents(*sorted(found)))
AMOUNTS = st.integers(0, 10**24)


@pytest.mark.parametrize(
    ("percent", "below", "at"),
    [
        (80, Step.NORMAL, Step.WARN),
        (90, Step.WARN, Step.CHEAPER),
        (95, Step.CHEAPER, Step.CACHED_ONLY),
        (100, Step.CACHED_ONLY, Step.EXTRACTIVE),
    ],
)
def test_a_step_begins_exactly_at_its_percentage(percent, below, at) -> None:
    threshold = LIMIT * percent // 100

    assert (step_of(LIMIT, threshold - 1, USUAL), step_of(LIMIT, threshold, USUAL)) == (below, at)


def plainly(limit: int, used: int, percents: Percents) -> Step:
    """The rule as it is read."""
    share = Fraction(100 * used, limit)
    found = [Step.NORMAL]
    found += [Step.WARN] if share >= percents.warn else []
    found += [Step.CHEAPER] if share >= percents.cheaper else []
    found += [Step.CACHED_ONLY] if share >= percents.cached_only else []
    found += [Step.EXTRACTIVE] if share >= 100 else []
    return max(found)


@given(st.integers(1, 10**24), AMOUNTS, PERCENTS)
def test_the_step_is_the_one_that_the_exact_share_says(limit, used, percents) -> None:
    assert step_of(limit, used, percents) is plainly(limit, used, percents)


@given(st.integers(1, 10**24), PERCENTS, st.integers(0, 100), st.integers(-1, 1))
def test_also_next_to_every_percentage(limit, percents, percent, off) -> None:
    used = max(0, limit * percent // 100 + off)

    assert step_of(limit, used, percents) is plainly(limit, used, percents)


@given(AMOUNTS, AMOUNTS, AMOUNTS, PERCENTS)
def test_using_more_never_leads_a_step_back(limit, used, more, percents) -> None:
    assert step_of(limit, used + more, percents) >= step_of(limit, used, percents)


@given(AMOUNTS, PERCENTS)
def test_of_a_budget_of_nothing_nothing_is_bought(used, percents) -> None:
    assert step_of(0, used, percents) is Step.EXTRACTIVE


@given(st.lists(st.sampled_from(Step)))
def test_the_budget_that_is_used_up_furthest_decides(steps) -> None:
    assert worst(steps) is max([Step.NORMAL, *steps])


@pytest.mark.parametrize(
    ("step", "new", "renewal", "cheaper"),
    [
        (Step.NORMAL, True, True, False),
        (Step.WARN, True, True, False),
        (Step.CHEAPER, True, True, True),
        (Step.CACHED_ONLY, True, False, True),
        (Step.EXTRACTIVE, False, False, True),
    ],
)
def test_what_each_step_allows(step, new, renewal, cheaper) -> None:
    found = (allows(step, is_renewal=False), allows(step, is_renewal=True), wants_cheaper(step))

    assert found == (new, renewal, cheaper)


@given(st.decimals(0, 10**8, allow_nan=False, places=4))
def test_a_limit_is_exact(usd) -> None:
    assert usd_of(femto_of(usd)) == usd


def test_what_is_finer_than_a_femto_dollar_is_not_granted() -> None:
    assert femto_of(Decimal("0.0000000000000019")) == 1
