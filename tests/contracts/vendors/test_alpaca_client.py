"""Alpaca's own client library, unmodified, against the stand-in: so that the stand-in is known to be true."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from marketdata.quotes import Action, ActionKind
from marketdata.standins.alpaca import AlpacaStandIn
from marketdata.standins.base import Fault
from marketdata.standins.market import Market
from marketdata.standins.stream import StreamFault, Trade
from tests.contracts.vendors.case import KEY, SECRET, last_open_day

# The library still uses the old half of websockets.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def sdk():
    """Imported late: it brings pandas, which takes seconds."""
    from alpaca.common.exceptions import APIError  # noqa: PLC0415
    from alpaca.data import historical, live, requests, timeframe  # noqa: PLC0415
    from alpaca.data.historical.corporate_actions import CorporateActionsClient  # noqa: PLC0415
    from alpaca.data.historical.news import NewsClient  # noqa: PLC0415

    return SimpleNamespace(
        APIError=APIError, historical=historical, live=live, requests=requests,
        TimeFrame=timeframe.TimeFrame, CorporateActionsClient=CorporateActionsClient, NewsClient=NewsClient,
    )  # fmt: skip


@pytest.fixture
def standin():
    with AlpacaStandIn(Market(), key=KEY, secret=SECRET).in_thread() as running:
        yield running


@pytest.fixture
def client(sdk, standin):
    return sdk.historical.StockHistoricalDataClient(KEY, SECRET, url_override=standin.url)


def at():
    return datetime.now(UTC).replace(microsecond=250_000) - timedelta(seconds=5)


# --- REST


def test_it_reads_the_latest_quote_trade_and_bar(sdk, standin, client):
    moment = at()
    standin.market.put("AAPL", price="189.34", bid="189.33", ask="189.35", at=moment)
    asked = {"symbol_or_symbols": ["AAPL", "MSFT", "NOSUCH"]}

    quotes = client.get_stock_latest_quote(sdk.requests.StockLatestQuoteRequest(**asked))
    trades = client.get_stock_latest_trade(sdk.requests.StockLatestTradeRequest(**asked))
    bars = client.get_stock_latest_bar(sdk.requests.StockLatestBarRequest(**asked))

    assert [set(found) for found in (quotes, trades, bars)] == [{"AAPL", "MSFT"}] * 3
    assert (quotes["AAPL"].bid_price, quotes["AAPL"].ask_price) == (189.33, 189.35)
    assert (trades["AAPL"].price, trades["AAPL"].timestamp) == (189.34, moment)
    assert bars["AAPL"].close == 189.34


def test_it_reads_snapshots_whole(sdk, standin, client):
    row = standin.market.put("BRK.B", price="402.11")

    found = client.get_stock_snapshot(sdk.requests.StockSnapshotRequest(symbol_or_symbols=["BRK.B"]))["BRK.B"]

    assert (found.latest_trade.price, found.minute_bar.close) == (402.11, 402.11)
    assert (found.daily_bar.open, found.daily_bar.high) == (float(row.open), float(row.high))
    assert (found.daily_bar.low, found.daily_bar.volume) == (float(row.low), row.volume)
    assert found.previous_daily_bar.close == float(row.previous_close)
    assert (found.latest_quote.bid_price, found.latest_quote.ask_price) == (float(row.bid), float(row.ask))


def test_it_reads_bars_of_many_symbols_over_many_pages(sdk, standin, client):
    standin.page_size = 13
    start = last_open_day().replace(hour=15)
    request = sdk.requests.StockBarsRequest(
        symbol_or_symbols=["AAPL", "MSFT"],
        timeframe=sdk.TimeFrame.Minute,
        start=start,
        end=start + timedelta(minutes=29),
    )

    found = client.get_stock_bars(request)

    for symbol in ("AAPL", "MSFT"):
        expected = list(
            standin.market.bars(symbol, start, start + timedelta(minutes=30), timedelta(minutes=1))
        )
        assert [(bar.timestamp, bar.close, bar.volume) for bar in found[symbol]] == [
            (bar.start, float(bar.close), bar.volume) for bar in expected
        ]
    assert len(standin.asked) == 5


def test_it_reads_daily_bars(sdk, standin, client):
    request = sdk.requests.StockBarsRequest(
        symbol_or_symbols="AAPL",
        timeframe=sdk.TimeFrame.Day,
        start=datetime(2024, 3, 4, tzinfo=UTC),
        end=datetime(2024, 3, 13, tzinfo=UTC),
    )

    found = client.get_stock_bars(request)["AAPL"]

    # New York's midnight, which is an hour earlier in UTC after the change of clocks on the 10th.
    assert [f"{bar.timestamp:%d %H}" for bar in found] == [
        "04 05", "05 05", "06 05", "07 05", "08 05", "11 04", "12 04",
    ]  # fmt: skip


def test_it_reads_corporate_actions(sdk, standin):
    standin.market.actions += [
        Action("FB", ActionKind.RENAME, date(2022, 6, 9), new_symbol="META"),
        Action("AAPL", ActionKind.SPLIT, date(2023, 1, 9), split_from=Decimal(50), split_to=Decimal(1)),
    ]
    client = sdk.CorporateActionsClient(KEY, SECRET, url_override=standin.url)
    request = sdk.requests.CorporateActionsRequest(
        symbols=["AAPL", "FB"], start=date(2020, 1, 1), end=date(2025, 1, 1)
    )

    found = client.get_corporate_actions(request).data

    assert sorted(found) == ["cash_dividends", "forward_splits", "name_changes", "reverse_splits"]
    (dividend,), (split,) = found["cash_dividends"], found["forward_splits"]
    assert (dividend.rate, dividend.ex_date, dividend.payable_date) == (
        0.24, date(2024, 2, 9), date(2024, 2, 15),
    )  # fmt: skip
    assert (split.old_rate, split.new_rate, split.ex_date) == (1, 4, date(2020, 8, 31))
    (reverse,), (change,) = found["reverse_splits"], found["name_changes"]
    assert (reverse.old_rate, reverse.new_rate) == (50, 1)
    assert (change.old_symbol, change.new_symbol) == ("FB", "META")


def test_it_reads_articles_over_many_pages(sdk, standin):
    standin.page_size = 2
    client = sdk.NewsClient(KEY, SECRET, url_override=standin.url)
    start = datetime.now(UTC) - timedelta(days=3)
    request = sdk.requests.NewsRequest(symbols="AAPL,BTCUSD", start=start, include_content=True)

    found = client.get_news(request).data["news"]

    expected = [one for one in standin.market.news if set(one.symbols) & {"AAPL", "BTC-USD"}]
    assert [(one.headline, one.content, one.created_at) for one in found] == [
        (one.headline, one.body, one.published_at) for one in expected
    ]
    assert [one.symbols for one in found] == [["AAPL", "MSFT"], ["AAPL"], ["BRK.B", "AAPL"], ["BTCUSD"]]
    assert len(standin.asked) == 2


def test_it_reads_coins(sdk, standin):
    client = sdk.historical.CryptoHistoricalDataClient(KEY, SECRET, url_override=standin.url)
    asked = {"symbol_or_symbols": ["BTC/USD"]}

    found = client.get_crypto_snapshot(sdk.requests.CryptoSnapshotRequest(**asked))["BTC/USD"]
    trade = client.get_crypto_latest_trade(sdk.requests.CryptoLatestTradeRequest(**asked))["BTC/USD"]
    bars = client.get_crypto_bars(
        sdk.requests.CryptoBarsRequest(
            **asked,
            timeframe=sdk.TimeFrame.Day,
            start=datetime(2024, 3, 4, tzinfo=UTC),
            end=datetime(2024, 3, 8, tzinfo=UTC),
        )
    )["BTC/USD"]

    assert (found.latest_trade.price, trade.price) == (64250.55, 64250.55)
    assert [bar.timestamp.day for bar in bars] == [4, 5, 6, 7, 8]


def test_it_reads_refusals(sdk, standin, client):
    request = sdk.requests.StockLatestTradeRequest(symbol_or_symbols="AAPL")
    told = []
    for fault in (Fault.UNAUTHORIZED, Fault.PLAN, Fault.SERVER_ERROR):
        standin.fail(fault, 1)
        with pytest.raises(sdk.APIError) as caught:
            client.get_stock_latest_trade(request)
        told.append((caught.value.status_code, caught.value.code, caught.value.message))

    assert told == [
        (401, 40_100_000, "forbidden."),
        (403, 40_300_000, "subscription does not permit querying recent SIP data"),
        (500, 50_000_000, "internal server error occurred"),
    ]


def test_it_is_refused_with_another_key(sdk, standin):
    client = sdk.historical.StockHistoricalDataClient("other", "other", url_override=standin.url)

    with pytest.raises(sdk.APIError) as caught:
        client.get_stock_latest_trade(sdk.requests.StockLatestTradeRequest(symbol_or_symbols="AAPL"))

    assert caught.value.status_code == 403


# --- stream


@asynccontextmanager
async def streaming(stream):
    """The library's own endless loop, as a task."""
    running = asyncio.create_task(stream._run_forever())
    try:
        yield running
    finally:
        await stream.stop_ws()
        while not running.done():  # its wait_for may swallow a cancellation
            running.cancel()
            await asyncio.wait({running}, timeout=0.2)
        await stream.close()


