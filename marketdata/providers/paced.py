"""What the two providers without an upstream share: prices computed from the clock, streamed at its pace.

They count what a real provider would bill, so that tests and benchmarks can compare.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from core import clock
from marketdata import metering
from marketdata.company import Fundamentals
from marketdata.errors import Kind, NotFound, ProviderDown, ProviderError
from marketdata.freshness import OPEN_TTL, ttl_of
from marketdata.instruments import asset_class_of
from marketdata.metering import Call
from marketdata.providers import invented_figures
from marketdata.providers.base import AssetClass, Capabilities, Interval, Limited
from marketdata.quotes import EPOCH, Bar, Quote, Tick, microseconds, quote_of

Now = Callable[[], datetime]
Wait = Callable[[float], Awaitable[None]]

MINUTE_US = 60_000_000
# Ticks leave in slices: one timer for all symbols, however many.
SLICE_S = 0.05
# After a pause (a suspended machine) the missed ticks are skipped, as a real feed would.
MAX_CATCH_UP_US = 10_000_000


def from_us(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def dollars(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


class PacedProvider(Limited, ABC):
    """A provider that knows every tick of all time; subclasses say which."""

    name: str
    capabilities: Capabilities

    def __init__(self, *, now: Now = clock.now, wait: Wait = asyncio.sleep) -> None:
        self.now = now
        self.wait = wait
        self.requests = 0
        self.symbols_asked: Counter[str] = Counter()
        self.connections = 0
        self.symbols_subscribed: Counter[str] = Counter()

    @abstractmethod
    def covers(self, symbol: str) -> bool: ...

    @abstractmethod
    def last_tick(self, symbol: str, us: int) -> Tick:
        """The newest tick of a covered symbol at or before `us`."""

    @abstractmethod
    def ticks(self, symbol: str, after_us: int, until_us: int) -> list[Tick]:
        """What is delivered for a covered symbol with after < moment <= until, in order of delivery."""

    @abstractmethod
    def bars(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> list[Bar]: ...

    @abstractmethod
    def usual_price(self, symbol: str) -> tuple[Decimal, int]:
        """(price around which a covered symbol moves, seed): what fundamentals are invented from."""

    async def answer(self) -> None:
        """Take as long as an upstream would, and fail as it would; nothing by default."""

    def check_connection(self) -> None:
        """Raise ProviderDown while the connection is lost; never by default."""

    async def fetch_quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote | ProviderError]:
        if len(symbols) > self.capabilities.max_symbols_per_request:
            raise ValueError(f"{self.name} takes {self.capabilities.max_symbols_per_request} symbols at once")
        self.requests += 1
        self.symbols_asked.update(symbols)
        await self._answered("quotes", symbols)
        now = self.now()
        return {symbol: self._outcome(symbol, now) for symbol in symbols}

    async def fetch_bars(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> list[Bar]:
        self.requests += 1
        await self._answered(f"bars_{interval.value}", [symbol])
        if not self.covers(symbol):
            raise NotFound(f"{self.name} does not know {symbol}")
        return await asyncio.to_thread(self.bars, symbol, interval, start, end)

    async def fetch_fundamentals(self, symbol: str) -> Fundamentals:
        """Invented ones that fit the prices; only companies have any."""
        self.requests += 1
        await self._answered("fundamentals", [symbol])
        if not self.covers(symbol) or "=" in symbol or asset_class_of(symbol) is not AssetClass.STOCK:
            raise NotFound(f"{self.name} knows no company {symbol}")
        price, seed = self.usual_price(symbol)
        return invented_figures.of(symbol, price, seed, self.now().date())

    async def open_stream(self) -> PacedStream:
        self.check_connection()
        self.connections += 1
        return PacedStream(self)

    async def _answered(self, endpoint: str, symbols: Sequence[str]) -> None:
        """Wait for the answer and note the call, which a real upstream would bill whatever it answers."""
        call = Call(self.name, endpoint, clock.now(), Kind.OK, symbols=tuple(symbols))
        began = clock.monotonic()
        try:
            await self.answer()
        except ProviderError as error:
            call = replace(call, kind=error.kind)
            raise
        finally:
            metering.note(replace(call, took_s=clock.monotonic() - began))

    def _outcome(self, symbol: str, now: datetime) -> Quote | ProviderError:
        if not self.covers(symbol):
            return NotFound(f"{self.name} does not know {symbol}")
        return quote_of(
            self.last_tick(symbol, microseconds(now)), received_at=now, ttl=self._ttl(symbol, now)
        )

    def _ttl(self, symbol: str, now: datetime) -> timedelta:
        """By the provider's own clock, which a test may have set."""
        return OPEN_TTL if self.capabilities.always_open else ttl_of(symbol, now)


class PacedStream:
    """The one upstream connection of a paced provider."""

    def __init__(self, provider: PacedProvider) -> None:
        self.subscribed: set[str] = set()
        self.closed = False
        self._provider = provider
        self._changed = asyncio.Event()

    async def subscribe(self, symbols: Collection[str]) -> None:
        if self.closed:
            raise ProviderDown(f"the stream of {self._provider.name} is closed")
        added = {symbol for symbol in symbols if self._provider.covers(symbol)} - self.subscribed
        self._provider.symbols_subscribed.update(added)
        self.subscribed |= added
        self._changed.set()

    async def unsubscribe(self, symbols: Collection[str]) -> None:
        self.subscribed -= set(symbols)

    async def batches(self) -> AsyncIterator[Sequence[Tick]]:
        cursor = microseconds(self._provider.now())
        while not self.closed:
            if not self.subscribed:
                self._changed.clear()
                await self._changed.wait()
                cursor = microseconds(self._provider.now())
                continue
            await self._provider.wait(SLICE_S)
            self._provider.check_connection()
            now_us = microseconds(self._provider.now())
            if not 0 <= now_us - cursor <= MAX_CATCH_UP_US:
                cursor = now_us
            if batch := self._due(cursor, now_us):
                yield batch
            cursor = now_us

    async def close(self) -> None:
        self.closed = True
        self.subscribed.clear()
        self._changed.set()

    def _due(self, after_us: int, until_us: int) -> list[Tick]:
        due: list[Tick] = []
        for symbol in self.subscribed:
            due += self._provider.ticks(symbol, after_us, until_us)
        return due
