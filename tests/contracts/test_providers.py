"""What every provider of market data promises; a new one is added to PROVIDERS and has to pass."""

from __future__ import annotations

import asyncio
import inspect
from datetime import timedelta
from decimal import Decimal

import pytest

from marketdata.errors import NotFound, ProviderDown, ProviderError
from marketdata.providers.base import Capabilities, Interval, Provider, Stream
from marketdata.providers.replay import Replay
from marketdata.providers.simulator import Script, Simulator
from marketdata.quotes import Bar, Quote, Tick, change_of
from tests.marketdata.fake_clock import START, FakeClock, collect

KNOWN = ["AAPL", "IBM", "MSFT"]
UNKNOWN = "NOSUCH"
SCRIPT = Script(late_every=7, duplicate_every=5, unknown=frozenset({UNKNOWN}))

PROVIDERS = {
    "replay": lambda clock: Replay(now=clock.now, wait=clock.wait),
    "fast replay": lambda clock: Replay(speed=60, now=clock.now, wait=clock.wait),
    "simulator": lambda clock: Simulator(
        script=Script(unknown=frozenset({UNKNOWN})), now=clock.now, wait=clock.wait
    ),
    "scripted simulator": lambda clock: Simulator(script=SCRIPT, now=clock.now, wait=clock.wait),
}


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(params=PROVIDERS)
def provider(request, clock):
    return PROVIDERS[request.param](clock)


def members(protocol):
    names = [name for name in vars(protocol) if not name.startswith("_")]
    return [*names, *protocol.__annotations__]


def test_it_has_everything_the_protocol_names(provider):
    assert [name for name in members(Provider) if not hasattr(provider, name)] == []
    for name in ("fetch_quotes", "fetch_bars", "open_stream"):
        assert inspect.iscoroutinefunction(getattr(provider, name))
        assert list(inspect.signature(getattr(provider, name)).parameters) == [
            *list(inspect.signature(getattr(Provider, name)).parameters)[1:]
        ]


def test_it_says_what_it_can_do(provider):
    assert isinstance(provider.capabilities, Capabilities)
    assert provider.name == provider.name.lower()
    assert provider.capabilities.label
    assert provider.capabilities.max_symbols_per_request >= 1
    assert provider.capabilities.asset_classes


def test_covering_a_symbol_is_known_without_asking(provider):
    assert [provider.covers(symbol) for symbol in KNOWN] == [True, True, True]
    assert not provider.covers(UNKNOWN)
    assert not provider.covers("aapl")
    assert not provider.covers("")


async def test_there_is_one_outcome_per_asked_symbol(provider):
    outcomes = await provider.fetch_quotes([*KNOWN, UNKNOWN])

    assert set(outcomes) == {*KNOWN, UNKNOWN}
    assert isinstance(outcomes[UNKNOWN], NotFound)
    assert all(isinstance(outcomes[symbol], Quote) for symbol in KNOWN)


async def test_asking_for_nothing_answers_nothing(provider):
    assert await provider.fetch_quotes([]) == {}


async def test_a_quote_is_whole_and_makes_sense(provider, clock):
    for symbol, quote in (await provider.fetch_quotes(KNOWN)).items():
        assert (quote.symbol, quote.provider) == (symbol, provider.name)
        assert quote.price.is_finite()
        assert quote.price > 0
        assert quote.low <= quote.price <= quote.high
        assert quote.low <= quote.open <= quote.high
        assert quote.bid < quote.price < quote.ask
        assert quote.volume >= 0
        assert quote.as_of <= quote.received_at == clock.now() < quote.expires_at
        assert quote.age(clock.now()) < timedelta(seconds=3)
        assert (quote.change, quote.change_percent) == change_of(quote.price, quote.previous_close)
        assert (quote.epoch, quote.seq, quote.stale, quote.reason) == (0, 0, False, None)


async def test_requests_and_symbols_are_counted(provider):
    await provider.fetch_quotes(KNOWN)
    await provider.fetch_quotes(KNOWN[:1])

    assert provider.requests == 2
    assert provider.symbols_asked == {"AAPL": 2, "IBM": 1, "MSFT": 1}


async def test_too_many_symbols_in_one_request_are_a_mistake_of_the_caller(provider):
    with pytest.raises(ValueError, match="symbols at once"):
        await provider.fetch_quotes(["AAPL"] * (provider.capabilities.max_symbols_per_request + 1))

    assert provider.requests == 0


