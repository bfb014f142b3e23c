from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core import doctor, metrics
from core.doctor import Line, Verdict
from core.redis import client
from marketdata import cache, demand, diagnosis, health, ledger, lookup, quota
from marketdata.errors import Kind, Unauthorized
from marketdata.health import Condition
from marketdata.metering import Call
from marketdata.models import Cause, ProviderCall, Quote, Upstream, UpstreamState
from marketdata.providers import breakers, registry
from marketdata.providers.base import Window
from marketdata.providers.chain import breaker_name
from marketdata.providers.registry import Purpose
from tests.factories import make_subscription, make_ticker, make_user
from tests.providers import Scripted, make_quote

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def provider(settings):
    client().flushall()
    cache.forget_memory()
    settings.DEMO_SYMBOLS = []
    one = Scripted(name="one", windows=(Window(10, 60),))
    with registry.override(one):
        yield one
    lookup.fetcher.close()


def only() -> health.ProviderHealth:
    (found,) = health.providers()
    return found


def call(kind: Kind = Kind.OK, **fields) -> Call:
    return Call("one", "quotes", datetime.now(UTC), kind, symbols=("AAPL",), took_s=0.02, **fields)


def test_a_provider_nobody_asked_is_idle():
    assert (only().condition, only().lately.calls) == (Condition.IDLE, 0)


def test_one_that_answers_is_well_and_its_calls_are_counted():
    ledger.record([call(), call(Kind.NOT_FOUND), call(Kind.TRANSIENT)], Cause.REQUEST)

    found = only()

    assert (found.condition, found.lately.calls, found.lately.failed) == (Condition.OK, 3, 1)
    assert found.lately.latency_ms == pytest.approx(20)


def test_stream_minutes_are_no_calls():
    ledger.record([call()], Cause.STREAM)

    assert only().lately.calls == 0


def test_an_open_breaker_says_what_is_away_and_until_when(provider):
    breakers.hold(breaker_name(provider, Purpose.QUOTES), 60)

    found = only()

    assert (found.condition, found.why) == (Condition.DOWN, "no usable answer: quotes")
    assert found.until is not None
    assert timedelta(seconds=50) < found.until - datetime.now(UTC) <= timedelta(seconds=60)


def test_one_that_asked_us_to_wait_is_waited_for(provider):
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=90)
    quota.block("one", until)

    assert (only().condition, only().until) == (Condition.WAITING, until)


def test_a_lost_stream_is_told():
    now = datetime.now(UTC)
    Upstream.objects.create(
        shard="0",
        provider="one",
        state=UpstreamState.WAITING,
        holder="h",
        epoch=1,
        since=now,
        reported_at=now,
    )

    assert (only().condition, only().why) == (Condition.DOWN, "stream lost, reconnecting")


def test_what_is_left_of_a_quota_is_told(provider):
    for _ in range(3):
        assert quota.take(provider, quota.Priority.ALERT).granted

    (budget,) = only().budgets

    assert (budget.used, budget.left) == (3, 7)


def test_prices_tell_what_is_wanted_and_which_check_is_oldest():
    user, now = make_user(), datetime.now(UTC)
    for symbol, age_s in (("AAPL", 10), ("IBM", 100), ("NEW", None)):
        ticker = make_ticker(symbol)
        make_subscription(user, ticker)
        if age_s is not None:
            Quote.objects.create(
                ticker=ticker, price=1, as_of=now, received_at=now - timedelta(seconds=age_s), expires_at=now,
                provider="one",
            )  # fmt: skip

    found = health.prices()

    assert (found.wanted, found.streaming, found.without_quote, found.oldest_symbol) == (3, 0, 1, "IBM")
    assert found.oldest is not None
    assert 100 <= found.oldest.total_seconds() < 130


def test_the_hit_rate_counts_what_was_not_bought(monkeypatch):
    monkeypatch.setattr("marketdata.lookup.early.should_refresh", lambda *_: False)  # it draws lots
    asked, bought = metrics.quotes_asked._value.get, metrics.quote_reads.labels(tier="provider")._value.get
    before = asked(), bought()

    monkeypatch.setattr(cache, "MEMORY_TTL_S", 600.0)

    lookup.get_quotes(["AAPL"])
    while not cache.from_memory(["AAPL"]):  # where another thread puts it, a little after the answer
        pass
    lookup.get_quotes(["AAPL"])

    assert (asked() - before[0], bought() - before[1]) == (2, 1)
    assert health.hit_rate() == pytest.approx(1 - bought() / asked())


def verdicts(lines) -> list[tuple[str, Verdict]]:
    return [(line.topic, line.verdict) for line in lines]


def test_the_doctor_calls_each_real_provider_once_and_compares_them(provider):
    other = Scripted(name="other")
    other.outcomes = {"AAPL": make_quote("AAPL", "102")}
    make_subscription(make_user(), make_ticker("AAPL"))
    with registry.override(provider, other):
        found = list(diagnosis.key_lines(True))

    assert verdicts(found) == [
        ("one", Verdict.OK), ("other", Verdict.OK), ("agreement", Verdict.WARN)
    ]  # fmt: skip
    assert found[-1].text == "one and other differ by 2.000 % (median of 1)"
    assert (provider.requests, other.requests) == ([["AAPL"]], [["AAPL"]])


def test_the_doctor_asks_nobody_offline(provider):
    assert verdicts(diagnosis.key_lines(False)) == [("keys", Verdict.OK)]
    assert provider.requests == []


def test_the_doctor_asks_no_provider_that_invents_prices(provider):
    provider.capabilities = replace(provider.capabilities, simulated=True)

    assert verdicts(diagnosis.key_lines(True)) == [("keys", Verdict.OK)]
    assert provider.requests == []


def test_a_refused_key_is_bad_and_says_what_to_do(provider):
    provider.failure = Unauthorized("one answered 401")

    (line,) = diagnosis.key_lines(True)

    assert (line.verdict, line.text) == (Verdict.BAD, "refuses our key")
    assert "Set the right key" in line.hint


def test_a_quota_that_runs_out_is_to_be_looked_at(provider):
    for _ in range(10):
        quota.take(provider, quota.Priority.ALERT)

    lines = list(diagnosis.provider_lines(False))

    assert (lines[1].topic, lines[1].verdict) == ("one", Verdict.WARN)
    assert lines[1].text.startswith("0 of 10 requests left per 1 minute; at this rate exhausted at ")


def test_an_examination_that_fails_is_a_finding_and_the_next_goes_on(monkeypatch):
    def fails(_asks):
        raise ValueError("secret-canary")

    monkeypatch.setattr(
        doctor, "_examinations", {"broken": fails, "fine": lambda _: [Line("fine", Verdict.OK, "it is")]}
    )

    found = list(doctor.examine(asks=False))

    assert verdicts(found) == [("broken", Verdict.BAD), ("fine", Verdict.OK)]
    assert found[0].text == "could not be examined: ValueError"


def test_what_is_wanted_most_is_compared():
    for number, symbol in enumerate(["AAPL", "IBM"]):
        ticker = make_ticker(symbol)
        for _ in range(number + 1):
            make_subscription(make_user(), ticker)

    assert diagnosis.symbols_to_compare() == ["IBM", "AAPL"]
    assert set(demand.wanted()) == {"AAPL", "IBM"}


def test_a_test_call_is_a_purchase_of_its_own_cause(provider):
    asyncio.run(diagnosis.test_call(provider, ["AAPL"]))

    assert list(ProviderCall.objects.values_list("provider", "cause", "symbols")) == [
        ("one", "check", ["AAPL"])
    ]
