"""The lane that waits until tomorrow: handed in once, waiting for nothing for ever, never counted too low."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from core import clock
from summaries import modelbook, orders, overnight
from summaries.kinds import Lane, OrderState, Outcome
from summaries.llm import openai_connection, registry
from summaries.llm.base import Answer, Collected, CollectState, ModelError, Usage
from summaries.models import BatchState, Budget, ModelCall, ModelEntry, Order, RemoteBatch, Summary
from summaries.standins.openai import OpenAIStandIn
from tests.summaries.making import ScriptedModel, articles, honest, price

pytestmark = pytest.mark.django_db


class OvernightModel(ScriptedModel):
    """Keeps what was handed in, and answers all of it when it is `ready`."""

    def __init__(self, name: str = "gpt-6-luna") -> None:
        super().__init__(name)
        self.handed_in: list[dict] = []
        self.state = CollectState.WAITING
        self.keys: list[str] = []
        self.on_submit = lambda: None
        self.on_begun = lambda: None
        self.answer = lambda question: Answer(honest(question), Usage(100, 0, 50))

    def submit(self, questions, *, timeout_s, key):
        self.on_submit()
        self.handed_in.append(dict(questions))
        self.keys.append(key)
        self.on_begun()
        return f"batch-{len(self.handed_in)}"

    def find(self, key, *, timeout_s):
        return f"batch-{self.keys.index(key) + 1}" if key in self.keys else ""

    def collect(self, batch_id, *, timeout_s):
        if self.state is not CollectState.DONE:
            return Collected(self.state)
        asked = self.handed_in[int(batch_id.removeprefix("batch-")) - 1]
        return Collected(self.state, {name: self.answer(question) for name, question in asked.items()})


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.setattr(orders, "wake", lambda: None)
    monkeypatch.setattr(orders, "GATHER_S", 0.0)


@pytest.fixture
def model():
    price("gpt-6-luna")
    found = OvernightModel()
    with registry.override(found):
        yield found


def want(number: int) -> None:
    orders.want_summaries(articles(number), lane=Lane.OVERNIGHT)


def states() -> list[tuple[str, str]]:
    return list(Order.objects.order_by("id").values_list("state", "lane"))


def outcomes() -> list[str]:
    return list(ModelCall.objects.order_by("id").values_list("outcome", flat=True))


def ids_of(model: OvernightModel) -> list[str]:
    return [id_ for asked in model.handed_in for question in asked.values() for id_ in question.ids]


def test_what_is_handed_in_is_answered_and_kept(model):
    want(12)
    assert overnight.send() == 2
    assert overnight.collect() == 0

    model.state = CollectState.DONE
    assert overnight.collect() == 1

    assert (outcomes(), Summary.objects.count()) == ([Outcome.OK] * 2, 12)
    assert states() == [(OrderState.DONE, Lane.OVERNIGHT)] * 12
    assert RemoteBatch.objects.get().state == BatchState.DONE


def test_what_takes_longer_than_a_claim_to_gather_is_handed_in_once(model, time_machine):
    time_machine.move_to(clock.now(), tick=False)
    want(20)
    real = overnight.spending.reserve

    def slow(*args, **kwargs):
        time_machine.shift(timedelta(seconds=orders.LEASE_S - 5))
        return real(*args, **kwargs)

    overnight.spending.reserve, before = slow, real
    try:
        overnight.send()
    finally:
        overnight.spending.reserve = before
    orders.claim()  # others look all the time, and take back what has run out
    overnight.send()

    assert sorted(ids_of(model)) == sorted(set(ids_of(model)))
    assert len(ids_of(model)) == 20


def test_what_takes_long_to_hand_in_is_handed_in_once(model, time_machine):
    time_machine.move_to(clock.now(), tick=False)
    want(20)
    real = overnight.spending.reserve

    def slow(*args, **kwargs):
        time_machine.shift(timedelta(seconds=10))
        return real(*args, **kwargs)

    def handing_in() -> None:
        time_machine.shift(timedelta(seconds=overnight.TIMEOUT_S))
        orders.claim()

    model.on_submit = handing_in
    overnight.spending.reserve, before = slow, real
    try:
        overnight.send()
        overnight.send()
    finally:
        overnight.spending.reserve = before

    assert sorted(ids_of(model)) == sorted(set(ids_of(model)))


def test_a_cheaper_model_without_such_an_offer_leaves_no_call_open(model):
    price("plain")
    entry = ModelEntry.objects.get(name="gpt-6-luna")
    entry.cheaper = ModelEntry.objects.get(name="plain")
    entry.save()
    Budget.objects.create(
        scope="day", usd_per_day="100", warn_percent=0, cheaper_percent=0, cached_only_percent=95
    )
    want(3)

    with registry.override(ScriptedModel("plain")):
        overnight.send()

    assert states() == [(OrderState.QUEUED, Lane.MINUTES)] * 3
    assert [call.counted_femto for call in ModelCall.objects.exclude(outcome=Outcome.OPEN)] == [0]
    assert not ModelCall.objects.filter(outcome=Outcome.OPEN).exists()


def test_what_is_refused_as_a_question_is_asked_in_another_lane(model):
    want(3)

    def refuse() -> None:
        raise ModelError("the question is longer than the model reads", Outcome.BAD_REQUEST)

    model.on_submit = refuse
    overnight.send()

    assert states() == [(OrderState.QUEUED, Lane.MINUTES)] * 3


def test_a_server_that_is_down_is_asked_again_in_an_hour_for_nothing(model):
    want(3)

    def refuse() -> None:
        raise ModelError("the model's server cannot be reached", Outcome.DOWN)

    model.on_submit = refuse
    overnight.send()

    assert states() == [(OrderState.QUEUED, Lane.OVERNIGHT)] * 3
    assert [call.counted_femto for call in ModelCall.objects.all()] == [0]


# --- who handed it in has died, or was told nothing


class Killed(BaseException):
    """No line of the process runs after this."""


def kill() -> None:
    raise Killed


def vanish() -> None:
    raise ModelError("no answer within 30 s", Outcome.DOWN, usage=Usage(1))


@pytest.fixture
def later(time_machine):
    """When it is certain that nobody is still handing in."""
    time_machine.move_to(clock.now(), tick=False)
    return lambda: time_machine.shift(overnight.UNKNOWN_AFTER)


def send_and_fall() -> None:
    with suppress(Killed):
        overnight.send()


@pytest.mark.parametrize("fall", [kill, vanish])
def test_a_batch_that_was_begun_is_found_again_and_bought_once(model, later, fall):
    want(3)
    model.on_begun = fall
    send_and_fall()
    model.on_begun = lambda: None
    later()
    overnight.send()
    assert overnight.collect() == 0

    model.state = CollectState.DONE
    overnight.collect()

    assert len(model.handed_in) == 1
    assert RemoteBatch.objects.get().external_id == "batch-1"
    assert (outcomes(), states()) == ([Outcome.OK], [(OrderState.DONE, Lane.OVERNIGHT)] * 3)


@pytest.mark.parametrize("fall", [kill, vanish])
def test_a_batch_that_the_vendor_does_not_have_counts_in_full_and_is_handed_in_anew(model, later, fall):
    want(3)
    model.on_submit = fall
    send_and_fall()
    model.on_submit = lambda: None
    later()
    overnight.collect()

    call = ModelCall.objects.get()
    assert (call.outcome, call.counted_femto > 0) == (Outcome.LOST, True)
    assert states() == [(OrderState.QUEUED, Lane.OVERNIGHT)] * 3
    overnight.send()
    assert len(model.handed_in) == 1
    assert set(RemoteBatch.objects.values_list("state", flat=True)) == {BatchState.FAILED, BatchState.SENT}


def test_nobody_asks_for_a_batch_while_it_may_still_be_handed_in(model, later):
    want(3)
    model.on_submit = overnight.collect
    overnight.send()

    assert RemoteBatch.objects.get().state == BatchState.SENT
    assert len(model.handed_in) == 1


@pytest.mark.parametrize(("outcome", "state"), [
    (Outcome.DOWN, BatchState.SENDING),
    (Outcome.BAD_REQUEST, BatchState.FAILED),
])  # fmt: skip
def test_a_vendor_that_does_not_tell_is_asked_again_unless_he_never_will(
    model, later, monkeypatch, outcome, state
):
    want(3)
    model.on_submit = kill
    send_and_fall()
    later()

    def untold(*_, **__):
        raise ModelError("no", outcome)

    monkeypatch.setattr(model, "find", untold)
    overnight.collect()

    assert RemoteBatch.objects.get().state == state


def test_a_vendor_who_never_tells_is_waited_for_no_longer_than_for_an_answer(
    model, later, time_machine, monkeypatch
):
    want(3)
    model.on_submit = kill
    send_and_fall()
    time_machine.shift(overnight.GIVEN_UP_AFTER)

    def untold(*_, **__):
        raise ModelError("no", Outcome.DOWN)

    monkeypatch.setattr(model, "find", untold)
    overnight.collect()

    assert (outcomes(), states()) == ([Outcome.LOST], [(OrderState.QUEUED, Lane.OVERNIGHT)] * 3)


def test_a_batch_that_a_server_has_is_found_there_by_its_key(settings, monkeypatch, later):
    """The whole way: the protocol as a server speaks it, and a process that is killed before it keeps the name."""
    price("gpt-6-luna")
    ModelEntry.objects.update(supports_batch=True)
    with OpenAIStandIn().running() as server:
        settings.OPENAI_API_KEY, settings.OPENAI_BASE_URL = server.key, server.url
        settings.LLM_VENDOR, settings.LLM_MODEL = "openai", "gpt-6-luna"
        server.batches.polls_until_done = 0
        want(12)
        with monkeypatch.context() as patch:
            patch.setattr(overnight, "_is_called", lambda *_: kill())
            send_and_fall()
        later()
        overnight.send()
        overnight.collect()
        openai_connection.close()

    assert len(server.batches.made) == 1
    assert RemoteBatch.objects.get().external_id == "batch_1"
    assert states() == [(OrderState.DONE, Lane.OVERNIGHT)] * 12
    assert sorted(server.ids) == sorted(set(server.ids))


def test_a_batch_is_fetched_though_its_model_takes_no_more_of_them(model, monkeypatch):
    asked = []
    monkeypatch.setattr(modelbook.registry, "make", lambda *_, **how: asked.append(how) or model)
    want(1)
    overnight.send()

    overnight.collect()

    assert asked[-1]["supports_batch"] is True


def test_one_batch_that_cannot_be_read_stops_no_other(model, monkeypatch):
    want(10)
    overnight.send()
    want(10)
    overnight.send()
    model.state = CollectState.DONE
    real = overnight.buying.finish
    newest = ModelCall.objects.order_by("id").last()

    def faulty(claim, question, call, answer, took_ms):
        if call.pk == newest.pk:
            raise ValueError("a fault of ours")
        return real(claim, question, call, answer, took_ms)

    monkeypatch.setattr(overnight.buying, "finish", faulty)
    overnight.collect()

    assert RemoteBatch.objects.filter(state=BatchState.SENT).count() == 0
    assert sorted(set(states())) == [(OrderState.DONE, Lane.OVERNIGHT), (OrderState.QUEUED, Lane.OVERNIGHT)]
    assert outcomes() == [Outcome.OK, Outcome.USELESS]
    newest.refresh_from_db()
    assert newest.output_tokens == 50


def test_a_batch_that_was_refused_as_a_whole_costs_nothing(model):
    want(3)
    overnight.send()
    model.state = CollectState.FAILED

    overnight.collect()

    assert [call.counted_femto for call in ModelCall.objects.all()] == [0]
    assert states() == [(OrderState.QUEUED, Lane.MINUTES)] * 3


def test_what_never_comes_is_asked_in_another_lane_and_counts(model, time_machine):
    time_machine.move_to(clock.now(), tick=False)
    want(3)
    overnight.send()
    time_machine.shift(overnight.GIVEN_UP_AFTER + timedelta(minutes=1))

    overnight.collect()

    assert (outcomes(), states()) == ([Outcome.LOST], [(OrderState.QUEUED, Lane.MINUTES)] * 3)
    assert ModelCall.objects.get().counted_femto > 0


def test_an_answer_that_nobody_waits_for_any_more_counts_as_what_it_used(model):
    want(3)
    overnight.send()
    Order.objects.all().delete()
    model.state = CollectState.DONE

    overnight.collect()

    call = ModelCall.objects.get()
    assert (call.outcome, call.input_tokens, call.output_tokens) == (Outcome.USELESS, 100, 50)


def test_a_text_bears_the_prompt_that_it_was_asked_with(model, monkeypatch):
    want(1)
    overnight.send()
    asked_with = ModelCall.objects.get().prompt_version
    monkeypatch.setattr(overnight.buying.matter.prompts, "version", lambda _: "summary-new")
    model.state = CollectState.DONE

    overnight.collect()

    assert Summary.objects.get().prompt_version == asked_with


def test_an_answer_settles_only_orders_that_are_still_with_its_batch(model):
    want(1)
    overnight.send()
    # Taken back and claimed by somebody who has not noted a call yet.
    Order.objects.update(batch=None, claimed_until=clock.now() + timedelta(minutes=1))
    model.state = CollectState.DONE

    overnight.collect()

    assert states() == [(OrderState.RUNNING, Lane.OVERNIGHT)]
    assert Summary.objects.count() == 0
