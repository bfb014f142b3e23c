"""Finnhub's own client library, unchanged, against our stand-in: so that the stand-in is known to be true."""

from __future__ import annotations

import json
from datetime import timedelta

import finnhub
import pytest
from finnhub import FinnhubAPIException
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from core import clock
from marketdata.standins.base import Fault
from marketdata.standins.finnhub import FinnhubStandIn
from marketdata.standins.stream import Trade
from tests.contracts.vendors.case import KEY


@pytest.fixture
def served():
    with FinnhubStandIn(key=KEY).in_thread() as standin:
        yield standin


def client_of(served, key=KEY):
    class Client(finnhub.Client):
        API_URL = served.rest_url

    return Client(api_key=key)


@pytest.fixture
def client(served):
    with client_of(served) as client:
        yield client


def test_a_quote_is_asked_with_a_doubled_slash_and_the_key_in_the_address(served, client):
    quote = client.quote("AAPL")

    assert (quote["c"], quote["pc"], quote["h"], quote["l"]) == (189.34, 187.15, 189.36, 187.13)
    assert served.asked[0].path == "/api/v1//quote"
    assert served.asked[0].params == {"token": KEY, "symbol": "AAPL"}


def test_an_unknown_symbol_is_zeros(client):
    assert client.quote("NOSUCH") == {
        "c": 0, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0,
    }  # fmt: skip


def test_coins_and_currencies(client):
    assert client.quote("BINANCE:BTCUSDT")["c"] == 64250.55
    assert client.quote("OANDA:EUR_USD")["c"] == 1.0842
    assert client.crypto_candles("BINANCE:BTCUSDT", "D", 1704067200, 1704240000)["s"] == "ok"
    assert client.forex_candles("OANDA:EUR_USD", "D", 1704067200, 1704240000)["t"][0] == 1704067200


def test_candles_are_columns_with_both_ends(client):
    candles = client.stock_candles("AAPL", "D", 1704153600, 1704326400)

    assert (candles["s"], candles["t"]) == ("ok", [1704153600, 1704240000, 1704326400])
    assert {len(candles[name]) for name in "ohlcv"} == {3}
    assert client.stock_candles("NOSUCH", "1", 1704153600, 1704326400) == {"s": "no_data"}


def test_dividends_and_splits(client):
    (paid,) = client.stock_dividends("AAPL", _from="2024-01-01", to="2024-12-31")
    (split,) = client.stock_splits("AAPL", _from="2020-01-01", to="2020-12-31")
    basic = client.stock_basic_dividends("AAPL")

    assert (paid["date"], paid["amount"], paid["payDate"], paid["currency"]) == (
        "2024-02-09", 0.24, "2024-02-15", "USD",
    )  # fmt: skip
    assert (split["date"], split["fromFactor"], split["toFactor"]) == ("2020-08-31", 1.0, 4.0)
    assert basic == {"symbol": "AAPL", "data": [{"exDate": "2024-02-09", "amount": 0.24}]}


def test_a_search(client):
    found = client.symbol_lookup("apple")

    assert (found["count"], found["result"][0]["symbol"]) == (1, "AAPL")


def test_news(client):
    now = clock.now()
    days = [f"{now - timedelta(days=back):%Y-%m-%d}" for back in (3, 0)]

    found = client.company_news("AAPL", _from=days[0], to=days[1])

    assert [one["related"] for one in found] == ["AAPL"] * 3
    assert now.timestamp() - 7200 < found[0]["datetime"] < now.timestamp()
    assert found[0]["headline"].startswith("Apple & Microsoft")


def test_transcripts(client):
    listed = client.transcripts_list("AAPL")["transcripts"]
    newest = client.transcripts(listed[0]["id"])

    assert [(one["year"], one["quarter"]) for one in listed] == [(2026, 1), (2025, 4), (2025, 3)]
    assert [one["name"] for one in newest["transcript"]] == ["Operator", "Ada Example", "Bob Example"]
    assert newest["participant"][1]["description"] == "Chief Executive Officer"
    assert client.transcripts_list("NOSUCH")["transcripts"] == []


def test_figures_and_profile(client):
    figures = client.company_basic_financials("AAPL", "all")
    profile = client.company_profile2(symbol="AAPL")

    assert (figures["metric"]["grossMarginTTM"], figures["metric"]["totalDebt/totalEquityQuarterly"]) == (
        46.12,
        1.5,
    )
    assert figures["series"]["quarterly"]["eps"][0]["period"] == "2025-12-27"
    assert (profile["shareOutstanding"], profile["currency"]) == (15_000, "USD")
    assert client.company_basic_financials("NOSUCH", "all")["metric"] == {}
    assert client.company_profile2(symbol="NOSUCH") == {}


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault.UNAUTHORIZED, 401),
        (Fault.PLAN, 403),
        (Fault.RATE_LIMITED, 429),
        (Fault.RATE_LIMITED_BARE, 429),
        (Fault.SERVER_ERROR, 500),
    ],
)
def test_a_refusal_is_the_clients_own_error(served, client, fault, status):
    served.fail(fault, 1)

    with pytest.raises(FinnhubAPIException) as refused:
        client.quote("AAPL")

    assert refused.value.status_code == status
    assert refused.value.message != "Wrong json format from FinnhubAPI"


def test_the_wrong_key_is_refused(served):
    with client_of(served, "another") as client, pytest.raises(FinnhubAPIException) as refused:
        client.quote("AAPL")

    assert (refused.value.status_code, refused.value.message) == (401, "Invalid API key")


# --- the stream, for which the library has no client


def test_trades_come_without_an_acknowledgement(served):
    with connect(f"{served.stream_url}/?token={KEY}", proxy=None) as socket:
        socket.send(json.dumps({"type": "subscribe", "symbol": "AAPL"}))
        served.call(served.subscribed("AAPL"))
        served.call(served.sell(Trade("AAPL", served.market.get("AAPL").price, 100, conditions=("1", "12"))))
        message = json.loads(socket.recv(timeout=20))

    (trade,) = message["data"]
    assert (message["type"], trade["s"], trade["p"], trade["v"], trade["c"]) == (
        "trade", "AAPL", 189.34, 100, ["1", "12"],
    )  # fmt: skip
    assert trade["t"] > 1_700_000_000_000


def test_a_bad_token_is_refused_at_the_handshake(served):
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{served.stream_url}/?token=another", proxy=None)

    assert refused.value.response.status_code == 401


def test_too_many_symbols_are_an_error_that_names_none(served):
    served.max_symbols = 1
    with connect(f"{served.stream_url}/?token={KEY}", proxy=None) as socket:
        for symbol in ("AAPL", "MSFT"):
            socket.send(json.dumps({"type": "subscribe", "symbol": symbol}))
        message = json.loads(socket.recv(timeout=20))

    assert message == {"type": "error", "msg": "Subscribing to too many symbols"}
