from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from django.db import connection, connections, transaction

from core import clock
from marketdata.models import Price
from summaries import spending
from summaries.kinds import Lane, Outcome, Step
from summaries.llm.base import Usage
from summaries.models import Budget, BudgetScope, ModelCall, RemoteBatch
from summaries.spending import NoModel, OverBudget, lose_old, settle, standing
from tests.summaries.money import FEMTO, make_entry, make_prices, make_question, models, reserved

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
TOMORROW = datetime(2026, 3, 11, tzinfo=UTC)
database = pytest.mark.django_db
together = pytest.mark.django_db(transaction=True)
# Makes some calls cost one femto-dollar more than others.
ODD = "0.000333333"


@pytest.fixture(autouse=True)
def named(settings):
    settings.LLM_VENDOR, settings.LLM_MODEL = "openai", "big"
    settings.LLM_BUDGET_USD = Decimal(100)
    with models("big", "small") as found:
        yield found


@pytest.fixture
def day(monkeypatch):
    """The clock, to be set."""

    class Day:
        now = NOON

    monkeypatch.setattr(clock, "now", lambda: Day.now)
    return Day


def spent(usd: str, *, at: datetime = NOON, **fields) -> ModelCall:
    values = {"vendor": "openai", "model": "big", "task": "summary", "lane": "minutes", "outcome": "ok"}
    femto = int(Decimal(usd) * FEMTO)
    return ModelCall.objects.create(at=at, counted_femto=femto, **{**values, **fields})


def counted() -> int:
    return sum(int(call.counted_femto) for call in ModelCall.objects.all())


# --- one at a time


@database
def test_the_most_that_a_call_can_cost_is_set_aside_before_it_is_made(day) -> None:
    make_prices("big", "0.25", "2")

    reservation = reserved(Lane.INTERACTIVE, "pro")

    call = ModelCall.objects.get()
    assert reservation.call == call
    assert (reservation.model.name, reservation.step) == ("big", Step.NORMAL)
    assert (call.outcome, call.counted_femto) == ("open", 2_250_000_000_000_000)
    assert (call.at, call.vendor, call.model, call.task) == (NOON, "openai", "big", "summary")
    assert (call.lane, call.tier, call.symbols, call.asked) == ("interactive", "pro", ["AAPL"], 1)
    assert (call.input_tokens, call.cached_tokens, call.output_tokens) == (1000, 0, 1000)


@database
def test_afterwards_it_counts_what_it_did_cost_to_the_token(day) -> None:
    make_prices("big", "0.00025", "0.002", "0.000025")
    call = reserved().call

    settle(call, Outcome.PARTLY, Usage(777, 333, 111), answered=1, error="e", request_id="r", took_ms=5)

    call.refresh_from_db()
    assert call.counted_femto == (444 * 250 + 333 * 25 + 111 * 2000) * 10**6
    assert (call.outcome, call.answered, call.error, call.request_id, call.took_ms) == (
        "partly", 1, "e", "r", 5,
    )  # fmt: skip


@database
def test_a_call_is_settled_once(day) -> None:
    make_prices("big")
    call = reserved().call

    settle(call, Outcome.OK, Usage(10, 0, 10))
    settle(call, Outcome.DOWN, Usage())

    call.refresh_from_db()
    assert (call.outcome, call.counted_femto) == ("ok", 20 * 10**12)


@database
def test_a_call_that_reached_nobody_costs_nothing(day) -> None:
    make_prices("big")
    call = reserved().call

    settle(call, Outcome.DOWN, Usage())

    assert counted() == 0


@database
def test_tokens_that_no_vendor_can_mean_are_put_right(day) -> None:
    make_prices("big")
    call = reserved().call

    settle(call, Outcome.OK, Usage(input=5, cached=9, output=-1))

    call.refresh_from_db()
    assert (call.input_tokens, call.cached_tokens, call.output_tokens) == (9, 9, 0)


