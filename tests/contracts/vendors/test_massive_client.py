"""Massive's own client library, unchanged, against our stand-in: so that the stand-in is known to be true."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime

import pytest
from massive import RESTClient, WebSocketClient
from massive.exceptions import AuthError, BadResponse
from massive.rest.models import Agg, Dividend, Split, Ticker, TickerNews, TickerSnapshot, UniversalSnapshot
from massive.websocket.models import CryptoTrade, EquityAgg, EquityTrade, ForexQuote

from marketdata.standins.base import Fault
from marketdata.standins.massive import MassiveStandIn
from marketdata.standins.stream import Trade
from tests.contracts.vendors.case import KEY


@pytest.fixture
def served():
    with MassiveStandIn(key=KEY).in_thread() as standin:
        yield standin


@pytest.fixture
def client(served):
    client = RESTClient(KEY, base=served.url, retries=0)
    yield client
    client.client.clear()


def test_snapshots_of_every_kind_with_an_error_for_the_unknown(served, client):
    wanted = ["AAPL", "X:BTCUSD", "C:EURUSD", "NOSUCH"]

    found = {item.ticker: item for item in client.list_universal_snapshots(ticker_any_of=wanted, limit=250)}

    assert list(found) == wanted
    assert all(isinstance(item, UniversalSnapshot) for item in found.values())
    apple = found["AAPL"]
    assert (apple.type, apple.session.previous_close, apple.last_trade.price) == ("stocks", 187.15, 189.34)
    assert (apple.last_quote.bid, apple.last_quote.ask, apple.session.volume) == (189.33, 189.35, 1_000_000)
    assert (found["X:BTCUSD"].type, found["X:BTCUSD"].last_trade.price) == ("crypto", 64250.55)
    assert (found["C:EURUSD"].type, found["C:EURUSD"].last_trade) == ("fx", None)
    assert (found["NOSUCH"].error, found["NOSUCH"].message) == ("NOT_FOUND", "Ticker not found.")


def test_without_a_limit_ten_symbols_come_in_a_page(served, client):
    wanted = ["AAPL", "MSFT", *[f"NO{letter}" for letter in "ABCDEFGHIJ"]]

    found = [item.ticker for item in client.list_universal_snapshots(ticker_any_of=wanted)]

    assert found == wanted
    assert len(served.asked) == 2


def test_news_over_many_pages(served, client):
    served.page_size = 2

    found = list(client.list_ticker_news("AAPL", published_utc_gte="2020-01-01T00:00:00Z", limit=2))

    assert all(isinstance(one, TickerNews) for one in found)
    expected = [one for one in served.market.news if "AAPL" in one.symbols]
    assert [(one.id, one.title, one.description, tuple(one.tickers)) for one in found] == [
        (one.external_id, one.headline, one.body, one.symbols) for one in expected
    ]
    assert (found[0].publisher.name, len(served.asked)) == ("standin", 2)


def test_ratios_and_statements(client):
    (ratios,) = client.list_financials_ratios(ticker="AAPL")
    years = list(client.list_financials_income_statements(tickers="AAPL", timeframe="annual"))
    (balance,) = client.list_financials_balance_sheets(tickers="AAPL", timeframe="quarterly")

    assert (ratios.earnings_per_share, ratios.return_on_equity, ratios.current) == (6.42, 1.5286, 0.89)
    assert (years[0].period_end, years[0].diluted_earnings_per_share) == ("2025-12-27", 6.42)
    assert round(years[0].revenue / years[1].revenue, 6) == 1.064
    assert (balance.cash_and_equivalents, balance.debt_current) == (30_300_000_000, 23_625_000_000)
    assert list(client.list_financials_ratios(ticker="NOSUCH")) == []


def test_the_older_snapshots(client):
    (apple,) = client.get_snapshot_all("stocks", tickers=["AAPL", "NOSUCH"])

    assert isinstance(apple, TickerSnapshot)
    assert (apple.ticker, apple.last_trade.price, apple.prev_day.close) == ("AAPL", 189.34, 187.15)
    assert client.get_snapshot_ticker("stocks", "AAPL").day.close == 189.34


def test_bars_of_many_pages(served, client):
    served.page_size = 4

    bars = list(client.list_aggs("AAPL", 1, "day", "2024-01-08", "2024-01-19", adjusted=False, limit=50_000))

    assert all(isinstance(bar, Agg) for bar in bars)
    assert [datetime.fromtimestamp(bar.timestamp / 1000, UTC).isoformat() for bar in bars[:2]] == [
        "2024-01-08T05:00:00+00:00",
        "2024-01-09T05:00:00+00:00",
    ]
    assert len(bars) == 10
    assert len(served.asked) == 3


def test_the_next_page_is_named_without_the_prefix_that_the_client_puts_before_it(served):
    """Were it named with it, the prefix would stand there twice and nothing be found."""
    served.page_size = 4
    asked = served._answer

    def mounted(path, params, fault):
        return asked(path.removeprefix("/compat/massive"), params, fault)

    served._answer = mounted
    client = RESTClient(KEY, base=f"{served.url}/compat/massive", retries=0)

    bars = list(client.list_aggs("AAPL", 1, "day", "2024-01-08", "2024-01-19"))
    client.client.clear()

    assert len(bars) == 10
    assert {request.path.split("/v2/")[0] for request in served.asked} == {"/compat/massive"}


def test_adjusted_bars_are_divided_by_later_splits(client):
    days = ("2020-08-28", "2020-08-31")

    adjusted = [bar.open for bar in client.list_aggs("AAPL", 1, "day", *days)]
    traded = [bar.open for bar in client.list_aggs("AAPL", 1, "day", *days, adjusted=False)]

    assert adjusted == [traded[0] / 4, traded[1]]


def test_bars_of_an_unknown_symbol_are_none(client):
    assert list(client.list_aggs("NOSUCH", 1, "day", "2024-01-08", "2024-01-12")) == []


def test_the_previous_day(client):
    (before,) = client.get_previous_close_agg("AAPL")

    assert (before.ticker, before.close, before.volume) == ("AAPL", 187.15, 1_000_000)


def test_dividends_and_splits(client):
    (dividend,) = client.list_dividends(ticker="AAPL", ex_dividend_date_gte="2024-01-01")
    (split,) = client.list_splits(ticker="AAPL", execution_date=date(2020, 8, 31))

    assert isinstance(dividend, Dividend)
    assert (dividend.cash_amount, dividend.ex_dividend_date, dividend.dividend_type) == (
        0.24,
        "2024-02-09",
        "CD",
    )
    assert isinstance(split, Split)
    assert (split.split_from, split.split_to, split.execution_date) == (1, 4, "2020-08-31")
    assert list(client.list_splits(ticker="MSFT")) == []


def test_search(client):
    found = list(client.list_tickers(search="apple", active=True, limit=20))

    assert [(type(row), row.ticker, row.name, row.market) for row in found] == [
        (Ticker, "AAPL", "Apple Inc.", "stocks")
    ]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.UNAUTHORIZED, "Unknown API Key"),
        (Fault.PLAN, "NOT_AUTHORIZED"),
    ],
)
def test_refusals_reach_the_client_in_the_vendors_words(served, fault, words):
    served.fail(fault, 1)
    client = RESTClient(KEY, base=served.url, retries=False)

    with pytest.raises(BadResponse, match=words):
        client.get_previous_close_agg("AAPL")
    client.client.clear()


def test_another_key_is_unknown(served):
    client = RESTClient("another", base=served.url, retries=0)

    with pytest.raises(BadResponse, match="Unknown API Key"):
        client.get_previous_close_agg("AAPL")
    client.client.clear()


# --- the stream


def feed_of(standin, market="stocks", key=KEY, **options):
    return WebSocketClient(
        api_key=key, feed=f"127.0.0.1:{standin.port}", market=market, secure=False, **options
    )


async def heard(standin, client, make, count):
    """The first `count` messages that the client hears once `make` has been awaited."""
    messages, enough = [], asyncio.Event()

    async def hear(some):
        messages.extend(some)
        if len(messages) >= count:
            enough.set()

    task = asyncio.create_task(client.connect(hear))
    try:
        async with asyncio.timeout(30):
            await make()
            await enough.wait()
    finally:
        await client.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return messages


async def test_trades_and_second_bars_reach_the_client():
    async with MassiveStandIn(key=KEY).running() as standin:

        async def make():
            await standin.subscribed("AAPL", "BRK.B")
            await standin.sell(
                Trade("AAPL", standin.market.get("AAPL").price, 30, conditions=(12,), id=7),
                Trade("MSFT", standin.market.get("MSFT").price),
            )
            await standin.tell(standin.second("AAPL", "189.5", day_volume=5_000, day_open="188.1"))

        client = feed_of(standin, subscriptions=["T.AAPL", "T.BRK.B", "A.AAPL"])
        trade, bar = await heard(standin, client, make, 2)

    assert isinstance(trade, EquityTrade)
    assert (trade.symbol, trade.price, trade.size, trade.id, trade.conditions) == (
        "AAPL",
        189.34,
        30,
        "7",
        [12],
    )
    assert isinstance(bar, EquityAgg)
    assert (bar.symbol, bar.close, bar.accumulated_volume, bar.official_open_price) == (
        "AAPL",
        189.5,
        5_000,
        188.1,
    )


@pytest.mark.parametrize(
    ("market", "channel", "symbol", "kind", "pair"),
    [
        ("crypto", "XT.BTC-USD", "BTC-USD", CryptoTrade, "BTC-USD"),
        ("forex", "C.EUR/USD", "EURUSD=X", ForexQuote, "EUR/USD"),
    ],
)
async def test_coins_and_currencies_have_streams_of_their_own(market, channel, symbol, kind, pair):
    async with MassiveStandIn(key=KEY).running() as standin:

        async def make():
            await standin.subscribed(symbol)
            await standin.sell(Trade(symbol, standin.market.get(symbol).price))

        (message,) = await heard(standin, feed_of(standin, market, subscriptions=[channel]), make, 1)

    assert isinstance(message, kind)
    assert message.pair == pair


async def test_the_wrong_key_is_an_auth_error():
    async with MassiveStandIn(key=KEY).running() as standin:
        with pytest.raises(AuthError):
            await asyncio.wait_for(feed_of(standin, key="another").connect(print), 30)


async def test_a_second_connection_throws_the_first_one_out():
    async with MassiveStandIn(key=KEY).running() as standin:
        older = feed_of(standin, subscriptions=["T.AAPL"], max_reconnects=0)
        newer = feed_of(standin, subscriptions=["T.MSFT"])
        first = asyncio.create_task(older.connect(print))
        await standin.subscribed("AAPL")

        second = asyncio.create_task(newer.connect(print))
        (evicted,) = await asyncio.wait_for(asyncio.gather(first, return_exceptions=True), 30)
        await standin.until(lambda: [session.symbols for session in standin.sessions] == [{"MSFT"}])
        await newer.close()
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)

    assert evicted.rcvd.code == 1008
    assert [asked["action"] for asked in standin.received].count("auth") == 2
