from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core import clock
from core.redis import client
from marketdata import quoting, splits
from marketdata.baseline import Split
from marketdata.errors import (
    BadRequest,
    Malformed,
    NotFound,
    PlanLocked,
    ProviderDown,
    RateLimited,
    Unauthorized,
)
from marketdata.providers import attempts, breakers, chain
from marketdata.providers.breakers import FAIL_MAX
from marketdata.providers.chain import Asking
from marketdata.quotes import NoQuote, Quote, Reason
from tests.providers import Scripted, make_quote

CANARY = "CANARY-key-9c1e44"
FAILURES = [
    NotFound(), Unauthorized(), PlanLocked(), RateLimited(), ProviderDown(), BadRequest(), Malformed(),
    KeyError("price"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def empty():
    client().flushall()


@pytest.fixture
def main() -> Scripted:
    return Scripted(name="main")


@pytest.fixture
def other() -> Scripted:
    return Scripted(name="other")


async def fetch(*providers: Scripted, symbols=("A", "B", "C")):
    found = await quoting.fetch_quotes(providers, symbols, Asking())
    assert [one.symbol for one in found] == list(symbols)
    return {one.symbol: one for one in found}


def sellers(outcomes) -> dict[str, str]:
    """Who each quote is from; the reason where there is none."""
    return {
        symbol: one.provider if isinstance(one, Quote) else one.reason.value
        for symbol, one in outcomes.items()
    }


async def test_only_what_the_first_did_not_know_is_asked_of_the_next(main, other):
    main.outcomes = {"B": NotFound()}

    assert sellers(await fetch(main, other)) == {"A": "main", "B": "other", "C": "main"}
    assert (main.requests, other.requests) == ([["A", "B", "C"]], [["B"]])


@pytest.mark.parametrize("failure", FAILURES, ids=lambda one: type(one).__name__)
async def test_after_any_failure_of_the_whole_the_next_one_is_asked_for_all(main, other, failure):
    main.failure = failure

    assert set(sellers(await fetch(main, other)).values()) == {"other"}


@pytest.mark.parametrize("failure", FAILURES[:-1], ids=lambda one: type(one).__name__)
async def test_after_any_failure_of_one_symbol_the_next_one_is_asked_for_it(main, other, failure):
    main.outcomes = {"B": failure}

    assert sellers(await fetch(main, other)) == {"A": "main", "B": "other", "C": "main"}


@pytest.mark.parametrize("bad", [{"price": Decimal("NaN")}, {"price": Decimal(0)}, {"symbol": "OTHER"}])
async def test_a_price_that_cannot_be_true_is_asked_of_the_next(main, other, bad):
    main.outcomes = {"B": replace(make_quote("B", provider="main"), **bad)}

    assert sellers(await fetch(main, other)) == {"A": "main", "B": "other", "C": "main"}


@pytest.mark.parametrize("answer", [None, [], "no quotes", {"A": "12.5"}, {"A": {"price": 3}}])
async def test_an_answer_of_another_shape_stops_nobody(main, other, answer):
    async def answering(symbols):
        return answer

    main.fetch_quotes = answering

    assert sellers(await fetch(main, other, symbols=["A"])) == {"A": "other"}


async def test_prices_of_two_providers_are_never_mixed(main, other):
    main.outcomes = {"A": make_quote("A", "10", provider="main", bid=None, open=Decimal(9))}
    other.outcomes = {"A": make_quote("A", "20", provider="other", bid=Decimal(19), open=Decimal(18))}

    assert (await fetch(main, other, symbols=["A"]))["A"] == main.outcomes["A"]

    main.failure = ProviderDown()
    assert (await fetch(main, other, symbols=["A"]))["A"] == other.outcomes["A"]


async def test_symbols_left_out_one_never_asked_for_and_another_order(main, other):
    async def answering(symbols):
        return {one: make_quote(one, provider="main") for one in ["EXTRA", "C", "A"]}

    main.fetch_quotes = answering

    assert sellers(await fetch(main, other)) == {"A": "main", "B": "other", "C": "main"}


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (NotFound(), NotFound(), Reason.NOT_FOUND),
        (NotFound(), PlanLocked(), Reason.PLAN_LOCKED),
        (PlanLocked(), NotFound(), Reason.PLAN_LOCKED),
        (ProviderDown(), PlanLocked(), Reason.PROVIDER_DOWN),
        (NotFound(), ProviderDown(), Reason.PROVIDER_DOWN),
        (Unauthorized(), NotFound(), Reason.PROVIDER_DOWN),
        (RateLimited(), ProviderDown(), Reason.RATE_LIMITED),
        (NotFound(), RateLimited(), Reason.RATE_LIMITED),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else one.value,
)
async def test_the_reason_that_tells_most_is_told(main, other, first, second, told):
    main.outcomes, other.outcomes = {"A": first}, {"A": second}

    assert sellers(await fetch(main, other, symbols=["A"])) == {"A": told.value}


async def test_who_is_asked_to_wait_is_told_until_when(main):
    moment = clock.now() + timedelta(minutes=1)
    main.failure = RateLimited(retry_at=moment)

    assert await fetch(main, symbols=["A"]) == {"A": NoQuote("A", Reason.RATE_LIMITED, moment)}


async def test_without_candidates_nothing_is_found():
    assert sellers(await fetch(symbols=["A"])) == {"A": "not_found"}


async def test_requests_have_the_size_of_each_provider():
    main, other = Scripted(name="main", batch=2), Scripted(name="other", batch=1)
    main.failure = NotFound()

    await fetch(main, other, symbols=[f"S{n}" for n in range(5)])

    assert sorted(len(request) for request in main.requests) == [1, 2, 2]
    assert sorted(other.requests) == [[f"S{n}"] for n in range(5)]


async def test_a_dead_provider_is_noticed_before_all_parts_have_asked_it(main, other, monkeypatch):
    monkeypatch.setattr(quoting, "PARALLEL", 2)
    main = Scripted(name="main", batch=1)
    main.failure = ProviderDown()

    found = await fetch(main, other, symbols=[f"S{n}" for n in range(50)])

    assert set(sellers(found).values()) == {"other"}
    assert FAIL_MAX <= len(main.requests) <= FAIL_MAX + 1


async def test_who_hangs_is_left_and_the_next_one_is_asked(main, other, monkeypatch):
    monkeypatch.setattr(chain, "QUOTE_BUDGET_S", 0.05)

    async def hang(symbols):
        try:
            await asyncio.Event().wait()
        finally:
            monkeypatch.setattr(
                chain, "QUOTE_BUDGET_S", 30.0
            )  # the next one answers as fast as the machine can

    main.fetch_quotes = hang

    assert sellers(await fetch(main, other, symbols=["A"])) == {"A": "other"}
    assert breakers.reading("main:quotes").failures == 1


async def test_parts_that_were_all_fine_are_not_remembered():
    await fetch(Scripted(name="main", batch=1))

    assert attempts.recent() == []


async def test_what_went_on_to_the_next_is_remembered(main, other):
    main.failure = ProviderDown("main answered 500")

    await fetch(main, other)

    (entry,) = attempts.recent()
    told = [(one["provider"], one["outcome"], one["detail"]) for one in entry["attempts"]]
    assert told == [("main", "transient", "main answered 500"), ("other", "ok", "")]


async def test_a_fault_of_an_adapter_tells_no_secret(main, other, caplog):
    caplog.set_level(logging.DEBUG)
    main.failure = KeyError(f"https://vendor.example/?token={CANARY}")

    found = await fetch(main, symbols=["A"])

    assert CANARY not in repr([found, caplog.text, attempts.recent()])


async def test_no_more_requests_at_once_than_agreed():
    now, most = 0, 0

    class Busy(Scripted):
        async def fetch_quotes(self, symbols):
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1
            return await super().fetch_quotes(symbols)

    await fetch(Busy(name="main", batch=1), symbols=[f"S{n}" for n in range(30)])

    assert 0 < most <= quoting.PARALLEL


# --- on the morning of a split


@pytest.mark.parametrize(("close", "high"), [("396", "404"), ("99", "101")])
async def test_on_the_day_of_a_split_yesterdays_close_is_in_shares_of_today(main, monkeypatch, close, high):
    """Some vendors adjust it in the morning, others later; a change of -75 % is never shown."""
    now = clock.now()
    morning_us = int((now - timedelta(hours=1)).timestamp()) * 1_000_000
    monkeypatch.setattr(splits, "_of_today", {"A": Split(morning_us, Decimal(4))})
    told = make_quote(
        "A", "100", previous_close=Decimal(close), high=Decimal(high), change=100 - Decimal(close),
        change_percent=Decimal("1.0101") if close == "99" else Decimal("-74.7475"),
    )  # fmt: skip
    main.outcomes["A"] = told

    found = (await fetch(main, symbols=["A"]))["A"]

    assert (found.previous_close, found.high, found.change) == (99, 101, 1)
    assert found.change_percent == Decimal("1.0101")
    main.outcomes["A"] = yesterdays = replace(told, as_of=now - timedelta(hours=2))
    assert (await fetch(main, symbols=["A"]))["A"] == yesterdays
