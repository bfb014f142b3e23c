"""alpaca-py, unchanged, and our own adapter for Alpaca, against the real application on Daphne and on uvicorn."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from websockets.asyncio.client import connect

from accounts.tiers import limits_of
from core import clock
from core.database import in_thread
from core.redis import client as redis_client
from marketdata import metering
from marketdata.providers.alpaca import Alpaca
from marketdata.providers.base import Interval
from marketdata.providers.plans import plan_of
from marketdata.providers.vendor_stream import Patience
from marketdata.quotes import Bar
from tests.factories import make_daily_bar, make_minute_bar, make_quote, make_subscription, make_ticker
from tests.subscriptions.compat.serving import Uvicorn, until_heard

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # The library still uses the old half of websockets.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PATIENT = Patience(open_s=30, step_s=30, life_s=30)
AT = datetime(2026, 3, 2, 15, 30, 0, 123456, tzinfo=UTC)


@pytest.fixture(scope="session")
def _uvicorn(django_db_setup, django_db_blocker):
    made = Uvicorn()
    with django_db_blocker.unblock():
        made.start()
    yield made
    made.stop()


@pytest.fixture(params=["daphne", "uvicorn"])
def server(request, transactional_db):
    redis_client().flushall()
    name = {"daphne": "_daphne", "uvicorn": "_uvicorn"}[request.param]
    return request.getfixturevalue(name)


@pytest.fixture
def sdk():
    """Imported late: it brings pandas, which takes seconds."""
    from alpaca.common.exceptions import APIError  # noqa: PLC0415
    from alpaca.data import historical, live, requests, timeframe  # noqa: PLC0415

    return SimpleNamespace(
        APIError=APIError, historical=historical, live=live, requests=requests, TimeFrame=timeframe.TimeFrame
    )


@pytest.fixture
def rest(sdk, daphne, key):
    return sdk.historical.StockHistoricalDataClient(
        key.split("_")[1], key, url_override=f"{daphne.url}/compat/alpaca"
    )


# --- REST


def make_whole(symbol):
    sides = {"bid": Decimal("187.29"), "ask": Decimal("187.31"), "volume": 9012345}
    day = {
        "open": Decimal(185),
        "high": Decimal(188),
        "low": Decimal(184),
        "previous_close": Decimal("185.1"),
    }
    ticker = make_ticker(symbol)
    make_quote(ticker, "187.30", as_of=AT, **sides, **day)
    make_minute_bar(ticker, AT.replace(second=0, microsecond=0), "187")
    return ticker


def test_it_reads_the_latest_trade_quote_and_bar(sdk, rest):
    make_whole("CA")
    asked = {"symbol_or_symbols": ["CA", "NOSUCH"]}

    trades = rest.get_stock_latest_trade(sdk.requests.StockLatestTradeRequest(**asked))
    quotes = rest.get_stock_latest_quote(sdk.requests.StockLatestQuoteRequest(**asked))
    bars = rest.get_stock_latest_bar(sdk.requests.StockLatestBarRequest(**asked))

    assert [list(found) for found in (trades, quotes, bars)] == [["CA"]] * 3
    assert (trades["CA"].price, trades["CA"].timestamp) == (187.3, AT)
    assert (quotes["CA"].bid_price, quotes["CA"].ask_price, quotes["CA"].bid_size) == (187.29, 187.31, 0)
    assert (bars["CA"].close, bars["CA"].volume, bars["CA"].vwap) == (187, 10, None)


def test_it_reads_snapshots_whole(sdk, rest):
    make_whole("CB")

    found = rest.get_stock_snapshot(sdk.requests.StockSnapshotRequest(symbol_or_symbols=["CB", "NOSUCH"]))

    assert list(found) == ["CB"]
    one = found["CB"]
    assert (one.latest_trade.price, one.latest_quote.ask_price, one.minute_bar.close) == (187.3, 187.31, 187)
    day = one.daily_bar
    assert (day.open, day.high, day.low, day.close, day.volume) == (185, 188, 184, 187.3, 9012345)
    assert (one.previous_daily_bar.close, one.previous_daily_bar.timestamp.day) == (185.1, 27)


def test_it_reads_daily_bars_of_many_symbols(sdk, rest):
    for symbol in ("CC", "CD"):
        ticker = make_ticker(symbol)
        for day in (7, 8, 11, 12):
            make_daily_bar(ticker, date(2024, 3, day), str(100 + day))
    request = sdk.requests.StockBarsRequest(
        symbol_or_symbols=["CD", "CC"],
        timeframe=sdk.TimeFrame.Day,
        start=datetime(2024, 3, 8, tzinfo=UTC),
        end=datetime(2024, 3, 12, tzinfo=UTC),
        limit=7,
        adjustment="raw",
        feed="sip",
    )

    found = rest.get_stock_bars(request)

    for symbol in ("CC", "CD"):
        assert [(f"{bar.timestamp:%d %H}", bar.close) for bar in found[symbol]] == [
            ("08 05", 108), ("11 04", 111),
        ]  # fmt: skip


def test_it_reads_minutes_over_many_pages(sdk, rest, monkeypatch):
    monkeypatch.setattr(
        "alpaca.data.historical.stock.StockHistoricalDataClient._get_marketdata", in_small_pages
    )
    ticker, start = make_ticker("CE"), datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
    for number in range(25):
        make_minute_bar(ticker, start + timedelta(minutes=number), str(100 + number))
    request = sdk.requests.StockBarsRequest(
        symbol_or_symbols="CE", timeframe=sdk.TimeFrame.Minute, start=start, end=start + timedelta(hours=1)
    )

    assert [bar.close for bar in rest.get_stock_bars(request)["CE"]] == [100 + number for number in range(25)]


def in_small_pages(self, **asked):
    """The library's own paging with pages of ten, for it has ten thousand."""
    from alpaca.common.rest import RESTClient  # noqa: PLC0415 -- as `sdk`

    return RESTClient._get_marketdata(self, **asked | {"page_size": 10})