@pytest.fixture
async def live():
    async with AlpacaStandIn(Market(), key=KEY, secret=SECRET).running() as running:
        yield running


def stock_stream(sdk, live):
    return sdk.live.StockDataStream(KEY, SECRET, url_override=f"{live.stream_url}/v2/iex")


async def within(queue):
    async with asyncio.timeout(30):
        return await queue.get()


async def test_it_streams_trades_quotes_bars_halts_corrections_and_cancels(sdk, live):
    heard = asyncio.Queue()
    stream = stock_stream(sdk, live)
    for subscribe in (
        stream.subscribe_trades,
        stream.subscribe_quotes,
        stream.subscribe_bars,
        stream.subscribe_updated_bars,
        stream.subscribe_daily_bars,
        stream.subscribe_trading_statuses,
    ):
        subscribe(heard.put, "AAPL")
    stream.register_trade_corrections(heard.put)
    stream.register_trade_cancels(heard.put)
    moment = at()
    trade = Trade("AAPL", Decimal("189.34"), 7, moment, id=4711)
    prices = [Decimal(price) for price in ("1.5", "4.5", "0.5", "2.5")]
    async with streaming(stream):
        await live.subscribed("AAPL")
        await live.sell(trade)
        await live.quote("AAPL", Decimal("189.33"), Decimal("189.35"))
        for kind in "bud":
            await live.bar("AAPL", moment, prices, 77, kind)
        await live.status("AAPL", "H", moment)
        await live.correct(trade, Decimal("189.30"), moment)
        await live.cancel(trade, moment)
        told = [await within(heard) for _ in range(8)]

    sold, quote, bar, restated, day, halt, correction, cancel = told
    assert (sold.symbol, sold.price, sold.size, sold.id) == ("AAPL", 189.34, 7, 4711)
    assert sold.timestamp == moment
    assert (quote.bid_price, quote.ask_price) == (189.33, 189.35)
    for found in (bar, restated, day):
        assert (found.open, found.high, found.low, found.close, found.volume) == (1.5, 4.5, 0.5, 2.5, 77)
    assert (halt.status_code, halt.symbol) == ("H", "AAPL")
    assert (correction.original_id, correction.original_price, correction.corrected_price) == (
        4711, 189.34, 189.30,
    )  # fmt: skip
    assert (cancel.id, cancel.price) == (4711, 189.34)


