"""Overnight batches against the stand-in."""

from __future__ import annotations

import json

import pytest

from summaries.kinds import Outcome
from summaries.llm import openai_batches
from summaries.llm.base import Answer, Collected, CollectState, ModelError, Usage
from summaries.standins.batches import BatchFault
from summaries.standins.faults import Fault
from tests.summaries.llm.asking import PATIENCE_S, entries_of, nobody_there, question

ASKED = {"1": question("apple"), "2": question("ford", "ibm"), "3": question("ibm"), "4": question("ford")}


@pytest.fixture
def model(make, standin):
    standin.batches.polls_until_done = 0
    return make(supports_batch=True)


def collected(model, asked=ASKED):
    return model.collect(model.submit(asked, timeout_s=PATIENCE_S), timeout_s=PATIENCE_S)


def test_each_question_has_its_own_answer_whatever_the_order(model):
    found = collected(model)

    assert found.state is CollectState.DONE
    assert {name: tuple(entries_of(answer)) for name, answer in found.answers.items()} == {
        name: asked.ids for name, asked in ASKED.items()
    }


def test_each_question_is_asked_as_it_would_be_alone(model, standin):
    collected(model)

    assert {json.dumps(one.body, sort_keys=True) for one in standin.asked} == {
        json.dumps(model.body(asked), sort_keys=True) for asked in ASKED.values()
    }


def test_the_usage_of_all_answers_is_what_is_billed(model, standin):
    answers = collected(model).answers.values()

    assert sum(answer.usage.input for answer in answers) == standin.billed.input
    assert sum(answer.usage.cached for answer in answers) == standin.billed.cached
    assert sum(answer.usage.output for answer in answers) == standin.billed.output


def test_a_batch_that_is_worked_on_is_waited_for(model, standin):
    standin.batches.polls_until_done = 2
    batch = model.submit(ASKED, timeout_s=PATIENCE_S)

    states = [model.collect(batch, timeout_s=PATIENCE_S).state for _ in range(3)]

    assert states == [CollectState.WAITING, CollectState.WAITING, CollectState.DONE]


def test_a_batch_may_be_collected_twice(model):
    batch = model.submit(ASKED, timeout_s=PATIENCE_S)

    assert model.collect(batch, timeout_s=PATIENCE_S) == model.collect(batch, timeout_s=PATIENCE_S)


def test_a_batch_that_was_refused_as_a_whole_has_failed(model, standin):
    standin.batches.fault = BatchFault.FAILED

    assert collected(model) == Collected(CollectState.FAILED, {}, "the batch was refused as a whole")


def test_of_a_batch_that_was_too_slow_what_was_answered_is_kept(model, standin):
    standin.batches.fault = BatchFault.EXPIRED

    answers = collected(model).answers

    assert {name: type(one) for name, one in answers.items()} == {
        "1": Answer, "2": Answer, "3": ModelError, "4": ModelError,
    }  # fmt: skip
    assert answers["3"].outcome is Outcome.DOWN


@pytest.mark.parametrize("fault", [BatchFault.MISSING, BatchFault.BROKEN_LINE])
def test_an_answer_that_is_missing_is_not_there(model, standin, fault):
    standin.batches.fault = fault

    assert sorted(collected(model).answers) == ["1", "2", "3"]


def test_an_answer_that_comes_twice_is_one_and_is_counted_once(model, standin):
    standin.batches.fault = BatchFault.DUPLICATED

    answers = collected(model).answers

    assert sorted(answers) == ["1", "2", "3", "4"]
    assert sum(answer.usage.output for answer in answers.values()) == standin.billed.output


def test_two_answers_that_differ_are_none(model, standin):
    standin.batches.fault = BatchFault.CONTRADICTED

    answers = collected(model).answers

    assert [name for name, one in answers.items() if isinstance(one, ModelError)] == ["4"]
    assert answers["4"].outcome is Outcome.USELESS
    assert answers["4"].usage.output > 0


def test_one_that_was_refused_is_an_error_and_the_others_are_kept(model, standin):
    standin.batches.fault = BatchFault.ERRORS

    answers = collected(model).answers

    assert [name for name, one in answers.items() if isinstance(one, ModelError)] == ["1"]
    assert answers["1"].outcome is Outcome.DOWN