@database
def test_nothing_ends_as_open(day) -> None:
    make_prices("big")
    call = reserved().call

    with pytest.raises(ValueError, match="how it ended"):
        settle(call, Outcome.OPEN, Usage())


@database
def test_a_price_that_was_taken_away_meanwhile_leaves_what_was_set_aside(day, caplog) -> None:
    make_prices("big")
    call = reserved().call
    Price.objects.all().delete()

    with caplog.at_level(logging.ERROR):
        settle(call, Outcome.OK, Usage(10, 0, 10))

    call.refresh_from_db()
    assert (call.outcome, call.input_tokens, call.counted_femto) == ("ok", 10, 2 * FEMTO)
    assert "has no price any more" in caplog.text


@database
def test_a_price_that_changes_at_noon_counts_from_noon_on(day) -> None:
    make_prices("big", "1", "1", valid_to=NOON)
    make_prices("big", "3", "3", valid_from=NOON)
    day.now = NOON - timedelta(microseconds=1)
    before = reserved().call
    day.now = NOON
    after = reserved().call

    settle(before, Outcome.OK, Usage(1, 0, 0))
    settle(after, Outcome.OK, Usage(1, 0, 0))

    costs = [int(call.counted_femto) for call in ModelCall.objects.order_by("at")]
    assert costs == [10**12, 3 * 10**12]


@database
def test_a_batch_is_billed_at_its_own_price(day) -> None:
    make_prices("big", "1", "1")
    make_prices("big", "0.5", "0.5", endpoint="batch")
    call = reserved(Lane.OVERNIGHT).call
    assert counted() == 2 * FEMTO
    ModelCall.objects.update(batch=RemoteBatch.objects.create(model="big", external_id="b1"))

    settle(call, Outcome.OK, Usage(1000, 0, 1000))

    assert counted() == FEMTO


@database
def test_what_lies_in_the_cache_is_set_aside_at_the_dearer_price(day) -> None:
    make_prices("big", "1", "1", "2")

    reserved()

    assert counted() == 3 * FEMTO


@database
def test_without_a_price_for_cached_tokens_they_are_tokens_like_others(day) -> None:
    make_prices("big", "1", "1")
    call = reserved().call

    settle(call, Outcome.OK, Usage(1000, 400, 0))

    assert counted() == FEMTO


@database
@pytest.mark.parametrize("missing", ["ktoken_in", "ktoken_out"])
def test_a_model_without_a_price_is_not_asked(day, missing) -> None:
    make_prices("big")
    Price.objects.filter(unit=missing).delete()

    with pytest.raises(NoModel, match="no price for openai big: enter"):
        reserved()

    assert not ModelCall.objects.exists()


@database
def test_a_price_of_tomorrow_is_no_price_today(day) -> None:
    make_prices("big", valid_from=TOMORROW)

    with pytest.raises(NoModel):
        reserved()


# --- steps


STEPS = [
    (80, Step.NORMAL, Step.WARN),
    (90, Step.WARN, Step.CHEAPER),
    (95, Step.CHEAPER, Step.CACHED_ONLY),
]


@database
@pytest.mark.parametrize(("percent", "below", "at"), STEPS)
@pytest.mark.parametrize("off", [0, 1])
def test_each_step_bites_exactly_at_its_threshold(day, percent, below, at, off) -> None:
    make_prices("big")
    call = spent(str(percent))
    ModelCall.objects.filter(pk=call.pk).update(counted_femto=percent * FEMTO - off)

    assert reserved().step is (below if off else at)


@database
@pytest.mark.parametrize(("percent", "name"), [(89, "big"), (90, "small"), (95, "small")])
def test_the_cheaper_model_is_asked_from_its_step_on(day, percent, name) -> None:
    make_prices("big")
    make_prices("small")
    make_entry("big", cheaper=make_entry("small"))
    spent(str(percent))

    assert reserved().model.name == name


