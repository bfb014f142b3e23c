"""A running tape for tests: its provider is scripted, its servers are real, and what it publishes is kept."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import redis.asyncio
from channels.layers import get_channel_layer
from django.conf import settings

from core import clock, live
from core.database import in_thread
from core.models import Lease
from core.outages import DATABASE_ERRORS
from core.redis import client, close_async_client
from marketdata import cache, lookup
from marketdata.cache import LATEST_KEY, STREAMING_KEY, decode
from marketdata.errors import NotFound
from marketdata.models import MinuteBar, Ticker
from marketdata.providers import registry
from marketdata.quotes import Bar, Quote, Tick
from marketdata.tape import owner
from marketdata.tape.history import MINUTE_US
from subscriptions.models import Subscription
from tests.factories import make_subscription, make_ticker, make_user
from tests.providers import Scripted

# The tape's own timers, several times as fast.
QUICK = {
    "STANDBY_EVERY_S": 0.1, "RECONCILE_EVERY_S": 0.1, "CLOSE_GRACE_S": 0.2,
    "PRUNE_EVERY_S": 0.2,
    "STORE_QUOTES_EVERY_S": 0.1, "STORE_BARS_EVERY_S": 0.15, "REPORT_EVERY_S": 0.1, "BEAT_EVERY_S": 0.1,
    "INBOX_BLOCK_MS": 300,
}  # fmt: skip


class Run(NamedTuple):
    """One process of the tape, as far as a test goes."""

    task: asyncio.Task[None]
    stop: asyncio.Event


class Tape:
    """Serves one shard or several; `events` are all quotes that were published, in order, with whatever epoch."""

    def __init__(self, provider: Scripted, redis_url: str) -> None:
        self.provider = provider
        self.events: list[dict[str, Any]] = []
        self.closed_bars: list[dict[str, Any]] = []
        self.sent: list[Tick] = []
        self._redis_url = redis_url
        self._last_us = 0
        self._running: list[Run] = []
        self._ear: asyncio.Task[None] | None = None

    # --- who wants what

    async def watch(self, *symbols: str, people: int = 1) -> None:
        def write() -> None:
            for symbol in symbols:
                ticker = Ticker.objects.filter(symbol=symbol).first() or make_ticker(symbol)
                for _ in range(people):
                    make_subscription(make_user(), ticker)

        for symbol in symbols:  # no first quote: each price of a test is one that it sent
            self.provider.outcomes.setdefault(symbol, NotFound())
        await in_thread(write)

    async def unwatch(self, *symbols: str) -> None:
        await in_thread(Subscription.objects.filter(ticker__symbol__in=symbols).delete)

    # --- the process

    def start(self, shard: int = 0, shards: int = 1) -> Run:
        stop = asyncio.Event()
        self._running.append(Run(asyncio.create_task(owner.serve(shard, shards, stop)), stop))
        return self._running[-1]

    async def stop(self, *runs: Run) -> None:
        """As SIGTERM does, to all or to these."""
        for run in runs or list(self._running):
            run.stop.set()
            await asyncio.wait_for(run.task, 60)
            self._running.remove(run)

    async def kill(self, *runs: Run) -> None:
        """Nothing is tidied up: no last write, no release."""
        for run in runs or list(self._running):
            while not run.task.done():  # again: a library may swallow one cancellation
                run.task.cancel()
                await asyncio.wait({run.task}, timeout=1)
            self._running.remove(run)

    async def run_out(self) -> None:
        """The time is over for which nobody may follow those who were killed."""
        await in_thread(lambda: Lease.objects.update(expires_at="2000-01-01T00:00Z"))

    @property
    def failed(self) -> bool:
        return any(task.done() for task, _ in self._running)

    # --- upstream

    async def opens(self, *symbols: str) -> None:
        await self.until(lambda: self.provider.open == set(symbols))

    def send(self, symbol: str, *prices: str, size: int = 10) -> list[Tick]:
        """One batch of ticks from upstream."""
        ticks = []
        for price in prices:
            self._last_us = max(self._last_us + 1, clock.now_us())
            ticks.append(Tick(symbol, Decimal(price), size, 1000, self._last_us, self.provider.name))
        self.provider.emit(*ticks)
        self.sent += ticks
        return ticks

    # --- what came of it

    def published(self, symbol: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["s"] == symbol]

    async def publishes(self, symbol: str, price: str) -> dict[str, Any]:
        """The event that says this price."""

        def found() -> list[dict[str, Any]]:
            return [event for event in self.published(symbol) if f'"p":"{price}"' in event["d"]]

        await self.until(found)
        return found()[-1]

    def latest(self) -> dict[str, Quote]:
        return {symbol.decode(): decode(raw) for symbol, raw in client().hgetall(LATEST_KEY).items()}

    def said_open(self) -> set[str]:
        return {symbol.decode() for symbol in client().hkeys(STREAMING_KEY)}

    async def stored(self, symbol: str) -> Quote | None:
        found = await in_thread(cache.from_database, [symbol])
        return found[symbol].quote if symbol in found else None

    async def stores(self, symbol: str, price: str) -> None:
        async def is_stored() -> bool:
            quote = await self.stored(symbol)
            return quote is not None and quote.price == Decimal(price)

        await self.until(is_stored)

    async def bars(self) -> dict[tuple[str, int], Bar]:
        """The stored minute bars by symbol and minute since 1970."""

        def read() -> list[MinuteBar]:
            return list(MinuteBar.objects.select_related("ticker"))

        return {
            (row.ticker.symbol, int(row.start.timestamp()) // 60): Bar(
                row.ticker.symbol, row.start, row.open, row.high, row.low, row.close, row.volume
            )
            for row in await in_thread(read)
        }

    async def stores_every_tick(self) -> None:
        """Until the stored bars are those of all ticks that were ever sent."""
        await self.until(self._bars_are_right)

    async def _bars_are_right(self) -> bool:
        by_minute: defaultdict[tuple[str, int], list[Tick]] = defaultdict(list)
        for tick in self.sent:
            by_minute[tick.symbol, tick.as_of_us // MINUTE_US].append(tick)
        found = {
            key: (bar.open, bar.high, bar.low, bar.close, bar.volume)
            for key, bar in (await self.bars()).items()
        }
        return found == {key: _sum_up(ticks) for key, ticks in by_minute.items()}

    async def until(
        self, true: Callable[[], Any] | Callable[[], Awaitable[Any]], within_s: float = 50
    ) -> None:
        """Wait for something in a server or a thread that sends no event."""
        deadline = time.monotonic() + within_s
        while True:
            with suppress(
                *DATABASE_ERRORS
            ):  # a test may have taken it away; its pool looks again in its own time
                answer = true()
                if await answer if asyncio.iscoroutine(answer) else answer:
                    return
            assert time.monotonic() < deadline, "it never came true"
            assert not self.failed, [task.exception() for task, _ in self._running if task.done()]
            await asyncio.sleep(0.02)

    # --- listening, beside the tape's own connections

    async def listen(self) -> None:
        heard = asyncio.Event()
        self._ear = asyncio.create_task(self._hear(heard))
        await heard.wait()

    async def _hear(self, heard: asyncio.Event) -> None:
        layer = get_channel_layer()
        async with redis.asyncio.Redis.from_url(self._redis_url) as ear, ear.pubsub() as pubsub:
            await pubsub.psubscribe("asgi__group__tk_*")
            heard.set()
            async for message in pubsub.listen():
                if message["type"] == "pmessage":
                    event = layer.deserialize(message["data"])
                    kept = self.closed_bars if event["type"] == live.BAR_CLOSED else self.events
                    kept.append(event)

    async def close(self) -> None:
        await self.kill()
        if self._ear is not None:
            self._ear.cancel()
            await asyncio.gather(self._ear, return_exceptions=True)


def _sum_up(ticks: list[Tick]) -> tuple[Decimal, Decimal, Decimal, Decimal, int]:
    prices = [tick.price for tick in ticks]
    return prices[0], max(prices), min(prices), prices[-1], sum(tick.size for tick in ticks)


@contextlib.asynccontextmanager
async def running_tape(monkeypatch: Any, redis_url: str) -> AsyncIterator[Tape]:
    """A tape that is not started yet; `redis_url` is where a test listens, whatever the tape itself talks to."""
    for name, value in QUICK.items():
        monkeypatch.setattr(owner, name, value)
    monkeypatch.setattr(settings, "TIME_FACTOR", 0.3)
    # A busy machine must not cost a term. That of an owner who was killed is ended by the test.
    monkeypatch.setattr(owner, "LEASE_TTL", timedelta(minutes=10))
    monkeypatch.setattr(settings, "DEMO_SYMBOLS", [])
    cache.forget_memory()
    provider = Scripted()
    tape = Tape(provider, redis_url)
    with registry.override(provider):
        await tape.listen()
        try:
            yield tape
        finally:
            await tape.close()
            await get_channel_layer().flush()
            await close_async_client()
            lookup.fetcher.close()