def test_an_answer_without_its_usage_counts_as_the_most_that_its_question_can_use(model, standin):
    standin.fail(Fault.NO_USAGE)

    answers = collected(model).answers

    assert answers["1"].usage.output == model.limit(ASKED["1"])
    assert answers["1"].usage.input >= standin.asked[0].billed.input
    assert answers["2"].usage == standin.asked[1].billed


def test_what_the_server_does_not_know_is_left_out_of_batches_too(model, standin):
    standin.unknown_options = {"max_completion_tokens"}
    model.ask(question("ibm"), timeout_s=PATIENCE_S)

    collected(model)

    assert {"max_tokens" in one.body for one in standin.asked[-4:]} == {True}


def test_a_batch_that_nobody_knows_is_an_error(model):
    with pytest.raises(ModelError) as raised:
        model.collect("batch_of_another", timeout_s=PATIENCE_S)

    assert raised.value.outcome is Outcome.BAD_REQUEST


def test_where_nobody_answers_a_batch_cannot_be_handed_in(model, settings):
    with nobody_there() as url:
        settings.OPENAI_BASE_URL = url
        with pytest.raises(ModelError) as raised:
            model.submit(ASKED, timeout_s=PATIENCE_S)

    assert raised.value.outcome is Outcome.DOWN


def test_a_wrong_key_is_told_of_batches_too(model, settings):
    settings.OPENAI_API_KEY = "sk-wrong"

    with pytest.raises(ModelError) as raised:
        model.submit(ASKED, timeout_s=PATIENCE_S)

    assert raised.value.outcome is Outcome.UNAUTHORIZED


def test_a_batch_of_which_no_word_came_back_may_be_billed_and_a_file_alone_is_not(
    model, standin, monkeypatch
):
    answer = standin.batches.respond

    def silent_at(end):
        def respond(method, path, *rest):
            found = answer(method, path, *rest)
            return (200, "application/json", b"{}") if (method, path) == ("POST", end) else found

        monkeypatch.setattr(standin.batches, "respond", respond)
        with pytest.raises(ModelError) as raised:
            model.submit(ASKED, timeout_s=PATIENCE_S)
        return raised.value.usage

    assert silent_at("/files") == Usage()
    assert silent_at("/batches").output == sum(model.most(one).output for one in ASKED.values())


# --- a batch by our own key


def handed_in(model, *keys):
    return [model.submit({"1": question("ibm")}, timeout_s=PATIENCE_S, key=key) for key in keys]


@pytest.mark.parametrize("key", ["a", "c", "e"])
def test_a_batch_is_found_by_its_key_on_whatever_page(model, monkeypatch, key):
    monkeypatch.setattr(openai_batches, "PAGE", 2)
    ids = dict(zip("abcde", handed_in(model, *"abcde"), strict=True))

    assert model.find(key, timeout_s=PATIENCE_S) == ids[key]


def test_a_batch_that_is_not_there_is_not_found(model):
    assert model.find("a", timeout_s=PATIENCE_S) == ""
    handed_in(model, "a", "b")

    assert model.find("c", timeout_s=PATIENCE_S) == ""


def test_no_more_of_the_vendors_batches_are_looked_through_than_was_agreed(model, monkeypatch):
    monkeypatch.setattr(openai_batches, "PAGE", 1)
    monkeypatch.setattr(openai_batches, "MOST_PAGES", 2)
    handed_in(model, "a", "b", "c")

    assert [bool(model.find(key, timeout_s=PATIENCE_S)) for key in "abc"] == [False, True, True]


def test_batches_of_others_on_the_same_account_are_passed_over(model, standin):
    (mine,) = handed_in(model, "a")
    standin.batches.made["batch_of_another"] = {**standin.batches.made[mine], "metadata": None}

    assert model.find("a", timeout_s=PATIENCE_S) == mine


def test_who_does_not_tell_his_batches_is_an_error(model, settings):
    settings.OPENAI_API_KEY = "sk-wrong"

    with pytest.raises(ModelError) as raised:
        model.find("a", timeout_s=PATIENCE_S)

    assert raised.value.outcome is Outcome.UNAUTHORIZED
