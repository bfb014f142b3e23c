"""An hour in which the language model is down, too slow, or writes nonsense: no error is seen, nothing is lost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from accounts.tiers import Tier
from core import clock
from core.redis import client as redis
from marketdata.providers import breakers
from subscriptions.watchlist import watch
from summaries import analyses, buying, orders, storing
from summaries.kinds import Lane, OrderState, Outcome, Persona
from summaries.llm import registry
from summaries.llm.base import ModelError, Usage
from summaries.models import Article, ModelCall, Order, Summary
from tests.factories import make_user
from tests.summaries.factories import make_company
from tests.summaries.making import ScriptedModel, article, price, transcript

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

ARTICLES = 40
STEP = timedelta(seconds=15)
HOUR = timedelta(hours=1)
PAGES = ("/news/", "/tickers/ACME/?tab=news", "/tickers/ACME/?tab=earnings", "/tickers/ACME/?tab=analyses")
API = ("/api/v1/news/?symbols=ACME", "/api/v1/earnings/?symbol=ACME", "/api/v1/analyses/ACME/")


def down(_question):
    return ModelError("the server cannot be reached", Outcome.DOWN)


def slow(_question):
    return ModelError("no answer in time", Outcome.DOWN)


def slow_and_billed(_question):
    return ModelError("no answer in time", Outcome.DOWN, usage=Usage(1_000, 0, 500))


def nonsense(_question):
    return "lorem ipsum dolor sit amet"


@pytest.fixture
def model(monkeypatch, time_machine):
    monkeypatch.setattr(orders, "wake", lambda: None)
    monkeypatch.setattr(orders, "GATHER_S", 0.0)
    monkeypatch.setattr(buying, "CALLS_AT_ONCE", 1)
    time_machine.move_to(clock.now(), tick=False)
    breakers.reset(buying.breaker_name())
    price("gpt-6-luna", "gpt-5-nano")
    found = ScriptedModel()
    with registry.override(found, ScriptedModel("gpt-5-nano")):
        yield found
    breakers.reset(buying.breaker_name())


@pytest.fixture
def company(model):
    """Everything that pages show of a company, none of it by a model, and an expert who watches it."""
    ticker = make_company(symbol="ACME")
    for number in range(ARTICLES):
        article("ACME", days_ago=number / 100)
    storing.keep_extractive_summaries(Article.objects.prefetch_related("tickers"))
    storing.keep_extractive_earnings(transcript("ACME"))
    user = make_user(tier=Tier.EXPERT.value)
    watch(user, [ticker])
    browser = Client()
    browser.force_login(user)
    return ticker, browser


def want_all(ticker) -> None:
    orders.want_summaries(Article.objects.all())
    analyses.refresh(ticker, list(Persona), lane=Lane.INTERACTIVE, tier="expert")


def pass_time(time_machine, span: timedelta) -> None:
    """With beat's rhythm; what Redis holds for a while ends with the clock of the test."""
    until = clock.now() + span
    while clock.now() < until:
        time_machine.shift(STEP)
        if breakers.reading(buying.breaker_name()).state is breakers.State.OPEN:
            _end_what_is_over()
        buying.run(5)


def _end_what_is_over() -> None:
    reading = breakers.reading(buying.breaker_name())
    if reading.open_until and reading.open_until <= clock.now():
        redis().delete(f"breaker:{buying.breaker_name()}:open", f"breaker:{buying.breaker_name()}:probe")


def assert_everything_is_shown(browser: Client) -> None:
    for path in (*PAGES, *API):
        response = browser.get(path)
        assert response.status_code == 200, path
    newest = Article.objects.order_by("-published_at").first()
    shown = browser.get("/news/").content.decode()
    assert newest.text.split(". ")[0][:40] in shown


@pytest.mark.parametrize("script", [down, slow])
def test_an_hour_without_a_model_is_told_by_one_call_now_and_then(model, company, time_machine, script):
    ticker, browser = company
    want_all(ticker)
    model.script = script

    for _ in range(4):
        pass_time(time_machine, HOUR / 4)
        assert_everything_is_shown(browser)

    assert breakers.FAIL_MAX < len(model.asked) <= breakers.FAIL_MAX + HOUR.total_seconds() / breakers.OPEN_S
    assert not Order.objects.exclude(state=OrderState.QUEUED).exists()
    assert not ModelCall.objects.exclude(counted_femto=0).exists()

    model.script, before = None, len(model.asked)
    pass_time(time_machine, timedelta(minutes=2))

    assert len(model.asked) - before == ARTICLES / orders.BATCH + len(Persona)
    assert set(Order.objects.values_list("state", flat=True)) == {OrderState.DONE}
    assert Summary.objects.filter(model=model.name).count() == ARTICLES
    assert_everything_is_shown(browser)


def test_what_is_billed_for_nothing_for_an_hour_is_asked_less_often_and_then_bought(
    model, company, time_machine
):
    ticker, browser = company
    want_all(ticker)
    model.script = slow_and_billed

    for _ in range(4):
        pass_time(time_machine, HOUR / 4)
        assert_everything_is_shown(browser)

    wanted = ARTICLES + len(Persona)
    assert max(model.ids.count(one) for one in set(model.ids)) <= 8
    assert not Order.objects.exclude(state=OrderState.QUEUED).exists()

    model.script, before = None, len(model.asked)
    pass_time(time_machine, timedelta(minutes=20))

    assert len(model.asked) - before <= wanted
    assert set(Order.objects.values_list("state", flat=True)) == {OrderState.DONE}
    assert_everything_is_shown(browser)


def test_an_hour_of_nonsense_is_paid_for_twice_at_most_and_tried_once_more(model, company, time_machine):
    ticker, browser = company
    want_all(ticker)
    model.script = nonsense

    for _ in range(4):
        pass_time(time_machine, HOUR / 4)
        assert_everything_is_shown(browser)

    wanted = ARTICLES + len(Persona)
    assert max(model.ids.count(one) for one in set(model.ids)) == orders.MOST_FAILURES
    assert set(Order.objects.values_list("state", flat=True)) == {OrderState.DEAD}

    model.script, before = None, len(model.asked)
    pass_time(time_machine, HOUR)
    while orders.revive():
        pass_time(time_machine, timedelta(minutes=5))

    assert len(model.asked) - before == wanted
    assert set(Order.objects.values_list("state", flat=True)) == {OrderState.DONE}
    assert_everything_is_shown(browser)


def test_a_text_stays_when_the_model_goes(model, company, time_machine):
    ticker, browser = company
    want_all(ticker)
    pass_time(time_machine, STEP * 4)
    assert Summary.objects.filter(model=model.name).count() == ARTICLES

    model.script = down
    pass_time(time_machine, HOUR)

    assert model.name in browser.get("/news/").content.decode()
    assert_everything_is_shown(browser)
