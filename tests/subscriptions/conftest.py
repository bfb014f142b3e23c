from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from channels.layers import get_channel_layer

from core import clock, live
from core.redis import async_client, client, close_async_client
from marketdata.freshness import OPEN_TTL
from marketdata.quotes import Quote
from marketdata.tape import openset
from marketdata.tape.publish import publish_quotes
from subscriptions import hub as hub_module
from subscriptions import silence, upkeep
from subscriptions.client import Client
from subscriptions.hub import PriceHub

PATIENCE_S = 25


class Feed:
    """Stands for the tape: publishes numbered quotes and beats, on the real Redis."""

    def __init__(self) -> None:
        self.epoch = 1
        self.numbers: dict[str, int] = {}

    def quote(self, symbol: str, price: str) -> Quote:
        self.numbers[symbol] = self.numbers.get(symbol, 0) + 1
        now = datetime.now(UTC)
        return Quote(
            symbol=symbol,
            price=Decimal(price),
            as_of=now,
            received_at=now,
            expires_at=now + OPEN_TTL,
            provider="simulator",
            epoch=self.epoch,
            seq=self.numbers[symbol],
        )

    async def publish(self, **prices: str) -> None:
        quotes = [self.quote(symbol, price) for symbol, price in prices.items()]
        assert await publish_quotes(quotes, shard=0, epoch=self.epoch)

    async def beat(self, shard: int = 0, of: int = 1) -> None:
        await openset.beat(async_client(), shard, of)
        await live.publish(
            live.TAPE_GROUP,
            {"type": live.TAPE_BEAT, "shard": shard, "of": of, "e": self.epoch, "t": clock.now_us() // 1000},
        )


class Screen:
    """A client that keeps what it was sent; `gate` closed means that it does not read."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._news = asyncio.Event()
        self.client = Client(self._take)

    async def _take(self, text: str) -> None:
        await self.gate.wait()
        self.frames.append(orjson.loads(text))
        self._news.set()

    def prices(self) -> dict[str, str]:
        """What is on the screen: the last price of each symbol."""
        return {q["s"]: q["p"] for frame in self.frames if frame["type"] == "quotes" for q in frame["q"]}

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not met():
                self._news.clear()
                await self._news.wait()


@pytest.fixture
def quick(monkeypatch) -> None:
    """The hub's timers, ten times as fast."""
    monkeypatch.setattr(hub_module, "RESYNC_EVERY_S", 0.2)
    monkeypatch.setattr(hub_module, "SILENT_AFTER_S", 0.6)
    monkeypatch.setattr(silence, "SILENT_AFTER_S", 0.6)
    monkeypatch.setattr(hub_module, "WATCH_EVERY_S", 0.05)
    monkeypatch.setattr(upkeep, "HEARTBEAT_EVERY_S", 0.5)


@pytest.fixture
def undisturbed(quick, monkeypatch) -> None:
    """Nothing is said that nobody asked for: no heartbeat, and no silence of a tape that there is not."""
    monkeypatch.setattr(upkeep, "HEARTBEAT_EVERY_S", 3600.0)
    for module in (hub_module, silence):
        monkeypatch.setattr(module, "SILENT_AFTER_S", 3600.0)


@pytest.fixture
def passing(monkeypatch) -> Callable[[float], None]:
    """The hub's clock stands until the test moves it: a machine that is busy is no silence of the tape."""
    now = [clock.monotonic()]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


@pytest.fixture
async def price_hub(quick, monkeypatch) -> AsyncIterator[PriceHub]:
    """A hub without a database behind it."""
    monkeypatch.setattr(hub_module, "stored_quotes", lambda _symbols: {})
    client().flushall()
    made = PriceHub()
    yield made
    await made.close()
    await get_channel_layer().flush()
    await close_async_client()


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
def screen() -> Screen:
    return Screen()
