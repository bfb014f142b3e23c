from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from core import checks, clock, doctor
from core.doctor import Verdict
from summaries import readiness
from summaries.kinds import Outcome
from summaries.models import Budget
from tests.summaries.money import make_entry, make_prices, models
from tests.summaries.stored import make_call, make_order

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MODEL = "tiny-1"


@pytest.fixture(autouse=True)
def _at(monkeypatch, settings):
    monkeypatch.setattr(clock, "now", lambda: NOW)
    settings.LLM_MODEL, settings.LLM_VENDOR = MODEL, "openai"
    settings.LLM_BUDGET_USD = Decimal(1)


@pytest.fixture
def model():
    with models(MODEL, "next-1"):
        make_prices(MODEL)
        make_prices("next-1")
        yield


def told() -> list[tuple[Verdict, str]]:
    return [(line.verdict, line.text) for line in readiness.lines(False)]


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def test_readyz_tells_how_orders_and_budgets_stand():
    make_order(created_at=ago(hours=2), not_before=ago(minutes=5))
    make_order(created_at=ago(minutes=5))
    make_order(state="dead")
    make_order(state="done", created_at=ago(days=3))
    make_call(at=ago(minutes=1), counted_femto=Decimal(9 * 10**14))
    make_call(outcome="down", counted_femto=0)

    found = readiness.finding()

    assert found.ok
    assert dict(found.figures) == {
        "waiting": 2,
        "oldest_waiting_s": 7200,
        "dead": 1,
        "budget_step": "cheaper",
        "last_success_s": 60,
    }


def test_nothing_at_all_is_fine():
    found = readiness.finding()

    assert found.ok
    assert dict(found.figures) == {
        "waiting": 0,
        "oldest_waiting_s": None,
        "dead": 0,
        "budget_step": "normal",
        "last_success_s": None,
    }


@pytest.mark.parametrize(
    ("lane", "due", "is_late"),
    [
        ("minutes", timedelta(minutes=11), True),
        ("interactive", timedelta(minutes=11), True),
        ("minutes", timedelta(minutes=9), False),
        ("overnight", timedelta(hours=30), False),
        ("overnight", timedelta(hours=49), True),
    ],
)
def test_an_order_that_has_been_due_for_long_says_that_nobody_buys(lane, due, is_late):
    make_order(lane=lane, created_at=ago(days=4), not_before=NOW - due)

    assert readiness.finding().ok is not is_late
    assert told()[1] == (
        (Verdict.BAD, "1 orders have been due for long, of 1 that wait")
        if is_late
        else (Verdict.OK, "1 orders wait, none for long")
    )


def test_without_a_model_that_is_said_and_nothing_is_wrong():
    assert told() == [
        (Verdict.OK, "no model is configured: texts are sentences of the sources themselves"),
        (Verdict.OK, "0 orders wait, none for long"),
    ]


def test_a_model_that_works_is_named(model):
    make_call(at=ago(minutes=7))
    make_order(state="dead")

    assert told() == [
        (Verdict.OK, "tiny-1 is asked"),
        (Verdict.OK, "0 orders wait, none for long"),
        (Verdict.WARN, "1 orders were given up"),
        (Verdict.OK, "the last call that worked was 7 min ago"),
        (Verdict.OK, "$0.00 of the budget day are used today ($1)"),
    ]


def test_calls_in_vain_since_the_last_that_worked_are_told(model):
    make_call(at=ago(minutes=7))
    for _ in range(3):
        make_call(at=ago(minutes=3), outcome=Outcome.DOWN.value)

    assert told()[2] == (Verdict.WARN, "the last call that worked was 7 min ago; 3 since then did not")


def test_a_model_without_a_price_is_not_asked():
    with models(MODEL):
        verdict, text = told()[0]

    assert verdict is Verdict.BAD
    assert text.startswith("no model can be asked: no price for openai tiny-1")


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (date(2027, 3, 1), []),
        (date(2027, 1, 20), [(Verdict.WARN, "tiny-1 ends in 60 days; then next-1 is asked")]),
        (date(2026, 11, 24), [(Verdict.WARN, "tiny-1 ends in 3 days; then next-1 is asked")]),
    ],
)
def test_models_near_their_end_are_told(model, end, expected):
    make_entry(MODEL, end_of_life=end, fallback=make_entry("next-1"))

    assert [line for line in told() if "ends" in line[1]] == expected


def test_an_end_that_nothing_follows_is_bad_in_its_last_week(model):
    make_entry(MODEL, end_of_life=date(2026, 11, 24))

    assert told()[1] == (Verdict.BAD, "tiny-1 ends in 3 days; nothing is asked in its place")


def test_after_the_end_the_one_that_is_asked_instead_is_told(model):
    make_entry(MODEL, end_of_life=date(2026, 11, 1), fallback=make_entry("next-1"))

    assert told()[:2] == [
        (Verdict.WARN, "next-1 is asked in the place of tiny-1"),
        (Verdict.WARN, "tiny-1 has ended on 2026-11-01; then next-1 is asked"),
    ]


def test_an_hour_without_a_call_that_worked_is_bad():
    make_call(at=ago(hours=5))
    for outcome in (Outcome.DOWN, Outcome.RATE_LIMITED):
        make_call(at=ago(minutes=3), outcome=outcome.value)

    assert told()[-1] == (
        Verdict.BAD,
        "none of 2 calls within an hour worked; the last that did was 5.0 h ago",
    )


def test_budgets_that_are_nearly_used_up_say_what_that_means(model):
    Budget.objects.create(scope="day", usd_per_day=Decimal(1))
    Budget.objects.create(scope="lane", name="minutes", usd_per_day=Decimal("0.5"))
    make_call(counted_femto=Decimal(85 * 10**13))

    assert told()[-2:] == [
        (Verdict.WARN, "the budget day is used up so far today that it is warned ($1 a day)"),
        (Verdict.WARN, "the budget lane minutes is used up so far today that nothing is bought ($0.5 a day)"),
    ]


def test_both_are_asked():
    assert checks._checks["summaries"].check is readiness.finding
    assert doctor._examinations["summaries"] is readiness.lines
