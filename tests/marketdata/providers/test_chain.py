from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest

from core import clock, metrics
from core.redis import client
from marketdata import metering, quota
from marketdata.errors import (
    BadRequest,
    Kind,
    Malformed,
    NotFound,
    PlanLocked,
    ProviderDown,
    ProviderError,
    RateLimited,
    Unauthorized,
)
from marketdata.metering import Call
from marketdata.models import Cause
from marketdata.providers import attempts, breakers, chain
from marketdata.providers.attempts import Skip
from marketdata.providers.base import Window
from marketdata.providers.breakers import FAIL_MAX, State
from marketdata.providers.chain import Asking
from marketdata.providers.registry import Purpose
from marketdata.quota import Priority
from marketdata.quotes import Action, ActionKind
from tests.marketdata.acting import Acting
from tests.outages import redis_away

CANARY = "CANARY-key-9c1e44"
LATER = datetime(2090, 1, 1, tzinfo=UTC)
BEFORE = Asking(Priority.BACKFILL, Cause.BACKFILL)
# Every way in which one provider fails, and whether its breaker counts it.
FAILURES = {
    "not_found": (NotFound(), False),
    "auth": (Unauthorized(), False),
    "plan_locked": (PlanLocked(), False),
    "rate_limited": (RateLimited(retry_at=LATER), False),
    "transient": (ProviderDown(), True),
    "bad_request": (BadRequest(), False),
    "malformed": (Malformed(), True),
    "unforeseen": (KeyError("price"), True),
}


@pytest.fixture(autouse=True)
def empty():
    client().flushall()


class Vendor(Acting):
    """Tells dividends whose amount is its own mark."""

    def __init__(self, name: str, amount: str = "1", **fields) -> None:
        super().__init__(name=name)
        self.actions = [Action("AAPL", ActionKind.DIVIDEND, date(2026, 1, 2), amount=Decimal(amount))]
        self.hangs: asyncio.Event | None = None
        self.begun = asyncio.Event()
        self.pages = 1

    async def fetch_actions(self, symbol, start, end):
        self.action_requests.append((symbol, start, end))
        self.begun.set()
        try:
            if self.hangs is not None:
                await self.hangs.wait()
        finally:
            for _ in range(self.pages):
                self._note("actions", [symbol])
        if self.failure is not None:
            raise self.failure
        return self.actions

    @property
    def times(self) -> int:
        return len(self.action_requests)


@pytest.fixture
def main() -> Vendor:
    return Vendor("main", "1")


@pytest.fixture
def other() -> Vendor:
    return Vendor("other", "2")


def run(*providers: Vendor, asking: Asking = BEFORE):
    async def ask(provider: Vendor):
        return await provider.fetch_actions("AAPL", date(2026, 1, 1), date(2027, 1, 1))

    return chain.first(Purpose.ACTIONS, "AAPL", providers, ask, asking)


async def try_all(*providers: Vendor):
    """What was answered or raised."""
    try:
        return await run(*providers)
    except ProviderError as error:
        return error


def state(provider: Vendor) -> State:
    return breakers.reading(f"{provider.name}:actions").state


def pass_window(provider: Vendor) -> None:
    client().delete(f"breaker:{provider.name}:actions:open")


# --- the order


async def test_the_first_that_answers_is_taken_as_it_is_and_nobody_else_is_asked(main, other):
    assert await run(main, other) == main.actions
    assert (main.times, other.times) == (1, 0)


@pytest.mark.parametrize("failure", FAILURES)
async def test_after_any_failure_the_next_one_is_asked(main, other, failure):
    main.failure, counted = FAILURES[failure]

    assert await run(main, other) == other.actions

    assert (main.times, other.times) == (1, 1)
    assert breakers.reading("main:actions").failures == counted
    assert breakers.reading("other:actions").failures == 0


async def test_without_any_candidate_no_plan_has_it():
    with pytest.raises(PlanLocked):
        await run()


