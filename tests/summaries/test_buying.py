from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connections

from core import clock
from marketdata.providers import breakers
from summaries import buying, orders, parts, storing
from summaries.drafts import EarningsDraft
from summaries.kinds import EXTRACTIVE, Lane, OrderState, Outcome
from summaries.llm import registry
from summaries.llm.base import Answer, Finish, ModelError, Usage
from summaries.models import Article, EarningsSummary, ModelCall, Order, Summary
from summaries.texts import best_summaries
from tests.summaries.making import (
    ScriptedModel,
    article,
    articles,
    body,
    envelope,
    grounded_item,
    honest,
    price,
    transcript,
)

pytestmark = pytest.mark.django_db
# Nothing here waits for so long: each run ends when nothing is left to be asked.
PATIENCE_S = 50.0


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.setattr(orders, "wake", lambda: None)
    monkeypatch.setattr(orders, "GATHER_S", 0.0)
    breakers.reset(buying.breaker_name())
    cache.clear()


@pytest.fixture
def model():
    price("gpt-6-luna", "gpt-5-nano")
    found = ScriptedModel()
    with registry.override(found, ScriptedModel("gpt-5-nano")):
        yield found


def buy_all() -> None:
    """One after the other, here."""
    before = breakers.Reading(breakers.State.CLOSED)
    while (claim := orders.claim()) is not None:
        buying.buy(claim, before)


def states() -> list[str]:
    return list(Order.objects.order_by("id").values_list("state", flat=True))


def outcomes() -> list[str]:
    return list(ModelCall.objects.order_by("id").values_list("outcome", flat=True))


def without(question, *missing: int) -> str:
    items = [grounded_item(item, question.task) for item in question.items]
    return envelope([item for number, item in enumerate(items) if number not in missing])


# --- articles


def test_ten_articles_are_one_call_and_each_gets_its_own_text(model):
    found = articles(10)
    orders.want_summaries(found)

    buy_all()

    (call,) = ModelCall.objects.all()
    assert (call.asked, call.answered, call.outcome) == (10, 10, Outcome.OK)
    assert states() == [OrderState.DONE] * 10
    for one in found:
        summary = best_summaries([one.pk])[one.pk]
        assert summary.model == "gpt-6-luna"
        assert all(sentence.rstrip(".") in one.text for sentence in summary.sentences)


def test_the_tokens_of_the_call_are_those_that_were_billed(model):
    orders.want_summaries(articles(10))

    buy_all()

    call = ModelCall.objects.get()
    assert Usage(call.input_tokens, call.cached_tokens, call.output_tokens) == model.billed


def test_a_bad_item_is_asked_again_alone_and_the_others_are_kept(model):
    found = articles(10)
    orders.want_summaries(found)
    model.script = lambda question: without(question, 3) if len(question.items) > 1 else honest(question)

    buy_all()

    assert [len(ids) for ids in model.asked] == [10, 1]
    assert model.asked[1] == (model.asked[0][3],)
    assert (outcomes(), states()) == ([Outcome.PARTLY, Outcome.OK], [OrderState.DONE] * 10)
    assert Summary.objects.filter(model="gpt-6-luna").count() == 10


def test_what_fails_alone_as_well_is_given_up_and_keeps_the_text_it_had(model):
    found = articles(2)
    storing.keep_extractive_summaries(Article.objects.all())
    orders.want_summaries(found)
    model.script = lambda _: "I would rather write a poem."

    buy_all()

    assert [len(ids) for ids in model.asked] == [2, 1, 1]
    assert (set(outcomes()), states()) == ({Outcome.USELESS}, [OrderState.DEAD] * 2)
    assert {one.model for one in best_summaries([one.pk for one in found]).values()} == {EXTRACTIVE}


def test_an_answer_in_any_order_leads_to_the_right_articles(model):
    found = articles(6)
    orders.want_summaries(found)
    model.script = lambda question: envelope(json.loads(honest(question))["items"][::-1])

    buy_all()

    for one in found:
        assert all(s.rstrip(".") in one.text for s in best_summaries([one.pk])[one.pk].sentences)


