from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core import clock, metrics
from core.redis import client
from marketdata import cache, lookup, polling
from marketdata.cache import BEATS_KEY, STREAMING_KEY, decode
from marketdata.errors import NotFound
from marketdata.providers import registry
from marketdata.tape import openset
from marketdata.tape.sharding import shard_of
from tests.factories import make_subscription, make_ticker, make_user
from tests.outages import redis_away
from tests.providers import Scripted, make_quote

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def provider(settings) -> Iterator[Scripted]:
    client().flushall()
    cache.forget_memory()
    settings.DEMO_SYMBOLS = []
    scripted = Scripted(streams=False)
    with registry.override(scripted):
        yield scripted
    lookup.fetcher.close()


@pytest.fixture
def watched() -> list[str]:
    user = make_user(tier="expert")
    return [make_subscription(user, make_ticker(f"S{n}")).ticker.symbol for n in range(4)]


def inbox(shard: int = 0) -> dict[str, Decimal]:
    entries = client().xrange(openset.inbox_key(shard))
    quotes = [decode(fields[b"q"]) for _, fields in entries]
    return {quote.symbol: quote.price for quote in quotes}


def stream(*symbols: str) -> None:
    client().hset(STREAMING_KEY, mapping=dict.fromkeys(symbols, "0"))
    client().hset(BEATS_KEY, "0", str(time.time()))


def test_wanted_tickers_that_do_not_stream_are_fetched_once_and_handed_to_the_tape(provider, watched):
    stream("S0", "S1")
    other = make_user()
    make_subscription(other, make_ticker("S9"))

    assert polling.fetch_wanted() == 3

    assert sorted(provider.asked_symbols.elements()) == ["S2", "S3", "S9"]
    assert len(provider.requests) == 1
    assert inbox() == dict.fromkeys(["S2", "S3", "S9"], Decimal(100))


def test_what_is_still_fresh_is_not_bought_again(provider, watched):
    polling.fetch_wanted()
    polling.fetch_wanted()

    assert set(provider.asked_symbols.values()) == {1}


@pytest.mark.parametrize("quiet_for", [timedelta(0), timedelta(minutes=40)])
def test_a_share_without_trades_is_asked_when_the_last_answer_is_old_not_the_last_trade(
    provider, watched, monkeypatch, quiet_for
):
    """Every 5 s for a minute, with one last trade long ago: the tier's 15 s count, not the 5 s of the timer."""
    start = datetime.now(UTC)
    for passed in range(0, 60, 5):
        monkeypatch.setattr(clock, "now", lambda passed=passed: start + timedelta(seconds=passed))
        cache.forget_memory()
        client().delete(*client().keys("quote:claim:*") or ["none"])
        now = clock.now()
        provider.outcomes = {
            symbol: make_quote(
                symbol, as_of=start - quiet_for, received_at=now, expires_at=now + timedelta(seconds=15)
            )
            for symbol in watched
        }
        polling.fetch_wanted()

    # After 0, 20 and 40 s: at 15 s the answer was not yet older than that.
    assert set(provider.asked_symbols.values()) == {3}


def test_refusals_and_stale_copies_do_not_reach_the_tape(provider, watched):
    then = datetime.now(UTC) - timedelta(hours=1)
    old = make_quote("S1", "5", as_of=then, received_at=then, expires_at=then)
    cache.fill_redis([old])
    provider.outcomes = {"S0": NotFound(), "S1": NotFound()}

    assert polling.fetch_wanted() == 2
    assert set(inbox()) == {"S2", "S3"}


def test_a_dead_owner_streams_nothing(provider, watched):
    stream(*watched)
    client().hset(BEATS_KEY, "0", str(time.time() - 4))

    assert polling.fetch_wanted() == 4


def test_nothing_wanted_is_nothing_asked(provider):
    assert polling.fetch_wanted() == 0
    assert provider.requests == []


def test_while_redis_cannot_tell_what_streams_nothing_is_bought(provider, watched):
    with redis_away():
        assert polling.fetch_wanted() == 0
    assert provider.requests == []


def test_each_quote_goes_to_the_owner_of_its_shard():
    client().set(openset.SHARDS_KEY, 3)
    quotes = [make_quote(f"S{number}") for number in range(30)]

    polling.hand_over(quotes)

    for shard in range(3):
        mine = {quote.symbol for quote in quotes if shard_of(quote.symbol, 3) == shard}
        assert set(inbox(shard)) == mine
        assert mine


def test_handing_over_while_redis_is_away_is_counted_and_no_error():
    before = metrics.redis_failures.labels(used_by="inbox")._value.get()
    with redis_away():
        polling.hand_over([make_quote()])
    assert metrics.redis_failures.labels(used_by="inbox")._value.get() == before + 1


def test_the_inbox_does_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(polling, "INBOX_LENGTH", 100)
    quote = make_quote()

    polling.hand_over(replace(quote, seq=number) for number in range(1000))

    assert client().xlen(openset.inbox_key(0)) < 300
