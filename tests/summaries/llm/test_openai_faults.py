"""Each way in which a model can fail, and what it is to us; the real client against the stand-in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core import clock
from summaries.kinds import Outcome
from summaries.llm.base import Finish, ModelError, Usage
from summaries.llm.openai_answers import Reply, answer_of, refusal_of, reply_of
from summaries.standins.faults import Fault
from tests.summaries.llm.asking import PATIENCE_S, entries_of, nobody_there, question

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
MOST = Usage(input=1000, output=500)


@pytest.fixture
def now(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)
    return NOW


def error_of(model, timeout_s=PATIENCE_S):
    with pytest.raises(ModelError) as raised:
        model.ask(question(), timeout_s=timeout_s)
    return raised.value


@pytest.mark.parametrize(("fault", "outcome"), [
    (Fault.UNAUTHORIZED, Outcome.UNAUTHORIZED),
    (Fault.FORBIDDEN, Outcome.UNAUTHORIZED),
    (Fault.RATE_LIMITED, Outcome.RATE_LIMITED),
    (Fault.RATE_LIMITED_BARE, Outcome.RATE_LIMITED),
    (Fault.NO_CREDIT, Outcome.RATE_LIMITED),
    (Fault.SERVER_ERROR, Outcome.DOWN),
    (Fault.BAD_GATEWAY, Outcome.DOWN),
    (Fault.HTML, Outcome.DOWN),
    (Fault.ERROR_200, Outcome.DOWN),
])  # fmt: skip
def test_what_was_refused_is_not_billed(make, standin, fault, outcome):
    standin.fail(fault)

    error = error_of(make())

    assert (error.outcome, error.usage) == (outcome, Usage())
    assert standin.billed == Usage()


@pytest.mark.parametrize(("fault", "outcome"), [
    (Fault.HANG_UP, Outcome.DOWN),
    (Fault.CUT, Outcome.CUT),
    (Fault.BROKEN_JSON, Outcome.CUT),
])  # fmt: skip
def test_what_broke_off_may_have_been_billed_and_counts_as_the_most(make, standin, fault, outcome):
    standin.fail(fault)
    model = make()

    error = error_of(model)

    assert (error.outcome, error.usage) == (outcome, model.most(question()))
    assert standin.billed.output <= error.usage.output


@pytest.mark.parametrize("fault", [Fault.SLOW, Fault.TRICKLE])
def test_an_answer_is_waited_for_no_longer_than_agreed(make, standin, fault):
    standin.slow_s = PATIENCE_S
    standin.fail(fault)
    model = make()

    error = error_of(model, timeout_s=0.5)

    assert (error.outcome, error.usage) == (Outcome.DOWN, model.most(question()))


@pytest.mark.parametrize("fault", [Fault.EMPTY_CHOICES, Fault.NO_CONTENT])
def test_an_empty_answer_is_useless_and_billed_as_told(make, standin, fault):
    standin.fail(fault)

    error = error_of(make())

    assert (error.outcome, error.usage) == (Outcome.USELESS, standin.billed)


@pytest.mark.parametrize(("fault", "finish"), [
    (Fault.REFUSAL, Finish.REFUSAL),
    (Fault.CONTENT_FILTER, Finish.REFUSAL),
    (Fault.LENGTH, Finish.LENGTH),
])  # fmt: skip
def test_an_answer_that_did_not_end_well_says_how(make, standin, fault, finish):
    standin.fail(fault)

    answer = make().ask(question(), timeout_s=PATIENCE_S)

    assert (answer.finish, answer.usage) == (finish, standin.billed)


def test_what_a_model_says_when_it_refuses_is_not_kept(make, standin):
    standin.fail(Fault.REFUSAL)

    assert make().ask(question(), timeout_s=PATIENCE_S).text == ""


@pytest.mark.parametrize("fault", [Fault.NO_USAGE, Fault.ODD_USAGE])
def test_an_answer_without_its_usage_counts_as_the_most(make, standin, fault):
    standin.fail(fault)
    model = make()

    answer = model.ask(question(), timeout_s=PATIENCE_S)

    assert list(entries_of(answer)) == ["apple", "ford", "ibm"]
    assert answer.usage == model.most(question())


def test_nobody_there_costs_nothing(make, settings):
    with nobody_there() as url:
        settings.OPENAI_BASE_URL = url
        error = error_of(make())

    assert (error.outcome, error.usage) == (Outcome.DOWN, Usage())


def test_a_model_that_does_not_exist_is_a_bad_request(make):
    assert error_of(make("gpt-2")).outcome is Outcome.BAD_REQUEST


def test_a_wrong_key_is_told(make, settings):
    settings.OPENAI_API_KEY = "sk-wrong"

    assert error_of(make()).outcome is Outcome.UNAUTHORIZED


def test_a_fault_is_met_by_one_request_only_since_nothing_is_asked_twice(make, standin):
    standin.fail(Fault.RATE_LIMITED)

    error_of(make())

    assert len(standin.asked) == 1


@pytest.mark.parametrize("fault", [
    Fault.UNAUTHORIZED, Fault.SERVER_ERROR, Fault.BAD_GATEWAY, Fault.HTML, Fault.ERROR_200, Fault.CUT, Fault.HANG_UP,
])  # fmt: skip
def test_no_error_holds_a_key_an_address_or_their_words(make, standin, fault):
    standin.fail(fault)

    error = error_of(make())

    told = f"{error!r} {error.__cause__!r}"
    assert [
        word for word in ("standin", "127.0.0.1", "10.0.0.7", "http", "engine", "server had") if word in told
    ] == []
    assert error.__suppress_context__ or error.__context__ is None


def test_retry_after_is_the_time_to_ask_again(make, standin, now):
    standin.retry_after_s = 20
    standin.fail(Fault.RATE_LIMITED)

    assert error_of(make()).retry_at == now + timedelta(seconds=20)


def test_without_credit_an_hour_is_waited(make, standin, now):
    standin.fail(Fault.NO_CREDIT)

    assert error_of(make()).retry_at == now + timedelta(hours=1)


@pytest.mark.parametrize(("headers", "seconds"), [
    ({"Retry-After": "7"}, 7),
    ({"Retry-After": "0.5"}, 0.5),
    ({"Retry-After-Ms": "1500", "Retry-After": "9"}, 1.5),
    ({"Retry-After": "Thu, 05 Mar 2026 12:01:00 GMT"}, 60),
    ({"Retry-After": "Thu, 05 Mar 2026 11:00:00 GMT"}, 0),
    ({"Retry-After": "-5"}, 0),
    ({"Retry-After": "1e99"}, 86_400),
    ({"Retry-After": "nan"}, None),
    ({"Retry-After": "soon"}, None),
    ({"Retry-After": ""}, None),
    ({}, None),
])  # fmt: skip
def test_retry_after_is_read_in_all_its_forms(now, headers, seconds):
    error = refusal_of(reply_of(429, headers, b"{}"), MOST)

    assert error.retry_at == (None if seconds is None else now + timedelta(seconds=seconds))


@pytest.mark.parametrize(("status", "outcome"), [
    (302, Outcome.DOWN), (400, Outcome.BAD_REQUEST), (402, Outcome.UNAUTHORIZED), (404, Outcome.BAD_REQUEST),
    (408, Outcome.DOWN), (409, Outcome.DOWN), (413, Outcome.BAD_REQUEST), (422, Outcome.BAD_REQUEST),
    (429, Outcome.RATE_LIMITED), (500, Outcome.DOWN), (503, Outcome.DOWN), (529, Outcome.DOWN), (0, Outcome.DOWN),
])  # fmt: skip
def test_each_status_means_one_thing(status, outcome):
    assert refusal_of(reply_of(status, {}, b"no"), MOST).outcome is outcome


@pytest.mark.parametrize(("error", "outcome", "usage"), [
    ({"code": "json_validate_failed"}, Outcome.USELESS, MOST),
    ({"code": "content_filter"}, Outcome.REFUSED, Usage()),
    ({"code": 429}, Outcome.RATE_LIMITED, Usage()),
    ({"code": None, "message": None}, Outcome.BAD_REQUEST, Usage()),
    ("a text", Outcome.BAD_REQUEST, Usage()),
    ([], Outcome.BAD_REQUEST, Usage()),
])  # fmt: skip
def test_the_code_of_an_error_says_more_than_the_status(error, outcome, usage):
    found = refusal_of(Reply(400, {}, {"error": error}), MOST)

    assert (found.outcome, found.usage) == (outcome, usage)


@pytest.mark.parametrize("body", [
    None, [], "text", 7, {}, {"choices": None}, {"choices": [None]}, {"choices": [{"message": "text"}]},
    {"choices": [{"message": {"content": 5}}]}, {"choices": [{"message": {"content": ["x", {"text": 5}]}}]},
    {"choices": {"0": {}}, "usage": []},
])  # fmt: skip
def test_an_answer_of_another_shape_is_an_error_that_counts_as_the_most(body):
    with pytest.raises(ModelError) as raised:
        answer_of(Reply(200, {}, body), MOST)

    assert raised.value.usage == MOST


def test_content_in_parts_is_joined():
    parts = [{"type": "text", "text": '{"items"'}, {"type": "text", "text": ": []}"}]

    assert (
        answer_of(Reply(200, {}, {"choices": [{"message": {"content": parts}}]}), MOST).text
        == '{"items": []}'
    )


@pytest.mark.parametrize(("told", "usage"), [
    ({"prompt_tokens": 10, "completion_tokens": 5}, Usage(10, 0, 5)),
    ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": None}, Usage(10, 0, 5)),
    ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 99}}, Usage(10, 10, 5)),
    ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": None}}, Usage(10, 0, 5)),
    ({"prompt_tokens": 10}, MOST),
    ({"prompt_tokens": True, "completion_tokens": 5}, MOST),
    ({"prompt_tokens": -1, "completion_tokens": 5}, MOST),
    ({"prompt_tokens": 1.5, "completion_tokens": 5}, MOST),
    ({"prompt_tokens": 10**30, "completion_tokens": 5}, MOST),
    (None, MOST),
])  # fmt: skip
def test_usage_is_believed_only_where_it_can_be_true(told, usage):
    body = {"choices": [{"message": {"content": "{}"}}], "usage": told}

    assert answer_of(Reply(200, {}, body), MOST).usage == usage


def test_an_id_of_a_request_that_is_none_is_not_kept():
    reply = reply_of(500, {"X-Request-Id": "a b\u0007<script>"}, b"")

    assert refusal_of(reply, MOST).request_id == ""


def test_json_that_is_nested_without_end_is_no_answer():
    reply = reply_of(200, {"content-type": "application/json"}, b"[" * 200_000)

    with pytest.raises(ModelError) as raised:
        answer_of(reply, MOST)

    assert raised.value.outcome is Outcome.CUT
