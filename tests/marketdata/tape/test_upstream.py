from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from core import clock
from core.resilience import Backoff
from marketdata.errors import ProviderDown
from marketdata.models import UpstreamState
from marketdata.quotes import Tick
from marketdata.tape.upstream import PROVEN_AFTER_S, Upstream
from tests.providers import Scripted


class Patience(random.Random):
    """Waits nothing, and keeps how long it would have been at most."""

    def __init__(self) -> None:
        super().__init__()
        self.ceilings: list[float] = []

    def uniform(self, a: float, b: float) -> float:
        self.ceilings.append(b)
        return 0.0


class Running:
    def __init__(self) -> None:
        self.provider = Scripted()
        self.patience = Patience()
        self.ticks: list[Tick] = []
        self.upstream = Upstream(self.provider, self.ticks.extend, Backoff(rng=self.patience))
        self.task: asyncio.Task[None] | None = None

    async def start(self, *symbols: str) -> None:
        self.upstream.want(set(symbols))
        self.task = asyncio.create_task(self.upstream.run())
        await self.provider.until(lambda: self.provider.open == set(symbols))

    async def becomes(self, state: UpstreamState) -> None:
        async with asyncio.timeout(5):
            while self.upstream.state != state:
                await asyncio.sleep(0)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    one = Running()
    yield one
    if one.task is not None:
        one.task.cancel()
        await asyncio.gather(one.task, return_exceptions=True)


def tick(symbol: str = "A", price: int = 1) -> Tick:
    return Tick(symbol, Decimal(price), size=1, volume=1, as_of_us=price, provider="scripted")


async def test_what_is_wanted_is_subscribed_and_what_is_not_is_unsubscribed(running):
    await running.start("A", "B")
    assert running.upstream.state is UpstreamState.OPEN

    running.upstream.want({"B", "C"})
    await running.provider.until(lambda: running.provider.open == {"B", "C"})

    assert running.provider.subscribed == {"A": 1, "B": 1, "C": 1}
    assert running.provider.connects == 1


async def test_ticks_arrive_in_order(running):
    await running.start("A")

    running.provider.emit(tick(price=1), tick(price=2))
    running.provider.emit(tick(price=3))
    running.provider.cut()
    await running.provider.until(lambda: running.provider.connects == 2)

    assert running.ticks == [tick(price=1), tick(price=2), tick(price=3)]


async def test_without_a_wish_no_connection_is_open(running):
    running.task = asyncio.create_task(running.upstream.run())
    await asyncio.sleep(0)
    assert (running.upstream.state, running.provider.connects) == (UpstreamState.IDLE, 0)

    running.upstream.want({"A"})
    await running.provider.until(lambda: running.provider.open == {"A"})
    running.upstream.want(set())
    await running.provider.until(lambda: not running.provider.streams)
    await running.becomes(UpstreamState.IDLE)

    running.upstream.want({"A"})
    await running.provider.until(lambda: running.provider.open == {"A"})


async def test_a_lost_connection_is_opened_again_with_all_that_is_wanted(running):
    await running.start("A", "B")
    running.upstream.want({"B", "C"})
    await running.provider.until(lambda: running.provider.open == {"B", "C"})

    running.provider.cut()
    await running.provider.until(
        lambda: running.provider.connects == 2 and running.provider.open == {"B", "C"}
    )

    assert len(running.provider.streams) == 1
    assert "the wire was cut" in running.upstream.last_error
    assert running.upstream.state is UpstreamState.OPEN


async def test_it_never_gives_up_and_waits_longer_each_time(running):
    running.provider.connect_failure = ProviderDown("no route")
    running.upstream.want({"A"})
    running.task = asyncio.create_task(running.upstream.run())
    await running.provider.until(lambda: running.provider.connects == 9)

    running.provider.connect_failure = None
    await running.provider.until(lambda: running.provider.open == {"A"})

    assert running.patience.ceilings[:8] == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_a_connection_that_is_lost_at_once_is_no_fresh_start(running):
    await running.start("A")
    for number in range(2, 5):
        running.provider.cut()
        await running.provider.until(
            lambda n=number: running.provider.connects == n and running.provider.open
        )

    assert running.patience.ceilings == [1, 2, 4]


async def test_a_connection_that_lived_long_is_a_fresh_start(running, monkeypatch):
    await running.start("A")
    running.provider.cut()
    await running.provider.until(lambda: running.provider.connects == 2 and running.provider.open)
    later = clock.monotonic() + PROVEN_AFTER_S + 1
    monkeypatch.setattr(clock, "monotonic", lambda: later)

    running.provider.cut()
    await running.provider.until(lambda: running.provider.connects == 3)

    assert running.patience.ceilings == [1, 1]


async def test_a_stream_that_ends_without_an_error_is_a_lost_connection(running, monkeypatch):
    class Ending(Scripted):
        async def open_stream(self):
            stream = await super().open_stream()
            if self.connects == 1:
                stream.batches = nothing
            return stream

    async def nothing():
        for _ in ():
            yield []

    running.provider = running.upstream.provider = Ending()
    running.upstream.want({"A"})
    running.task = asyncio.create_task(running.upstream.run())

    await running.provider.until(lambda: running.provider.connects == 2 and running.provider.open == {"A"})
    assert "ended" in running.upstream.last_error


async def test_a_refused_subscription_is_tried_again_on_a_new_connection(running):
    class Refusing(Scripted):
        async def open_stream(self):
            stream = await super().open_stream()
            if self.connects == 1:
                stream.subscribe = refuse
            return stream

    async def refuse(symbols):
        raise ProviderDown("no")

    running.provider = running.upstream.provider = Refusing()
    running.upstream.want({"A"})
    running.task = asyncio.create_task(running.upstream.run())

    await running.provider.until(lambda: running.provider.connects == 2 and running.provider.open == {"A"})
    assert len(running.provider.streams) == 1


async def test_at_the_end_the_connection_is_closed(running):
    await running.start("A")

    running.task.cancel()
    await asyncio.gather(running.task, return_exceptions=True)

    assert running.provider.streams == []
    assert running.upstream.subscribed == set()
    assert running.upstream.state is UpstreamState.CLOSED
