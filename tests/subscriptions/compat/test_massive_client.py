"""Massive's own client library, unchanged, and our own adapter, against the real application on Daphne."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from massive import RESTClient, WebSocketClient
from massive.exceptions import AuthError, BadResponse
from massive.rest.models import Agg, LastQuote, LastTrade, PreviousCloseAgg, TickerSnapshot, UniversalSnapshot
from massive.websocket.models import CryptoTrade, EquityAgg, EquityQuote, EquityTrade, ForexQuote

from core import clock
from core.database import in_thread
from marketdata import metering
from marketdata.providers.base import Interval
from marketdata.providers.massive import Massive
from marketdata.providers.plans import plan_of
from marketdata.providers.vendor_stream import Patience
from marketdata.quotes import Action, ActionKind, Bar
from tests.factories import make_daily_bar, make_minute_bar, make_quote, make_subscription, make_ticker
from tests.subscriptions.compat.serving import make_action, until_heard

pytestmark = [pytest.mark.django_db(transaction=True)]

PATIENT = Patience(open_s=30, step_s=30, life_s=30)


@pytest.fixture
def rest(daphne, key):
    client = RESTClient(key, base=f"{daphne.url}/compat/massive", retries=0)
    yield client
    client.client.clear()


def feed_of(daphne, key, market="stocks", **options):
    return WebSocketClient(
        api_key=key, feed=f"{daphne.host}/compat/massive", market=market, secure=False, **options
    )


# --- REST


def test_a_snapshot_and_the_last_trade_and_quote(rest):
    make_quote(
        make_ticker("MA"), "512.34", bid=Decimal("512.3"), ask=Decimal("512.4"), previous_close=Decimal(500)
    )

    snapshot, trade, quote = (
        rest.get_snapshot_ticker("stocks", "MA"),
        rest.get_last_trade("MA"),
        rest.get_last_quote("MA"),
    )

    assert (type(snapshot), type(trade), type(quote)) == (TickerSnapshot, LastTrade, LastQuote)
    assert (snapshot.last_trade.price, snapshot.prev_day.close, snapshot.last_quote.bid_price) == (
        512.34,
        500,
        512.3,
    )
    assert (trade.ticker, trade.price) == ("MA", 512.34)
    assert (quote.bid_price, quote.ask_price) == (512.3, 512.4)


def test_snapshots_of_both_versions(rest):
    for symbol in ("MB", "MC"):
        make_quote(make_ticker(symbol), "10")

    older = rest.get_snapshot_all("stocks", tickers=["MB", "MC", "NOSUCH"])
    found = {item.ticker: item for item in rest.list_universal_snapshots(ticker_any_of=["MB", "NOSUCH"])}

    assert [item.ticker for item in older] == ["MB", "MC"]
    assert [type(item) for item in found.values()] == [UniversalSnapshot] * 2
    assert (found["MB"].session.price, found["NOSUCH"].error) == (10, "NOT_FOUND")


def test_bars_of_many_pages(rest):
    ticker, start = make_ticker("MD"), datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
    for number in range(25):
        make_minute_bar(ticker, start + timedelta(minutes=number), str(100 + number))

    bars = list(rest.list_aggs("MD", 1, "minute", "2026-03-02", "2026-03-02", limit=10))

    assert {type(bar) for bar in bars} == {Agg}
    assert [bar.close for bar in bars] == [100 + number for number in range(25)]


def test_the_previous_day(rest):
    make_daily_bar(make_ticker("ME"), date(2026, 3, 5), "77")

    (found,) = rest.get_previous_close_agg("ME")

    assert (type(found), found.ticker, found.close) == (PreviousCloseAgg, "ME", 77)


def test_dividends_splits_and_tickers(rest):
    ticker = make_ticker("MN", name="Mineral News", exchange="NYSE")
    make_action(ticker, ActionKind.SPLIT, date(2026, 3, 5), split_from=1, split_to=4)
    for day in range(1, 15):
        make_action(ticker, ActionKind.DIVIDEND, date(2026, 1, day), amount=Decimal("0.25"))

    (split,) = rest.list_splits(ticker="MN", execution_date=date(2026, 3, 5))
    paid = list(rest.list_dividends(ticker="MN", ex_dividend_date_gt="2026-01-02", order="asc", limit=5))
    (found,) = rest.list_tickers(search="mineral", active=True)

    assert (split.split_from, split.split_to, split.execution_date) == (1, 4, "2026-03-05")
    assert [one.ex_dividend_date for one in paid] == [f"2026-01-{day:02}" for day in range(3, 15)]
    assert (found.ticker, found.name, found.market, found.type) == ("MN", "Mineral News", "stocks", "CS")
    assert rest.get_ticker_details("MN").primary_exchange == "NYSE"


def test_the_directory_page_by_page(rest):
    for letter in "ABCDEFGHIJKL":
        make_ticker(f"M{letter}")

    found = [row.ticker for row in rest.list_tickers(limit=5)]

    assert found == [f"M{letter}" for letter in "ABCDEFGHIJKL"]


def test_refusals_are_the_librarys_own(daphne, rest):
    with pytest.raises(BadResponse, match="Ticker not found"):
        rest.get_last_trade("NOSUCH")
    stranger = RESTClient("nonsense", base=f"{daphne.url}/compat/massive", retries=0)
    with pytest.raises(BadResponse, match="Unknown API Key"):
        stranger.get_last_trade("AAPL")
    stranger.client.clear()


# --- the stream


class Listener:
    """Runs the library's client and keeps what it hears."""

    def __init__(self, client):
        self.client, self.heard = client, []

    async def __aenter__(self):
        self.task = asyncio.create_task(self.client.connect(self._take))
        return self

    async def __aexit__(self, *_):
        """The library leaves its socket open when it is only cancelled."""
        if self.client.websocket is not None:
            await self.client.close()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def _take(self, messages):
        self.heard += [messages] if self.client.raw else messages

    def of(self, symbol, kind):
        return [one for one in self.heard if isinstance(one, kind) and one.symbol == symbol]