async def test_an_empty_answer_is_an_answer(main, other):
    main.actions = []

    assert await run(main, other) == []


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        (("not_found", "not_found"), Kind.NOT_FOUND),
        (("not_found", "plan_locked"), Kind.PLAN_LOCKED),
        (("plan_locked", "not_found"), Kind.PLAN_LOCKED),
        (("plan_locked", "transient"), Kind.TRANSIENT),
        (("transient", "not_found"), Kind.TRANSIENT),
        (("malformed", "plan_locked"), Kind.MALFORMED),
        (("auth", "not_found"), Kind.AUTH),
        (("rate_limited", "transient"), Kind.RATE_LIMITED),
        (("transient", "rate_limited"), Kind.RATE_LIMITED),
        (("unforeseen", "not_found"), Kind.TRANSIENT),
    ],
)
async def test_when_all_fail_the_reason_that_tells_most_is_raised(main, other, kinds, told):
    main.failure, other.failure = (FAILURES[kind][0] for kind in kinds)

    assert (await try_all(main, other)).kind is told


async def test_of_two_waits_the_shorter_is_told(main, other):
    main.failure = RateLimited(retry_at=LATER)
    other.failure = RateLimited(retry_at=LATER - timedelta(days=1))

    assert (await try_all(main, other)).retry_at == LATER - timedelta(days=1)


# --- breakers


@pytest.mark.parametrize("failure", ["transient", "malformed", "unforeseen"])
async def test_a_dead_provider_is_asked_thrice_and_then_once_in_a_window(main, other, failure):
    main.failure = FAILURES[failure][0]
    for _ in range(10):
        assert await run(main, other) == other.actions
    assert main.times == FAIL_MAX

    for window in range(1, 4):
        pass_window(main)
        for _ in range(5):
            assert await run(main, other) == other.actions
        assert main.times == FAIL_MAX + window


async def test_a_probe_that_hangs_keeps_everybody_else_away(main, other):
    main.failure = ProviderDown()
    for _ in range(FAIL_MAX):
        await run(main, other)
    main.failure, main.hangs = None, asyncio.Event()
    main.begun.clear()
    pass_window(main)
    probe = asyncio.create_task(run(main, other))
    await main.begun.wait()

    assert [await run(main, other) for _ in range(5)] == [other.actions] * 5
    assert main.times == FAIL_MAX + 1

    main.hangs.set()
    assert await probe == main.actions
    assert await run(main, other) == main.actions


async def test_a_probe_whose_asker_is_stopped_is_left_to_the_next_one(main, other):
    main.failure = ProviderDown()
    for _ in range(FAIL_MAX):
        await run(main, other)
    main.failure, main.hangs = None, asyncio.Event()
    main.begun.clear()
    pass_window(main)
    probe = asyncio.create_task(run(main, other))
    await main.begun.wait()

    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe

    main.hangs.set()
    assert await run(main, other) == main.actions


async def test_a_provider_that_is_back_is_the_first_again(main, other):
    main.failure = ProviderDown()
    for _ in range(FAIL_MAX):
        await run(main, other)
    main.failure = None
    pass_window(main)

    assert await run(main, other) == main.actions
    assert state(main) is State.CLOSED


async def test_an_answer_that_it_does_not_know_closes_it_too(main, other):
    main.failure = ProviderDown()
    for _ in range(FAIL_MAX):
        await run(main, other)
    main.failure = NotFound()
    pass_window(main)

    await run(main, other)

    assert state(main) is State.CLOSED


async def test_a_probe_without_quota_is_left_to_the_next_one(main, other):
    main.failure = ProviderDown()
    for _ in range(FAIL_MAX):
        await run(main, other)
    main.failure = None
    pass_window(main)
    quota.block("main", clock.now() + timedelta(minutes=1))

    await run(main, other)

    client().delete("quota:main:blocked")
    assert await run(main, other) == main.actions
    assert main.times == FAIL_MAX + 1


