from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from queue import SimpleQueue

import pytest

from core import metrics
from core.redis import client
from marketdata import claims, fetcher
from marketdata.errors import Kind, NotFound, PlanLocked, ProviderDown, RateLimited
from marketdata.fetcher import BatchFetcher
from marketdata.providers import chain
from marketdata.quotes import NoQuote, Quote, Reason
from tests.marketdata.asker import CALLS_KEY
from tests.outages import redis_away
from tests.providers import Scripted, make_quote

ROOT = Path(__file__).resolve().parents[2]
LONG_WINDOW_S = 30.0


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    client().flushall()
    # What was told is known for as long as a busy machine may need to hear it.
    monkeypatch.setattr(claims, "SETTLED_MS", 200_000)
    monkeypatch.setattr(chain, "QUOTE_BUDGET_S", 30.0)


@pytest.fixture
def kept() -> list[Quote]:
    return []


@pytest.fixture
def make(kept) -> Iterator:
    made: list[BatchFetcher] = []

    def build(*providers: Scripted) -> BatchFetcher:
        def route(symbol: str) -> tuple[Scripted, ...]:
            return tuple(one for one in providers if one.covers(symbol))[:1]

        made.append(BatchFetcher(route=route, store=kept.extend))
        return made[-1]

    yield build
    for one in made:
        one.close()


def test_symbols_asked_within_a_window_go_out_in_one_request(make, monkeypatch):
    monkeypatch.setattr(fetcher, "WINDOW_S", LONG_WINDOW_S)
    provider = Scripted(batch=11)  # with the last of them it is over
    fetch = make(provider).fetch

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda n: fetch([f"S{n}", "SHARED"]), range(10)))

    assert len(provider.requests) == 1
    assert sorted(provider.requests[0]) == sorted(["SHARED", *(f"S{n}" for n in range(10))])
    for number, answer in enumerate(answers):
        assert set(answer) == {f"S{number}", "SHARED"}
        assert all(isinstance(one, Quote) for one in answer.values())


def test_requests_are_split_by_the_providers_batch_size(make):
    provider = Scripted(batch=4)

    make(provider).fetch([f"S{n}" for n in range(10)])

    assert sorted(map(len, provider.requests)) == [2, 4, 4]
    assert set(provider.asked_symbols.values()) == {1}


def test_a_full_batch_does_not_wait_for_the_window(make, monkeypatch):
    monkeypatch.setattr(fetcher, "WINDOW_S", LONG_WINDOW_S)
    provider = Scripted(batch=3)

    assert len(make(provider).fetch(["A", "B", "C"])) == 3

    assert provider.requests == [["A", "B", "C"]]


def test_each_provider_gets_its_own_request(make):
    coins, shares = Scripted("BTC-USD", name="coins"), Scripted(name="shares")

    make(coins, shares).fetch(["AAPL", "BTC-USD", "MSFT"])

    assert (coins.requests, shares.requests) == ([["BTC-USD"]], [["AAPL", "MSFT"]])


def test_a_symbol_asked_twice_is_bought_once(make):
    provider = Scripted()

    assert list(make(provider).fetch(["A", "A"])) == ["A"]
    assert provider.requests == [["A"]]


def test_a_symbol_that_is_being_fetched_is_not_asked_again(make):
    provider = Scripted()
    provider.answering.clear()
    begin = make(provider).begin
    first = begin(["A"])
    assert provider.asked.wait(30)
    with ThreadPoolExecutor(19) as pool:
        others = list(pool.map(begin, [["A"]] * 19))
    provider.answering.set()

    assert len({id(one.result()["A"]) for one in [first, *others]}) == 1
    assert provider.requests == [["A"]]


def test_nothing_asked_is_nothing_done(make):
    provider = Scripted()

    assert make(provider).fetch([]) == {}
    assert provider.requests == []


def test_a_symbol_that_no_provider_covers_is_not_found(make):
    assert make(Scripted("A")).fetch(["B"]) == {"B": NoQuote("B", Reason.NOT_FOUND)}


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (ProviderDown(), Reason.PROVIDER_DOWN),
        (RateLimited(), Reason.RATE_LIMITED),
        (PlanLocked(), Reason.PLAN_LOCKED),
        (TimeoutError(), Reason.PROVIDER_DOWN),
        (KeyError("price"), Reason.PROVIDER_DOWN),
    ],
)
def test_a_failed_request_gives_each_symbol_a_typed_answer_and_ends_its_claim(make, failure, reason):
    provider = Scripted()
    provider.failure = failure
    kind = getattr(failure, "kind", Kind.TRANSIENT).value
    before = metrics.provider_failures.labels(provider="scripted", reason=kind)._value.get()

    assert make(provider).fetch(["A", "B"]) == {"A": NoQuote("A", reason), "B": NoQuote("B", reason)}

    assert claims.claim(["A"], rank=1) == {"A": NoQuote("A", reason)}
    assert metrics.provider_failures.labels(provider="scripted", reason=kind)._value.get() == before + 1


