from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core import clock
from marketdata import fundamentals
from summaries import allowance, orders, refreshing
from summaries.errors import PersonaLocked, TooManyRefreshes
from summaries.kinds import EXTRACTIVE, Lane, OrderState, Persona
from summaries.models import Analysis, Budget, Order
from summaries.refreshing import RESTING, Wanted, Why
from tests.factories import make_ticker, make_user
from tests.summaries.figures import make_known
from tests.summaries.money import make_prices, models
from tests.summaries.stored import make_call

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 15, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
MODEL = "tiny-1"
BASIC, LYNCH, DCF = Persona.BASIC, Persona.LYNCH, Persona.DCF


@pytest.fixture(autouse=True)
def _at(monkeypatch, settings):
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(orders, "wake", lambda: None)
    monkeypatch.setattr(fundamentals, "ask_for", lambda _: None)
    settings.LLM_MODEL, settings.LLM_VENDOR = MODEL, "openai"
    settings.LLM_BUDGET_USD = Decimal(1)


@pytest.fixture
def model():
    with models(MODEL):
        make_prices(MODEL)
        yield


def test_what_is_wanted_is_ordered_in_the_lane_of_who_waits(model):
    ticker, user = make_known(), make_user(tier="pro")

    found = refreshing.want(user, ticker, [BASIC, LYNCH, BASIC])

    assert found == [Wanted(BASIC, "queued"), Wanted(LYNCH, "queued")]
    assert list(Order.objects.order_by("id").values_list("analysis__persona", "lane", "tier")) == [
        ("basic", Lane.INTERACTIVE, "pro"),
        ("lynch", Lane.INTERACTIVE, "pro"),
    ]


@pytest.mark.parametrize(("tier", "personas"), [("free", 1), ("pro", 3), ("expert", 4)])
def test_without_a_choice_it_is_all_that_the_tier_has(model, tier, personas):
    found = refreshing.want(make_user(tier=tier), make_known())

    assert [one.persona for one in found] == list(Persona)[:personas]


def test_a_persona_of_another_plan_is_refused_and_counts_for_nothing(model):
    user, ticker = make_user(), make_known()

    for _ in range(user.limits.analyses_per_hour + 1):
        with pytest.raises(PersonaLocked) as refused:
            refreshing.want(user, ticker, [BASIC, DCF])

    assert str(refused.value) == "The analysis “Discounted cash flow” comes with the Expert plan."
    assert Order.objects.count() == 0
    refreshing.want(user, ticker, [BASIC])


def test_more_than_the_plan_has_an_hour_is_refused_and_nothing_is_ordered(model):
    user = make_user()
    for _ in range(user.limits.analyses_per_hour):
        allowance.take(user)

    with pytest.raises(TooManyRefreshes):
        refreshing.want(user, make_known(), [BASIC])

    assert Order.objects.count() == 0


def test_the_same_wish_of_many_is_one_order(model):
    ticker = make_known()

    found = [refreshing.want(make_user(), ticker) for _ in range(3)]

    assert found == [[Wanted(BASIC, "queued")]] * 3
    assert Order.objects.count() == 1


@pytest.mark.parametrize("state", ["running", "dead"])
def test_an_order_that_runs_or_was_given_up_is_told(model, state):
    ticker = make_known()
    refreshing.want(make_user(), ticker)
    Order.objects.update(state=state, done_at=NOW if state == "dead" else None)

    assert refreshing.want(make_user(), ticker) == [Wanted(BASIC, state)]


def test_what_a_model_wrote_of_these_very_figures_is_not_bought_again(model):
    ticker = make_known()
    refreshing.want(make_user(), ticker)
    order = Order.objects.get()
    row = Analysis.objects.get(model=EXTRACTIVE)
    row.pk, row.model, row.prompt_version = None, MODEL, order.key.split(":")[3]
    row.save()
    Order.objects.update(state=OrderState.DONE.value, done_at=NOW)

    assert refreshing.want(make_user(), ticker) == [Wanted(BASIC, "done")]
    assert Order.objects.count() == 1


def test_a_used_up_budget_is_told_and_the_order_waits_for_tomorrow(model):
    make_call(counted_femto=Decimal(10**15))

    found = refreshing.want(make_user(), make_known())

    assert found == [Wanted(BASIC, RESTING, Why.BUDGET, MIDNIGHT)]
    assert Order.objects.get().state == "queued"


@pytest.mark.parametrize(
    ("scope", "name", "state"),
    [
        ("lane", "interactive", RESTING),
        ("lane", "minutes", "queued"),
        ("tier", "free", RESTING),
        ("tier", "pro", "queued"),
    ],
)
def test_only_budgets_that_bind_this_wish_are_told(model, scope, name, state):
    Budget.objects.create(scope=scope, name=name, usd_per_day=0)

    assert [one.state for one in refreshing.want(make_user(), make_known())] == [state]


@pytest.mark.parametrize(("is_renewal", "state"), [(True, RESTING), (False, "queued")])
def test_near_its_end_a_budget_is_for_what_has_no_text_yet(model, is_renewal, state):
    ticker = make_known()
    refreshing.want(make_user(), ticker)
    Order.objects.update(is_renewal=is_renewal)
    make_call(counted_femto=Decimal(96 * 10**13))

    assert [one.state for one in refreshing.want(make_user(), ticker)] == [state]


def test_an_order_that_is_put_off_says_until_when(model):
    ticker, later = make_known(), NOW + timedelta(minutes=5)
    refreshing.want(make_user(), ticker)
    Order.objects.update(not_before=later)

    assert refreshing.want(make_user(), ticker) == [Wanted(BASIC, RESTING, Why.LATER, later)]


def test_without_a_model_nothing_is_bought_and_that_is_told():
    assert refreshing.want(make_user(), make_known()) == [Wanted(BASIC, RESTING, Why.NO_MODEL)]


def test_without_figures_that_is_told(model):
    assert refreshing.want(make_user(), make_ticker()) == [Wanted(BASIC, RESTING, Why.NO_FUNDAMENTALS)]


def test_figures_that_are_too_few_are_told(model):
    ticker = make_known(figures={"eps_ttm": "5"})

    assert refreshing.want(make_user(), ticker) == [Wanted(BASIC, RESTING, Why.NO_SCORE)]


def test_a_wish_that_orders_nothing_takes_none_of_the_hour():
    user, ticker = make_user(), make_known()

    for _ in range(user.limits.analyses_per_hour + 1):
        refreshing.want(user, ticker)