def test_it_reads_refusals(sdk, daphne, rest):
    make_ticker("CF")
    stranger = sdk.historical.StockHistoricalDataClient(
        "ABCDEFGH", "ot_ABCDEFGH_" + "x" * 40, url_override=f"{daphne.url}/compat/alpaca"
    )
    told = []
    for ask in (
        lambda: stranger.get_stock_latest_trade(sdk.requests.StockLatestTradeRequest(symbol_or_symbols="CF")),
        lambda: rest.get_stock_trades(sdk.requests.StockTradesRequest(symbol_or_symbols="CF")),
        lambda: rest.get_stock_latest_quote(
            sdk.requests.StockLatestQuoteRequest(symbol_or_symbols="not a symbol")
        ),
    ):
        with pytest.raises(sdk.APIError) as caught:
            ask()
        told.append((caught.value.status_code, caught.value.code))
        assert caught.value.message

    assert told == [(401, 40110000), (403, 40310000), (422, 42210000)]


# --- the stream


@asynccontextmanager
async def streaming(stream):
    """The library's own endless loop, as a task."""
    stream._reconnect_min_backoff = stream._reconnect_max_backoff = 0.05
    running = asyncio.create_task(stream._run_forever())
    try:
        yield running
    finally:
        await stream.stop_ws()
        while not running.done():  # its wait_for may swallow a cancellation
            running.cancel()
            await asyncio.wait({running}, timeout=0.2)
        await stream.close()


class Heard:
    """What arrives, by symbol; `put` is a handler for the library."""

    def __init__(self):
        self.by_symbol = defaultdict(list)

    async def put(self, one):
        self.by_symbol[one.symbol].append(one)

    def __getitem__(self, symbol):
        return self.by_symbol[symbol]

    def streamed(self):
        return {symbol for symbol, those in self.by_symbol.items() if those}