def test_a_provider_that_does_not_answer_in_time_is_down(make, monkeypatch):
    monkeypatch.setattr(chain, "QUOTE_BUDGET_S", 0.05)
    provider = Scripted()
    provider.answering.clear()

    assert make(provider).fetch(["A"]) == {"A": NoQuote("A", Reason.PROVIDER_DOWN)}
    provider.answering.set()


def test_each_symbol_has_its_own_outcome(make, kept):
    provider = Scripted()
    provider.outcomes = {"GONE": NotFound(), "DEAR": PlanLocked(), "GOOD": make_quote("GOOD", "7")}

    assert make(provider).fetch(["GONE", "DEAR", "GOOD"]) == {
        "GONE": NoQuote("GONE", Reason.NOT_FOUND),
        "DEAR": NoQuote("DEAR", Reason.PLAN_LOCKED),
        "GOOD": provider.outcomes["GOOD"],
    }


def test_a_symbol_left_out_of_the_answer_is_not_found(make):
    class Forgetful(Scripted):
        async def fetch_quotes(self, symbols):
            return {}

    assert make(Forgetful()).fetch(["A"]) == {"A": NoQuote("A", Reason.NOT_FOUND)}


@pytest.mark.parametrize(
    "fields",
    [
        {"price": Decimal("NaN")},
        {"price": Decimal("Infinity")},
        {"price": Decimal(0)},
        {"price": Decimal(-1)},
        {"price": Decimal(10) ** 12},
        {"volume": -1},
        {"volume": 2**63},
        {"as_of": datetime.now(UTC) + timedelta(days=1)},
        {"symbol": "OTHER"},
    ],
)
def test_a_quote_that_cannot_be_true_is_no_quote(make, kept, fields):
    provider = Scripted()
    provider.outcomes = {"A": replace(make_quote("A"), **fields)}

    assert make(provider).fetch(["A"]) == {"A": NoQuote("A", Reason.PROVIDER_DOWN)}
    assert kept == []


def test_a_broken_side_field_is_blanked_and_the_price_believed(make):
    provider = Scripted()
    nan = Decimal("NaN")
    provider.outcomes = {
        "A": replace(make_quote("A"), bid=nan, previous_close=nan, change=nan, change_percent=nan)
    }

    assert make(provider).fetch(["A"]) == {"A": make_like(provider.outcomes["A"])}


def make_like(quote: Quote) -> Quote:
    return replace(quote, bid=None, previous_close=None, change=None, change_percent=None)


def test_an_old_quote_of_a_quiet_ticker_is_a_quote(make):
    provider = Scripted()
    provider.outcomes = {"A": make_quote("A", as_of=datetime.now(UTC) - timedelta(days=30))}

    assert make(provider).fetch(["A"]) == provider.outcomes


def test_bought_quotes_are_kept_and_refusals_are_not():
    provider, stored = Scripted(), SimpleQueue()
    provider.outcomes = {"GONE": NotFound()}
    one = BatchFetcher(route=lambda _: (provider,), store=stored.put)

    one.fetch(["A", "GONE"])

    assert [quote.symbol for quote in stored.get(timeout=30)] == ["A"]
    one.close()
    assert stored.empty()


def test_a_refusal_is_shared_for_a_while_too(make):
    provider = Scripted()
    provider.failure = NotFound()
    make(provider).fetch(["A"])

    other = Scripted()  # as another process would have

    assert make(other).fetch(["A"]) == {"A": NoQuote("A", Reason.NOT_FOUND)}
    assert other.requests == []


def test_while_redis_is_away_each_process_asks_once(make):
    one, other = Scripted(), Scripted()
    for provider in (one, other):
        provider.answering.clear()
    with redis_away():
        fetchers = make(one), make(other)
        with ThreadPoolExecutor(20) as pool:
            asked = list(pool.map(lambda n: fetchers[n % 2].begin(["A"]), range(20)))
        for provider in (one, other):
            provider.answering.set()
        answers = [one.result(30) for one in asked]

    assert all(isinstance(answer["A"], Quote) for answer in answers)
    assert (one.requests, other.requests) == ([["A"]], [["A"]])


def test_a_store_that_fails_spoils_no_answer(make):
    def fail(quotes) -> None:
        raise LookupError("as asked")

    one = BatchFetcher(route=lambda _: (Scripted(),), store=fail)
    assert isinstance(one.fetch(["A"])["A"], Quote)
    assert isinstance(one.fetch(["B"])["B"], Quote)
    one.close()