@database
def test_what_has_a_text_is_not_bought_anew_from_its_step_on(day) -> None:
    make_prices("big")
    call = spent("95")

    with pytest.raises(OverBudget) as refused:
        reserved(is_renewal=True)

    assert (refused.value.step, refused.value.until) == (Step.CACHED_ONLY, TOMORROW)
    assert reserved(is_renewal=False).step is Step.CACHED_ONLY
    assert ModelCall.objects.exclude(pk=call.pk).count() == 1


@database
def test_when_all_is_used_up_nothing_is_bought_until_tomorrow(day) -> None:
    make_prices("big")
    spent("100")

    with pytest.raises(OverBudget) as refused:
        reserved()

    assert (refused.value.step, refused.value.until) == (Step.EXTRACTIVE, TOMORROW)


@database
def test_a_call_must_fit_into_what_is_left_to_the_last_femto_dollar(day) -> None:
    make_prices("big")
    call = spent("94")
    reserved()
    ModelCall.objects.filter(pk=call.pk).update(counted_femto=96 * FEMTO + 1)

    with pytest.raises(OverBudget):
        reserved()

    ModelCall.objects.filter(pk=call.pk).update(counted_femto=96 * FEMTO)
    reserved()
    assert counted() == 100 * FEMTO


@database
def test_who_is_refused_for_what_others_only_set_aside_comes_again_soon(day) -> None:
    make_prices("big")
    spent("98")
    call = reserved().call

    with pytest.raises(OverBudget) as refused:
        reserved()
    assert refused.value.until == NOON + timedelta(minutes=1)

    settle(call, Outcome.OK, Usage(1, 0, 0))
    with pytest.raises(OverBudget) as refused:
        reserved()
    assert refused.value.until == TOMORROW


@database
def test_soon_is_tomorrow_just_before_midnight(day) -> None:
    make_prices("big")
    day.now = TOMORROW - timedelta(seconds=1)
    spent("98")
    reserved()

    with pytest.raises(OverBudget) as refused:
        reserved()

    assert refused.value.until == TOMORROW


@database
def test_each_day_has_its_own_budget_and_a_call_is_of_the_day_on_which_it_was_made(day) -> None:
    make_prices("big")
    day.now = TOMORROW - timedelta(microseconds=1)
    spent("97", at=day.now - timedelta(hours=20))
    last = reserved().call
    day.now = TOMORROW
    assert [one.used_femto for one in standing()] == [0]
    reserved()

    settle(last, Outcome.OK, Usage(1000, 0, 1000))

    assert [(one.spent_femto, one.open_femto) for one in standing()] == [(0, 2 * FEMTO)]
    day.now = TOMORROW - timedelta(hours=1)
    assert [(one.spent_femto, one.open_femto) for one in standing()] == [(99 * FEMTO, 0)]


# --- several budgets


def budget(scope: BudgetScope, name: str, usd: str, **fields) -> Budget:
    return Budget.objects.create(scope=scope, name=name, usd_per_day=Decimal(usd), **fields)


@database
def test_the_administrations_budget_for_everything_replaces_the_setting(day) -> None:
    make_prices("big")
    budget(BudgetScope.DAY, "", "1.9999")

    with pytest.raises(OverBudget):
        reserved()


@database
def test_a_lane_has_its_own_budget(day) -> None:
    make_prices("big")
    budget(BudgetScope.LANE, "overnight", "3")
    reserved(Lane.OVERNIGHT)

    with pytest.raises(OverBudget):
        reserved(Lane.OVERNIGHT)
    reserved(Lane.MINUTES)


@database
def test_a_tier_has_its_own_budget_and_what_is_for_everybody_is_not_of_it(day) -> None:
    make_prices("big")
    budget(BudgetScope.TIER, "free", "3")
    reserved(tier="free")

    with pytest.raises(OverBudget):
        reserved(tier="free")
    assert reserved(tier="pro").step is Step.NORMAL
    assert reserved(tier="").step is Step.NORMAL