async def test_it_connects_anew_and_subscribes_again_after_a_lost_connection(sdk, live):
    heard = asyncio.Queue()
    stream = stock_stream(sdk, live)
    stream._reconnect_min_backoff = stream._reconnect_max_backoff = 0.01
    stream.subscribe_trades(heard.put, "AAPL", "MSFT")
    async with streaming(stream):
        await live.subscribed("AAPL", "MSFT")
        await live.drop(1006)
        await live.until(lambda: live.connections == 2)
        await live.subscribed("AAPL", "MSFT")
        await live.sell(Trade("MSFT", Decimal("412.65"), id=1))

        assert (await within(heard)).price == 412.65


async def test_it_is_told_its_key_is_wrong_and_tries_again(sdk, live, caplog):
    stream = stock_stream(sdk, live)
    stream._reconnect_min_backoff = stream._reconnect_max_backoff = 0.01
    stream.subscribe_trades(asyncio.Queue().put, "AAPL")
    live.key = "another"
    async with streaming(stream):
        await live.until(lambda: live.connections >= 3)

    assert "auth failed" in caplog.text


async def test_it_gives_up_only_when_the_plan_lacks_the_feed(sdk, live):
    live.feeds = set()
    stream = stock_stream(sdk, live)
    stream.subscribe_trades(asyncio.Queue().put, "AAPL")
    async with streaming(stream) as running, asyncio.timeout(30):
        await running

    assert live.connections == 1


async def test_a_second_connection_of_a_key_is_refused(sdk, live, caplog):
    first, second = stock_stream(sdk, live), stock_stream(sdk, live)
    for stream in (first, second):
        stream._reconnect_min_backoff = stream._reconnect_max_backoff = 0.01
        stream.subscribe_trades(asyncio.Queue().put, "AAPL")
    async with streaming(first):
        await live.subscribed("AAPL")
        async with streaming(second):
            await live.until(lambda: live.connections >= 3)

    assert "connection limit exceeded" in caplog.text


async def test_it_is_told_of_too_many_symbols_and_keeps_those_it_has(sdk, live, caplog):
    live.most_symbols = 1
    heard = asyncio.Queue()
    stream = stock_stream(sdk, live)
    stream.subscribe_trades(heard.put, "AAPL")
    async with streaming(stream):
        await live.subscribed("AAPL")
        stream._handlers["trades"]["MSFT"] = heard.put
        await stream._send_subscribe_msg()
        async with asyncio.timeout(30):
            while "symbol limit exceeded (405)" not in caplog.text:
                await asyncio.sleep(0.01)
        await live.sell(Trade("AAPL", Decimal("189.34"), id=1))

        assert (await within(heard)).price == 189.34


async def test_a_withheld_greeting_leaves_it_waiting(sdk, live):
    """The library has no time-out there; our adapter has."""
    live.stream_faults[StreamFault.GREETING_WITHHELD] = 1
    stream = stock_stream(sdk, live)
    stream.subscribe_trades(asyncio.Queue().put, "AAPL")
    async with streaming(stream) as running:
        await live.until(lambda: bool(live.sessions), 30)
        await asyncio.sleep(0)

        assert not running.done()
        assert live.received == []
