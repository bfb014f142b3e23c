from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, connections

from core import clock, metrics
from core.redis import client
from marketdata import ledger
from marketdata.errors import Kind, Malformed, NotFound, ProviderDown, RateLimited
from marketdata.fetcher import BatchFetcher
from marketdata.metering import Call
from marketdata.models import Cause, ProviderCall
from marketdata.providers.base import Unit
from marketdata.providers.chain import Asking
from marketdata.quota import Priority
from tests.outages import postgres_switch
from tests.providers import Scripted

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
lost = metrics.ledger_rows_lost._value.get


@pytest.fixture(autouse=True)
def empty():
    client().flushall()


@pytest.fixture
def fetcher() -> Iterator:
    made = []

    def build(*providers: Scripted) -> BatchFetcher:
        made.append(BatchFetcher(route=lambda _: providers, store=list))
        return made[-1]

    yield build
    for one in made:
        one.close()


def call(number: int = 0, **fields) -> Call:
    return Call("vendor", "quotes", NOW + timedelta(seconds=number), Kind.OK, **fields)


def seconds() -> list[int]:
    """Of the rows, in the order in which they were written."""
    return [row.at.second for row in ProviderCall.objects.order_by("pk")]


def test_a_call_becomes_one_row_with_all_that_is_known_of_it():
    one = Call(
        "alpaca", "bars_1day", NOW, Kind.RATE_LIMITED, symbols=("AAPL", "BRK.B"), units=Decimal("2.5"),
        unit=Unit.CREDIT, status=429, bytes=12_345, took_s=0.4567, plan="basic", remaining=3, reset_at=NOW,
    )  # fmt: skip

    ledger.record([one], Cause.BACKFILL)

    assert ProviderCall.objects.values().get() == {
        "id": ProviderCall.objects.get().pk,
        "at": NOW,
        "provider": "alpaca",
        "plan": "basic",
        "endpoint": "bars_1day",
        "cause": "backfill",
        "symbols": ["AAPL", "BRK.B"],
        "units": Decimal("2.500000"),
        "unit": "credit",
        "outcome": "rate_limited",
        "status": 429,
        "bytes": 12_345,
        "latency_ms": 457,
    }


def test_a_call_without_an_answer_has_no_status():
    ledger.record([Call("vendor", "quotes", NOW, Kind.TRANSIENT)], Cause.POLL)

    row = ProviderCall.objects.get()
    assert (row.status, row.outcome, row.bytes, row.symbols) == (None, "transient", 0, [])


def test_minutes_of_a_stream_are_rows_too():
    ledger.record([call(unit=Unit.SYMBOL_MINUTE, units=Decimal("37.5"), symbols=("A", "B"))], Cause.STREAM)

    row = ProviderCall.objects.get()
    assert (row.unit, row.units, row.cause) == ("symbol_minute", Decimal("37.5"), "stream")


def test_every_end_of_a_call_can_be_written():
    ledger.record([Call("vendor", "quotes", NOW, kind) for kind in Kind], Cause.CHECK)

    assert set(ProviderCall.objects.values_list("outcome", flat=True)) == {kind.value for kind in Kind}


@pytest.mark.parametrize("number", [1, 40])
def test_any_number_of_calls_is_one_statement(django_assert_num_queries, number):
    with django_assert_num_queries(3):  # within BEGIN and COMMIT
        ledger.record([call(second) for second in range(number)], Cause.POLL)

    assert ProviderCall.objects.count() == number


def test_nothing_asked_is_nothing_written(django_assert_num_queries):
    with django_assert_num_queries(0):
        ledger.record([], Cause.POLL)


# --- through the chain


def test_the_row_is_there_before_the_answer(fetcher):
    fetcher(Scripted()).fetch(["A", "B"], Asking(Priority.ALERT, Cause.SEED))

    row = ProviderCall.objects.get()
    assert (row.provider, row.endpoint, row.cause, row.symbols) == ("scripted", "quotes", "seed", ["A", "B"])


@pytest.mark.parametrize(
    "failure", [NotFound(), RateLimited(), ProviderDown(), Malformed(), KeyError("price")]
)
def test_failures_are_paid_too(fetcher, failure):
    main, other = Scripted(name="main"), Scripted(name="other")
    main.failure = failure

    fetcher(main, other).fetch(["A"])

    assert list(ProviderCall.objects.order_by("pk").values_list("provider", "outcome")) == [
        ("main", getattr(failure, "kind", Kind.TRANSIENT).value), ("other", "ok"),
    ]  # fmt: skip


