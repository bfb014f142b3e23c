"""What a provider of market data is: capabilities as data, four operations, and a stream.

A provider knows nothing of users, caches or other providers. Each vendor's JSON stays in that vendor's file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from marketdata.errors import ProviderError
from marketdata.quotes import Bar, Quote, Tick


class AssetClass(StrEnum):
    STOCK = "stock"
    ETF = "etf"
    INDEX = "index"
    CRYPTO = "crypto"
    FOREX = "forex"
    OPTION = "option"


class Interval(StrEnum):
    MINUTE = "1min"
    DAY = "1day"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do, as data, so that the chain, the admin and the docs can print it."""

    label: str
    asset_classes: frozenset[AssetClass]
    max_symbols_per_request: int
    intervals: frozenset[Interval] = frozenset()
    streams: bool = False
    max_streamed_symbols: int | None = None
    delayed_s: int = 0
    always_open: bool = False


class Stream(Protocol):
    """One open upstream connection. `close` may be called twice."""

    async def subscribe(self, symbols: Collection[str]) -> None: ...

    async def unsubscribe(self, symbols: Collection[str]) -> None: ...

    def batches(self) -> AsyncIterator[Sequence[Tick]]:
        """Yield ticks as they arrive, in arrival order; raises ProviderError when the connection is lost."""
        ...

    async def close(self) -> None: ...


class Provider(Protocol):
    name: str
    capabilities: Capabilities

    def covers(self, symbol: str) -> bool:
        """Whether asking for this canonical symbol makes sense; answers without any I/O."""
        ...

    async def fetch_quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote | ProviderError]:
        """Ask once for at most `max_symbols_per_request` symbols; one outcome per asked symbol.

        Raises ProviderError when the whole request failed.
        """
        ...

    async def fetch_bars(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> list[Bar]:
        """Bars with start <= bar.start < end, oldest first; raises ProviderError."""
        ...

    async def open_stream(self) -> Stream:
        """Open the one upstream connection; raises ProviderError."""
        ...
