from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from core import clock
from core.redis import client
from marketdata import cache, lookup
from marketdata.cache import Found
from marketdata.providers import registry
from marketdata.quotes import Quote
from tests.providers import Scripted, make_quote

pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def provider(monkeypatch) -> Iterator[Scripted]:
    """However long a busy machine takes, no price grows older by it, and nothing is forgotten."""
    client().flushall()
    cache.forget_memory()
    moment = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moment)
    monkeypatch.setattr(cache, "MEMORY_TTL_S", 600.0)
    scripted = Scripted()
    with registry.override(scripted):
        yield scripted
    lookup.fetcher.close()


@pytest.fixture
def drawn(monkeypatch):
    """The lots that reads draw, where a fetch takes five seconds."""

    def draws(lot: float) -> None:
        monkeypatch.setattr(lookup.fetcher, "typical_s", 5.0)
        monkeypatch.setattr(lookup._lots, "random", lambda: lot)

    return draws


def good_for(seconds: float, *, streaming: bool = False) -> Quote:
    quote = make_quote("AAPL", "5", expires_at=clock.now() + seconds * SECONDS)
    cache.remember(Found(quote, streaming=streaming))
    return quote


def test_a_reader_who_draws_the_lot_gets_the_known_quote_and_has_it_renewed(provider, drawn):
    provider.answering.clear()  # nobody may wait for it
    drawn(0.0)
    known = good_for(3)

    assert lookup.get_quotes(["AAPL"]) == {"AAPL": known}

    assert provider.asked.wait(30)
    provider.answering.set()
    assert provider.requests == [["AAPL"]]


def test_who_does_not_draw_it_buys_nothing(provider, drawn):
    drawn(0.999)
    good_for(3)

    lookup.get_quotes(["AAPL"])
    lookup.get_quotes(["NEW"])

    assert provider.requests == [["NEW"]]


def test_what_streams_and_what_has_run_out_is_not_renewed_early(provider, drawn):
    drawn(0.0)
    good_for(3, streaming=True)
    lookup.get_quotes(["AAPL"])
    good_for(-3)
    lookup.get_quotes(["AAPL"], max_age=60 * SECONDS)
    lookup.get_quotes(["NEW"])

    assert provider.requests == [["NEW"]]


def test_who_says_how_old_a_quote_may_be_draws_no_lot(provider, drawn):
    drawn(0.0)
    good_for(3)

    lookup.get_quotes(["AAPL"], max_age=60 * SECONDS)
    lookup.get_quotes(["NEW"])

    assert provider.requests == [["NEW"]]


def test_how_long_a_fetch_takes_is_learned(provider, monkeypatch):
    monkeypatch.setattr(lookup.fetcher, "typical_s", 0.0)

    lookup.get_quotes(["AAPL"])

    assert 0 < lookup.fetcher.typical_s < 60


def test_what_an_abandoned_simulation_left_behind_is_no_price(provider, settings):
    settings.MARKETDATA_PROVIDERS = ["alpaca"]
    cache.remember(Found(make_quote("AAPL", "5", provider="replay"), streaming=False))
    cache.remember(Found(make_quote("IBM", "6", provider="massive"), streaming=False))

    found = lookup.get_quotes(["AAPL", "IBM"])

    assert {symbol: one.price for symbol, one in found.items()} == {"AAPL": 100, "IBM": 6}
    assert provider.requests == [["AAPL"]]
