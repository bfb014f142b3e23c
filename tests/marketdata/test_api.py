from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote

import pytest
from django.conf import settings

from core import clock
from marketdata import attention, cache, lookup, market_hours
from marketdata.providers import registry
from marketdata.providers.replay import day_start
from tests.factories import make_daily_bar, make_minute_bar, make_quote, make_ticker, make_user
from tests.providers import Scripted

pytestmark = pytest.mark.django_db

BRK = ["BRK.B", "brk-b", "BRK/B", "BRK B", "ＢＲＫ.Ｂ"]
NOT_SYMBOLS = {
    "cyrillic look-alike": "АAPL",
    "100 characters": "A" * 100,
    "control character": "AA\x07PL",
    "zero-width": "AA\u200bPL",
    "emoji": "🚀",
    "glob": "AA*",
    "injection": ";DROP",
    "right to left": "\u202eLPAA",
}


@pytest.fixture(autouse=True)
def _nothing_remembered():
    cache.forget_memory()
    cache.client().flushdb()


@pytest.fixture
def alice(client):
    user = make_user("alice")
    client.force_login(user)
    return user


def url(symbol, rest=""):
    return f"/api/v1/tickers/{quote(symbol, safe='')}/{rest}"


def problem(response):
    assert response["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


# --- Symbols


@pytest.mark.parametrize("spelling", BRK)
def test_every_spelling_leads_to_one_ticker(client, alice, spelling):
    make_quote(make_ticker("BRK.B"), "350.10")

    response = client.get(url(spelling))

    assert response.status_code == 200
    assert (response.json()["symbol"], response.json()["quote"]["price"]) == ("BRK.B", "350.10")


@pytest.mark.parametrize("symbol", ["^GSPC", "0700.HK", "EURUSD=X", "BTC-USD", "A", "NULL", "NAN", "TRUE"])
def test_unusual_symbols_are_found(client, alice, symbol):
    make_quote(make_ticker(symbol))

    assert client.get(url(symbol)).json()["symbol"] == symbol
    assert client.get("/api/v1/quotes/", {"symbols": symbol}).json()["results"][0]["price"] == "100.00"


@pytest.mark.parametrize("text", NOT_SYMBOLS.values(), ids=NOT_SYMBOLS.keys())
def test_what_is_no_symbol_is_a_clear_400(client, alice, text):
    assert problem(client.get(url(text))) == (400, "invalid_symbol")
    assert problem(client.get(url(text, "bars/"))) == (400, "invalid_symbol")
    assert problem(client.get("/api/v1/quotes/", {"symbols": text})) == (400, "invalid_symbol")


def test_a_symbol_that_nobody_lists_is_a_404(client, alice):
    assert problem(client.get(url("ZZZZ"))) == (404, "not_found")
    assert problem(client.get(url("ZZZZ", "bars/"))) == (404, "not_found")


# --- Tickers


def test_searching_needs_no_login(client):
    make_ticker("AAPL", name="Apple Inc.", sector="Technology")

    response = client.get("/api/v1/tickers/", {"search": "aap"})

    assert response.json() == {
        "results": [
            {
                "symbol": "AAPL",
                "name": "Apple Inc.",
                "exchange": "NYSE",
                "sector": "Technology",
                "asset_class": "stock",
                "currency": "USD",
                "is_active": True,
            }
        ],
        "next": None,
    }


@pytest.mark.parametrize("text", ["", "%", "_", "\\", "'", "zzzz", "\u202e", "’", "a" * 100])
def test_any_text_can_be_searched(client, text):
    make_ticker("AAPL")

    assert client.get("/api/v1/tickers/", {"search": text}).status_code == 200


@pytest.mark.parametrize("query", [{"search": "a\x00"}, {"search": "a" * 101}, {"search": "a", "limit": "0"}])
def test_a_search_that_makes_no_sense_is_a_400(client, query):
    assert problem(client.get("/api/v1/tickers/", query)) == (400, "validation_error")


def test_the_whole_list_needs_a_login_and_comes_in_pages(client, alice):
    for symbol in ("AAPL", "IBM", "MSFT"):
        make_ticker(symbol)
    make_ticker("OLD", is_active=False)

    first = client.get("/api/v1/tickers/", {"limit": 2}).json()
    second = client.get(first["next"]).json()
    client.logout()

    assert [row["symbol"] for row in first["results"] + second["results"]] == ["AAPL", "IBM", "MSFT"]
    assert second["next"] is None
    assert problem(client.get("/api/v1/tickers/")) == (401, "not_authenticated")


@pytest.mark.parametrize("cursor", ["x", "%00", "cD0lMDA=", "bz0xMDAwMDAw", "ZZZZ" * 300])
def test_a_cursor_somebody_made_up_is_no_server_error(client, alice, cursor):
    assert client.get("/api/v1/tickers/", {"cursor": cursor}).status_code in {200, 404}


def test_a_visitor_reads_demo_tickers_only(client):
    demo, other = settings.DEMO_SYMBOLS[0], "NVDA"
    for symbol in (demo, other):
        make_quote(make_ticker(symbol))

    assert client.get(url(demo)).status_code == 200
    assert client.get(url(demo, "bars/")).status_code == 200
    assert client.get("/api/v1/quotes/", {"symbols": demo}).status_code == 200
    for address in (url(other), url(other, "bars/"), f"/api/v1/quotes/?symbols={demo},{other}"):
        assert problem(client.get(address)) == (401, "not_authenticated")


def test_a_deactivated_person_is_a_visitor(client, alice):
    make_ticker("NVDA")
    alice.is_active = False
    alice.save()

    assert problem(client.get(url("NVDA"))) == (401, "not_authenticated")


# --- Quotes


def test_each_symbol_has_an_outcome_in_the_order_asked(client, alice):
    make_quote(make_ticker("IBM"), "187.32")
    make_quote(make_ticker("BRK.B"), "350")

    response = client.get("/api/v1/quotes/?symbols=brk-b,ZZZZ&symbols=IBM,BRK/B")

    outcomes = [(q["symbol"], q["price"], q["reason"]) for q in response.json()["results"]]
    assert outcomes == [("BRK.B", "350.00", None), ("ZZZZ", None, "not_found"), ("IBM", "187.32", None)]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"symbols": ""},
        {"symbols": ",,"},
        {"symbols": ",".join(f"A{n}" for n in range(101))},
        {"symbols": "IBM", "max_age": "0"},
        {"symbols": "IBM", "max_age": "-1"},
        {"symbols": "IBM", "max_age": "1e9"},
        {"symbols": "IBM", "max_age": "NaN"},
        {"symbols": "IBM", "max_age": "9" * 5000},
    ],
)
def test_a_query_for_quotes_that_makes_no_sense_is_a_400(client, alice, query):
    assert problem(client.get("/api/v1/quotes/", query)) == (400, "validation_error")


