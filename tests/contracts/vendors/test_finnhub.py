from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from core import clock
from marketdata.errors import Kind, PlanLocked, RateLimited
from marketdata.providers.base import Interval
from marketdata.providers.finnhub import Finnhub
from marketdata.providers.plans import plan_of
from marketdata.quotes import Action, ActionKind, quote_of
from marketdata.standins.base import Fault
from marketdata.standins.finnhub import FinnhubStandIn
from marketdata.standins.stream import StreamFault, Trade
from tests.contracts.vendors.case import KEY, TOLD_IN_QUOTES, Case
from tests.contracts.vendors.secrets import assert_untold
from tests.contracts.vendors.stream_suite import *  # noqa: F403 -- the shared tests, on CASE
from tests.contracts.vendors.stream_suite import streaming, ticks_of
from tests.contracts.vendors.suite import *  # noqa: F403 -- the shared tests, on CASE


def finnhub(standin, patience=None, plan="premium"):
    return Finnhub(
        KEY,
        base_url=standin.rest_url,
        stream_url=standin.stream_url,
        plan=plan_of("finnhub", plan),
        patience=patience,
    )


CASE = Case(
    make_standin=FinnhubStandIn,
    make_provider=finnhub,
    batch=("AAPL",),
    spellings={"BTC-USD": "BINANCE:BTCUSDT", "EURUSD=X": "OANDA:EUR_USD", "BRK.B": "BRK.B"},
    uncovered=("^GSPC", "ES=F", "VOD.L", "NPN.JO", "BTC-EUR", "AAPL240119C00150000"),
    lacks=frozenset({Fault.THROTTLED_200}),
    requests={"actions": 2, "bars_1day": 2, "call": 2, "fundamentals": 2},
    tells_other_symbols=False,
    told=TOLD_IN_QUOTES - {"volume", "bid", "ask"},
    precision=timedelta(seconds=1),
    unknown_bars=None,
    stream_lacks=frozenset(
        {
            StreamFault.GREETING_WITHHELD,
            StreamFault.AUTH_UNANSWERED,
            StreamFault.SUBSCRIBE_UNANSWERED,
        }
    ),
    trade_ids=False,
)
ONE_SHARE_IN_FOUR = date(2020, 8, 31)


async def test_the_key_travels_in_a_header_and_never_in_an_address(standin, provider):
    await provider.fetch_quotes(["AAPL"])

    (asked,) = standin.asked
    assert asked.headers["x-finnhub-token"] == KEY
    assert_untold(asked.path, asked.params)


async def test_the_window_is_read_from_the_headers(provider, calls, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 1, 14, 15, 30, 20, 500_000, tzinfo=UTC))

    await provider.fetch_quotes(["AAPL"])

    assert calls[0].remaining == 59
    assert calls[0].reset_at == datetime(2026, 1, 14, 15, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (datetime(2026, 1, 14, 15, 30, 20, 500_000, tzinfo=UTC), datetime(2026, 1, 14, 15, 31, tzinfo=UTC)),
        # never sooner than in a second
        (
            datetime(2026, 1, 14, 15, 30, 59, 500_000, tzinfo=UTC),
            datetime(2026, 1, 14, 15, 31, 0, 500_000, tzinfo=UTC),
        ),
    ],
)
async def test_a_throttle_says_when_to_come_back(standin, provider, monkeypatch, now, until):
    monkeypatch.setattr(clock, "now", lambda: now)
    standin.fail(Fault.RATE_LIMITED, 1)

    with pytest.raises(RateLimited) as caught:
        await provider.fetch_quotes(["AAPL"])

    assert caught.value.retry_at == until
    assert_untold(caught.value)


async def test_the_free_plan_has_no_bars_no_actions_and_fifty_streamed_symbols(standin, calls):
    free = finnhub(standin, plan="free")

    assert (free.capabilities.intervals, free.capabilities.actions) == (frozenset(), False)
    assert (free.capabilities.streams, free.capabilities.max_streamed_symbols) == (True, 50)
    assert not free.capabilities.display_allowed
    start = datetime(2024, 1, 2, tzinfo=UTC)
    with pytest.raises(PlanLocked):
        await free.fetch_bars("AAPL", Interval.DAY, start, start + timedelta(days=1))
    with pytest.raises(PlanLocked):
        await free.fetch_actions("AAPL", start.date(), start.date() + timedelta(days=1))
    assert (standin.asked, calls) == ([], [])


