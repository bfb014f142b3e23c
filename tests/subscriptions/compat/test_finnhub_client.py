"""Finnhub's own client library, unchanged, any WebSocket client, and our own adapter, against the real application."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import finnhub
import pytest
from finnhub import FinnhubAPIException
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from core.database import in_thread
from marketdata import metering
from marketdata.providers.base import Interval
from marketdata.providers.finnhub import Finnhub
from marketdata.providers.plans import plan_of
from marketdata.providers.vendor_stream import Patience
from marketdata.quotes import Action, ActionKind, Bar
from tests.factories import make_daily_bar, make_minute_bar, make_quote, make_ticker
from tests.subscriptions.compat.serving import make_action, until_heard

pytestmark = [pytest.mark.django_db(transaction=True)]

PATIENT = Patience(open_s=30, step_s=30, life_s=30)
# 5 March 2026, and the day after it
FIRST, LAST = 1772668800, 1772755200


def client_of(daphne, key):
    class Client(finnhub.Client):
        API_URL = f"{daphne.url}/compat/finnhub/api/v1"

    return Client(api_key=key)


@pytest.fixture
def client(daphne, key):
    with client_of(daphne, key) as made:
        yield made


# --- REST


def test_a_quote(client):
    make_quote(make_ticker("FA"), "512.34", previous_close=Decimal(500))

    found = client.quote("FA")

    assert (found["c"], found["pc"]) == (512.34, 500)
    assert client.quote("NOSUCH")["c"] == 0


def test_candles(client):
    ticker = make_ticker("FB")
    make_daily_bar(ticker, date(2026, 3, 5), "77")

    found = client.stock_candles("FB", "D", FIRST, LAST)

    assert (found["s"], found["t"], found["c"]) == ("ok", [FIRST], [77])
    assert client.stock_candles("NOSUCH", "D", FIRST, LAST) == {"s": "no_data"}


def test_a_profile_and_a_search(client):
    make_ticker("FC", name="Fruit and Company")

    assert client.company_profile2(symbol="FC")["name"] == "Fruit and Company"
    assert [one["symbol"] for one in client.symbol_lookup("fruit")["result"]] == ["FC"]


def test_dividends_and_splits(client):
    ticker = make_ticker("FH")
    make_action(ticker, ActionKind.SPLIT, date(2026, 3, 5), split_from=1, split_to=4)
    make_action(
        ticker, ActionKind.DIVIDEND, date(2026, 3, 6), amount=Decimal("0.25"), pay_date=date(2026, 3, 20)
    )

    (split,) = client.stock_splits("FH", _from="2026-03-05", to="2026-03-05")
    (paid,) = client.stock_dividends("FH", _from="2026-01-01", to="2026-12-31")

    assert (split["date"], split["fromFactor"], split["toFactor"]) == ("2026-03-05", 1, 4)
    assert (paid["date"], paid["amount"], paid["payDate"], paid["currency"]) == (
        "2026-03-06", 0.25, "2026-03-20", "USD",
    )  # fmt: skip
    assert client.stock_basic_dividends("FH")["data"] == [{"exDate": "2026-03-06", "amount": 0.25}]


def test_refusals_are_the_librarys_own(daphne, client):
    with pytest.raises(FinnhubAPIException) as refused:
        client.stock_candles("FB", "7", FIRST, LAST)
    assert (refused.value.status_code, refused.value.message[:14]) == (422, "The resolution")

    with client_of(daphne, "nonsense") as stranger, pytest.raises(FinnhubAPIException) as unknown:
        stranger.quote("FA")
    assert (unknown.value.status_code, unknown.value.message) == (401, "Invalid API key")


# --- the stream, for which the library has no client


class Program:
    """What any program does: one symbol per message, and every frame read."""

    def __init__(self, daphne, key):
        self._url, self.heard = f"ws://{daphne.host}/compat/finnhub?token={key}", []

    async def __aenter__(self):
        self.socket = await connect(self._url, proxy=None)
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_):
        await self.socket.close()
        await self._task

    async def _read(self):
        try:
            async for text in self.socket:
                self.heard.append(json.loads(text))
        except ConnectionClosed:
            return

    async def ask(self, kind, *symbols):
        for symbol in symbols:
            await self.socket.send(json.dumps({"type": kind, "symbol": symbol}))

    @property
    def trades(self):
        return [trade for frame in self.heard if frame["type"] == "trade" for trade in frame["data"]]

    @property
    def errors(self):
        return [frame["msg"] for frame in self.heard if frame["type"] == "error"]


async def test_trades_come_without_an_acknowledgement(daphne, key, prices):
    await in_thread(make_ticker, "FD")

    async def tell(number):
        await prices.tell([prices.quote("FD", f"{number}.5", size=70)])

    async with Program(daphne, key) as program:
        await program.ask("subscribe", "FD")
        await until_heard(tell, lambda: program.trades)

    assert [frame["type"] for frame in program.heard if frame["type"] not in {"trade", "ping"}] == []
    trade = program.trades[0]
    assert (trade["s"], trade["p"] % 1, trade["v"], trade["c"]) == ("FD", 0.5, 70, None)
    assert trade["t"] > 1_700_000_000_000
    assert [trade["p"] for trade in program.trades] == sorted({trade["p"] for trade in program.trades})


async def test_the_sixth_ticker_of_a_free_account_is_finnhubs_error_and_giving_one_up_makes_room(
    daphne, key, prices
):
    symbols = [f"FE{letter}" for letter in "ABCDEF"]
    for symbol in symbols:
        await in_thread(make_ticker, symbol)

    async def tell(number):
        await prices.publish(**dict.fromkeys(symbols, f"{number}"))

    def streamed():
        return {trade["s"] for trade in program.trades}

    async with Program(daphne, key) as program:
        await program.ask("subscribe", *symbols)
        await until_heard(tell, lambda: program.errors and len(streamed()) >= 5)
        assert (program.errors, streamed()) == (["Subscribing to too many symbols"], set(symbols[:5]))

        await program.ask("unsubscribe", symbols[0])
        await program.ask("subscribe", symbols[5])
        await until_heard(tell, lambda: symbols[5] in streamed())

    assert len(program.errors) == 1


async def test_coins_and_currencies_have_finnhubs_spelling(daphne, key, prices):
    for symbol in ("BTC-USD", "EURUSD=X"):
        await in_thread(make_ticker, symbol)

    async def tell(number):
        await prices.publish(**{"BTC-USD": f"{number}", "EURUSD=X": f"{number}"})

    async with Program(daphne, key) as program:
        await program.ask("subscribe", "BINANCE:BTCUSDT", "OANDA:EUR_USD")
        await until_heard(tell, lambda: len({trade["s"] for trade in program.trades}) == 2)

    assert {trade["s"] for trade in program.trades} == {"BINANCE:BTCUSDT", "OANDA:EUR_USD"}


@pytest.mark.parametrize("wrong", ["nonsense", "", "ot_abcdefgh_" + "x" * 40])
async def test_a_key_that_is_none_is_told_and_the_connection_ended(daphne, wrong):
    async with connect(f"ws://{daphne.host}/compat/finnhub?token={wrong}", proxy=None) as socket:
        told = json.loads(await asyncio.wait_for(socket.recv(), 30))
        await asyncio.wait_for(socket.wait_closed(), 30)

    assert (told, socket.close_code) == ({"type": "error", "msg": "Invalid API key"}, 4001)


# --- our own adapter


@pytest.fixture
def adapter(daphne, key):
    return Finnhub(
        key,
        base_url=f"{daphne.url}/compat/finnhub/api/v1",
        stream_url=f"ws://{daphne.host}/compat/finnhub",
        plan=plan_of("finnhub", "premium"),
        patience=PATIENT,
    )


@pytest.mark.usefixtures("prices")
async def test_our_own_adapter_reads_what_we_serve(adapter):
    ticker, start = await in_thread(make_ticker, "FF"), datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
    row = await in_thread(lambda: make_quote(ticker, "512.34", previous_close=Decimal(500)))
    await in_thread(make_minute_bar, ticker, start, "99")
    await in_thread(make_daily_bar, ticker, date(2026, 3, 5), "77")

    await in_thread(make_action, ticker, ActionKind.SPLIT, date(2026, 3, 6), split_from=1, split_to=4)

    with metering.collecting():
        found = {**await adapter.fetch_quotes(["FF"]), **await adapter.fetch_quotes(["NOSUCH"])}
        (minute,) = await adapter.fetch_bars("FF", Interval.MINUTE, start, start + timedelta(minutes=5))
        (day,) = await adapter.fetch_bars("FF", Interval.DAY, start, start + timedelta(days=5))
        (split,) = await adapter.fetch_actions("FF", date(2026, 1, 1), date(2026, 12, 31))
        matches = await adapter.search("FF")

    quote = found["FF"]
    assert (quote.price, quote.previous_close, quote.as_of) == (
        row.price, row.previous_close, row.as_of.replace(microsecond=0),
    )  # fmt: skip
    assert type(found["NOSUCH"]).__name__ == "NotFound"
    assert minute == Bar("FF", start, Decimal(99), Decimal(100), Decimal(98), Decimal(99), 10)
    assert (day.start, day.close) == (datetime(2026, 3, 5, tzinfo=UTC), 77)
    assert split == Action(
        "FF", ActionKind.SPLIT, date(2026, 3, 6), split_from=Decimal(1), split_to=Decimal(4)
    )
    assert [match.symbol for match in matches] == ["FF"]


async def test_our_own_adapter_streams_what_we_serve(adapter, prices):
    await in_thread(make_ticker, "FG")
    stream = await adapter.open_stream()
    await stream.subscribe(["FG"])
    ticks = []

    async def read():
        async for batch in stream.batches():
            ticks.extend(batch)

    async def tell(number):
        await prices.tell([prices.quote("FG", f"{number}.25", size=5)])

    reading = asyncio.create_task(read())
    (tick, *_) = await until_heard(tell, lambda: ticks)
    await stream.close()
    await asyncio.gather(reading, return_exceptions=True)

    assert (tick.symbol, tick.price - int(tick.price), tick.size) == ("FG", Decimal("0.25"), 5)
