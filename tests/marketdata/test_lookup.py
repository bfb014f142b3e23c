from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from core import clock, metrics
from core.redis import client
from marketdata import cache, claims, lookup, store
from marketdata.cache import BEATS_KEY, STREAMING_KEY
from marketdata.errors import ProviderDown
from marketdata.models import Quote as QuoteRow
from marketdata.providers import chain, registry
from marketdata.quotes import NoQuote, Quote, Reason, microseconds
from tests.factories import make_quote as make_row
from tests.factories import make_ticker
from tests.outages import postgres_switch, redis_away
from tests.providers import Scripted, make_quote

pytestmark = pytest.mark.django_db(transaction=True)

TIERS = ("memory", "redis", "database", "provider", "stale")
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def provider(monkeypatch) -> Iterator[Scripted]:
    """However long a busy machine takes, no price grows older by it, and nothing is forgotten."""
    client().flushall()
    cache.forget_memory()
    moment = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moment)
    monkeypatch.setattr(cache, "MEMORY_TTL_S", 600.0)
    monkeypatch.setattr(claims, "SETTLED_MS", 200_000)
    monkeypatch.setattr(chain, "QUOTE_BUDGET_S", 30.0)
    scripted = Scripted()
    with registry.override(scripted):
        yield scripted
    lookup.fetcher.close()


@pytest.fixture
def counted():
    """How many reads each tier has answered since."""

    def read() -> dict[str, int]:
        return {tier: int(metrics.quote_reads.labels(tier=tier)._value.get()) for tier in TIERS}

    before = read()
    return lambda: {tier: now - before[tier] for tier, now in read().items() if now > before[tier]}


def aged(symbol: str, age: timedelta, price: str = "5") -> Quote:
    then = clock.now() - age
    return make_quote(symbol, price, as_of=then, received_at=then, expires_at=then + timedelta(seconds=15))


def in_redis(quote: Quote, *, streaming: bool = False) -> None:
    cache.fill_redis([quote])
    if streaming:
        client().hset(STREAMING_KEY, quote.symbol, "0")
        client().hset(BEATS_KEY, "0", str(time.time() + 600))  # alive for as long as the test takes


def in_database(quote: Quote) -> None:
    store.store_fetched([quote], {quote.symbol: make_ticker(quote.symbol).pk})


def until(true: Callable[[], bool]) -> None:
    """What was bought is stored by another thread, a little after its answer."""
    while not true():
        pass


def test_each_tier_is_asked_only_for_what_the_ones_before_did_not_know(provider, counted):
    cache.remember(cache.Found(make_quote("MEM"), streaming=False))
    in_redis(make_quote("RED"))
    in_database(make_quote("DAT"))

    outcomes = lookup.get_quotes(["MEM", "RED", "DAT", "NEW"])

    assert all(isinstance(one, Quote) and not one.stale for one in outcomes.values())
    assert counted() == {"memory": 1, "redis": 1, "database": 1, "provider": 1}
    assert provider.requests == [["NEW"]]


def test_answers_come_in_the_order_asked_each_once():
    assert list(lookup.get_quotes(["B", "A", "B", "C"])) == ["B", "A", "C"]
    assert lookup.get_quotes([]) == {}


def test_what_was_bought_is_in_every_tier(provider, counted):
    make_ticker("AAPL")
    lookup.get_quotes(["AAPL"])
    until(QuoteRow.objects.exists)
    lookup.get_quotes(["AAPL", "MSFT"])

    assert provider.asked_symbols["AAPL"] == 1
    assert QuoteRow.objects.get().price == Decimal(100)
    assert cache.from_redis(["AAPL"])["AAPL"].quote.price == Decimal(100)


def test_an_expired_quote_is_asked_again(provider):
    in_redis(aged("AAPL", HOUR))

    assert lookup.get_quotes(["AAPL"])["AAPL"].price == Decimal(100)
    assert provider.requests == [["AAPL"]]


def test_while_it_streams_an_old_quote_is_good(provider):
    old = aged("AAPL", HOUR)
    in_redis(old, streaming=True)

    assert lookup.get_quotes(["AAPL"]) == {"AAPL": old}
    assert provider.requests == []