@pytest.mark.parametrize("interval", list(Interval))
async def test_bars_are_ordered_inside_the_range_and_make_sense(provider, interval, clock):
    if interval not in provider.capabilities.intervals:
        pytest.skip("not among its capabilities")
    everything = await provider.fetch_bars("AAPL", interval, clock.now() - timedelta(days=9999), clock.now())
    start, end = everything[2].start, everything[-2].start

    some = await provider.fetch_bars("AAPL", interval, start, end)

    assert some == everything[2:-2]
    starts = [bar.start for bar in everything]
    assert starts == sorted(set(starts))
    for bar in everything:
        assert isinstance(bar, Bar)
        assert bar.symbol == "AAPL"
        assert Decimal(0) < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.volume >= 0
        assert bar.start < clock.now()


@pytest.mark.parametrize("interval", list(Interval))
async def test_a_range_between_two_starts_of_bars_holds_none(provider, interval, clock):
    (last,) = (await provider.fetch_bars("AAPL", interval, START - timedelta(days=9999), START))[-1:]
    moment = last.start + timedelta(seconds=1)

    assert await provider.fetch_bars("AAPL", interval, moment, moment + timedelta(seconds=1)) == []
    assert await provider.fetch_bars("AAPL", interval, last.start, last.start) == []
    assert await provider.fetch_bars("AAPL", interval, last.start, moment) == [last]


async def test_bars_of_an_unknown_symbol_are_not_found(provider, clock):
    with pytest.raises(NotFound):
        await provider.fetch_bars(UNKNOWN, Interval.DAY, START - timedelta(days=9), START)


async def test_a_stream_has_everything_the_protocol_names(provider):
    stream = await provider.open_stream()

    assert [name for name in members(Stream) if not hasattr(stream, name)] == []
    await stream.close()


async def test_a_stream_delivers_only_what_is_subscribed(provider):
    stream = await provider.open_stream()
    await stream.subscribe(["AAPL", "IBM", UNKNOWN])
    seen = []
    async for batch in stream.batches():
        seen += batch
        if len(seen) > 40 and "IBM" in stream.subscribed:
            await stream.unsubscribe(["IBM", "MSFT", UNKNOWN])
            await stream.subscribe(["MSFT"])
            before, seen = seen, []
        elif len(seen) > 40:
            break
    await stream.close()

    assert {tick.symbol for tick in before} == {"AAPL", "IBM"}
    assert {tick.symbol for tick in seen} == {"AAPL", "MSFT"}


async def test_ticks_are_whole_and_come_at_their_time(provider, clock):
    ticks = await collect(provider, KNOWN, 20)

    assert len(ticks) >= 50
    for tick in ticks:
        assert isinstance(tick, Tick)
        assert tick.provider == provider.name
        assert tick.price > 0
        assert tick.low <= tick.price <= tick.high
        assert tick.size >= 0
        assert tick.volume >= tick.size
        assert tick.as_of_us <= clock.now().timestamp() * 1_000_000


async def test_the_last_tick_and_the_quote_agree(provider, clock):
    ticks = await collect(provider, ["AAPL"], 20)
    ticks.sort(key=lambda tick: tick.as_of_us)  # a scripted one delivers some late
    quote = (await provider.fetch_quotes(["AAPL"]))["AAPL"]

    assert (quote.price, quote.volume, quote.high, quote.low) == (
        ticks[-1].price,
        ticks[-1].volume,
        ticks[-1].high,
        ticks[-1].low,
    )
    assert quote.as_of.timestamp() == pytest.approx(ticks[-1].as_of_us / 1_000_000)


async def test_a_stream_without_symbols_waits_and_begins_when_there_is_one(provider):
    stream = await provider.open_stream()
    first = asyncio.ensure_future(anext(stream.batches()))
    await asyncio.sleep(0)
    assert not first.done()

    await stream.subscribe(["AAPL"])

    assert {tick.symbol for tick in await first} == {"AAPL"}
    await stream.close()


async def test_connections_and_subscriptions_are_counted_once_each(provider):
    stream = await provider.open_stream()
    await stream.subscribe(KNOWN)
    await stream.subscribe(KNOWN)

    assert provider.connections == 1
    assert stream.subscribed == set(KNOWN)
    assert provider.symbols_subscribed == dict.fromkeys(KNOWN, 1)


async def test_closing_ends_the_stream_and_may_be_done_twice(provider):
    stream = await provider.open_stream()
    waiting = asyncio.ensure_future(anext(stream.batches(), "ended"))
    await asyncio.sleep(0)

    await stream.close()
    await stream.close()

    assert await waiting == "ended"
    assert [batch async for batch in stream.batches()] == []
    with pytest.raises(ProviderDown):
        await stream.subscribe(KNOWN)


async def test_errors_carry_a_reason(provider):
    outcomes = await provider.fetch_quotes([UNKNOWN])

    assert isinstance(outcomes[UNKNOWN], ProviderError)
    assert outcomes[UNKNOWN].reason.value == "not_found"
    assert UNKNOWN in str(outcomes[UNKNOWN])