def test_who_asks_again_while_the_first_answer_is_being_stored_gets_an_answer_too(make):
    storing, stored = threading.Event(), threading.Event()

    def store(quotes) -> None:
        storing.set()
        stored.wait(30)

    one = BatchFetcher(route=lambda _: (Scripted(),), store=store)
    one.fetch(["A"])
    with ThreadPoolExecutor(1) as pool:
        assert storing.wait(30)
        again = pool.submit(one.fetch, ["A"])
        while "A" not in one._pending and not again.done():
            pass
        stored.set()

        assert isinstance(again.result()["A"], Quote)
    one.close()


def test_it_can_be_used_again_after_closing(make):
    one = make(Scripted())
    one.fetch(["A"])
    one.close()

    assert isinstance(one.fetch(["B"])["B"], Quote)


class Askers:
    """Other processes that ask; see tests/marketdata/asker.py."""

    def __init__(self) -> None:
        self.parent = subprocess.Popen(
            [sys.executable, "-m", "tests.marketdata.asker"],
            cwd=ROOT, env=os.environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def ask(self, *, processes: int = 1, threads: int = 1, claim_ms: int = 7000, hang_s: float = 0) -> None:
        self.parent.stdin.write(f"{processes} {threads} {claim_ms} {hang_s} AAPL\n")
        self.parent.stdin.flush()

    def line(self) -> str:
        return self.parent.stdout.readline().strip()

    def lines(self) -> list[str]:
        """What all said until the last one ended."""
        return list(iter(self.line, "all ended"))


@pytest.fixture(scope="module")
def askers() -> Iterator[Askers]:
    started = Askers()
    yield started
    started.parent.stdin.close()
    started.parent.wait(20)
    started.parent.stdout.close()


def test_fifty_simultaneous_misses_from_four_processes_are_one_call(askers):
    askers.ask(processes=4, threads=13, hang_s=0.2)

    said = askers.lines()
    pids = {line for line in said if line.startswith("pid")}
    assert len(pids) == 4
    assert [line for line in said if line not in pids] == ["asked", *["quote"] * 52]
    assert client().lrange(CALLS_KEY, 0, -1) == [b"AAPL"]


def test_when_the_asking_process_is_killed_another_takes_over_and_everybody_gets_an_answer(askers, make):
    askers.ask(claim_ms=1000, hang_s=60)
    pid = int(askers.line().removeprefix("pid "))
    assert askers.line() == "asked"

    provider = Scripted()
    fetch = make(provider).fetch
    with ThreadPoolExecutor(10) as pool:
        waiting = [pool.submit(fetch, ["AAPL"]) for _ in range(10)]
        os.kill(pid, signal.SIGKILL)
        answers = [one.result() for one in waiting]

    assert all(isinstance(answer["AAPL"], Quote) for answer in answers)
    assert provider.requests == [["AAPL"]]
    assert client().llen(CALLS_KEY) == 1
    assert askers.lines() == []


def test_what_takes_longer_than_a_claim_lasts_is_not_asked_by_another(make, monkeypatch):
    monkeypatch.setattr(claims, "CLAIM_MS", 60_000)
    monkeypatch.setattr(fetcher, "RENEWALS", 600)
    almost_over, renewed, renew = threading.Event(), threading.Event(), claims.renew

    def renewing(symbols):
        renew(symbols)
        if almost_over.is_set() and client().pttl("quote:claim:A") > 30_000:
            renewed.set()

    monkeypatch.setattr(claims, "renew", renewing)
    slow, other = Scripted(), Scripted()  # as two processes would have them
    slow.answering = renewed
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(make(slow).fetch, ["A"])
        assert slow.asked.wait(30)
        client().pexpire("quote:claim:A", 30_000)
        almost_over.set()
        second = pool.submit(make(other).fetch, ["A"])

        assert first.result() == second.result()
    assert renewed.is_set()
    assert (slow.requests, other.requests) == ([["A"]], [])


def test_closing_while_something_is_asked_still_answers(make):
    provider = Scripted()
    provider.answering.clear()
    one = make(provider)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(one.fetch, ["A"])
        assert provider.asked.wait(30)
        one.close()
        provider.answering.set()

        assert waiting.result(30) == {"A": NoQuote("A", Reason.PROVIDER_DOWN)}


def test_closing_within_a_window_spoils_nothing_for_the_next(make, monkeypatch):
    monkeypatch.setattr(fetcher, "WINDOW_S", LONG_WINDOW_S)
    provider = Scripted(batch=2)
    one = make(provider)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(one.fetch, ["A"])
        while not one._queues:
            time.sleep(0.001)
        one.close()
        assert waiting.result(30) == {"A": NoQuote("A", Reason.PROVIDER_DOWN)}

    assert all(isinstance(answer, Quote) for answer in one.fetch(["A", "B"]).values())
    assert provider.requests == [["A", "B"]]


def test_no_thread_is_left_after_closing(make):
    one = make(Scripted())
    one.fetch(["A"])
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "fetcher"][-1:]

    one.close()

    thread.join(30)
    assert not thread.is_alive()