async def test_one_purpose_may_fail_while_another_works(main):
    main.failure = ProviderDown()
    for _ in range(FAIL_MAX):
        await try_all(main)

    assert breakers.allows("main:quotes").state is State.CLOSED


async def test_while_redis_is_away_a_dead_provider_is_left_alone_too(main, other):
    main.failure = ProviderDown()
    with redis_away():
        for _ in range(FAIL_MAX + 3):
            assert await run(main, other) == other.actions

    assert main.times == FAIL_MAX


# --- keys


async def test_a_refused_key_is_held_for_ten_minutes_and_logged_once(main, other, caplog):
    main.failure, main.hangs = Unauthorized(f"bad key {CANARY}"), asyncio.Event()
    together = [asyncio.create_task(run(main, other)) for _ in range(5)]
    while main.times < 5:
        await asyncio.sleep(0)
        await main.begun.wait()
    main.hangs.set()
    await asyncio.gather(*together)
    await run(main, other)

    assert main.times == 5
    assert [record.getMessage() for record in caplog.records] == ["main refuses our key"]
    found = breakers.reading("main:actions")
    assert (found.state, found.failures) == (State.OPEN, 0)
    assert clock.now() + timedelta(minutes=9) < found.open_until <= clock.now() + timedelta(minutes=10)


# --- waits


async def test_who_asks_us_to_wait_is_left_alone_by_everybody_until_then(main, other):
    moment = (clock.now() + timedelta(minutes=5)).replace(microsecond=0)
    main.failure = RateLimited(retry_at=moment)
    await run(main, other)
    main.failure = None

    for priority in Priority:
        assert await run(main, other, asking=Asking(priority)) == other.actions
    assert main.times == 1
    assert breakers.reading("main:actions").failures == 0
    assert attempts.recent(1)[0]["attempts"][0]["retry_at"] == moment.isoformat()


async def test_without_a_moment_of_its_own_a_minute_is_waited(main, other):
    main.failure = RateLimited()
    await run(main, other)

    assert 55_000 < client().pttl("quota:main:blocked") <= 60_000


async def test_when_the_wait_is_over_it_is_asked_again(main, other):
    main.failure = RateLimited(retry_at=clock.now() + timedelta(milliseconds=30))
    await run(main, other)
    main.failure = None

    while await run(main, other) != main.actions:
        pass
    assert main.times == 2


async def test_a_probe_that_is_asked_to_wait_is_followed_by_another_after_the_wait(main, other):
    main.failure = ProviderDown()
    for _ in range(FAIL_MAX):
        await run(main, other)
    pass_window(main)
    main.failure = RateLimited(retry_at=clock.now() + timedelta(milliseconds=30))
    await run(main, other)
    main.failure = None

    while await run(main, other) != main.actions:
        pass
    assert state(main) is State.CLOSED


async def test_what_is_used_up_is_passed_over_and_counted(main, other):
    main.capabilities = _with(main, Window(2, 600))
    skips = metrics.provider_skips.labels(provider="main", reason="no_quota")._value.get
    before = skips()

    answers = [await run(main, other, asking=Asking()) for _ in range(4)]

    assert answers == [main.actions] * 2 + [other.actions] * 2
    assert skips() == before + 2


async def test_an_open_circuit_is_counted_too(main, other):
    skips = metrics.provider_skips.labels(provider="main", reason="circuit_open")._value.get
    before = skips()
    breakers.hold("main:actions", 60)

    await run(main, other)

    assert skips() == before + 1


def _with(provider, *windows):
    return replace(provider.capabilities, windows=windows)


# --- budgets


async def test_who_hangs_is_left_after_its_budget_and_the_next_one_asked(main, other, monkeypatch):
    monkeypatch.setattr(chain, "BULK_BUDGET_S", 0.05)
    main.hangs = asyncio.Event()

    assert await run(main, other) == other.actions
    assert breakers.reading("main:actions").failures == 1