def test_a_hundred_quotes_cost_few_queries(client, alice, django_assert_max_num_queries):
    for number in range(100):
        make_quote(make_ticker(f"A{number}"))
    market_hours.refresh()  # once a minute, whoever asks then

    with django_assert_max_num_queries(4):
        response = client.get("/api/v1/quotes/", {"symbols": ",".join(f"A{n}" for n in range(100))})

    assert len(response.json()["results"]) == 100


@pytest.fixture
def provider():
    scripted = Scripted()
    with registry.override(scripted):
        yield scripted
    lookup.fetcher.close()


@pytest.mark.django_db(transaction=True)
def test_nobody_makes_us_buy_a_ticker_more_often_than_its_time_to_live(client, alice, provider, monkeypatch):
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    make_quote(make_ticker("NEW"), received_at=now - timedelta(seconds=8))
    make_quote(make_ticker("OLD"), received_at=now - timedelta(seconds=16))

    client.get("/api/v1/quotes/", {"symbols": "NEW,OLD", "max_age": "1"})

    assert provider.requests == [["OLD"]]


@pytest.mark.django_db(transaction=True)
def test_while_the_market_is_closed_nothing_is_bought_for_five_minutes_whatever_a_request_insists_on(
    client, alice, provider, monkeypatch
):
    provider.capabilities = replace(provider.capabilities, always_open=False)
    saturday = datetime(2026, 7, 18, 15, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: saturday)
    for symbol, age_s in {"NEW": 290, "OLD": 310, "BTC-USD": 20}.items():
        make_quote(make_ticker(symbol), received_at=saturday - timedelta(seconds=age_s))

    client.get("/api/v1/quotes/", {"symbols": "NEW,OLD,BTC-USD", "max_age": "1"})

    assert sorted(provider.asked_symbols) == ["BTC-USD", "OLD"]


def test_who_asks_for_quotes_is_said_to_look_at_them(client, alice):
    attention.forget()
    for symbol in ("LOOK1", "LOOK2"):
        make_quote(make_ticker(symbol))

    client.get("/api/v1/quotes/", {"symbols": "LOOK1,UNKNOWN9"})
    client.get("/api/v1/tickers/LOOK2/")

    assert attention.looked_at() & {"LOOK1", "LOOK2", "UNKNOWN9"} == {"LOOK1", "LOOK2"}


# --- Bars


def closes(response):
    return [bar["c"] for bar in response.json()["results"]]


def test_daily_bars_are_the_last_two_years_oldest_first(client, alice):
    ticker, today = make_ticker("IBM"), clock.now().date()
    for days, close in ((800, "1"), (700, "2"), (3, "3")):
        make_daily_bar(ticker, today - timedelta(days=days), close)

    response = client.get(url("IBM", "bars/"))

    assert closes(response) == ["2.00", "3.00"]
    assert response.json()["next"] is None
    assert response.json()["results"][1] == {
        "t": f"{today - timedelta(days=3)}T00:00:00.000Z",
        "o": "3.00",
        "h": "4.00",
        "l": "2.00",
        "c": "3.00",
        "v": 1000,
    }