def test_texts_swapped_under_right_ids_are_not_believed(model):
    orders.want_summaries(articles(2))

    def swapped(question):
        items = json.loads(honest(question))["items"]
        if len(items) == 2:
            items[0]["id"], items[1]["id"] = items[1]["id"], items[0]["id"]
        return envelope(items)

    model.script = swapped
    buy_all()

    assert [len(ids) for ids in model.asked] == [2, 1, 1]
    for summary in Summary.objects.select_related("article"):
        assert all(sentence.rstrip(".") in summary.article.text for sentence in summary.sentences)


def test_a_number_that_the_article_does_not_have_never_arrives(model):
    orders.want_summaries([article()])

    def invented(question):
        item = grounded_item(question.items[0], question.task)
        item["sentences"].append("The price target is 9999 dollars.")
        return envelope([item])

    model.script = invented
    buy_all()

    summary = Summary.objects.get()
    assert "9999" not in " ".join(summary.sentences)
    assert (summary.dropped, summary.claims - summary.grounded) == (1, 1)


@pytest.mark.parametrize(
    ("finish", "outcome"), [(Finish.REFUSAL, Outcome.REFUSED), (Finish.LENGTH, Outcome.CUT)]
)
def test_what_was_refused_or_cut_off_is_billed_and_asked_alone(model, finish, outcome):
    orders.want_summaries(articles(2))
    model.script = lambda question: (
        Answer('{"items": [', Usage(100, 0, 50), finish) if len(question.items) > 1 else honest(question)
    )

    buy_all()

    assert outcomes() == [outcome, Outcome.OK, Outcome.OK]
    assert ModelCall.objects.order_by("id").first().output_tokens == 50


# --- the server


def down(_question):
    return ModelError("no answer in time", Outcome.DOWN)


def test_a_server_that_is_down_costs_nobody_anything(model):
    orders.want_summaries(articles(3))
    model.script = down

    buy_all()

    (order, *_) = Order.objects.order_by("id")
    assert (order.state, order.failures, order.last_error) == (OrderState.QUEUED, 0, "no answer in time")
    assert order.not_before > clock.now()
    assert ModelCall.objects.get().counted_femto == 0


def test_a_server_that_asks_us_to_wait_is_not_asked_before(model):
    orders.want_summaries(articles(3))
    until = clock.now() + timedelta(minutes=2)
    model.script = lambda _: ModelError("rate limited", Outcome.RATE_LIMITED, retry_at=until)

    buy_all()

    assert Order.objects.first().not_before == until
    assert breakers.reading(buying.breaker_name()).state is breakers.State.OPEN


@pytest.mark.django_db(transaction=True)
def test_a_server_that_stays_down_is_found_out_by_one_call_at_a_time(model, monkeypatch):
    monkeypatch.setattr(buying, "DOWN_REST", timedelta(0))
    monkeypatch.setattr(buying, "CALLS_AT_ONCE", 1)
    orders.want_summaries(articles(60))
    model.script = down

    buying.run(PATIENCE_S)

    assert len(model.asked) == breakers.FAIL_MAX
    assert buying.run(PATIENCE_S) == 0


def test_a_model_that_writes_nonsense_about_many_is_left_alone_for_a_while(model):
    orders.want_summaries(articles(60))
    model.script = lambda _: "lorem ipsum"

    for _ in range(breakers.FAIL_MAX):
        Order.objects.filter(is_alone=True).update(state=OrderState.DEAD)
        buying.buy(orders.claim(), breakers.Reading(breakers.State.CLOSED))

    assert breakers.reading(buying.breaker_name()).state is breakers.State.OPEN


def test_one_article_of_which_nothing_comes_stops_nobody(model):
    orders.want_summaries(articles(5), lane=Lane.INTERACTIVE)
    Order.objects.update(is_alone=True)
    model.script = lambda _: "lorem ipsum"

    buy_all()

    assert breakers.reading(buying.breaker_name()).state is breakers.State.CLOSED


@pytest.mark.django_db(transaction=True)
def test_after_a_failure_everything_is_bought_once_it_is_back(model, time_machine):
    time_machine.move_to(clock.now(), tick=True)
    found = articles(25)
    orders.want_summaries(found)
    model.script = down
    buying.run(PATIENCE_S)
    asked = len(model.asked)

    model.script = None
    breakers.reset(buying.breaker_name())
    time_machine.shift(timedelta(minutes=1))
    buy_all()

    assert len(model.asked) - asked == 3
    assert states() == [OrderState.DONE] * 25


