"""A provider for tests: it counts what would be billed, answers as scripted, and streams what a test emits."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from core import clock
from marketdata import metering
from marketdata.errors import Kind, NotFound, ProviderDown, ProviderError
from marketdata.freshness import OPEN_TTL
from marketdata.metering import Call
from marketdata.providers.base import AssetClass, Capabilities, Interval, Limited, Window
from marketdata.quotes import Bar, Quote, Tick


def make_quote(symbol: str = "AAPL", price: str = "100", **fields) -> Quote:
    now = clock.now()
    values = {
        "as_of": now, "received_at": now, "expires_at": now + OPEN_TTL, "provider": "scripted", "volume": 1000,
        **fields,
    }  # fmt: skip
    return Quote(symbol=symbol, price=Decimal(price), **values)


class Scripted(Limited):
    """Answers 100.00 for every symbol, unless told otherwise through its public attributes."""

    def __init__(
        self,
        *symbols: str,
        name: str = "scripted",
        batch: int = 100,
        streams: bool = True,
        bars: bool = True,
        windows: tuple[Window, ...] = (),
    ) -> None:
        self.name = name
        self.symbols = set(symbols)  # empty: all
        self.capabilities = Capabilities(
            label=name.capitalize(),
            asset_classes=frozenset({AssetClass.STOCK}),
            max_symbols_per_request=batch,
            intervals=frozenset(Interval) if bars else frozenset(),
            streams=streams,
            always_open=True,  # or tests would go otherwise at weekends
            windows=windows,
        )
        # What would be billed
        self.requests: list[list[str]] = []
        self.bar_requests: list[tuple[str, Interval, datetime, datetime]] = []
        self.connects = 0
        self.subscribed: Counter[str] = Counter()
        # The script
        self.outcomes: dict[str, Quote | ProviderError] = {}
        self.failure: Exception | None = None
        self.connect_failure: ProviderError | None = None
        self.bars: list[Bar] = []
        self.answering = threading.Event()
        self.answering.set()
        self.asked = threading.Event()
        # The open connections, and a bell for every change of them
        self.streams: list[ScriptedStream] = []
        self.changed = asyncio.Event()

    def covers(self, symbol: str) -> bool:
        return not self.symbols or symbol in self.symbols

    async def fetch_quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote | ProviderError]:
        self.requests.append(list(symbols))
        self.asked.set()
        await asyncio.to_thread(self.answering.wait, 50)
        self._note("quotes", symbols)
        if self.failure is not None:
            raise self.failure
        return {symbol: self._outcome(symbol) for symbol in symbols}

    def _note(self, endpoint: str, symbols: Sequence[str]) -> None:
        kind = Kind.OK if self.failure is None else getattr(self.failure, "kind", Kind.TRANSIENT)
        metering.note(Call(self.name, endpoint, clock.now(), kind, symbols=tuple(symbols)))

    def _outcome(self, symbol: str) -> Quote | ProviderError:
        if symbol in self.outcomes:
            return self.outcomes[symbol]
        return make_quote(symbol, provider=self.name) if self.covers(symbol) else NotFound()

    async def fetch_bars(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> list[Bar]:
        self.bar_requests.append((symbol, interval, start, end))
        self._note(f"bars_{interval.value}", [symbol])
        if self.failure is not None:
            raise self.failure
        step = interval is Interval.DAY
        return [bar for bar in self.bars if bar.symbol == symbol and (bar.start.hour == 0) is step]

    async def open_stream(self) -> ScriptedStream:
        self.connects += 1
        self.changed.set()
        if self.connect_failure is not None:
            raise self.connect_failure
        self.streams.append(ScriptedStream(self))
        return self.streams[-1]

    @property
    def asked_symbols(self) -> Counter[str]:
        return Counter(symbol for request in self.requests for symbol in request)

    @property
    def open(self) -> set[str]:
        """What streams now, over all connections."""
        return {symbol for stream in self.streams for symbol in stream.subscribed}

    def emit(self, *ticks: Tick) -> None:
        """One batch from upstream; a symbol that nobody subscribed to is not sent."""
        for stream in self.streams:
            stream.send([tick for tick in ticks if tick.symbol in stream.subscribed])

    def cut(self) -> None:
        """All connections are lost."""
        for stream in list(self.streams):
            stream.fail(ProviderDown("the wire was cut"))

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is true of the connections."""
        async with asyncio.timeout(30):
            while not true():
                self.changed.clear()
                await self.changed.wait()


class ScriptedStream:
    def __init__(self, provider: Scripted) -> None:
        self.subscribed: set[str] = set()
        self.taken = 0
        """How many batches the other end is done with."""
        self._provider = provider
        self._batches: asyncio.Queue[list[Tick] | ProviderError] = asyncio.Queue()

    async def subscribe(self, symbols: Collection[str]) -> None:
        self._provider.subscribed.update(symbols)
        self.subscribed |= set(symbols)
        self._provider.changed.set()

    async def unsubscribe(self, symbols: Collection[str]) -> None:
        self.subscribed -= set(symbols)
        self._provider.changed.set()

    async def batches(self) -> AsyncIterator[Sequence[Tick]]:
        while True:
            batch = await self._batches.get()
            if isinstance(batch, ProviderError):
                raise batch
            yield batch
            self.taken += 1

    async def close(self) -> None:
        self.subscribed.clear()
        if self in self._provider.streams:
            self._provider.streams.remove(self)
        self._provider.changed.set()

    def send(self, batch: list[Tick]) -> None:
        self._batches.put_nowait(batch)

    def fail(self, error: ProviderError) -> None:
        self._batches.put_nowait(error)
