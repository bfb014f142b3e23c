"""What only the stand-in does, and what nobody else would notice if it did not."""

from __future__ import annotations

import json

import openai
import pytest

from summaries.kinds import Task
from summaries.llm.base import ModelError, Usage
from summaries.standins.completions import complete, question_of, tokens, usage_of
from summaries.standins.faults import Fault
from summaries.standins.openai import OpenAIStandIn
from tests.summaries.llm.asking import (
    ARTICLES,
    PATIENCE_S,
    analysis_question,
    call_question,
    entries_of,
    question,
)


@pytest.fixture
def client(standin):
    with openai.OpenAI(
        api_key=standin.key, base_url=standin.url, max_retries=0, timeout=PATIENCE_S
    ) as client:
        yield client


def body_of(model, asked):
    return model.body(asked, frozenset())


@pytest.mark.parametrize(("text", "number"), [("", 0), ("abcd", 1), ("abcde", 2), ("株株", 2)])
def test_four_bytes_are_a_token(text, number):
    assert tokens(text) == number


@pytest.mark.parametrize("asked", [question(), call_question()])
def test_what_we_ask_is_read_back_as_we_meant_it(make, asked):
    assert question_of(body_of(make(), asked)) == asked


def test_an_analysis_is_read_back_too(make):
    found = question_of(body_of(make(), analysis_question()))

    assert (found.task, found.items) == (Task.ANALYSIS, analysis_question().items)


def test_good_answers_are_made_of_the_items_own_sentences(make):
    answer = complete(body_of(make(), question()))

    for entry in json.loads(answer.text)["items"]:
        item = ARTICLES[entry["id"]]
        assert [text for text in entry["sentences"] if text not in item.text] == []


def test_usage_is_counted_from_the_request_and_the_answer(make):
    body = body_of(make(), question())
    answer = complete(body, cached_share=0.25)

    assert answer.usage == usage_of(body, answer.text, cached_share=0.25)
    assert answer.usage.cached == answer.usage.input // 4


def test_an_answer_longer_than_its_limit_is_cut_there(make):
    body = body_of(make(), question()) | {"max_completion_tokens": 10}

    answer = complete(body)

    assert answer.usage.output == 10
    assert answer.body["choices"][0]["finish_reason"] == "length"


def items_of(make, fault):
    answer = complete(body_of(make(), question()), fault)
    return json.loads(answer.text)["items"]


@pytest.mark.parametrize(("fault", "ids"), [
    (Fault.SHORT, ["apple", "ford"]),
    (Fault.LONG, ["apple", "ford", "ibm", "more-0", "more-1", "more-2"]),
    (Fault.REORDERED, ["ibm", "ford", "apple"]),
    (Fault.DUPLICATED, ["apple", "ford", "ibm", "apple"]),
    (Fault.CONTRADICTED, ["apple", "ford", "ibm", "apple"]),
    (Fault.INVENTED_IDS, ["apple-x", "ford", "ibm"]),
    (Fault.SWAPPED, ["ford", "ibm", "apple"]),
])  # fmt: skip
def test_faults_of_the_list(make, fault, ids):
    assert [item["id"] for item in items_of(make, fault)] == ids


def test_a_swapped_text_is_that_of_another_item(make):
    good = {item["id"]: item["sentences"] for item in items_of(make, None)}
    swapped = {item["id"]: item["sentences"] for item in items_of(make, Fault.SWAPPED)}

    assert swapped == {"ford": good["apple"], "ibm": good["ford"], "apple": good["ibm"]}


@pytest.mark.parametrize(
    "fault", [Fault.INVALID_JSON, Fault.PROSE, Fault.FENCED, Fault.TWO_OBJECTS, Fault.LENGTH]
)
def test_faults_after_which_the_whole_text_is_no_json(make, fault):
    with pytest.raises(json.JSONDecodeError):
        json.loads(complete(body_of(make(), question()), fault).text)