def test_max_age_is_about_when_it_was_checked_not_when_it_was_traded(provider):
    long_ago, now = clock.now() - HOUR, clock.now()
    in_redis(make_quote("QUIET", "5", as_of=long_ago, received_at=now - timedelta(seconds=5)))
    in_redis(make_quote("OLD", "5", received_at=now - timedelta(seconds=20)))

    outcomes = lookup.get_quotes(["QUIET", "OLD"], max_age=timedelta(seconds=10))

    assert (outcomes["QUIET"].price, outcomes["OLD"].price) == (Decimal(5), Decimal(100))
    assert provider.requests == [["OLD"]]


def test_what_streams_is_never_bought_whatever_max_age_says(provider):
    old = aged("AAPL", HOUR)
    in_redis(old, streaming=True)

    assert lookup.get_quotes(["AAPL"], max_age=timedelta(0)) == {"AAPL": old}
    assert provider.requests == []


def test_a_newer_quote_that_is_known_is_better_than_what_a_provider_says(provider):
    known = aged("AAPL", timedelta(seconds=20))
    in_redis(known)
    provider.outcomes = {"AAPL": aged("AAPL", HOUR, "3")}

    assert lookup.get_quotes(["AAPL"])["AAPL"].price == known.price


def test_the_newest_of_several_old_copies_is_shown_when_the_provider_is_down(provider, counted):
    provider.failure = ProviderDown()
    in_redis(aged("AAPL", 2 * HOUR, "1"))
    in_database(aged("AAPL", HOUR, "2"))

    outcome = lookup.get_quotes(["AAPL"])["AAPL"]

    assert (outcome.price, outcome.stale, outcome.reason) == (Decimal(2), True, Reason.PROVIDER_DOWN)
    assert counted()["stale"] == 1


def test_without_any_copy_there_is_no_quote_and_a_reason(provider):
    provider.failure = ProviderDown()

    assert lookup.get_quotes(["AAPL"]) == {"AAPL": NoQuote("AAPL", Reason.PROVIDER_DOWN)}


def test_stored_quotes_never_ask_a_provider(provider):
    in_redis(make_quote("GOOD"))
    in_redis(aged("OLD", HOUR))

    outcomes = lookup.stored_quotes(["GOOD", "OLD", "NONE"])

    assert provider.requests == []
    assert not outcomes["GOOD"].stale
    assert (outcomes["OLD"].stale, outcomes["OLD"].reason) == (True, Reason.PROVIDER_DOWN)
    assert outcomes["NONE"] == NoQuote("NONE", Reason.NO_DATA_YET)


def lost(symbol: str, ago: timedelta) -> None:
    """Its stream ended."""
    client().hset(cache.LOST_KEY, symbol, microseconds(clock.now() - ago))


@pytest.mark.parametrize("read", [lookup.stored_quotes, lookup.get_quotes])
def test_what_a_lost_stream_left_behind_is_stale_although_it_need_not_be_bought_yet(provider, read):
    for symbol in ("LOST", "BACK", "POLLED"):
        in_redis(aged(symbol, timedelta(seconds=9)), streaming=symbol == "BACK")
    lost("LOST", timedelta(seconds=8))
    lost("POLLED", timedelta(seconds=10))

    outcomes = read(["LOST", "BACK", "POLLED"])

    assert [(one.symbol, one.reason) for one in outcomes.values() if one.stale] == [
        ("LOST", Reason.PROVIDER_DOWN)
    ]
    assert provider.requests == []


def test_the_quotes_of_an_owner_that_died_are_stale(provider):
    in_redis(aged("AAPL", timedelta(seconds=9)), streaming=True)
    client().hset(BEATS_KEY, "0", str(time.time() - 5))

    assert lookup.stored_quotes(["AAPL"])["AAPL"].stale


def test_a_stored_quote_that_polls_keep_up_is_not_stale_between_two_of_them():
    numbered = replace(aged("AAPL", timedelta(seconds=20)), epoch=3, seq=1)
    in_redis(numbered)

    assert lookup.stored_quotes(["AAPL"]) == {"AAPL": numbered}


@pytest.mark.parametrize("down", [False, True])
def test_without_redis_the_database_answers_and_then_the_provider(provider, down):
    in_database(aged("OLD", HOUR))
    make_row(make_ticker("GOOD"), "7")
    provider.failure = ProviderDown() if down else None
    cache.forget_memory()

    with redis_away():
        outcomes = lookup.get_quotes(["GOOD", "OLD", "NEW"], patience_s=None)

    assert outcomes["GOOD"].price == Decimal(7)
    assert outcomes["OLD"].stale is down
    assert isinstance(outcomes["NEW"], NoQuote) is down