def stock_stream(sdk, server, key):
    return sdk.live.StockDataStream(
        key.split("_")[1], key, url_override=f"ws://{server.host}/compat/alpaca/v2/iex"
    )


async def test_trades_quotes_and_bars_reach_it(sdk, server, key, prices):
    symbol = f"C{server.port}"
    await in_thread(make_ticker, symbol)
    trades, quotes, bars = Heard(), Heard(), Heard()
    stream = stock_stream(sdk, server, key)
    stream.subscribe_trades(trades.put, symbol)
    stream.subscribe_quotes(quotes.put, symbol)
    stream.subscribe_bars(bars.put, symbol)

    async def tell(number):
        sides = {"bid": Decimal("99.5"), "ask": Decimal("1000.25"), "size": 70}
        await prices.tell([prices.quote(symbol, f"{100 + number}.5", **sides)])
        start = clock.now().replace(second=0, microsecond=0) + timedelta(minutes=number)
        await prices.close_minute(Bar(symbol, start, *map(Decimal, ("1", "3", "0.5", "2")), 900))

    async with streaming(stream):
        await until_heard(tell, lambda: trades[symbol] and quotes[symbol] and bars[symbol])

    trade, quote, bar = trades[symbol][-1], quotes[symbol][-1], bars[symbol][-1]
    assert trade.price == 100.5 + trade.id
    assert (trade.size, trade.timestamp.tzinfo) == (70, UTC)
    assert (quote.bid_price, quote.ask_price) == (99.5, 1000.25)
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (1, 3, 0.5, 2, 900)
    numbers = [one.id for one in trades[symbol]]
    assert numbers == sorted(set(numbers))


async def test_it_connects_anew_and_subscribes_again_after_a_lost_connection(sdk, server, key, prices):
    first, second = f"D{server.port}", f"E{server.port}"
    for symbol in (first, second):
        await in_thread(make_ticker, symbol)
    heard = Heard()
    stream = stock_stream(sdk, server, key)
    stream.subscribe_trades(heard.put, first, second)

    async def tell(number):
        await prices.publish(**{first: f"{number}", second: f"{number}"})

    async with streaming(stream):
        await until_heard(tell, lambda: heard.streamed() == {first, second})
        stream._ws.transport.abort()
        heard.by_symbol.clear()
        await until_heard(tell, lambda: heard.streamed() == {first, second})


async def test_a_star_is_the_watchlist(sdk, server, key, user, prices):
    watched, other = f"F{server.port}", f"G{server.port}"
    await in_thread(make_ticker, other)
    await in_thread(make_subscription, user, await in_thread(make_ticker, watched))
    heard = Heard()
    stream = stock_stream(sdk, server, key)
    stream.subscribe_trades(heard.put, "*")

    async def tell(number):
        await prices.publish(**{watched: f"{number}", other: f"{number}"})

    async with streaming(stream):
        await until_heard(tell, lambda: heard[watched])

    assert heard.streamed() == {watched}


async def test_the_sixth_ticker_of_a_free_account_is_refused_and_the_five_stream_on(
    sdk, server, key, prices, caplog
):
    symbols = [f"{letter}{server.port}" for letter in "HIJKLM"]
    for symbol in symbols:
        await in_thread(make_ticker, symbol)
    heard = Heard()
    stream = stock_stream(sdk, server, key)
    stream.subscribe_trades(heard.put, *symbols[:5])

    async def tell(number):
        await prices.publish(**dict.fromkeys(symbols, f"{number}"))

    async with streaming(stream):
        await until_heard(tell, lambda: heard.streamed() == set(symbols[:5]))
        stream._handlers["trades"][symbols[5]] = heard.put
        await stream._send_subscribe_msg()
        await until_heard(tell, lambda: "symbol limit exceeded (405)" in caplog.text)
        heard.by_symbol.clear()
        await until_heard(tell, lambda: heard.streamed() == set(symbols[:5]))


