"""What is bought a second time, and what is not: time-outs that are billed, calls in parts, claims that ran out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import OperationalError

from core import clock
from marketdata.providers import breakers
from summaries import buying, orders
from summaries.kinds import Lane, OrderState, Outcome
from summaries.llm import registry
from summaries.llm.base import ModelError, Usage
from summaries.models import EarningsSummary, ModelCall, Order, Summary
from tests.summaries.making import ScriptedModel, article, articles, body, honest, price, transcript

pytestmark = pytest.mark.django_db
CLOSED = breakers.Reading(breakers.State.CLOSED)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.setattr(orders, "wake", lambda: None)
    monkeypatch.setattr(orders, "GATHER_S", 0.0)
    breakers.reset(buying.breaker_name())
    cache.clear()


@pytest.fixture
def model():
    price("gpt-6-luna")
    found = ScriptedModel()
    with registry.override(found):
        yield found


@pytest.fixture
def later(time_machine):
    time_machine.move_to(clock.now(), tick=False)

    def move(**how) -> None:
        time_machine.shift(timedelta(**how))

    return move


def too_slow(_question) -> ModelError:
    return ModelError("no answer within 30 s", Outcome.DOWN, usage=Usage(100, 0, 50))


def test_a_batch_that_is_too_much_for_a_slow_server_is_bought_piece_by_piece(model, later):
    orders.want_summaries(articles(4))
    model.script = lambda question: honest(question) if len(question.items) == 1 else too_slow(question)

    for _ in range(4):
        while (claim := orders.claim()) is not None:
            buying.buy(claim, CLOSED)
        later(minutes=30)

    assert [len(ids) for ids in model.asked] == [4, 4, 1, 1, 1, 1]
    assert set(Order.objects.values_list("state", "failures")) == {(OrderState.DONE, 0)}


def test_what_is_always_too_slow_is_asked_less_and_less_often(model, later):
    orders.want_summaries([article()])
    model.script = too_slow

    for _ in range(24 * 60):  # a day of minutes
        if (claim := orders.claim()) is not None:
            buying.buy(claim, CLOSED)
        later(minutes=1)

    assert len(model.asked) <= 24 * 60 / 15
    assert Order.objects.get().state == OrderState.QUEUED


def test_a_server_that_was_never_reached_is_asked_again_soon_however_often(model, later):
    orders.want_summaries([article()])
    model.script = lambda _: ModelError("cannot be reached", Outcome.DOWN)

    for _ in range(10):
        buying.buy(orders.claim(), CLOSED)
        later(seconds=31)

    assert len(model.asked) == 10


def test_parts_of_a_call_that_were_answered_are_not_paid_for_again(model, monkeypatch, later):
    monkeypatch.setattr(buying.matter, "PART_CHARS", 600)
    orders.want_earnings(transcript(text=" ".join(body(number) for number in range(6))))
    failing = {"once": True}

    def script(question):
        if question.ids[0].endswith("-3") and failing.pop("once", False):
            return ModelError("cannot be reached", Outcome.DOWN)
        return honest(question)

    model.script = script
    buying.buy(orders.claim(), CLOSED)
    later(minutes=1)
    buying.buy(orders.claim(), CLOSED)

    assert EarningsSummary.objects.count() == 1
    billed = [id_ for id_ in model.ids if not id_.endswith("-3")]
    assert len(billed) == len(set(billed))


def test_nothing_more_of_a_long_call_is_asked_while_the_process_ends(model, monkeypatch):
    monkeypatch.setattr(buying.matter, "PART_CHARS", 600)
    orders.want_earnings(transcript(text=" ".join(body(number) for number in range(6))))

    def ending(question):
        buying.stop()
        return honest(question)

    model.script = ending
    try:
        buying.buy(orders.claim(), CLOSED)
    finally:
        buying._pause.clear()

    assert len(model.asked) == 1
    assert (Order.objects.get().state, Order.objects.get().failures) == (OrderState.QUEUED, 0)


@pytest.mark.django_db(transaction=True)
def test_who_waited_for_the_budget_for_too_long_asks_nobody(model, later, monkeypatch):
    orders.want_summaries([article()], lane=Lane.INTERACTIVE)
    slow, real = orders.claim(), buying.spending.reserve

    def waiting(*args, **kwargs):
        later(seconds=orders.LEASE_S + 1)
        monkeypatch.setattr(buying.spending, "reserve", real)
        buying.buy(orders.claim(), CLOSED)
        return real(*args, **kwargs)

    monkeypatch.setattr(buying.spending, "reserve", waiting)
    buying.buy(slow, CLOSED)

    assert (len(model.asked), Summary.objects.count()) == (1, 1)
    assert not ModelCall.objects.filter(outcome=Outcome.OPEN).exists()


@pytest.mark.django_db(transaction=True)
def test_an_answer_outlives_a_database_that_is_restarted(model, monkeypatch):
    orders.want_summaries([article()], lane=Lane.INTERACTIVE)
    monkeypatch.setattr(buying, "AGAIN_S", (0.0, 0.0))
    real, away = orders.are_ours, [True, True]

    def are_ours(found):
        if away:
            away.pop()
            raise OperationalError("the server closed the connection")
        return real(found)

    monkeypatch.setattr(orders, "are_ours", are_ours)
    buying.buy(orders.claim(), CLOSED)

    assert (len(model.asked), Order.objects.get().state) == (1, OrderState.DONE)
    assert ModelCall.objects.get().outcome == Outcome.OK