@pytest.mark.parametrize(("fault", "words"), [
    (Fault.UNGROUNDED, "987.6"), (Fault.FABRICATED, "987.6"), (Fault.LINKS, "evil.example"),
    (Fault.PROMPT_REPEATED, "never an instruction"),
])  # fmt: skip
def test_faults_of_what_is_said(make, fault, words):
    assert words in complete(body_of(make(), question()), fault).text


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_is_met_and_the_next_answer_is_good(make, standin, fault):
    standin.slow_s = 0.1
    standin.fail(fault)
    model = make()
    good = complete(body_of(model, question()))

    def attempt(timeout_s):
        try:
            answer = model.ask(question(), timeout_s=timeout_s)
        except ModelError as error:
            return error
        return answer.text, answer.usage.output, answer.finish

    spoiled = attempt(0.5 if fault is Fault.TRICKLE else PATIENCE_S)
    standin.heal()  # where the time was over before the question had been sent
    after = attempt(PATIENCE_S)

    assert after == (good.text, good.usage.output, "stop")
    assert fault is Fault.SLOW or spoiled != after


def test_faults_come_after_so_many_good_answers(make, standin):
    standin.fail(Fault.SHORT, 2, after=1)

    sizes = [len(entries_of(make().ask(question(), timeout_s=PATIENCE_S))) for _ in range(4)]

    assert sizes == [3, 2, 2, 3]


def test_a_share_of_answers_is_spoiled_until_it_is_healed(make, standin):
    standin.fail_always(Fault.SHORT, rate=0.5, seed=3)
    spoiled = [len(entries_of(make().ask(question(), timeout_s=PATIENCE_S))) for _ in range(20)]
    standin.heal()

    assert 0 < spoiled.count(2) < 20
    assert len(entries_of(make().ask(question(), timeout_s=PATIENCE_S))) == 3


def test_it_writes_down_which_items_were_answered(make, standin):
    standin.fail(Fault.SERVER_ERROR)
    for names in (["apple"], ["ford", "ibm"], ["ibm"]):
        try:
            make().ask(question(*names), timeout_s=PATIENCE_S)
        except ModelError:
            assert names == ["apple"]

    assert standin.ids == ["ford", "ibm", "ibm"]


def test_an_answer_can_be_streamed(client, make, standin):
    body = body_of(make(), question())
    events = list(client.chat.completions.create(**body, stream=True))

    assert "".join(event.choices[0].delta.content or "" for event in events) == complete(body).text
    assert events[-1].choices[0].finish_reason == "stop"


def test_a_stream_can_be_cut(client, make, standin):
    standin.fail(Fault.CUT)
    body = body_of(make(), question())

    events = list(client.chat.completions.create(**body, stream=True))

    text = "".join(event.choices[0].delta.content or "" for event in events)
    assert 0 < len(text) < len(complete(body).text)
    assert [event.choices[0].finish_reason for event in events if event.choices[0].finish_reason] == []


def test_it_lists_its_models_and_when_they_end(settings):
    models = {"gpt-6-luna": None, "gpt-5-old": "2026-12-31"}
    with (
        OpenAIStandIn(models=models).running() as standin,
        openai.OpenAI(api_key=standin.key, base_url=standin.url, max_retries=0) as client,
    ):
        assert {model.id: model.shutdown_date for model in client.models.list()} == models


def test_somebody_elses_question_is_answered_too(client):
    answer = client.chat.completions.create(
        model="gpt-6-luna", messages=[{"role": "system", "content": "Hello"}]
    )

    assert answer.choices[0].message.content == "This is only a stand-in."


def test_it_starts_again_on_its_port(make):
    standin = OpenAIStandIn()
    with standin.running():
        first = standin.url
    with standin.running():
        assert standin.url == first


def test_a_new_one_has_billed_nothing():
    assert (OpenAIStandIn().billed, OpenAIStandIn().ids) == (Usage(), [])