@pytest.fixture
def listening(daphne, key):
    """`async with listening(market, channel, …)`"""
    return lambda market, *channels: Listener(feed_of(daphne, key, market, subscriptions=list(channels)))


async def test_trades_quotes_and_minutes_reach_the_librarys_client(daphne, key, prices):
    await in_thread(make_ticker, "MF")

    async def tell(number):
        sides = {"bid": Decimal("99.5"), "ask": Decimal("1000.25"), "size": 70}
        await prices.tell([prices.quote("MF", f"{100 + number}.5", **sides)])
        start = clock.now().replace(second=0, microsecond=0) + timedelta(minutes=number)
        await prices.close_minute(Bar("MF", start, *map(Decimal, ("1", "3", "0.5", "2")), 900))

    async with Listener(feed_of(daphne, key, subscriptions=["T.MF", "Q.MF", "AM.MF"])) as listener:
        await until_heard(tell, lambda: listener.of("MF", EquityAgg) and listener.of("MF", EquityTrade))
        trade, quote, bar = (listener.of("MF", kind)[-1] for kind in (EquityTrade, EquityQuote, EquityAgg))

    assert trade.price == 100.5 + trade.sequence_number
    assert (trade.size, trade.id) == (70, f"1-{trade.sequence_number}")
    assert (quote.bid_price, quote.ask_price) == (99.5, 1000.25)
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (1, 3, 0.5, 2, 900)
    assert bar.end_timestamp - bar.start_timestamp == 60_000
    assert [one.sequence_number for one in listener.of("MF", EquityTrade)] == sorted(
        {one.sequence_number for one in listener.of("MF", EquityTrade)}
    )


async def test_a_star_is_the_watchlist(daphne, key, user, prices):
    await in_thread(make_ticker, "MG")
    watched = await in_thread(make_ticker, "MH")
    await in_thread(make_subscription, user, watched)

    async def tell(number):
        await prices.publish(MG=f"{number}", MH=f"{number}")

    async with Listener(feed_of(daphne, key, subscriptions=["T.*"])) as listener:
        await until_heard(tell, lambda: listener.of("MH", EquityTrade))

    assert {one.symbol for one in listener.heard} == {"MH"}