@database
def test_the_budget_that_is_used_up_furthest_decides_the_step(day) -> None:
    make_prices("big")
    budget(BudgetScope.LANE, "minutes", "10", cheaper_percent=20, warn_percent=10)
    spent("2", lane="minutes")

    assert reserved(Lane.MINUTES).step is Step.CHEAPER
    assert reserved(Lane.INTERACTIVE).step is Step.NORMAL


@database
def test_how_every_budget_stands(day) -> None:
    make_prices("big")
    budget(BudgetScope.LANE, "minutes", "10")
    budget(BudgetScope.TIER, "pro", "20")
    spent("9", lane="minutes")
    spent("1", lane="interactive", tier="pro")
    reserved(Lane.OVERNIGHT, "pro")

    found = [
        (one.scope, one.name, one.limit_usd, one.spent_femto, one.open_femto, one.step) for one in standing()
    ]

    assert found == [
        ("day", "", 100, 10 * FEMTO, 2 * FEMTO, Step.NORMAL),
        ("lane", "minutes", 10, 9 * FEMTO, 0, Step.CHEAPER),
        ("tier", "pro", 20, FEMTO, 2 * FEMTO, Step.NORMAL),
    ]  # fmt: skip


# --- lost


@database
def test_a_call_of_which_nobody_tells_the_end_counts_in_full(day) -> None:
    make_prices("big")
    old = reserved().call
    day.now = NOON + timedelta(seconds=1)
    young = reserved().call

    assert lose_old(NOON + timedelta(minutes=15)) == 1

    old.refresh_from_db()
    young.refresh_from_db()
    assert (old.outcome, young.outcome) == ("lost", "open")
    assert counted() == 4 * FEMTO


@database
def test_an_answer_that_comes_after_that_changes_nothing(day) -> None:
    make_prices("big")
    call = reserved().call
    lose_old(NOON + timedelta(hours=1))

    settle(call, Outcome.OK, Usage(1, 0, 1))

    assert (ModelCall.objects.get().outcome, counted()) == ("lost", 2 * FEMTO)


@database
def test_a_call_that_a_vendor_has_until_tomorrow_is_not_lost(day) -> None:
    make_prices("big")
    reserved(Lane.OVERNIGHT)
    ModelCall.objects.update(batch=RemoteBatch.objects.create(model="big", external_id="b1"))

    assert lose_old(NOON + timedelta(hours=20)) == 0


@database
def test_what_a_vendor_never_answered_counts_in_full_at_the_price_of_batches(day) -> None:
    make_prices("big", "1", "1")
    make_prices("big", "0.5", "0.5", endpoint="batch")
    call = reserved(Lane.OVERNIGHT).call
    ModelCall.objects.update(batch=RemoteBatch.objects.create(model="big", external_id="b1"))

    settle(call, Outcome.LOST, Usage())

    assert counted() == FEMTO


# --- many at once


def at_once(number: int, work) -> list:
    start = threading.Barrier(number)

    def one(index: int):
        try:
            start.wait(60)
            return work(index)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(one, range(number)))


def prices_and_model(found, most: Usage) -> None:
    make_prices("big", ODD, ODD)
    for model in found:
        model.most_usage = most


MOST = Usage(input=999, output=500)
MOST_FEMTO = 1499 * 333_333 * 10**3


def buys(index: int) -> int:
    """Reserve and settle again and again; how often it was allowed."""
    random, allowed = Random(index), 0
    for _ in range(12):
        try:
            call = reserved().call
        except OverBudget:
            continue
        allowed += 1
        if random.random() < 0.7:
            settle(call, Outcome.OK, Usage(random.randint(0, 999), 0, random.randint(0, 500)))
    return allowed