async def test_what_the_vendor_keeps_from_the_plan_is_plan_locked(standin, provider):
    standin.paid = False
    start = datetime(2024, 1, 2, tzinfo=UTC)

    with pytest.raises(PlanLocked):
        await provider.fetch_bars("AAPL", Interval.MINUTE, start, start + timedelta(days=1))


async def test_day_bars_before_a_split_are_as_they_were_traded(standin, provider):
    """The stand-in tells them adjusted, as the vendor does."""
    start, end = datetime(2020, 8, 24, tzinfo=UTC), datetime(2020, 9, 5, tzinfo=UTC)

    bars = await provider.fetch_bars("AAPL", Interval.DAY, start, end)

    assert bars == list(standin.market.bars("AAPL", start, end, timedelta(days=1)))


async def test_minutes_are_asked_for_a_month_at_a_time(standin, provider):
    start = clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(days=50)

    bars = await provider.fetch_bars("BTC-USD", Interval.MINUTE, start, start + timedelta(days=40))

    spans = [(int(asked.params["from"]), int(asked.params["to"])) for asked in standin.asked]
    assert [last - first + 1 for first, last in spans] == [30 * 86_400, 10 * 86_400]
    assert spans[1][0] == spans[0][1] + 1
    assert [asked.path for asked in standin.asked] == ["/api/v1/crypto/candle"] * 2
    assert bars == list(
        standin.market.bars("BTC-USD", start, start + timedelta(days=40), timedelta(minutes=1))
    )


async def test_the_running_day_is_no_bar_yet(provider):
    now = clock.now()

    bars = await provider.fetch_bars("AAPL", Interval.DAY, now - timedelta(days=9), now + timedelta(days=1))

    assert bars
    assert bars[-1].start.date() < now.date()


async def test_dividends_come_from_the_basic_list_where_the_fuller_one_is_locked(
    standin, provider, monkeypatch
):
    monkeypatch.setattr("marketdata.standins.finnhub.PAID", {"/stock/dividend"})
    standin.paid = False

    found = await provider.fetch_actions("AAPL", date(2024, 1, 1), date(2025, 1, 1))

    assert found == [Action("AAPL", ActionKind.DIVIDEND, date(2024, 2, 9), amount=Decimal("0.24"))]
    assert [asked.path.rpartition("/")[2] for asked in standin.asked] == ["split", "dividend", "dividend2"]


async def test_the_basic_list_is_not_believed_abroad_since_it_tells_no_currency(
    standin, provider, monkeypatch
):
    monkeypatch.setattr("marketdata.standins.finnhub.PAID", {"/stock/dividend"})
    standin.paid = False

    with pytest.raises(PlanLocked):
        await provider.fetch_actions("0700.HK", date(2024, 1, 1), date(2025, 1, 1))


async def test_coins_and_currencies_have_no_corporate_actions_and_are_not_asked(standin, provider):
    assert await provider.fetch_actions("BTC-USD", date(2024, 1, 1), date(2025, 1, 1)) == []
    assert standin.asked == []


# --- stream


async def test_the_key_in_the_streams_address_is_told_to_nobody(standin, provider, caplog):
    caplog.set_level(logging.DEBUG)
    async with streaming(provider, standin, "AAPL") as stream:
        await standin.sell(Trade("AAPL", Decimal(1)))
        await ticks_of(stream, 1)

        assert_untold(stream, caplog.text, *[record.__dict__ for record in caplog.records])


async def test_each_symbol_is_asked_for_in_a_message_of_its_own(standin, provider):
    async with streaming(provider, standin, "AAPL", "BTC-USD") as stream:
        await stream.subscribe(["AAPL"])

        assert stream.subscribed == {"AAPL", "BTC-USD"}
    assert standin.received == [
        {"type": "subscribe", "symbol": "AAPL"},
        {"type": "subscribe", "symbol": "BINANCE:BTCUSDT"},
    ]


async def test_coins_and_currencies_stream_by_their_own_names(standin, provider):
    async with streaming(provider, standin, "BTC-USD", "EURUSD=X") as stream:
        await standin.sell(Trade("BTC-USD", Decimal("64250.5"), 0), Trade("EURUSD=X", Decimal("1.0842"), 0))
        ticks = await ticks_of(stream, 2)

    assert [(tick.symbol, tick.price, tick.size) for tick in ticks] == [
        ("BTC-USD", Decimal("64250.5"), 0),
        ("EURUSD=X", Decimal("1.0842"), 0),
    ]


