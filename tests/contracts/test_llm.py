"""One set of promises for all language models, whoever they are: see `LanguageModel` and `BatchModel`."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from summaries import batching, grounding
from summaries.drafts import AnalysisDraft, EarningsDraft, SummaryDraft
from summaries.kinds import EXTRACTIVE, Task
from summaries.llm import openai_connection, registry
from summaries.llm.base import Answer, CollectState, Finish, Usage
from summaries.standins.openai import OpenAIStandIn
from tests.summaries.llm.asking import PATIENCE_S, analysis_question, call_question, question

TASKS = {Task.SUMMARY: question(), Task.EARNINGS: call_question(), Task.ANALYSIS: analysis_question()}
DRAFTS = {Task.SUMMARY: SummaryDraft, Task.EARNINGS: EarningsDraft, Task.ANALYSIS: AnalysisDraft}
KINDS = {
    "extractive": {},
    "openai": {"supports_schema": True, "supports_batch": False},
    "openai without schemas": {"supports_schema": False, "supports_batch": False},
    "openai with batches": {"supports_schema": True, "supports_batch": True},
}


class Overnight:
    """A batch as if it were asked at once."""

    def __init__(self, model):
        self._model = model
        self.name, self.vendor, self.most = model.name, model.vendor, model.most

    def ask(self, asked, *, timeout_s):
        batch = self._model.submit({"one": asked}, timeout_s=timeout_s)
        found = self._model.collect(batch, timeout_s=timeout_s)
        assert found.state is CollectState.DONE
        return found.answers["one"]


@pytest.fixture(params=[*KINDS, "overnight"])
def model(request, settings):
    if request.param == "extractive":
        yield registry.EXTRACTIVE_MODEL
        return
    with OpenAIStandIn().running() as standin:
        settings.OPENAI_API_KEY, settings.OPENAI_BASE_URL = standin.key, standin.url
        standin.batches.polls_until_done = 0
        options = KINDS.get(request.param, KINDS["openai with batches"])
        made = registry.make(
            "gpt-6-luna", vendor="openai", context_tokens=128_000, max_output_tokens=16_000, **options
        )
        yield Overnight(made) if request.param == "overnight" else made
        openai_connection.close()


@pytest.fixture(params=Task)
def asked(request):
    return TASKS[request.param]


def read(model, asked):
    return batching.read(model.ask(asked, timeout_s=PATIENCE_S).text, asked)


def test_it_has_a_name_and_a_vendor(model):
    assert [bool(model.name), bool(model.vendor)] == [True, True]


def test_it_answers_with_text_that_it_ended_itself(model, asked):
    answer = model.ask(asked, timeout_s=PATIENCE_S)

    assert (type(answer), answer.finish) == (Answer, Finish.STOP)


def test_each_item_has_a_draft_of_its_task(model, asked):
    reading = read(model, asked)

    assert list(reading.found) == list(asked.ids)
    assert {type(draft) for draft in reading.found.values()} == {DRAFTS[asked.task]}
    assert (reading.missing, reading.faults) == ((), ())


def test_what_is_said_of_an_item_is_found_in_it(model, asked):
    for item in asked.items:
        others = [other for other in asked.items if other is not item]
        draft = read(model, asked).found[item.id]

        checked = grounding.check(draft, item, others=others)

        assert checked.draft == draft
        assert (checked.dropped, checked.faults) == (0, ())


def test_sentiments_stay_within_their_scale(model):
    drafts = read(model, TASKS[Task.SUMMARY]).found.values()

    assert [draft.sentiment for draft in drafts if not Decimal(-1) <= draft.sentiment <= Decimal(1)] == []


def test_it_never_uses_more_than_it_said_it_could(model, asked):
    most, used = model.most(asked), model.ask(asked, timeout_s=PATIENCE_S).usage

    assert used.cached <= used.input <= most.input
    assert used.output <= most.output


def test_who_costs_nothing_uses_nothing_and_the_others_say_what_they_used(model, asked):
    used = model.ask(asked, timeout_s=PATIENCE_S).usage

    assert (used == Usage()) == (model.name == EXTRACTIVE)


def test_the_same_question_has_the_same_most(model, asked):
    assert model.most(asked) == model.most(asked)


def test_several_threads_may_ask_at_once(model):
    barrier = threading.Barrier(4)

    def ask(name):
        barrier.wait(PATIENCE_S)
        return list(read(model, question(name)).found)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, ["apple", "ford", "ibm", "apple"])) == [
            ["apple"],
            ["ford"],
            ["ibm"],
            ["apple"],
        ]
