"""What is Alpaca's own, beyond the suite that all vendors pass."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ImproperlyConfigured

from core import clock, http
from core.metrics import registry
from marketdata import metering
from marketdata.errors import BadRequest, Kind, NotFound, PlanLocked, ProviderDown, RateLimited, Unauthorized
from marketdata.providers.alpaca import Alpaca, from_settings
from marketdata.providers.base import Interval
from marketdata.providers.plans import Plan, plan_of
from marketdata.providers.vendor_stream import Patience
from marketdata.quotes import Correction, Quote, microseconds
from marketdata.standins.alpaca import AlpacaStandIn
from marketdata.standins.base import Fault
from marketdata.standins.stream import StreamFault, Trade

PATIENT = Patience(20, 20, 20)


@pytest.fixture(autouse=True)
def calls():
    with metering.collecting() as noted:
        yield noted


@pytest.fixture
async def standin():
    async with AlpacaStandIn(key="k", secret="s").running() as running:
        yield running
        await http.close_client()


def provider_of(standin, plan=None):
    return Alpaca(
        base_url=standin.url + "/",
        stream_url=standin.stream_url,
        key="k",
        secret="s",
        plan=plan or plan_of("alpaca", "basic"),
        patience=PATIENT,
    )


# --- requests


async def test_shares_and_coins_are_asked_at_two_addresses_and_both_are_noted(standin, calls):
    found = await provider_of(standin).fetch_quotes(["AAPL", "BTC-USD", "MSFT"])

    assert list(found) == ["AAPL", "BTC-USD", "MSFT"]
    assert [type(one) for one in found.values()] == [Quote] * 3
    assert [(call.endpoint, call.symbols) for call in calls] == [
        ("quotes", ("AAPL", "MSFT")),
        ("quotes", ("BTC-USD",)),
    ]


async def test_coins_are_still_told_when_shares_fail(standin):
    standin.fail(Fault.SERVER_ERROR, 1)

    found = await provider_of(standin).fetch_quotes(["AAPL", "BTC-USD"])

    assert (type(found["AAPL"]), type(found["BTC-USD"])) == (ProviderDown, Quote)


async def test_the_feed_is_that_of_the_plan(standin):
    sip = provider_of(standin, plan_of("alpaca", "algo-trader-plus"))
    with pytest.raises(PlanLocked):
        await sip.fetch_quotes(["AAPL"])
    standin.feeds = {"sip"}

    await sip.fetch_quotes(["AAPL"])

    assert [asked.params["feed"] for asked in standin.asked] == ["sip", "sip"]


async def test_the_window_that_headers_tell_is_noted(standin, calls):
    await provider_of(standin).fetch_quotes(["AAPL"])

    (call,) = calls
    assert call.remaining == 199
    assert clock.now() < call.reset_at <= clock.now() + timedelta(seconds=61)


async def test_a_refused_spelling_is_a_bad_request(standin):
    with pytest.raises(BadRequest):
        await provider_of(standin).fetch_quotes(["AAPL", "BRK/B"])


async def test_daily_bars_of_coins_are_asked_without_a_feed(standin):
    start = datetime(2024, 3, 4, tzinfo=UTC)

    found = await provider_of(standin).fetch_bars("BTC-USD", Interval.DAY, start, start + timedelta(days=3))

    assert [bar.start for bar in found] == [start + timedelta(days=number) for number in range(3)]
    assert "feed" not in standin.asked[0].params


async def test_coins_have_no_corporate_actions(standin, calls):
    with pytest.raises(NotFound):
        await provider_of(standin).fetch_actions("BTC-USD", date(2024, 1, 1), date(2025, 1, 1))

    assert calls == []


async def test_pages_that_never_end_are_malformed(standin, calls, monkeypatch):
    monkeypatch.setattr("marketdata.providers.alpaca.MAX_PAGES", 3)
    standin.page_size = 1
    start = datetime(2024, 3, 4, 15, tzinfo=UTC)
    with pytest.raises(Exception, match="more than 3 pages") as caught:
        await provider_of(standin).fetch_bars("AAPL", Interval.MINUTE, start, start + timedelta(minutes=9))

    assert caught.value.kind is Kind.MALFORMED
    assert len(calls) == 3


async def test_a_plan_without_a_stream_opens_none(standin):
    with pytest.raises(PlanLocked):
        await provider_of(standin, Plan("alpaca", "none", stream=0, feed="iex")).open_stream()

    assert standin.connections == 0


def test_the_settings_make_one(settings):
    settings.ALPACA_KEY_ID, settings.ALPACA_SECRET_KEY = "id", "secret"
    settings.ALPACA_PLAN = "algo-trader-plus"

    made = from_settings()

    assert made.headers() == {"APCA-API-KEY-ID": "id", "APCA-API-SECRET-KEY": "secret"}
    assert (made.capabilities.plan, made.capabilities.max_streamed_symbols) == ("algo-trader-plus", None)


@pytest.mark.parametrize("name", ["ALPACA_KEY_ID", "ALPACA_SECRET_KEY", "ALPACA_PLAN"])
def test_a_missing_setting_is_named(settings, name):
    settings.ALPACA_KEY_ID = settings.ALPACA_SECRET_KEY = "something"
    setattr(settings, name, "")

    with pytest.raises(ImproperlyConfigured, match=name):
        from_settings()


# --- stream


async def events_of(stream, count):
    found = []
    async with asyncio.timeout(30), aclosing(stream.batches()) as batches:
        async for batch in batches:
            found += batch
            if len(found) >= count:
                return found
    raise AssertionError("the stream ended")


@asynccontextmanager
async def streaming(standin, *symbols, provider=None):
    stream = await (provider or provider_of(standin)).open_stream()
    try:
        await stream.subscribe(symbols)
        await standin.subscribed(*symbols)
        yield stream
    finally:
        await stream.close()


NOW = datetime(
    2026, 1, 6, 17, 0, 0, 500_000, tzinfo=UTC
)  # the middle of a day: figures and halts end with it


def after(seconds):
    return NOW + timedelta(seconds=seconds)


async def test_trades_that_do_not_move_the_price_are_no_ticks(standin):
    async with streaming(standin, "AAPL") as stream:
        await standin.sell(Trade("AAPL", Decimal(150), id=1, conditions=("@", "W")))
        await standin.sell(Trade("AAPL", Decimal(151), id=2, conditions=("Z",)))
        await standin.sell(Trade("AAPL", Decimal(152), id=3, conditions=("@", "I")))
        (tick,) = await events_of(stream, 1)

    assert (tick.price, tick.trade_id) == (Decimal(152), "V-3")


async def test_corrections_and_cancels_name_the_trade_as_its_tick_did(standin):
    trade = Trade("AAPL", Decimal("189.34"), 7, NOW, id=4711)
    async with streaming(standin, "AAPL") as stream:
        await standin.sell(trade)
        await standin.correct(trade, Decimal("189.30"), after(1))
        await standin.cancel(trade, after(2))
        tick, correction, cancel = await events_of(stream, 3)

    was = {"trade_id": tick.trade_id, "was": Decimal("189.34")}
    assert correction == Correction("AAPL", "alpaca", microseconds(after(1)), **was, price=Decimal("189.3"))
    assert cancel == Correction("AAPL", "alpaca", microseconds(after(2)), **was)


@pytest.mark.parametrize(("halt", "resume"), [("H", "T"), ("P", "T"), ("2", "3")])
async def test_a_halt_marks_the_last_price_until_trading_goes_on(standin, halt, resume):
    async with streaming(standin, "AAPL") as stream:
        await standin.sell(Trade("AAPL", Decimal(190), 7, NOW, id=1))
        await standin.status("AAPL", halt, after(1))
        await standin.sell(Trade("AAPL", Decimal(191), 1, after(1.5), id=2))  # told late
        await standin.status("AAPL", "Q", after(60))  # quotes only
        await standin.status("AAPL", resume, after(61))
        told = await events_of(stream, 4)

    assert [(tick.price, tick.size, tick.halted) for tick in told] == [
        (Decimal(190), 7, False),
        (Decimal(190), 0, True),
        (Decimal(191), 1, True),
        (Decimal(191), 0, False),
    ]
    assert told[1].as_of_us == microseconds(after(1))


async def test_trades_after_a_halt_mean_that_trading_goes_on(standin):
    async with streaming(standin, "AAPL") as stream:
        await standin.status("AAPL", "H", NOW)
        await standin.sell(Trade("AAPL", Decimal(190), 7, after(0.5), id=1))
        await standin.sell(Trade("AAPL", Decimal(191), 7, after(90), id=2))
        told = await events_of(stream, 2)

    assert [tick.halted for tick in told] == [True, False]


async def test_the_days_bar_corrects_the_days_figures(standin):
    now = clock.now()  # not when the module was read: figures end with their day
    async with streaming(standin, "BTC-USD") as stream:
        prices = [Decimal(price) for price in (100, 120, 90, 110)]
        await standin.bar("BTC-USD", now.replace(hour=0), prices, 5_000, "d")
        await standin.sell(Trade("BTC-USD", Decimal(130), 7, now, id=1))
        (tick,) = await events_of(stream, 1)

    assert (tick.open, tick.high, tick.low, tick.volume) == (Decimal(100), Decimal(130), Decimal(90), 5_007)


async def test_shares_and_coins_stream_over_two_connections_as_one(standin):
    stream = await provider_of(standin).open_stream()
    await stream.subscribe(["AAPL", "BTC-USD"])
    await standin.until(lambda: {frozenset(session.symbols) for session in standin.sessions} == {
        frozenset({"AAPL"}), frozenset({"BTC-USD"}),
    })  # fmt: skip
    await standin.sell(Trade("BTC-USD", Decimal("64000.5"), 1, NOW, id=1))
    (coin,) = await events_of(stream, 1)
    await standin.sell(Trade("AAPL", Decimal(190), 1, NOW, id=2))
    (share,) = await events_of(stream, 1)
    await stream.unsubscribe(["BTC-USD"])
    await standin.until(lambda: {frozenset(session.symbols) for session in standin.sessions} == {
        frozenset({"AAPL"}), frozenset(),
    })  # fmt: skip
    await stream.close()

    assert (coin.symbol, coin.price, share.symbol) == ("BTC-USD", Decimal("64000.5"), "AAPL")
    await standin.until(lambda: not standin.sessions)


async def test_no_more_symbols_are_streamed_than_the_plan_allows(standin):
    plan = Plan("alpaca", "small", symbols=100, stream=2, feed="iex")
    stream = await provider_of(standin, plan).open_stream()
    await stream.subscribe(["MSFT", "AAPL", "IBM"])
    await standin.subscribed("MSFT", "AAPL")
    await stream.unsubscribe(["AAPL", "IBM"])
    await stream.subscribe(["SPY", "IBM"])
    await standin.subscribed("MSFT", "SPY")
    await stream.close()


async def test_too_many_symbols_for_the_vendor_are_refused_and_those_it_has_go_on(standin):
    standin.most_symbols = 1
    async with streaming(standin, "AAPL") as stream:
        with pytest.raises(PlanLocked, match="405"):
            await stream.subscribe(["MSFT"])
        await standin.sell(Trade("AAPL", Decimal(190), 1, NOW, id=1))
        (tick,) = await events_of(stream, 1)
        standin.most_symbols = 2
        await stream.subscribe(["MSFT"])
        await standin.subscribed("AAPL", "MSFT")

    assert tick.symbol == "AAPL"


@pytest.mark.parametrize("code", [400, 410])
async def test_a_subscription_that_is_refused_is_a_bad_request_and_the_connection_stays(
    standin, code, monkeypatch
):
    async with streaming(standin, "AAPL") as stream:
        with monkeypatch.context() as patched:

            async def refuse(session, *_):
                await standin.refuse(session, code)

            patched.setattr(standin, "_follow", refuse)
            with pytest.raises(BadRequest, match=str(code)):
                await stream.subscribe(["MSFT"])
        await standin.sell(Trade("AAPL", Decimal(190), 1, NOW, id=1))
        (tick,) = await events_of(stream, 1)

    assert tick.symbol == "AAPL"


async def test_a_stream_that_ends_before_its_answer_ends_the_question_as_well(standin):
    standin.stream_faults[StreamFault.SUBSCRIBE_UNANSWERED] = 1
    stream = await provider_of(standin).open_stream()
    asking = asyncio.ensure_future(stream.subscribe(["AAPL"]))
    await standin.until(lambda: len(standin.received) == 2)
    await standin.drop(1006)

    async with asyncio.timeout(PATIENT.step_s / 2):
        with pytest.raises(ProviderDown, match="ended"):
            await asking
    await stream.close()


ENDS = {
    400: ProviderDown,
    401: Unauthorized,
    402: Unauthorized,
    404: ProviderDown,
    407: ProviderDown,
    408: ProviderDown,
    409: PlanLocked,
    410: ProviderDown,
    500: ProviderDown,
}


@pytest.mark.parametrize("code", ENDS)
async def test_an_error_ends_the_stream_by_its_code(standin, code):
    async with streaming(standin, "AAPL") as stream:
        await standin.refuse_all(code)
        with pytest.raises(ENDS[code], match=str(code)):
            await events_of(stream, 1)


async def test_events_before_an_error_in_one_frame_are_told_first(standin):
    async with streaming(standin, "AAPL") as stream:
        trade = standin.trades_message([Trade("AAPL", Decimal(190), 1, NOW, id=1)])
        (session,) = standin.sessions
        await session.send([*trade, {"T": "error", "code": 407, "msg": "slow client"}])
        (tick,) = await events_of(stream, 1)
        with pytest.raises(ProviderDown, match="407"):
            await events_of(stream, 1)

    assert tick.price == Decimal(190)


async def test_a_second_connection_of_the_key_has_to_wait(standin):
    async with streaming(standin, "AAPL"):
        with pytest.raises(RateLimited) as caught:
            await provider_of(standin).open_stream()

    assert caught.value.retry_at > clock.now() + timedelta(seconds=20)
    await standin.until(lambda: not standin.sessions)


async def test_a_feed_outside_the_plan_cannot_stream(standin):
    standin.feeds = {"sip"}
    with pytest.raises(PlanLocked):
        await provider_of(standin).open_stream()


def bad_messages():
    return registry.get_sample_value("onetape_upstream_bad_messages_total", {"provider": "alpaca"}) or 0


async def test_one_bad_message_of_a_frame_costs_only_itself(standin):
    before = bad_messages()
    good = {"T": "t", "S": "AAPL", "i": 1, "x": "V", "p": 190, "s": 1, "c": ["@"], "z": "C"}
    bad = [
        {**good, "p": "NaN"},
        {**good, "p": None},
        {**good, "S": 7},
        {**good, "t": "noon"},
        {**good, "t": 5},
        {},
    ]
    async with streaming(standin, "AAPL") as stream:
        (session,) = standin.sessions
        timed = {**good, "t": "2026-01-06T17:00:00.123456789Z"}
        await session.send([{**timed, **one} if one else {} for one in bad] + [timed, {"T": "new"}])
        (tick,) = await events_of(stream, 1)

    assert tick.price == Decimal(190)
    assert bad_messages() - before == 6


async def test_a_burst_while_nobody_reads_is_kept_in_order_and_bounded(standin):
    async with streaming(standin, "AAPL") as stream:
        selling = asyncio.ensure_future(_sell_many(standin, 2_000))
        await asyncio.wait({selling}, timeout=0.2)
        told = await events_of(stream, 2_000)
        await selling

    assert [tick.price for tick in told] == [Decimal(number) for number in range(1, 2_001)]


async def test_a_burst_in_one_frame_is_read_in_slices_between_which_others_have_their_turn(standin):
    async with streaming(standin, "AAPL") as stream:
        trades = [Trade("AAPL", Decimal(number), 1, NOW, id=number) for number in range(1, 4_502)]
        await standin.sell(*trades)
        sizes = []
        async with asyncio.timeout(30), aclosing(stream.batches()) as batches:
            async for batch in batches:
                sizes.append(len(batch))
                if sum(sizes) == len(trades):
                    break

    assert [size for size in sizes if size] == [2_000, 2_000, 501]


async def _sell_many(standin, count):
    for number in range(1, count + 1):
        await standin.sell(Trade("AAPL", Decimal(number), 1, NOW, id=number))
