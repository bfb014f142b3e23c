"""Whatever a program says to Massive's or Finnhub's addresses, it is answered in their shape and never by a 5xx."""

from __future__ import annotations

from datetime import date

import pytest

from marketdata import cache
from tests.accounts.keys import make_api_key
from tests.factories import make_daily_bar, make_quote, make_ticker, make_user

pytestmark = pytest.mark.django_db

NASTY = [
    "", " ", "null", "NaN", "Infinity", "-0", "1e999", "true", "0", "-1", "2147483648", "9223372036854775808",
    "9" * 400, "１２", "1_000", "[]", "{}", "[" * 50, "\x00", "a\x00b", "\u202e", "\u200b", "\ud7ff", "🚀", "ＡＡＰＬ",
    "А", "K", "../../etc/passwd", "..", "%00", "%2e%2e", "%ff", ";DROP TABLE x", "'", '"', "\\", "*?[]", "AAPL\n",
    "AAPL,,AAPL", ",", "A" * 5_000, "0000-00-00", "9999-12-31", "2023-02-29", "2026-03-02T00:00:00Z", "^GSPC",
    "BTC-USD", "EURUSD=X", "BRK B", "X:", "C:EUR", "OANDA:EUR_USD", "BINANCE:USDT", "NULL", "TRUE", "NA",
]  # fmt: skip
# All of them with each other would take a minute.
EVERY = 4
MASSIVE = {
    "/v3/snapshot": ["ticker.any_of", "ticker", "limit"],
    "/v2/snapshot/locale/us/markets/stocks/tickers": ["tickers"],
    "/v2/aggs/ticker/AAPL/range/1/day/2026-03-01/2026-03-09": ["limit", "sort", "adjusted"],
    "/v2/aggs/ticker/AAPL/prev": ["adjusted"],
    "/v3/reference/tickers": ["search", "ticker", "ticker.gt", "limit", "active"],
    "/v3/reference/dividends?ticker=AAPL": [
        "ex_dividend_date",
        "ex_dividend_date.gte",
        "limit",
        "cursor",
        "order",
    ],
    "/v3/reference/splits": ["ticker", "execution_date.lt"],
}
PATHS = [
    "/v2/last/trade/{}", "/v2/last/nbbo/{}", "/v2/snapshot/locale/us/markets/stocks/tickers/{}", "/{}",
    "/v2/aggs/ticker/{}/prev", "/v2/aggs/ticker/AAPL/range/{}/day/2026-03-01/2026-03-09", "/v3/reference/tickers/{}",
    "/v2/aggs/ticker/AAPL/range/1/{}/2026-03-01/2026-03-09", "/v2/aggs/ticker/{}/range/1/day/2026-03-01/2026-03-09",
    "/v2/aggs/ticker/AAPL/range/1/minute/{}/2026-03-09", "/v2/aggs/ticker/AAPL/range/1/week/2026-03-01/{}",
]  # fmt: skip
FINNHUB = {
    "/quote": ["symbol"],
    "/stock/candle?symbol=AAPL&resolution=D&from=0&to=1772755200": ["symbol", "resolution", "from", "to"],
    "/stock/profile2": ["symbol"],
    "/search": ["q"],
    "/stock/split?symbol=AAPL&from=2026-01-01&to=2026-12-31": ["symbol", "from", "to"],
    "/stock/dividend?symbol=AAPL&from=2026-01-01&to=2026-12-31": ["from", "to"],
    "/stock/dividend2": ["symbol"],
}


@pytest.fixture(autouse=True)
def apple():
    cache.forget_memory()
    cache.client().flushdb()
    ticker = make_ticker("AAPL")
    make_quote(ticker, "189.34")
    make_daily_bar(ticker, date(2026, 3, 5))


@pytest.fixture
def key():
    return make_api_key(make_user())[1]


@pytest.fixture
def massive(client, key):
    """Asks, and says what is wrong with the answer."""

    def ask(path, params):
        response = client.get(f"/compat/massive{path}", params, headers={"Authorization": f"Bearer {key}"})
        wrong = response.status_code >= 500 or response.json()["status"] not in {"OK", "ERROR", "NOT_FOUND"}
        return (path, params, response.status_code) if wrong else None

    return ask


@pytest.fixture
def finnhub(client, key):
    def ask(path, params):
        response = client.get(f"/compat/finnhub/api/v1{path}", params, headers={"X-Finnhub-Token": key})
        refused = response.status_code != 200
        wrong = response.status_code >= 500 or (refused and list(response.json()) != ["error"])
        return (path, params, response.status_code) if wrong else None

    return ask


def with_parameters(addresses):
    """Each parameter with some of the nasty values, all of which have their turn."""
    number = 0
    for address, names in addresses.items():
        path, _, query = address.partition("?")
        usual = dict(pair.split("=") for pair in query.split("&")) if query else {}
        for name in names:
            number += 1
            for value in NASTY[number % EVERY :: EVERY]:
                yield path, {**usual, name: value}


def test_massives_parameters(massive):
    assert [wrong for path, params in with_parameters(MASSIVE) if (wrong := massive(path, params))] == []


def test_massives_paths(massive):
    def safe(value):
        return value.replace("?", "%3F").replace("#", "%23")

    asked = [
        (path.format(safe(value)), {})
        for number, path in enumerate(PATHS)
        for value in NASTY[number % EVERY :: EVERY]
    ]

    assert [wrong for path, params in asked if (wrong := massive(path, params))] == []


def test_finnhubs_parameters(finnhub):
    assert [wrong for path, params in with_parameters(FINNHUB) if (wrong := finnhub(path, params))] == []