@together
def test_a_crowd_never_exceeds_the_limit_by_one_femto_dollar(day, settings, named) -> None:
    prices_and_model(named, MOST)
    settings.LLM_BUDGET_USD = Decimal(MOST_FEMTO * 40 + 17).scaleb(-15)

    at_once(12, buys)

    assert counted() <= MOST_FEMTO * 40 + 17
    for call in ModelCall.objects.all():
        tokens = call.input_tokens + call.output_tokens
        assert call.counted_femto == tokens * 333_333 * 10**3


@together
def test_a_crowd_that_never_settles_is_granted_exactly_what_fits(day, settings, named) -> None:
    prices_and_model(named, MOST)
    settings.LLM_BUDGET_USD = Decimal(MOST_FEMTO * 40 + 17).scaleb(-15)

    def takes(_: int) -> int:
        granted = 0
        for _ in range(12):
            try:
                reserved()
            except OverBudget:
                continue
            granted += 1
        return granted

    assert sum(at_once(12, takes)) == 40
    assert counted() == MOST_FEMTO * 40


@together
def test_in_a_crowd_every_lane_and_tier_keeps_its_own_limit(day, settings, named) -> None:
    prices_and_model(named, MOST)
    settings.LLM_BUDGET_USD = Decimal(MOST_FEMTO * 100).scaleb(-15)
    limits = {("lane", "overnight"): 5, ("lane", "minutes"): 12, ("tier", "free"): 7}
    for (scope, name), calls in limits.items():
        usd = (Decimal(MOST_FEMTO * calls).scaleb(-15) + Decimal("0.0001")).quantize(Decimal("0.0001"))
        budget(BudgetScope(scope), name, str(usd))

    def takes(index: int) -> None:
        random = Random(index)
        for _ in range(12):
            with suppress(OverBudget):
                reserved(random.choice(list(Lane)), random.choice(["", "free", "pro"]))

    at_once(10, takes)

    used = {(one.scope, one.name): one.used_femto // MOST_FEMTO for one in standing()}
    assert used.pop(("day", "")) == ModelCall.objects.count()
    assert used == limits


@together
def test_a_call_is_settled_once_by_however_many(day, named) -> None:
    prices_and_model(named, MOST)
    call = reserved().call

    at_once(8, lambda index: settle(call, Outcome.OK, Usage(index + 1, 0, 0)))

    call.refresh_from_db()
    assert call.counted_femto == call.input_tokens * 333_333 * 10**3


@together
def test_it_is_not_done_within_another_transaction(day) -> None:
    make_prices("big")

    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        reserved()


HOLDS_THE_LOCK = """
import os, sys
import psycopg
with psycopg.connect(os.environ["HOLD"]) as held:
    held.execute("SELECT pg_advisory_xact_lock(%s)", [int(sys.argv[1])])
    print("held", flush=True)
    sys.stdin.read()
"""


@together
def test_who_is_killed_while_it_holds_the_lock_stops_nobody(day, monkeypatch) -> None:
    make_prices("big")
    parameters = connection.get_connection_params()
    names = ("dbname", "user", "password", "host", "port")
    told = {name: str(parameters[name]) for name in names if parameters.get(name)}
    monkeypatch.setenv("HOLD", " ".join(f"{name}='{value}'" for name, value in told.items()))
    command = [sys.executable, "-c", HOLDS_THE_LOCK, str(spending.BUDGET_LOCK)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        waiting = threading.Thread(target=lambda: at_once(1, lambda _: reserved()))
        waiting.start()
        assert not ModelCall.objects.exists()
        holder.send_signal(signal.SIGKILL)
        waiting.join(60)

    assert ModelCall.objects.count() == 1


@database
def test_what_is_asked_is_counted_by_items(day) -> None:
    make_prices("big")

    found = spending.reserve(
        make_question("1", "2", "3"), lane=Lane.MINUTES, tier="", is_renewal=False, symbols=["A", "B"]
    )

    assert (found.call.asked, found.call.symbols) == (3, ["A", "B"])