async def test_a_call_that_was_given_up_stands_in_the_ledger(main, other, monkeypatch, purchases):
    monkeypatch.setattr(chain, "BULK_BUDGET_S", 0.05)
    main.hangs = asyncio.Event()
    await run(main, other)

    assert [row.provider for row in purchases] == ["main", "other"]


async def test_a_call_that_was_made_stands_in_the_ledger_when_the_asker_is_stopped(main, purchases):
    main.hangs = asyncio.Event()
    asking = asyncio.create_task(run(main))
    await main.begun.wait()

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert [row.provider for row in purchases] == ["main"]


async def test_all_pages_stand_in_the_ledger_and_count_for_the_quota(main, purchases):
    main.pages = 3
    main.capabilities = _with(main, Window(10, 600))

    await run(main)

    assert len(purchases) == 3
    assert quota.budgets(main)[0].used == 3


async def test_pages_beyond_the_window_are_counted_all_the_same(main):
    main.pages = 7
    main.capabilities = _with(main, Window(5, 600))

    await run(main, asking=Asking(Priority.ALERT))

    assert quota.budgets(main)[0].used == 7


# --- what it says


async def test_a_fault_of_an_adapter_tells_no_secret(main, other, caplog):
    caplog.set_level(logging.DEBUG)
    main.failure = KeyError(f"https://vendor.example/?token={CANARY}")

    answer, account = await chain.attempt(
        main,
        Purpose.ACTIONS,
        BEFORE,
        partial(main.fetch_actions, "AAPL", None, None),
        symbols=["AAPL"],
        budget_s=9,
    )
    await run(main, other)

    said = [
        answer,
        repr(answer),
        account,
        answer.__cause__,
        answer.__context__,
        caplog.text,
        attempts.recent(),
    ]
    assert CANARY not in repr(said)
    assert "KeyError at" in caplog.text
    assert account.kind is Kind.TRANSIENT
    assert all(record.exc_info is None for record in caplog.records)


async def test_every_attempt_and_skip_is_explained(main, other):
    breakers.hold("main:actions", 60)
    other.failure = NotFound()
    third = Vendor("third")

    await run(main, other, third)

    told = [(one["provider"], one["outcome"], one["skipped"]) for one in attempts.recent()[0]["attempts"]]
    assert told == [("main", "circuit_open", True), ("other", "not_found", False), ("third", "ok", False)]


async def test_an_account_tells_what_was_asked_and_how_long_it_took(main, monkeypatch):
    now = iter((100.0, 100.0, 102.5, 102.5, 102.5))
    monkeypatch.setattr(clock, "monotonic", lambda: next(now))

    _, account = await chain.attempt(
        main,
        Purpose.ACTIONS,
        BEFORE,
        partial(main.fetch_actions, "AAPL", None, None),
        symbols=["AAPL"],
        budget_s=9,
    )

    assert (account.provider, account.symbols, account.kind, account.fine) == ("main", 1, Kind.OK, True)


async def test_a_skip_says_when_it_may_be_asked_again(main):
    until = clock.now() + timedelta(minutes=3)
    quota.block("main", until)

    answer, account = await chain.attempt(
        main, Purpose.ACTIONS, BEFORE, main.fetch_actions, symbols=["AAPL"], budget_s=9
    )

    assert isinstance(answer, RateLimited)
    assert account.skip is Skip.NO_QUOTA
    assert abs(account.retry_at - until) < timedelta(milliseconds=1)
    assert account.retry_at == answer.retry_at


async def test_what_the_vendor_says_is_left_is_obeyed(main, other):
    async def fetch(symbol, start, end):
        metering.note(
            Call(
                "main",
                "actions",
                clock.now(),
                Kind.OK,
                remaining=0,
                reset_at=clock.now() + timedelta(minutes=1),
            )
        )
        main.action_requests.append(symbol)
        return main.actions

    main.fetch_actions = fetch

    assert [await run(main, other) for _ in range(3)] == [main.actions, other.actions, other.actions]
    assert main.times == 1