def test_every_symbol_the_provider_counted_stands_in_the_ledger_and_no_other(fetcher):
    main, other = Scripted(name="main", batch=7), Scripted(name="other", batch=1)
    main.outcomes = {f"S{n}": NotFound() for n in range(0, 30, 3)}

    fetcher(main, other).fetch([f"S{n}" for n in range(30)])

    for provider in (main, other):
        rows = ProviderCall.objects.filter(provider=provider.name).values_list("symbols", flat=True)
        assert sorted(rows) == sorted(provider.requests)


def test_a_call_that_is_cut_off_by_closing_is_written_all_the_same(fetcher):
    provider = Scripted()
    written = threading.Event()

    async def hang(symbols):
        try:
            provider.asked.set()
            await asyncio.Event().wait()
        finally:
            provider._note("quotes", symbols)
            written.set()

    provider.fetch_quotes = hang
    one = fetcher(provider)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(one.fetch, ["A"])
        assert provider.asked.wait(10)
        one.close()
        waiting.result()

    assert written.is_set()
    assert ProviderCall.objects.get().symbols == ["A"]


# --- the database away


def test_rows_wait_while_the_database_is_away_and_are_written_in_order(monkeypatch):
    monkeypatch.setattr(ledger, "TRY_AGAIN_S", 0)
    before = lost()
    ledger.record([call(0)], Cause.POLL)
    connection.close()
    with postgres_switch() as postgres:
        postgres.off()
        for number in range(1, 4):
            ledger.record([call(number)], Cause.POLL)
    connections.close_all()

    ledger.record([call(4)], Cause.POLL)
    write_what_waits()

    assert seconds() == [0, 1, 2, 3, 4]
    assert lost() == before


def test_rows_that_wait_are_written_when_nothing_new_is_asked(monkeypatch):
    monkeypatch.setattr(ledger, "TRY_AGAIN_S", 0)
    _away(call(1))

    write_what_waits()

    assert seconds() == [1]


def write_what_waits() -> None:
    """The pool may still hold connections that ended; each is found out when it is used."""
    while ledger._waiting:
        ledger.record([], Cause.POLL)


def _away(*calls: Call) -> None:
    connection.close()
    with postgres_switch() as postgres:
        postgres.off()
        ledger.record(calls, Cause.POLL)
    connections.close_all()


def test_nobody_waits_for_a_database_that_was_just_away(monkeypatch, django_assert_num_queries):
    now = 100.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    _away(call(1))

    with django_assert_num_queries(0):
        ledger.record([call(2)], Cause.POLL)
    while ledger._waiting:
        now += ledger.TRY_AGAIN_S
        ledger.record([], Cause.POLL)
    ledger.record([call(3)], Cause.POLL)

    assert seconds() == [1, 2, 3]


def test_what_waits_is_bounded_and_what_is_lost_is_counted_and_said(monkeypatch, caplog):
    monkeypatch.setattr(ledger, "MOST_WAITING", 3)
    monkeypatch.setattr(ledger, "_waiting", deque(maxlen=3))
    monkeypatch.setattr(ledger, "TRY_AGAIN_S", 0)
    before = lost()
    _away(*(call(number) for number in range(5)))

    write_what_waits()
    ledger.record([call(5)], Cause.POLL)

    assert seconds() == [2, 3, 4, 5]
    assert lost() == before + 2
    assert "2 calls are missing" in caplog.text


def test_a_row_that_cannot_be_written_costs_no_other(caplog):
    before = lost()
    bad = [call(8, symbols=("CANARY\x00",)), call(9, bytes=2**70)]

    ledger.record([call(0), bad[0], call(1), bad[1], call(2)], Cause.POLL)
    ledger.record([call(3)], Cause.POLL)

    assert seconds() == [0, 1, 2, 3]
    assert lost() == before + 2
    assert "CANARY" not in caplog.text


def test_threads_that_record_at_once_lose_nothing():
    def record(number: int) -> None:
        try:
            ledger.record([call(number)], Cause.POLL)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(record, range(40)))

    assert sorted(seconds()) == list(range(40))