def test_minute_bars_are_those_of_the_last_day(client, alice):
    ticker, now = make_ticker("IBM"), clock.now().replace(second=0, microsecond=0)
    make_minute_bar(ticker, now - timedelta(hours=25), "1")
    make_minute_bar(ticker, now - timedelta(hours=1), "2")

    assert closes(client.get(url("IBM", "bars/"), {"interval": "1min"})) == ["2.00"]


def test_minute_bars_of_a_replayed_ticker_begin_with_the_replayed_day(client, alice, settings):
    settings.REPLAY_SPEED = 1.0
    ticker, now = make_ticker("IBM"), clock.now()
    start = day_start(now, 1.0)
    make_quote(ticker, as_of=now, replay_date=date(2012, 10, 25))
    make_minute_bar(ticker, start - timedelta(minutes=1), "1")
    make_minute_bar(ticker, start, "2")
    before = (start - timedelta(minutes=5)).isoformat()

    assert closes(client.get(url("IBM", "bars/"), {"interval": "1min"})) == ["2.00"]
    assert closes(client.get(url("IBM", "bars/"), {"interval": "1min", "start": before})) == ["1.00", "2.00"]


def test_both_ends_belong_to_the_stretch(client, alice):
    ticker = make_ticker("IBM")
    for day in range(1, 6):
        make_daily_bar(ticker, date(2024, 2, day), str(day))
        make_minute_bar(ticker, datetime(2024, 2, day, 12, tzinfo=UTC), str(day))

    def asked(**query):
        return closes(client.get(url("IBM", "bars/"), query))

    assert asked(start="2024-02-02", end="2024-02-04") == ["2.00", "3.00", "4.00"]
    assert asked(start="2024-02-02T00:00:01Z", end="2024-02-04T00:00:00Z") == ["3.00", "4.00"]
    assert asked(interval="1min", start="2024-02-02", end="2024-02-03") == ["2.00", "3.00"]
    assert asked(interval="1min", start="2024-02-02T14:00:01+02:00", end="2024-02-03") == ["3.00"]
    assert asked(interval="1min", start="2024-02-02 12:00", end="2024-02-02") == ["2.00"]


def test_a_replayed_ticker_shows_nothing_after_the_replayed_day(client, alice):
    ticker = make_ticker("IBM")
    make_quote(ticker, replay_date=date(2012, 10, 25))
    for day, close in ((date(2009, 1, 5), "1"), (date(2012, 10, 25), "2"), (date(2012, 10, 26), "3")):
        make_daily_bar(ticker, day, close)

    assert closes(client.get(url("IBM", "bars/"))) == ["2.00"]
    assert closes(client.get(url("IBM", "bars/"), {"start": "2000-01-01", "end": "2030-01-01"})) == [
        "1.00",
        "2.00",
    ]


@pytest.mark.parametrize("interval", ["1day", "1min"])
def test_more_bars_than_the_limit_come_in_pages(client, alice, interval):
    ticker = make_ticker("IBM")
    for day in range(1, 6):
        make_daily_bar(ticker, date(2024, 2, day), str(day))
        make_minute_bar(ticker, datetime(2024, 2, day, 12, tzinfo=UTC), str(day))
    query = {"interval": interval, "start": "2024-02-01", "end": "2024-02-28", "limit": "2"}

    pages, following = [], url("IBM", "bars/") + "?" + "&".join(f"{k}={v}" for k, v in query.items())
    while following:
        response = client.get(following)
        pages.append(closes(response))
        following = response.json()["next"]

    assert pages == [["1.00", "2.00"], ["3.00", "4.00"], ["5.00"]]


@pytest.mark.parametrize(
    "query",
    [
        {"interval": "2min"},
        {"start": "yesterday"},
        {"start": "0000-00-00"},
        {"start": "2023-02-29"},
        {"end": "10000-01-01"},
        {"start": "2024-02-02", "end": "2024-02-01"},
        {"limit": "5001"},
        {"limit": "0"},
        {"start": "2024-01-01\x00"},
        {"start": "0001-01-01T00:00:00+23:59"},
    ],
)
def test_a_query_for_bars_that_makes_no_sense_is_a_400(client, alice, query):
    make_ticker("IBM")

    assert problem(client.get(url("IBM", "bars/"), query)) == (400, "validation_error")


@pytest.mark.parametrize(
    "query", [{"start": "0001-01-01"}, {"end": "0001-01-01"}, {"start": "9999-12-31"}, {"end": "9999-12-31"}]
)
@pytest.mark.parametrize("interval", ["1day", "1min"])
def test_the_ends_of_the_calendar_are_only_empty(client, alice, query, interval):
    make_ticker("IBM")

    assert client.get(url("IBM", "bars/"), {**query, "interval": interval}).json()["results"] == []