def test_without_postgres_what_redis_knows_is_shown_and_the_rest_is_bought(provider):
    in_redis(make_quote("RED", "3"))
    failures = metrics.database_failures.labels(used_by="quotes")._value.get
    before = failures()
    connection.close()

    with postgres_switch() as postgres:
        postgres.off()
        outcomes = lookup.get_quotes(["RED", "NEW"])
        cache.forget_memory()
        with redis_away():
            provider.failure = ProviderDown()
            assert lookup.get_quotes(["GONE"]) == {"GONE": NoQuote("GONE", Reason.PROVIDER_DOWN)}

    assert outcomes["RED"].price == Decimal(3)
    assert outcomes["NEW"].price == Decimal(100)
    assert failures() >= before + 2


@pytest.mark.parametrize("number", [1, 3])
def test_any_number_of_symbols_is_one_query(number, django_assert_num_queries):
    symbols = [make_row(make_ticker()).ticker.symbol for _ in range(number)]

    with django_assert_num_queries(1):
        lookup.stored_quotes(symbols)


# --- who can be shown an old price does not wait


def test_an_old_price_is_shown_stale_at_once_and_the_next_reader_gets_the_new_one(provider):
    in_redis(aged("AAPL", HOUR, "5"))
    provider.answering.clear()

    early = lookup.get_quotes(["AAPL"], patience_s=0.0)["AAPL"]
    assert (early.price, early.stale, early.reason) == (Decimal(5), True, Reason.PROVIDER_DOWN)

    provider.answering.set()
    late = lookup.get_quotes(["AAPL"], patience_s=None)["AAPL"]
    assert (late.price, late.stale) == (Decimal(100), False)
    assert provider.requests == [["AAPL"]]


def test_any_number_of_hurried_readers_cost_one_request(provider):
    in_redis(aged("AAPL", HOUR, "5"))
    provider.answering.clear()

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: lookup.get_quotes(["AAPL"], patience_s=0.0), range(30)))
    provider.answering.set()

    assert {(answer["AAPL"].price, answer["AAPL"].stale) for answer in answers} == {(Decimal(5), True)}
    lookup.get_quotes(["AAPL"], patience_s=None)
    assert provider.requests == [["AAPL"]]


def test_who_knows_nothing_of_a_symbol_waits_for_it(provider):
    in_redis(aged("OLD", HOUR, "5"))
    provider.answering.clear()

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(lookup.get_quotes, ["OLD", "NEW"], patience_s=0.0)
        assert provider.asked.wait(30)
        assert not reading.done()
        provider.answering.set()
        outcomes = reading.result()

    assert (outcomes["NEW"].price, outcomes["NEW"].stale) == (Decimal(100), False)
    assert outcomes["OLD"].price in {Decimal(5), Decimal(100)}


def test_what_a_hurried_reader_began_is_in_every_tier_when_it_lands(provider):
    in_database(aged("AAPL", HOUR, "5"))
    provider.answering.clear()
    lookup.get_quotes(["AAPL"], patience_s=0.0)

    provider.answering.set()
    lookup.get_quotes(["AAPL"], patience_s=None)

    until(lambda: QuoteRow.objects.get().price == Decimal(100))
    assert cache.from_redis(["AAPL"])["AAPL"].quote.price == Decimal(100)


def test_a_dead_main_provider_is_replaced_by_the_next_and_the_price_is_not_stale(provider):
    provider.failure = ProviderDown()
    other = Scripted(name="other")
    in_redis(aged("AAPL", HOUR, "5"))

    with registry.override(provider, other):
        outcome = lookup.get_quotes(["AAPL"], patience_s=None)["AAPL"]

    assert (outcome.price, outcome.stale, outcome.provider) == (Decimal(100), False, "other")


def test_the_patience_is_short_enough_for_our_promise():
    assert lookup.PATIENCE_S <= 0.5


def test_without_postgres_only_the_first_reader_waits_for_it(monkeypatch):
    connection.close()
    waited = []
    read = cache.from_database
    monkeypatch.setattr(cache, "from_database", lambda symbols: waited.append(symbols) or read(symbols))
    with postgres_switch() as postgres:
        postgres.off()
        for _ in range(3):
            assert lookup.stored_quotes(["AAPL"])["AAPL"].reason is Reason.NO_DATA_YET

    assert len(waited) == 1