async def test_no_more_symbols_are_asked_for_than_the_plan_streams(standin):
    standin.market.listed["A"] = standin.market.listed["AAPL"]
    free = Finnhub(
        KEY,
        base_url=standin.rest_url,
        stream_url=standin.stream_url,
        plan=replace(plan_of("finnhub", "free"), stream=2),
    )
    stream = await free.open_stream()
    await stream.subscribe(["AAPL", "MSFT", "IBM", "A"])
    await standin.subscribed("AAPL", "MSFT")

    assert (stream.subscribed, stream.left_out) == ({"AAPL", "MSFT"}, {"IBM", "A"})

    await stream.unsubscribe(["MSFT", "A"])
    await standin.subscribed("AAPL", "IBM")
    assert (stream.subscribed, stream.left_out) == ({"AAPL", "IBM"}, set())
    await stream.close()


async def test_too_many_symbols_by_the_vendors_count_end_the_stream_since_nobody_says_which(
    standin, provider
):
    standin.max_symbols = 1
    stream = await provider.open_stream()
    await stream.subscribe(["AAPL", "MSFT"])
    async with asyncio.timeout(30):
        with pytest.raises(PlanLocked, match="fewer symbols"):
            async for _ in stream.batches():
                pass
    await stream.close()


async def test_an_error_about_the_key_ends_the_stream(standin, provider):
    async with streaming(provider, standin, "AAPL") as stream:
        await standin.send_raw(f'{{"type":"error","msg":"Invalid API key {KEY}"}}')
        with pytest.raises(Exception, match="refuses our key") as caught:
            await ticks_of(stream, 1)

    assert caught.value.kind is Kind.AUTH
    assert_untold(caught.value)


async def test_a_trade_that_cannot_be_read_does_not_spoil_its_neighbours(standin, provider):
    async with streaming(provider, standin, "AAPL") as stream:
        await standin.send_raw(
            '{"type":"trade","data":[null,{"s":"AAPL","p":"x","t":1},{"s":"AAPL","p":2,"t":1763733600000}]}'
        )
        (tick,) = await ticks_of(stream, 1)

    assert (tick.price, tick.size, tick.as_of_us) == (Decimal(2), 0, 1_763_733_600_000_000)


async def test_conditions_may_be_missing_or_null(standin, provider):
    async with streaming(provider, standin, "AAPL") as stream:
        await standin.send_raw(
            '{"type":"trade","data":[{"s":"AAPL","p":2,"t":1763733600000,"v":9,"c":null}]}'
        )
        (tick,) = await ticks_of(stream, 1)

    assert (tick.price, tick.size) == (Decimal(2), 9)


async def test_a_trade_at_an_average_price_is_no_tick_and_one_out_of_hours_is(standin, provider):
    async with streaming(provider, standin, "AAPL") as stream:
        await standin.sell(
            Trade("AAPL", Decimal(900), conditions=("1", "2")),
            Trade("AAPL", Decimal(901), conditions=("3",)),
            Trade("AAPL", Decimal(189), conditions=("1", "24", "12")),
        )
        ticks = await ticks_of(stream, 1)

    assert [tick.price for tick in ticks] == [Decimal(189)]


async def test_yesterdays_figures_are_not_lent_to_todays_trades(standin, provider):
    yesterday = clock.now() - timedelta(days=1)
    standin.market.put("AAPL", at=yesterday)
    await provider.fetch_quotes(["AAPL"])
    async with streaming(provider, standin, "AAPL") as stream:
        await standin.sell(Trade("AAPL", Decimal(500), 3))
        (tick,) = await ticks_of(stream, 1)

    assert (tick.open, tick.high, tick.low, tick.previous_close) == (None, None, None, None)


async def test_a_volume_that_nobody_told_is_none_and_not_zero(standin, provider):
    async with streaming(provider, standin, "AAPL") as stream:
        await standin.sell(Trade("AAPL", Decimal(190), 40))
        (tick,) = await ticks_of(stream, 1)
    quote = quote_of(tick, received_at=clock.now(), ttl=timedelta(seconds=15))

    assert (tick.size, quote.volume) == (40, None)


@pytest.mark.parametrize(("hour", "session"), [(9, "pre"), (15, "regular"), (22, "post"), (3, "closed")])
async def test_prints_out_of_hours_are_told_as_such(standin, provider, hour, session):
    """Hours are UTC, of a Wednesday in winter."""
    at = datetime(2026, 1, 14, hour, tzinfo=UTC)
    async with streaming(provider, standin, "AAPL") as stream:
        await standin.sell(Trade("AAPL", Decimal(500), at=at))
        (tick,) = await ticks_of(stream, 1)

    assert tick.session.value == session
