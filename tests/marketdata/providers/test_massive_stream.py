"""What is peculiar to Massive's streams; what every stream promises is tested in tests/contracts/vendors."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal

import pytest

from core import clock
from marketdata.errors import BadRequest, Kind, ProviderDown, ProviderError, RateLimited
from marketdata.providers.massive import Massive
from marketdata.providers.plans import plan_of
from marketdata.providers.vendor_stream import Patience
from marketdata.quotes import Tick
from marketdata.standins.massive import MassiveStandIn
from marketdata.standins.stream import Trade

KEY = "CANARY-key-4f1d9c"
# A short silence is enough to look what is to be asked again, and nothing breaks for being slow.
PATIENT = Patience(open_s=20, step_s=20, life_s=0.1)


@pytest.fixture
async def standin():
    async with MassiveStandIn(key=KEY).running() as running:
        yield running


def massive(standin, *, patience=None, plan="advanced"):
    return Massive(
        KEY,
        base_url=standin.url,
        stream_url=standin.stream_url,
        plan=plan_of("massive", plan),
        patience=patience,
    )


@asynccontextmanager
async def read(provider, *symbols):
    """(stream, ticks so far, task that reads); the task ends with the error that ends the stream."""
    stream, ticks = await provider.open_stream(), []

    async def listen():
        async for batch in stream.batches():
            ticks.extend(event for event in batch if isinstance(event, Tick))

    reading = asyncio.create_task(listen())
    try:
        if symbols:
            await stream.subscribe(symbols)
        yield stream, ticks, reading
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await stream.close()


async def until(ready):
    async with asyncio.timeout(30):
        while not ready():
            await asyncio.sleep(0)


async def error_of(reading):
    async with asyncio.timeout(30):
        with pytest.raises(ProviderError) as caught:
            await reading
    return caught.value


def asked(standin, action="subscribe"):
    return [message["params"].split(",") for message in standin.received if message["action"] == action]


# --- acknowledgements


@pytest.fixture
def pass_a_step(monkeypatch):
    """The time that an acknowledgement may take is over; from then on the clock stands still."""

    def passing():
        later = clock.monotonic() + PATIENT.step_s
        monkeypatch.setattr(clock, "monotonic", lambda: later)

    return passing


async def test_channels_that_are_not_acknowledged_are_asked_for_again(standin, pass_a_step):
    standin.stream_faults["partial"] = 1

    async with read(massive(standin, patience=PATIENT), "AAPL", "MSFT") as (stream, _, _):
        await until(lambda: stream._open["stocks"]._taken == {"A.AAPL", "A.MSFT"})
        pass_a_step()
        await standin.subscribed("AAPL", "MSFT")

    assert asked(standin) == [["A.AAPL", "T.AAPL", "A.MSFT", "T.MSFT"], ["T.AAPL", "T.MSFT"]]


async def test_an_acknowledgement_of_another_channel_does_not_count(standin, pass_a_step):
    standin.stream_faults["partial"] = 1
    heard = []

    async with read(massive(standin, patience=PATIENT), "AAPL") as (stream, _, _):
        market = stream._open["stocks"]
        await until(lambda: market._taken == {"A.AAPL"})
        hear, market._hear = market._hear, lambda *words: (heard.append(words), hear(*words))
        await standin.tell({"ev": "status", "status": "success", "message": "subscribed to: T.MSFT"})
        await until(lambda: heard)
        pass_a_step()
        await standin.subscribed("AAPL")

    assert asked(standin)[1] == ["T.AAPL"]


async def test_many_symbols_are_asked_for_in_several_messages(standin):
    symbols = [
        f"Z{first}{second}" for first in "ABCDEFGHIJKLMNOPQRSTUVW" for second in "ABCDEFGHIJKLMNOPQRSTUVW"
    ]

    async with read(massive(standin), *symbols):
        await standin.subscribed(*symbols)

    assert [len(channels) for channels in asked(standin)] == [500, 500, 58]


async def test_what_is_subscribed_already_is_not_asked_for_again(standin):
    async with read(massive(standin), "AAPL") as (stream, _, _):
        await standin.subscribed("AAPL")
        await until(lambda: stream._open["stocks"]._taken == {"A.AAPL", "T.AAPL"})
        await stream.subscribe(["AAPL", "MSFT"])
        await standin.subscribed("AAPL", "MSFT")

    assert asked(standin) == [["A.AAPL", "T.AAPL"], ["A.MSFT", "T.MSFT"]]


# --- events


async def test_bars_of_a_second_tell_the_volume_and_the_official_open(standin):
    async with read(massive(standin), "AAPL") as (_, ticks, _):
        await standin.subscribed("AAPL")
        await standin.tell(standin.second("AAPL", "189.4", day_volume=70_000, day_open="188.15"))
        await standin.sell(Trade("AAPL", Decimal("189.5"), 30), Trade("AAPL", Decimal("189.6"), 20))
        await until(lambda: len(ticks) == 2)

    assert [(tick.price, tick.size, tick.volume, tick.open) for tick in ticks] == [
        (Decimal("189.5"), 30, 70_030, Decimal("188.15")),
        (Decimal("189.6"), 20, 70_050, Decimal("188.15")),
    ]


async def test_without_trades_in_the_plan_the_bars_tell_the_price(standin):
    standin.locked = {"T"}
    async with read(massive(standin, plan="starter"), "AAPL") as (_, ticks, _):
        await until(lambda: any("A.AAPL" in channels for channels in standin.channels.values()))
        await standin.tell(standin.second("AAPL", "189.4", day_volume=70_000, day_open="188.15", volume=200))
        await until(lambda: ticks)

    (tick,) = ticks
    assert (tick.price, tick.size, tick.volume, tick.open) == (
        Decimal("189.4"),
        200,
        70_000,
        Decimal("188.15"),
    )
    assert tick.delayed_s == 900


async def test_trades_that_do_not_move_the_price_are_no_ticks(standin):
    async with read(massive(standin), "AAPL") as (_, ticks, _):
        await standin.subscribed("AAPL")
        await standin.sell(
            Trade("AAPL", Decimal(150), conditions=(2,)),
            Trade("AAPL", Decimal("189.5"), conditions=(12, 37)),
        )
        await until(lambda: ticks)

    assert [tick.price for tick in ticks] == [Decimal("189.5")]


async def test_events_of_what_is_no_longer_wanted_are_left_out(standin):
    async with read(massive(standin), "AAPL", "MSFT") as (stream, ticks, _):
        await standin.subscribed("AAPL", "MSFT")
        await stream.unsubscribe(["MSFT"])
        await standin.subscribed("AAPL")
        await standin.sell(Trade("MSFT", Decimal(2)), Trade("AAPL", Decimal(1)), to_all=True)
        await standin.tell(standin.second("MSFT", "2", day_volume=9, day_open="2"))
        await standin.sell(Trade("AAPL", Decimal(3)))
        await until(lambda: len(ticks) == 2)

    assert [(tick.symbol, tick.price) for tick in ticks] == [("AAPL", 1), ("AAPL", 3)]


async def test_equal_times_are_ordered_by_the_vendors_numbers(standin):
    at = clock.now()
    async with read(massive(standin), "AAPL") as (_, ticks, _):
        await standin.subscribed("AAPL")
        await standin.sell(Trade("AAPL", Decimal(1), at=at), Trade("AAPL", Decimal(2), at=at))
        await until(lambda: len(ticks) == 2)

    assert ticks[0].as_of_us == ticks[1].as_of_us
    assert ticks[0].sequence < ticks[1].sequence


# --- markets


async def test_coins_and_currencies_come_over_connections_of_their_own(standin):
    symbols = ["AAPL", "BTC-USD", "EURUSD=X"]
    async with read(massive(standin), *symbols) as (_, ticks, _):
        await standin.until(
            lambda: sorted(next(iter(one.symbols), "") for one in standin.sessions) == sorted(symbols)
        )
        await standin.sell(*(Trade(symbol, Decimal(number)) for number, symbol in enumerate(symbols, 1)))
        await until(lambda: len(ticks) == 3)

    assert sorted((tick.symbol, tick.price) for tick in ticks) == [
        ("AAPL", 1),
        ("BTC-USD", 2),
        ("EURUSD=X", 3),
    ]
    assert [(tick.bid, tick.ask) for tick in ticks if tick.symbol == "EURUSD=X"] == [(3, 3)]


async def test_a_market_outside_the_plan_is_refused_from_then_on_and_the_others_go_on(standin):
    standin.locked = {"XT"}
    provider = massive(standin)
    async with read(provider, "AAPL", "BTC-USD") as (_, _, reading):
        error = await error_of(reading)
    async with read(provider, "AAPL") as (stream, ticks, _):
        await standin.subscribed("AAPL")
        with pytest.raises(BadRequest):
            await stream.subscribe(["MSFT", "BTC-USD"])
        await stream.subscribe(["MSFT"])
        await standin.subscribed("AAPL", "MSFT")
        await standin.sell(Trade("AAPL", Decimal(1)))
        await until(lambda: ticks)

    assert error.kind is Kind.TRANSIENT
    assert [tick.symbol for tick in ticks] == ["AAPL"]


# --- ends


async def test_whoever_is_thrown_out_by_a_newer_connection_waits_half_a_minute(standin):
    async with read(massive(standin), "AAPL") as (_, _, evicted):
        await standin.subscribed("AAPL")
        async with read(massive(standin), "MSFT") as (_, ticks, _):
            error = await error_of(evicted)
            await standin.subscribed("MSFT")
            await standin.sell(Trade("MSFT", Decimal(1)))
            await until(lambda: ticks)

    assert isinstance(error, RateLimited)
    assert timedelta(seconds=20) < error.retry_at - clock.now() <= timedelta(seconds=30)


@pytest.mark.parametrize("status", ["slow_consumer", "force_disconnect", "auth_timeout"])
async def test_a_status_that_ends_the_stream_is_told_without_the_vendors_words(standin, status):
    async with read(massive(standin), "AAPL") as (_, _, reading):
        await standin.subscribed("AAPL")
        await standin.tell_status(status)
        error = await error_of(reading)

    assert (type(error), str(error)) == (ProviderDown, f"massive ends the stream: {status}")


async def test_an_unknown_status_is_no_news(standin):
    async with read(massive(standin), "AAPL") as (_, ticks, _):
        await standin.subscribed("AAPL")
        await standin.tell_status("maintenance_tonight", code=None)
        await standin.sell(Trade("AAPL", Decimal(1)))
        await until(lambda: ticks)

    assert [tick.price for tick in ticks] == [1]
