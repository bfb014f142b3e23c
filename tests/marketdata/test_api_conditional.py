from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core import clock
from core.redis import client as redis
from marketdata import attention, cache, market_hours, staleness
from marketdata.cache import LATEST_KEY, LOST_KEY, STREAMING_KEY, encode
from marketdata.freshness import OPEN_TTL
from marketdata.quotes import Quote, microseconds
from tests.factories import make_quote, make_ticker, make_user

pytestmark = pytest.mark.django_db

ADDRESS = "/api/v1/quotes/?symbols=AAPL,MSFT"


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch):
    """And nothing becomes stale only because the machine is busy."""
    redis().flushdb()
    cache.forget_memory()
    moment = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moment)
    monkeypatch.setattr(clock, "now_us", lambda: microseconds(moment))


@pytest.fixture
def poll(client):
    """Somebody who is logged in asks for two quotes, with what they know."""
    client.force_login(make_user())
    for symbol in ("AAPL", "MSFT"):
        make_ticker(symbol)

    def ask(etag: str = "", address: str = ADDRESS):
        cache.forget_memory()  # or a change would be seen a second later
        return client.get(address, headers={"If-None-Match": etag} if etag else {})

    return ask


def published(symbol: str, seq: int = 1, price: str = "100.00") -> Quote:
    """As the tape leaves it in Redis."""
    now = clock.now()
    quote = Quote(symbol, Decimal(price), now, now, now + OPEN_TTL, "simulator", epoch=1, seq=seq)
    redis().hset(LATEST_KEY, symbol, encode(quote))
    return quote


def test_an_answer_has_a_strong_etag_and_says_who_may_keep_it(poll):
    published("AAPL"), published("MSFT")

    response = poll()

    assert response.status_code == 200
    assert response["ETag"].startswith('"')
    assert response["Cache-Control"] == "private, no-cache"
    assert sorted(response["Vary"].split(", ")) == ["Authorization", "Cookie"]


def test_who_knows_the_answer_gets_a_line_without_a_body(poll):
    published("AAPL"), published("MSFT")
    first = poll()

    again = poll(first["ETag"])

    assert (again.status_code, again.content) == (304, b"")
    assert [again[name] for name in ("ETag", "Cache-Control")] == [first["ETag"], "private, no-cache"]
    assert sorted(again["Vary"].split(", ")) == ["Authorization", "Cookie"]


@pytest.mark.parametrize(
    ("known", "status"),
    [
        ("{etag}", 304),
        ("W/{etag}", 304),  # a proxy that compresses weakens it
        ('"older", {etag}', 304),
        ("*", 304),
        ('"older"', 200),
        ("not an etag", 200),
        ('"' + "x" * 5_000 + '"', 200),
    ],
)
def test_what_is_known_may_be_said_in_any_legal_way(poll, known, status):
    published("AAPL"), published("MSFT")
    etag = poll()["ETag"]

    assert poll(known.format(etag=etag)).status_code == status


def test_time_alone_changes_nothing(poll, monkeypatch):
    published("AAPL"), published("MSFT")
    etag = poll()["ETag"]
    later = clock.now() + timedelta(seconds=5)
    monkeypatch.setattr(clock, "now", lambda: later)

    assert poll(etag).status_code == 304


@pytest.mark.parametrize("symbol", ["AAPL", "MSFT"])
def test_a_new_position_is_a_new_answer(poll, symbol):
    published("AAPL"), published("MSFT")
    etag = poll()["ETag"]

    published(symbol, seq=2)  # of the same price

    changed = poll(etag)
    assert changed.status_code == 200
    assert changed["ETag"] != etag


@pytest.mark.parametrize(
    "change",
    [
        {"price": Decimal("100.01")},
        {"epoch": 2},
        {"volume": 5},
        {"bid": Decimal("99.99")},
        {"halted": True},
        {"delayed_s": 900},
        {"provider": "replay"},
        {"received_at": timedelta(milliseconds=1)},
    ],
)
def test_anything_else_that_is_told_is_a_new_answer(poll, change):
    quote, _ = published("AAPL"), published("MSFT")
    etag = poll()["ETag"]
    if "received_at" in change:
        change = {"received_at": quote.received_at + change["received_at"]}

    redis().hset(LATEST_KEY, "AAPL", encode(replace(quote, **change)))

    assert poll(etag).status_code == 200


def test_becoming_stale_and_fresh_again_are_new_answers(poll, monkeypatch):
    monkeypatch.setattr(staleness, "BACK_WITHIN", timedelta(0))
    published("AAPL"), published("MSFT")
    fresh = poll()

    redis().hset(LOST_KEY, "AAPL", clock.now_us())
    stale = poll(fresh["ETag"])
    assert [one["stale"] for one in stale.json()["results"]] == [True, False]
    assert poll(stale["ETag"]).status_code == 304

    redis().hdel(LOST_KEY, "AAPL")
    assert poll(stale["ETag"])["ETag"] == fresh["ETag"]
    assert not redis().hexists(STREAMING_KEY, "AAPL")


def test_other_symbols_or_another_order_are_another_answer(poll):
    published("AAPL"), published("MSFT")
    etags = {
        poll(address=f"/api/v1/quotes/?symbols={those}")["ETag"]
        for those in ("AAPL,MSFT", "MSFT,AAPL", "AAPL")
    }

    assert len(etags) == 3


def test_a_symbol_without_a_price_is_told_once_too(poll):
    address = "/api/v1/quotes/?symbols=ZZZZ"
    first = poll(address=address)

    assert first.json()["results"][0]["reason"] == "not_found"
    assert poll(first["ETag"], address).status_code == 304


def test_a_304_costs_the_login_and_the_question_which_tickers_there_are(poll, django_assert_num_queries):
    published("AAPL"), published("MSFT")
    market_hours.refresh()  # once a minute, whoever asks then
    attention.look(["AAPL", "MSFT"])
    etag = poll()["ETag"]

    with django_assert_num_queries(3) as asked:
        assert poll(etag).status_code == 304

    tables = [sql["sql"].partition(' FROM "')[2].partition('"')[0] for sql in asked.captured_queries]
    assert tables == ["django_session", "accounts_user", "marketdata_ticker"]


def test_a_quote_that_is_only_in_the_database_is_known_by_its_etag_too(poll):
    make_quote(make_ticker("IBM"), "187.32")
    first = poll(address="/api/v1/quotes/?symbols=IBM")

    assert poll(first["ETag"], "/api/v1/quotes/?symbols=IBM").status_code == 304


def test_a_refusal_is_no_answer_to_keep(client):
    refused = client.get("/api/v1/quotes/?symbols=NVDA", headers={"If-None-Match": "*"})

    assert refused.status_code == 401
    assert "ETag" not in refused