async def test_a_connection_too_many_is_refused_until_another_ends(sdk, server, key, user, prices, caplog):
    symbol = f"N{server.port}"
    await in_thread(make_ticker, symbol)
    heard = Heard()
    stream = stock_stream(sdk, server, key)
    stream.subscribe_trades(heard.put, symbol)

    async def tell(number):
        await prices.publish(**{symbol: f"{number}"})

    async with AsyncExitStack() as others:
        for _ in range(limits_of(user.tier).max_connections):
            await others.enter_async_context(raw(server, key))
        async with streaming(stream):
            await until_heard(tell, lambda: caplog.text.count("connection limit exceeded") > 1)
            assert not heard.streamed()
            await others.aclose()
            await until_heard(tell, lambda: heard[symbol])


@asynccontextmanager
async def raw(server, key):
    """Another program of the same user, that has said who it is."""
    headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": key}
    address = f"ws://{server.host}/compat/alpaca/v2/iex"
    async with connect(address, additional_headers=headers) as socket:
        told = [await socket.recv(), await socket.recv()]
        assert told[1] == '[{"T":"success","msg":"authenticated"}]'
        yield socket


async def test_it_is_told_that_its_key_is_wrong(sdk, server, caplog):
    stream = stock_stream(sdk, server, "ot_ABCDEFGH_" + "x" * 40)
    stream.subscribe_trades(Heard().put, "AAPL")

    async with streaming(stream), asyncio.timeout(30):
        while caplog.text.count("auth failed") < 2:
            await asyncio.sleep(0.05)


# --- our own adapter


@pytest.fixture
def adapter(server, key):
    return Alpaca(
        base_url=f"{server.url}/compat/alpaca",
        stream_url=f"ws://{server.host}/compat/alpaca",
        key=key.split("_")[1],
        secret=key,
        plan=plan_of("alpaca", "basic"),
        patience=PATIENT,
    )


async def test_our_own_adapter_reads_what_we_serve(adapter, server, prices):
    symbol = f"O{server.port}"
    ticker = await in_thread(make_whole, symbol)
    await in_thread(make_daily_bar, ticker, date(2026, 2, 27), "185.1")
    minute = AT.replace(second=0, microsecond=0)
    day = datetime(2026, 2, 27, tzinfo=UTC)

    with metering.collecting():
        found = await adapter.fetch_quotes([symbol, "NOSUCH"])
        minutes = await adapter.fetch_bars(symbol, Interval.MINUTE, minute, minute + timedelta(minutes=5))
        days = await adapter.fetch_bars(symbol, Interval.DAY, day, day + timedelta(days=3))

    quote = found[symbol]
    assert (quote.price, quote.as_of, quote.previous_close) == (Decimal("187.3"), AT, Decimal("185.1"))
    assert (quote.open, quote.high, quote.low, quote.volume) == (185, 188, 184, 9012345)
    assert (quote.bid, quote.ask) == (Decimal("187.29"), Decimal("187.31"))
    assert type(found["NOSUCH"]).__name__ == "NotFound"
    assert minutes == [Bar(symbol, minute, Decimal(187), Decimal(188), Decimal(186), Decimal(187), 10)]
    assert [(bar.start, bar.close, bar.volume) for bar in days] == [(day, Decimal("185.1"), 1000)]


async def test_our_own_adapter_streams_what_we_serve(adapter, server, prices):
    symbol = f"P{server.port}"
    await in_thread(make_ticker, symbol)
    stream = await adapter.open_stream()
    ticks = []

    async def read():
        async for batch in stream.batches():
            ticks.extend(batch)

    async def tell(number):
        await prices.tell([prices.quote(symbol, f"{number}.25", size=5)])

    reading = asyncio.create_task(read())
    await stream.subscribe([symbol])
    (tick, *_) = await until_heard(tell, lambda: ticks)
    await stream.close()
    await asyncio.gather(reading, return_exceptions=True)

    assert (tick.symbol, tick.price - int(tick.price), tick.size) == (symbol, Decimal("0.25"), 5)
    assert tick.trade_id == f"E-{int(tick.price)}"
