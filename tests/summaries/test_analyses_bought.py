"""From the wish for an analysis to the card with a model's words."""

from __future__ import annotations

import json

import pytest

from core import clock
from marketdata.providers import breakers
from summaries import analyses, buying, modelbook, orders
from summaries.kinds import EXTRACTIVE, Lane, OrderState, Outcome, Persona
from summaries.llm import registry
from summaries.llm.base import ModelError
from summaries.models import Analysis, ModelCall, Order
from tests.summaries.factories import make_company, set_price
from tests.summaries.making import ScriptedModel

pytestmark = pytest.mark.django_db

ALL = tuple(Persona)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.setattr(orders, "wake", lambda: None)
    breakers.reset(buying.breaker_name())


@pytest.fixture
def model():
    modelbook.load()
    found = ScriptedModel(script=saying("{symbol} is explained by {score}."))
    with registry.override(found, ScriptedModel("gpt-5-nano")):
        yield found


def saying(*sentences: str):
    """A model that says these of each item."""

    def script(question) -> str:
        said = [
            {
                "id": item.id,
                "sentences": [one.format(symbol=item.symbols[0], **item.facts) for one in sentences],
            }
            for item in question.items
        ]
        return json.dumps({"items": said})

    return script


def buy_all() -> None:
    """One after the other, here."""
    before = breakers.Reading(breakers.State.CLOSED)
    while (claim := orders.claim()) is not None:
        buying.buy(claim, before)


def want(ticker, personas=ALL):
    return analyses.refresh(ticker, personas, lane=Lane.INTERACTIVE, tier="expert")


def cards(ticker, personas=ALL):
    return analyses.look(ticker, personas, clock.now()).cards


def test_each_persona_gets_the_words_of_a_model_and_keeps_its_own_score(model):
    ticker = make_company(symbol="ACME")
    before = cards(ticker)
    want(ticker)
    buy_all()

    found = cards(ticker)
    assert [one.sentences for one in found] == [
        [f"ACME is explained by {one.score} of 100."] for one in before
    ]
    assert [(one.model, one.is_generated, one.order_state) for one in found] == [
        ("gpt-6-luna", True, OrderState.DONE)
    ] * 4
    for was, is_ in zip(before, found, strict=True):
        assert (was.score, was.criteria, was.inputs) == (is_.score, is_.criteria, is_.inputs)


def test_what_was_bought_is_bought_once_for_everybody(model):
    ticker = make_company()
    for _ in range(3):
        want(ticker)
        buy_all()

    assert (ModelCall.objects.count(), len(model.ids)) == (4, 4)


def test_two_companies_with_the_same_figures_have_texts_of_their_own(model):
    one, other = make_company(symbol="ONE"), make_company(symbol="OTHER")
    want(one, [Persona.BASIC])
    want(other, [Persona.BASIC])
    buy_all()

    said = [cards(ticker, [Persona.BASIC])[0].sentences[0].split()[0] for ticker in (one, other)]
    assert said == ["ONE", "OTHER"]


def test_a_figure_that_the_model_makes_up_is_dropped(model):
    model.script = saying("The score is {score}.", "A fair price would be 312.77 USD.")
    ticker = make_company()
    want(ticker, [Persona.BASIC])
    buy_all()

    (found,) = cards(ticker, [Persona.BASIC])
    assert found.sentences == ["The score is 60 of 100."]
    row = Analysis.objects.exclude(model=EXTRACTIVE).get()
    assert (row.dropped, row.claims - row.grounded) == (1, 1)


def test_a_model_that_only_makes_things_up_is_asked_twice_and_the_figures_speak_for_themselves(model):
    model.script = saying("A fair price would be 312.77 USD.")
    ticker = make_company()
    want(ticker, [Persona.BASIC])
    before = cards(ticker, [Persona.BASIC])[0]
    buy_all()

    (found,) = cards(ticker, [Persona.BASIC])
    assert (found.model, found.sentences) == (EXTRACTIVE, before.sentences)
    assert found.order_state == OrderState.DEAD
    assert ModelCall.objects.count() == 2


def test_while_the_model_is_down_the_last_text_stands_beside_what_the_figures_say(model):
    ticker = make_company("100")
    want(ticker, [Persona.BASIC])
    buy_all()
    model.script = lambda _: ModelError("no answer", Outcome.DOWN)
    set_price(ticker, "120")
    want(ticker, [Persona.BASIC])
    buy_all()

    (found,) = cards(ticker, [Persona.BASIC])
    assert (found.model, found.order_state) == (EXTRACTIVE, OrderState.QUEUED)
    assert (found.older.sentences, found.older.model) == (
        [f"{ticker.symbol} is explained by 60 of 100."], "gpt-6-luna",
    )  # fmt: skip


def test_the_question_has_neither_a_user_nor_another_ticker(model):
    asked = []
    model.script = lambda question: asked.append(question) or saying("The score is {score}.")(question)
    ticker, _ = make_company(symbol="ACME"), make_company(symbol="OTHER")
    want(ticker, [Persona.LYNCH])
    buy_all()

    (question,) = asked
    assert [(item.symbols, question.persona) for item in question.items] == [(("ACME",), Persona.LYNCH)]
    assert "OTHER" not in str(question)
    assert Order.objects.get().tier not in str(question)
