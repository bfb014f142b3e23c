from __future__ import annotations

import random
from dataclasses import replace
from datetime import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.whatif import Limit, Scenario, answer, distinct_tickers, exhausted_at, paper

PAPER = Scenario(
    users=1000, tickers_per_user=8, unique_tickers=100, ttl_s=60, closed_ttl_s=60, batch=50, days=30
)
ALPHA_VANTAGE_FREE = (Limit(25, 86_400), Limit(1, 1))
FINNHUB_FREE = (Limit(60, 60), Limit(30, 1))


def test_the_scenario_of_the_paper_is_saved_almost_whole_by_sharing_alone() -> None:
    found = answer(PAPER)

    assert found.distinct_tickers == 100
    assert found.saving_percent(found.alone, found.shared_unbatched) == Decimal("98.75")


def test_batches_save_more_than_99_9_percent() -> None:
    found = answer(PAPER)

    assert found.saving_percent(found.alone) == Decimal("99.975")
    assert found.saving_percent(found.alone_batched) == Decimal("99.8")


def test_requests_and_dollars_are_those_of_the_days() -> None:
    found = answer(replace(PAPER, usd_per_request=Decimal("0.01")))

    assert (found.alone.requests_per_day, found.alone.requests) == (11_520_000, 345_600_000)
    assert (found.alone.usd, found.shared_unbatched.usd) == (Decimal(3_456_000), Decimal(43_200))


def test_a_trading_day_is_refreshed_at_two_paces() -> None:
    found = answer(replace(PAPER, ttl_s=15, closed_ttl_s=300, days=1))

    assert (found.refreshes_per_day, found.shared_unbatched.requests, found.shared.requests) == (
        1770,
        177_000,
        3540,
    )


def test_a_monthly_plan_costs_its_part_of_a_month() -> None:
    found = answer(replace(PAPER, usd_per_month=Decimal("30.4375"), days=7))

    assert found.shared.usd == 7


def test_an_analysis_is_paid_once_per_ticker_and_not_per_reader() -> None:
    scenario = replace(
        PAPER,
        days=1,
        analyses_per_ticker_day=Decimal(2),
        tokens_per_analysis=1000,
        usd_per_million_tokens=Decimal(5),
    )

    found = answer(scenario)

    assert (found.shared.usd, found.alone.usd) == (Decimal(1), Decimal(80))


def test_alpha_vantage_free_is_exhausted_at_0936() -> None:
    one = replace(PAPER, unique_tickers=1, tickers_per_user=1, ttl_s=15, closed_ttl_s=300, batch=1)

    found = answer(replace(one, limits=ALPHA_VANTAGE_FREE)).feasibility

    assert (found.fits, found.text) == (False, "Exhausted at 09:36 New York time.")


def test_finnhub_free_carries_15_symbols_at_15_seconds() -> None:
    fifteen = replace(
        PAPER,
        tickers_per_user=15,
        unique_tickers=15,
        ttl_s=15,
        batch=1,
        limits=FINNHUB_FREE,
    )

    assert answer(fifteen).feasibility.fits
    assert answer(fifteen).feasibility.most_tickers == 15
    sixteen = answer(replace(fifteen, tickers_per_user=16, unique_tickers=16)).feasibility
    assert (sixteen.fits, sixteen.text) == (
        False,
        "60 requests in 60 s carry 15 tickers at 15 s; these need 16 s.",
    )


def test_a_quota_that_lasts_beyond_the_session_ends_in_the_slow_hours() -> None:
    slow = replace(PAPER, ttl_s=15, closed_ttl_s=300)

    assert exhausted_at(slow, 1560, 1) == time(15, 59)
    assert exhausted_at(slow, 1561, 1) == time(16, 0)
    assert exhausted_at(slow, 1562, 1) == time(16, 5)


def test_nobody_costs_nothing() -> None:
    found = answer(replace(PAPER, users=0))

    assert (found.shared.requests, found.alone.requests, found.saving_percent(found.alone)) == (0, 0, 0)


@given(
    st.integers(0, 500),
    st.integers(1, 30),
    st.integers(1, 300),
    st.floats(0, 2),
)
def test_what_is_wanted_lies_between_one_watchlist_and_everything(users, each, unique, overlap) -> None:
    found = distinct_tickers(users, each, unique, overlap)

    assert found <= min(unique, users * each)
    assert found >= (min(each, unique) if users else 0)


@pytest.mark.parametrize(("users", "each", "unique", "overlap"), [(30, 8, 500, 1.0), (50, 5, 200, 0.5)])
def test_the_expected_number_is_that_of_people_who_really_choose(users, each, unique, overlap) -> None:
    rng = random.Random(7)
    weights = [(rank + 1) ** -overlap for rank in range(unique)]

    def chosen() -> set[int]:
        mine: set[int] = set()
        while len(mine) < each:
            mine.add(rng.choices(range(unique), weights)[0])
        return mine

    drawn = [len(set().union(*(chosen() for _ in range(users)))) for _ in range(40)]

    assert distinct_tickers(users, each, unique, overlap) == pytest.approx(sum(drawn) / 40, rel=0.05)


def test_the_table_of_the_paper_adds_days_to_months() -> None:
    lines = {line.name: line for line in paper()}

    total = lines["Total"]
    assert (total.without, total.shared) == (116_180, 1505)
    assert (total.without_right, total.shared_right) == (3_456_980, 43_265)
    assert round(100 - 100 * total.shared / total.without, 1) == Decimal("98.7")
    assert round(100 - 100 * total.shared_right / total.without_right, 2) == Decimal("98.75")
    assert (lines["Per user"].shared, round(lines["Per user"].shared_right, 2)) == (
        Decimal("0.15"),
        Decimal("43.26"),
    )
