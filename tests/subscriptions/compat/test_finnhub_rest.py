"""Finnhub's REST API as we serve it: addresses, figures, errors. Its own client library: test_finnhub_client.py."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError

from marketdata import cache
from marketdata.models import CorporateAction
from marketdata.quotes import ActionKind, NoQuote, Reason
from tests.accounts.keys import make_api_key
from tests.factories import make_daily_bar, make_minute_bar, make_quote, make_ticker, make_user

pytestmark = pytest.mark.django_db

BASE = "/compat/finnhub/api/v1"
AT = datetime(2026, 3, 2, 15, 30, 0, 500_000, tzinfo=UTC)
NOTHING = {"c": 0, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0}


@pytest.fixture(autouse=True)
def _nothing_remembered():
    cache.forget_memory()
    cache.client().flushdb()


@pytest.fixture
def key():
    return make_api_key(make_user())[1]


@pytest.fixture
def ask(client, key):
    """`ask(path, …)`: (status, body) with our key in the header."""

    def asked(path, **params):
        response = client.get(BASE + path, params, headers={"X-Finnhub-Token": key})
        assert response["Content-Type"] == "application/json"
        return response.status_code, response.json()

    return asked


# --- who asks


def test_the_key_may_stand_in_the_address(client, key):
    make_quote(make_ticker("AAPL"), "189.34")

    assert client.get(f"{BASE}/quote", {"symbol": "AAPL", "token": key}).status_code == 200


@pytest.mark.parametrize("token", [None, "", "nonsense", "ot_abcdefgh_" + "x" * 40, "\x00", "é"])
def test_without_a_key_of_ours_the_answer_is_finnhubs_401(client, token):
    response = client.get(
        f"{BASE}/quote", {"symbol": "AAPL", **({"token": token} if token is not None else {})}
    )

    assert (response.status_code, response.json()) == (401, {"error": "Invalid API key"})


# --- quotes


@pytest.mark.parametrize("path", ["/quote", "//quote"])
def test_a_quote_with_one_slash_and_with_two(ask, path):
    make_quote(
        make_ticker("AAPL"), "189.34", change=Decimal("1.5"), change_percent=Decimal("0.8"), open=Decimal(188),
        high=Decimal(190), low=Decimal("187.5"), previous_close=Decimal("187.84"), as_of=AT,
    )  # fmt: skip

    assert ask(path, symbol="AAPL") == (
        200,
        {"c": 189.34, "d": 1.5, "dp": 0.8, "h": 190.0, "l": 187.5, "o": 188.0, "pc": 187.84, "t": 1772465400},
    )


def test_a_figure_that_is_not_known_is_zero_or_null(ask):
    make_quote(make_ticker("AAPL"), "189.34", as_of=AT)

    assert ask("/quote", symbol="AAPL")[1] == {**NOTHING, "c": 189.34, "t": 1772465400}


@pytest.mark.parametrize("symbol", ["NOSUCH", "А", "A*", "A" * 300, "../etc", "\x00", "🚀", "OANDA:EUR"])
def test_of_what_it_does_not_know_a_quote_is_zeros(ask, symbol):
    assert ask("/quote", symbol=symbol) == (200, NOTHING)


@pytest.mark.parametrize(
    ("asked", "symbol"),
    [
        ("brk-b", "BRK.B"),
        ("OANDA:EUR_USD", "EURUSD=X"),
        ("BINANCE:BTCUSDT", "BTC-USD"),
        ("BTC-USD", "BTC-USD"),
    ],
)
def test_finnhubs_spellings_are_understood(ask, asked, symbol):
    make_quote(make_ticker(symbol), "1.5")

    assert ask("/quote", symbol=asked)[1]["c"] == 1.5


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.PLAN_LOCKED, 403),
        (Reason.PROVIDER_DOWN, 503),
        (Reason.RATE_LIMITED, 503),
        (Reason.NO_DATA_YET, 503),
    ],
)
def test_a_price_that_is_not_to_be_had_is_an_error(ask, monkeypatch, reason, status):
    monkeypatch.setattr(
        "subscriptions.compat.finnhub_views.quotes_of_known",
        lambda symbols, _: {one: NoQuote(one, reason) for one in symbols},
    )

    found, body = ask("/quote", symbol="AAPL")

    assert (found, list(body)) == (status, ["error"])


# --- candles


def seconds(*moment):
    return int(datetime(*moment, tzinfo=UTC).timestamp())


def test_days_are_columns_adjusted_for_splits(ask):
    apple = make_ticker("AAPL")
    make_daily_bar(apple, date(2026, 3, 5), "400")
    make_daily_bar(apple, date(2026, 3, 6), "101")
    CorporateAction.objects.create(
        ticker=apple, kind=ActionKind.SPLIT.value, ex_date=date(2026, 3, 6), split_from=1, split_to=4,
        provider="scripted", loaded_at=AT,
    )  # fmt: skip

    found = ask(
        "/stock/candle",
        symbol="AAPL",
        resolution="D",
        **{"from": seconds(2026, 3, 5), "to": seconds(2026, 3, 6)},
    )

    assert found == (
        200,
        {
            "c": [100.0, 101.0], "h": [100.25, 102.0], "l": [99.75, 100.0], "o": [100.0, 101.0], "s": "ok",
            "t": [1772668800, 1772755200], "v": [4000, 1000],
        },
    )  # fmt: skip


@pytest.mark.parametrize(
    ("resolution", "starts", "closes"),
    [
        ("1", [0, 60, 120, 180], [100.0, 101.0, 102.0, 103.0]),
        ("5", [-180, 120], [101.0, 103.0]),
        ("60", [-180], [103.0]),
    ],
)
def test_minutes_and_what_is_made_of_them(ask, resolution, starts, closes):
    apple, begin = make_ticker("AAPL"), datetime(2026, 3, 2, 15, 3, tzinfo=UTC)
    for number in range(4):
        make_minute_bar(apple, begin + timedelta(minutes=number), str(100 + number))
    first = int(begin.timestamp())

    body = ask("/stock/candle", symbol="AAPL", resolution=resolution, **{"from": first, "to": first + 600})[1]

    assert [at - first for at in body["t"]] == starts
    assert body["c"] == closes


def test_both_ends_of_a_range_belong_to_it(ask):
    apple, begin = make_ticker("AAPL"), datetime(2026, 3, 2, 15, 3, tzinfo=UTC)
    for number in range(4):
        make_minute_bar(apple, begin + timedelta(minutes=number))
    first = int(begin.timestamp())

    body = ask("/stock/candle", symbol="AAPL", resolution="1", **{"from": first + 60, "to": first + 120})[1]

    assert [at - first for at in body["t"]] == [60, 120]


@pytest.mark.parametrize("symbol", ["AAPL", "NOSUCH", "A*"])
def test_where_there_are_no_candles_that_is_said(ask, symbol):
    make_ticker("AAPL")

    assert ask("/stock/candle", symbol=symbol, resolution="D", **{"from": 0, "to": 1}) == (
        200,
        {"s": "no_data"},
    )


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"symbol": "AAPL"},
        {"symbol": "AAPL", "resolution": "2", "from": "0", "to": "1"},
        {"symbol": "AAPL", "resolution": "D", "from": "x", "to": "1"},
        {"symbol": "AAPL", "resolution": "D", "from": "1", "to": "0"},
        {"symbol": "AAPL", "resolution": "D", "from": "1.5", "to": "2"},
        {"symbol": "AAPL", "resolution": "D", "from": "１", "to": "2"},
        {"symbol": "AAPL", "resolution": "D", "from": "1", "to": "999999999999"},
        {"symbol": "AAPL", "resolution": "D", "from": "1", "to": "9" * 5000},
    ],
)
def test_what_cannot_be_read_is_a_422(ask, params):
    status, body = ask("/stock/candle", **params)

    assert (status, list(body)) == (422, ["error"])


def test_a_parameter_that_is_missing_is_named(ask):
    assert ask("/quote") == (422, {"error": "Missing parameter: symbol"})
    assert ask("/search") == (422, {"error": "Missing parameter: q"})


# --- the directory


def test_a_profile_is_what_our_directory_has(ask):
    make_ticker("AAPL", name="Apple Inc.", exchange="NASDAQ", sector="Technology")

    assert ask("/stock/profile2", symbol="AAPL") == (
        200,
        {
            "currency": "USD",
            "exchange": "NASDAQ",
            "finnhubIndustry": "Technology",
            "name": "Apple Inc.",
            "ticker": "AAPL",
        },
    )


@pytest.mark.parametrize("symbol", ["NOSUCH", "A*"])
def test_of_what_is_not_in_it_the_profile_is_empty(ask, symbol):
    assert ask("/stock/profile2", symbol=symbol) == (200, {})


def test_a_search_finds_what_our_directory_has(ask):
    make_ticker("AAPL", name="Apple Inc.")
    make_ticker("BTC-USD", name="Bitcoin", asset_class="crypto")

    assert ask("/search", q="apple")[1] == {
        "count": 1,
        "result": [
            {"description": "APPLE INC.", "displaySymbol": "AAPL", "symbol": "AAPL", "type": "Common Stock"}
        ],
    }
    assert ask("/search", q="bitc")[1]["result"][0]["symbol"] == "BINANCE:BTCUSDT"
    assert ask("/search", q="\u202e<;")[1] == {"count": 0, "result": []}


# --- everything else


@pytest.mark.parametrize("path", ["/", "/nothing", "///quote", "/quote/", "/stock/metric", "/company-news"])
def test_any_other_address_is_an_error_in_finnhubs_shape(ask, path):
    assert ask(path) == (404, {"error": "There is no such address here."})


def test_only_get_is_possible(client, key):
    response = client.post(f"{BASE}/quote?token={key}")

    assert (response.status_code, response.json()) == (405, {"error": "Only GET is possible."})


def test_a_database_that_is_away_is_a_503_in_finnhubs_shape(client, key, monkeypatch):
    def away(_):
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr("accounts.credentials.by_api_keys", away)

    response = client.get(f"{BASE}/quote", {"symbol": "AAPL", "token": key})

    assert (response.status_code, list(response.json())) == (503, ["error"])