async def test_the_sixth_ticker_of_a_free_account_is_refused_and_the_five_stream(daphne, key, prices):
    symbols = [f"MI{letter}" for letter in "ABCDEF"]
    for symbol in symbols:
        await in_thread(make_ticker, symbol)

    async def tell(number):
        await prices.publish(**dict.fromkeys(symbols, f"{number}"))

    def streamed():
        return {one["sym"] for one in heard() if one["ev"] == "T"}

    def heard():
        return [event for frame in listener.heard for event in json.loads(frame)]

    client = feed_of(daphne, key, raw=True, subscriptions=[f"T.{symbol}" for symbol in symbols])
    async with Listener(client) as listener:
        await until_heard(tell, lambda: len(streamed()) >= 5)

    (refused,) = [one["message"] for one in heard() if one.get("status") == "error"]
    (left_out,) = set(symbols) - streamed()
    assert refused.startswith(
        f"You are not authorized to subscribe to: T.{left_out} (Your Free plan has room for 5"
    )


@pytest.mark.parametrize(
    ("market", "channel", "symbol", "kind"),
    [("crypto", "XT.BTC-USD", "BTC-USD", CryptoTrade), ("forex", "C.EUR/USD", "EURUSD=X", ForexQuote)],
)
async def test_coins_and_currencies_have_streams_of_their_own(
    listening, prices, market, channel, symbol, kind
):
    await in_thread(make_ticker, symbol)

    async def tell(number):
        await prices.publish(**{symbol: f"{number}"})

    async with listening(market, channel) as listener:
        (first, *_) = await until_heard(tell, lambda: listener.heard)

    assert (type(first), first.pair) == (kind, channel.partition(".")[2])


@pytest.mark.parametrize("wrong", ["nonsense", "", "ot_abcdefgh_" + "x" * 40])
async def test_a_key_that_is_none_is_an_auth_error(daphne, wrong):
    client = feed_of(daphne, wrong)

    with pytest.raises(AuthError, match="authentication failed"):
        await asyncio.wait_for(client.connect(print), 30)
    await client.close()


# --- our own adapter


@pytest.fixture
def adapter(daphne, key):
    return Massive(
        key,
        base_url=f"{daphne.url}/compat/massive",
        stream_url=f"ws://{daphne.host}/compat/massive",
        plan=plan_of("massive", "advanced"),
        patience=PATIENT,
    )


async def test_our_own_adapter_reads_what_we_serve(adapter, prices):
    ticker, start = await in_thread(make_ticker, "MK"), datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
    row = await in_thread(
        lambda: make_quote(ticker, "512.34", previous_close=Decimal(500), bid=Decimal("512.3"))
    )
    await in_thread(make_minute_bar, ticker, start, "99")

    await in_thread(make_action, ticker, ActionKind.SPLIT, date(2026, 3, 6), split_from=1, split_to=4)

    with metering.collecting():
        found = await adapter.fetch_quotes(["MK", "NOSUCH"])
        (bar,) = await adapter.fetch_bars("MK", Interval.MINUTE, start, start + timedelta(minutes=5))
        (split,) = await adapter.fetch_actions("MK", date(2026, 1, 1), date(2026, 12, 31))
        matches = await adapter.search("MK")

    quote = found["MK"]
    assert (quote.price, quote.previous_close, quote.bid, quote.as_of, quote.delayed_s) == (
        row.price, row.previous_close, row.bid, row.as_of, 0,
    )  # fmt: skip
    assert type(found["NOSUCH"]).__name__ == "NotFound"
    assert split == Action(
        "MK", ActionKind.SPLIT, date(2026, 3, 6), split_from=Decimal(1), split_to=Decimal(4)
    )
    assert [match.symbol for match in matches] == ["MK"]
    assert bar == Bar("MK", start, Decimal(99), Decimal(100), Decimal(98), Decimal(99), 10)


async def test_our_own_adapter_streams_what_we_serve(adapter, prices):
    await in_thread(make_ticker, "ML")
    stream = await adapter.open_stream()
    await stream.subscribe(["ML"])
    ticks = []

    async def read():
        async for batch in stream.batches():
            ticks.extend(batch)

    async def tell(number):
        await prices.tell([prices.quote("ML", f"{number}.25", size=5)])

    reading = asyncio.create_task(read())
    (tick, *_) = await until_heard(tell, lambda: ticks)
    await stream.close()
    await asyncio.gather(reading, return_exceptions=True)

    assert (tick.symbol, tick.price - int(tick.price), tick.size) == ("ML", Decimal("0.25"), 5)
