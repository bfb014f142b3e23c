"""What every vendor's stream promises, against its stand-in (of `standins.stream.StreamStandIn`).

A vendor's module with a stream also has `from tests.contracts.vendors.stream_suite import *`.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from core import clock
from core.metrics import registry
from marketdata.errors import Kind, ProviderDown, ProviderError
from marketdata.quotes import Tick, microseconds
from marketdata.standins.stream import StreamFault, Trade
from tests.contracts.vendors.case import BAD_FRAMES, HASTY, WATCHFUL
from tests.contracts.vendors.secrets import assert_untold

__all__ = [
    "test_a_bad_message_is_skipped_and_counted_and_the_connection_stays",
    "test_a_dead_connection_is_noticed_by_its_silence",
    "test_a_frame_torn_by_the_end_of_the_connection_is_the_end_of_the_stream",
    "test_a_living_but_quiet_stream_gives_signs_of_life",
    "test_a_new_connection_delivers_again",
    "test_a_price_that_is_none_is_no_tick",
    "test_a_stream_that_cannot_begin_says_why_in_time",
    "test_a_streamed_tick_is_exact",
    "test_a_tick_shows_the_day_that_rest_told",
    "test_a_trade_told_twice_is_the_same_tick",
    "test_a_vendors_own_sign_of_life_is_an_empty_batch",
    "test_an_end_with_a_code_is_told_and_no_secret",
    "test_closing_ends_the_batches_and_may_be_done_twice",
    "test_many_frames_come_whole_and_in_order",
    "test_many_symbols_come_in_one_frame",
    "test_the_wrong_key_cannot_stream",
    "test_ticks_of_symbols_nobody_subscribed_do_no_harm",
    "test_unsubscribing_reaches_the_vendor",
]

OPENING_FAULTS = {
    StreamFault.GREETING_WITHHELD: Kind.TRANSIENT,
    StreamFault.AUTH_UNANSWERED: Kind.TRANSIENT,
    StreamFault.CLOSED_AFTER_AUTH: Kind.TRANSIENT,
    StreamFault.SUBSCRIBE_UNANSWERED: Kind.TRANSIENT,
    StreamFault.REFUSED_401: Kind.AUTH,
    StreamFault.REFUSED_403: Kind.PLAN_LOCKED,
    StreamFault.REFUSED_429: Kind.RATE_LIMITED,
    StreamFault.REFUSED_503: Kind.TRANSIENT,
    StreamFault.REDIRECTED: Kind.TRANSIENT,
}


async def fetch_quotes(provider, symbols):
    """By as many requests as the plan needs."""
    step = provider.capabilities.max_symbols_per_request
    found = {}
    for begin in range(0, len(symbols), step):
        found |= await provider.fetch_quotes(list(symbols[begin : begin + step]))
    return found


async def ticks_of(stream, count):
    """The next `count` ticks, and the rest of the batch that holds the last one."""
    ticks = []
    async with asyncio.timeout(30), aclosing(stream.batches()) as batches:
        async for batch in batches:
            ticks += [event for event in batch if isinstance(event, Tick)]
            if len(ticks) >= count:
                return ticks
    raise AssertionError("the stream ended without a word")


async def ticks_until_the_end(stream):
    return [event async for batch in stream.batches() for event in batch]


@asynccontextmanager
async def streaming(provider, standin, *symbols):
    """Opened and subscribed, as the stand-in has confirmed."""
    stream = await provider.open_stream()
    try:
        await stream.subscribe(list(symbols))
        reading = asyncio.ensure_future(ticks_of(stream, 1))
        await standin.subscribed(*symbols)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        yield stream
    finally:
        await stream.close()


def now(case):
    """At the precision in which the vendor tells times."""
    moment = clock.now()
    return moment - timedelta(
        microseconds=microseconds(moment) % (case.stream_precision // timedelta(microseconds=1))
    )


async def test_a_streamed_tick_is_exact(case, standin, provider):
    symbol, at = case.stream_symbols[0], now(case)
    async with streaming(provider, standin, symbol) as stream:
        await standin.sell(Trade(symbol, Decimal("189.3412"), 7, at, id=4711))
        (tick,) = await ticks_of(stream, 1)

    assert (tick.symbol, tick.provider, tick.price, tick.size) == (
        symbol,
        provider.name,
        Decimal("189.3412"),
        7,
    )
    assert tick.as_of_us == microseconds(at)
    assert tick.delayed_s == provider.capabilities.delayed_s
    assert ("4711" in tick.trade_id) == case.trade_ids


async def test_many_symbols_come_in_one_frame(case, standin, provider):
    first, second = case.stream_symbols[:2]
    async with streaming(provider, standin, first, second) as stream:
        await standin.sell(
            Trade(first, Decimal("1.5"), id=1),
            Trade(second, Decimal("2.5"), id=2),
            Trade(first, Decimal("3.5"), id=3),
        )
        ticks = await ticks_of(stream, 3)

    assert [(tick.symbol, tick.price) for tick in ticks] == [
        (first, Decimal("1.5")),
        (second, Decimal("2.5")),
        (first, Decimal("3.5")),
    ]


async def test_many_frames_come_whole_and_in_order(case, standin, provider):
    symbol, count = case.stream_symbols[0], 3_000
    async with streaming(provider, standin, symbol) as stream:
        reading = asyncio.ensure_future(ticks_of(stream, count))
        for number in range(1, count + 1):
            await standin.sell(Trade(symbol, Decimal(number), id=number))
        ticks = await reading

    assert [tick.price for tick in ticks] == [Decimal(number) for number in range(1, count + 1)]


async def test_a_tick_shows_the_day_that_rest_told(case, standin, provider):
    symbol = case.stream_symbols[0]
    (quote,) = (await fetch_quotes(provider, [symbol])).values()
    highest = Decimal(int(quote.price * Decimal("1.1")))
    async with streaming(provider, standin, symbol) as stream:
        await standin.sell(Trade(symbol, highest, 40, id=1))
        (tick,) = await ticks_of(stream, 1)

    assert (tick.open, tick.previous_close) == (quote.open, quote.previous_close)
    if "high" in case.told:
        assert (tick.high, tick.low) == (highest, quote.low)
    if "volume" in case.told:
        assert tick.volume == quote.volume + 40


async def test_a_trade_told_twice_is_the_same_tick(case, standin, provider):
    trade = Trade(case.stream_symbols[0], Decimal("189.01"), 5, now(case), id=99)
    async with streaming(provider, standin, trade.symbol) as stream:
        await standin.sell(trade)
        await standin.sell(trade)
        one, other = await ticks_of(stream, 2)

    assert (one.price, one.as_of_us, one.trade_id) == (other.price, other.as_of_us, other.trade_id)


@pytest.mark.parametrize("price", ["0", "-3"])
async def test_a_price_that_is_none_is_no_tick(case, standin, provider, price):
    symbol = case.stream_symbols[0]
    async with streaming(provider, standin, symbol) as stream:
        await standin.sell(Trade(symbol, Decimal(price), id=1))
        await standin.sell(Trade(symbol, Decimal("189.01"), id=2))
        ticks = await ticks_of(stream, 1)

    assert [tick.price for tick in ticks] == [Decimal("189.01")]


async def test_ticks_of_symbols_nobody_subscribed_do_no_harm(case, standin, provider):
    wanted, other = case.stream_symbols[:2]
    async with streaming(provider, standin, wanted) as stream:
        await standin.sell(Trade(other, Decimal(2), id=1), to_all=True)
        await standin.sell(Trade(wanted, Decimal(1), id=2))
        ticks = await ticks_of(stream, 1)
        if ticks[-1].symbol == other:
            ticks += await ticks_of(stream, 1)

    assert ticks[-1].symbol == wanted


async def test_unsubscribing_reaches_the_vendor(case, standin, provider):
    wanted, other = case.stream_symbols[:2]
    async with streaming(provider, standin, wanted, other) as stream:
        await stream.unsubscribe([other])

        await standin.subscribed(wanted)


# --- messages nobody can read


def skipped(provider):
    name = "onetape_upstream_bad_messages_total"
    return registry.get_sample_value(name, {"provider": provider.name}) or 0


@pytest.mark.parametrize("name", list(BAD_FRAMES))
async def test_a_bad_message_is_skipped_and_counted_and_the_connection_stays(case, standin, provider, name):
    data, text = BAD_FRAMES[name]
    symbol = case.stream_symbols[0]
    async with streaming(provider, standin, symbol) as stream:
        before = skipped(provider)
        await standin.send_raw(data, text=text)
        await standin.sell(Trade(symbol, Decimal("189.01"), id=1))
        (tick,) = await ticks_of(stream, 1)

    assert tick.price == Decimal("189.01")
    assert skipped(provider) - before == (0 if name in case.harmless_frames else 1)
    assert standin.connections == 1


# --- beginnings and ends


async def lived(provider, symbol):
    """Open, subscribe and read until the connection is lost; the error."""
    stream = None
    try:
        stream = await provider.open_stream()
        await stream.subscribe([symbol])
        await ticks_of(stream, 1_000_000)
    except ProviderError as error:
        return error
    finally:
        if stream is not None:
            await stream.close()


@pytest.mark.parametrize("fault", OPENING_FAULTS)
async def test_a_stream_that_cannot_begin_says_why_in_time(case, standin, fault, caplog):
    if fault in case.stream_lacks:
        pytest.skip("not of this vendor")
    caplog.set_level(logging.DEBUG)
    withheld = {StreamFault.GREETING_WITHHELD, StreamFault.AUTH_UNANSWERED, StreamFault.SUBSCRIBE_UNANSWERED}
    provider = case.provider(standin, HASTY) if fault in withheld else case.provider(standin)
    standin.stream_faults[fault] = 1

    error = await lived(provider, case.stream_symbols[0])

    assert error.kind is case.stream_expected.get(fault, OPENING_FAULTS[fault])
    assert (error.retry_at is not None) == (error.kind is Kind.RATE_LIMITED)
    assert_untold(error, caplog.text, *[record.__dict__ for record in caplog.records])
    await standin.until(lambda: not standin.sessions)


async def test_the_wrong_key_cannot_stream(case, standin, provider, caplog):
    caplog.set_level(logging.DEBUG)
    if not standin.key:
        pytest.skip("has no key")
    standin.key = standin.secret = "another"

    error = await lived(provider, case.stream_symbols[0])

    assert error.kind is Kind.AUTH
    assert_untold(error, caplog.text, *[record.__dict__ for record in caplog.records])


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1008, 1011, 1013])
async def test_an_end_with_a_code_is_told_and_no_secret(case, standin, provider, code):
    async with streaming(provider, standin, case.stream_symbols[0]) as stream:
        await standin.drop(code)
        with pytest.raises(ProviderError) as caught:
            await ticks_of(stream, 1)

    assert str(code) in str(caught.value)
    assert_untold(caught.value)


async def test_a_frame_torn_by_the_end_of_the_connection_is_the_end_of_the_stream(case, standin, provider):
    async with streaming(provider, standin, case.stream_symbols[0]) as stream:
        standin.tear()
        with pytest.raises(ProviderDown):
            await ticks_of(stream, 1)


async def test_a_dead_connection_is_noticed_by_its_silence(case, standin):
    patience = SimpleNamespace(open_s=20, step_s=20, life_s=0.1)
    async with streaming(case.provider(standin, patience), standin, case.stream_symbols[0]) as stream:
        standin.silence()
        patience.step_s = 0.5
        with pytest.raises(ProviderDown):
            await ticks_of(stream, 1)
        await standin.drop(1006)


async def test_a_living_but_quiet_stream_gives_signs_of_life(case, standin):
    stream = await case.provider(standin, WATCHFUL).open_stream()
    async with asyncio.timeout(30), aclosing(stream.batches()) as batches:
        signs = [list(await anext(batches)), list(await anext(batches))]
    await stream.close()

    assert signs == [[], []]


async def test_a_vendors_own_sign_of_life_is_an_empty_batch(case, standin, provider):
    if not case.life_message:
        pytest.skip("has none")
    async with streaming(provider, standin, case.stream_symbols[0]) as stream:
        before = skipped(provider)
        await standin.send_life()
        async with asyncio.timeout(30), aclosing(stream.batches()) as batches:
            assert list(await anext(batches)) == []

    assert skipped(provider) == before


async def test_a_new_connection_delivers_again(case, standin, provider):
    symbol = case.stream_symbols[0]
    async with streaming(provider, standin, symbol) as stream:
        await standin.drop(1006)
        with pytest.raises(ProviderDown):
            await ticks_of(stream, 1)
    await standin.until(lambda: not standin.sessions)
    async with streaming(provider, standin, symbol) as stream:
        await standin.sell(Trade(symbol, Decimal("190.02"), id=2))
        (tick,) = await ticks_of(stream, 1)

    assert (tick.price, standin.connections) == (Decimal("190.02"), 2)


async def test_closing_ends_the_batches_and_may_be_done_twice(case, standin, provider):
    async with streaming(provider, standin, case.stream_symbols[0]) as stream:
        reading = asyncio.ensure_future(ticks_until_the_end(stream))
        await asyncio.sleep(0)

        await stream.close()
        await stream.close()

        assert await reading == []
        assert [batch async for batch in stream.batches()] == []
        with pytest.raises(ProviderDown):
            await stream.subscribe(["AAPL"])