@pytest.mark.django_db(transaction=True)
def test_a_refused_key_stops_the_asking_and_is_told_once(model, caplog, monkeypatch):
    monkeypatch.setattr(buying, "CALLS_AT_ONCE", 1)
    orders.want_summaries(articles(30))
    model.script = lambda _: ModelError("our key is refused", Outcome.UNAUTHORIZED)

    buying.run(PATIENCE_S)

    assert len(model.asked) == 1
    assert [r.message for r in caplog.records if r.levelname == "ERROR"] == [
        "the server of language models refuses our key"
    ]


def test_a_question_that_is_refused_as_such_is_the_fault_of_the_order(model):
    orders.want_summaries([article()])
    model.script = lambda _: ModelError("too long", Outcome.BAD_REQUEST)

    buy_all()

    assert (states(), len(model.asked)) == ([OrderState.DEAD], 2)


def test_a_fault_of_ours_gives_the_order_up_and_stops_nobody(model, monkeypatch, caplog):
    orders.want_summaries(articles(2), lane=Lane.INTERACTIVE)
    monkeypatch.setattr(buying.grounding, "check", lambda *_, **__: 1 // 0)

    buy_all()

    assert states() == [OrderState.DEAD] * 2
    assert "an order could not be carried out" in caplog.text


# --- races


@pytest.mark.django_db(transaction=True)
def test_who_was_away_for_too_long_settles_his_call_and_changes_no_order(model, time_machine):
    time_machine.move_to(clock.now(), tick=True)
    orders.want_summaries([article()], lane=Lane.INTERACTIVE)
    slow = orders.claim()

    def late(question):
        time_machine.shift(timedelta(seconds=orders.LEASE_S + 1))
        orders.done(orders.claim().orders)
        return honest(question)

    model.script = late
    buying.buy(slow, breakers.Reading(breakers.State.CLOSED))

    assert (states(), outcomes()) == ([OrderState.DONE], [Outcome.OK])
    assert Summary.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_ten_buyers_at_once_buy_each_article_once(model):
    orders.want_summaries(articles(95))
    before = breakers.Reading(breakers.State.CLOSED)
    start = threading.Barrier(10)

    def work() -> None:
        start.wait(30)
        try:
            while (claim := orders.claim()) is not None:
                buying.buy(claim, before)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(model.ids) == sorted(set(model.ids))
    assert (len(model.asked), states()) == (10, [OrderState.DONE] * 95)


def test_one_process_buys_once_at_a_time():
    with buying._one_buyer:
        assert buying.run() == 0


# --- earnings calls


def test_an_earnings_call_is_one_call(model):
    orders.want_earnings(transcript())

    buy_all()

    assert EarningsSummary.objects.get().model == "gpt-6-luna"
    assert (len(model.asked), states()) == (1, [OrderState.DONE])


def test_a_long_call_is_asked_about_in_parts_and_then_as_a_whole(model, monkeypatch):
    monkeypatch.setattr(buying.matter, "PART_CHARS", 600)
    one = transcript(text=" ".join(body(number) for number in range(6)))
    orders.want_earnings(one)

    buy_all()

    number = len(parts.split(buying.matter.item_of_transcript(one).text, 600))
    assert number > 2
    assert len(model.asked) == number + 1
    assert model.asked[-1] == (f"call-{one.pk}",)
    assert ModelCall.objects.filter(outcome=Outcome.OK).count() == number + 1
    assert EarningsSummary.objects.count() == 1


def test_what_is_said_of_the_whole_must_be_in_the_call_itself(model, monkeypatch):
    monkeypatch.setattr(buying.matter, "PART_CHARS", 600)
    orders.want_earnings(transcript(text=" ".join(body(number) for number in range(6))))

    def inventing(question):
        item = grounded_item(question.items[0], question.task)
        item["guidance"] = ["Revenue will be 98765 million."]
        return envelope([item])

    model.script = inventing
    buy_all()

    assert EarningsSummary.objects.get().guidance == []


def test_the_words_of_the_parts_hold_all_that_was_found():
    draft = EarningsDraft(("A grew.",), (), ("B will grow.",), 0)
    item = buying.matter.item_of_transcript(transcript())

    assert buying.matter.merged(item, [draft, draft]).text == "A grew.\nB will grow.\n\nA grew.\nB will grow."
