"""What a provider of market data is: capabilities as data, a few operations, and a stream.

A provider knows nothing of users, caches or other providers. Each vendor's JSON stays in that vendor's file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from marketdata.company import EarningsCall, Fundamentals, News
from marketdata.errors import PlanLocked, ProviderError
from marketdata.quotes import Action, Bar, Quote, StreamEvent


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


class Unit(StrEnum):
    """What a window counts, and what a price in the price book is for."""

    REQUEST = "request"
    CREDIT = "credit"
    SYMBOL = "symbol"
    SYMBOL_MINUTE = "symbol_minute"
    MONTH = "month"
    # of language models: thousands of tokens; those that were in the vendor's cache have a price of their own
    INPUT = "ktoken_in"
    CACHED = "ktoken_cached"
    OUTPUT = "ktoken_out"


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` units in any `seconds` seconds."""

    limit: int
    seconds: int
    unit: Unit = Unit.REQUEST


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do, as data, so that the chain, the quota, the admin and the docs can print it."""

    label: str
    asset_classes: frozenset[AssetClass]
    max_symbols_per_request: int
    intervals: frozenset[Interval] = frozenset()
    streams: bool = False
    max_streamed_symbols: int | None = None
    """On one connection."""
    connections_per_key: int = 1
    silence_s: float = 60.0
    """A stream from which nothing comes for so long, not even a sign of life, while its market is open, is dead."""
    windows: tuple[Window, ...] = ()
    actions: bool = False
    search: bool = False
    news: bool = False
    transcripts: bool = False
    fundamentals: bool = False
    delayed_s: int = 0
    always_open: bool = False
    simulated: bool = False
    """Its prices are invented or replayed: nobody bills them."""
    plan: str = ""
    display_allowed: bool = True
    """Whether the plan lets us show its prices to other people; the administration warns where not."""
    attribution: str = ""
    """The line the vendor wants to see beside its prices."""


# Whoever asks for more news of one ticker at once would wait for pages that nobody reads.
MOST_NEWS = 200


@dataclass(frozen=True, slots=True)
class SymbolMatch:
    """One find of a provider's symbol search, in canonical spelling."""

    symbol: str
    name: str
    exchange: str = ""
    asset_class: AssetClass = AssetClass.STOCK
    currency: str = "USD"


class Stream(Protocol):
    """One open upstream connection, greeted and authenticated. `close` may be called twice."""

    async def subscribe(self, symbols: Collection[str]) -> None: ...

    async def unsubscribe(self, symbols: Collection[str]) -> None: ...

    def batches(self) -> AsyncIterator[Sequence[StreamEvent]]:
        """Yield ticks and corrections as they arrive, in arrival order.

        An empty batch is a sign of life without news (a ping). Raises ProviderError when the connection is lost.
        A message that cannot be read is counted and skipped; the connection stays.
        """
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
        """Unadjusted bars with start <= bar.start < end, oldest first; raises ProviderError."""
        ...

    async def fetch_actions(self, symbol: str, start: date, end: date) -> list[Action]:
        """Dividends, splits and renames with start <= ex-date < end, oldest first; raises ProviderError."""
        ...

    async def search(self, text: str) -> list[SymbolMatch]:
        """Instruments whose symbol or name fits, best first; raises ProviderError."""
        ...

    async def fetch_news(self, symbol: str, since: datetime) -> list[News]:
        """Articles published since then, newest first, at most MOST_NEWS; raises ProviderError."""
        ...

    async def fetch_calls(self, symbol: str, newest: int) -> list[tuple[int, int]]:
        """(fiscal year, quarter) of the newest earnings calls, newest first; raises ProviderError.

        Each probably has a transcript; that it has none yet is NotFound when it is asked for.
        """
        ...

    async def fetch_call(self, symbol: str, year: int, quarter: int) -> EarningsCall:
        """Raises ProviderError; NotFound where there is no transcript of it."""
        ...

    async def fetch_fundamentals(self, symbol: str) -> Fundamentals:
        """The newest figures of the company; raises ProviderError, NotFound where none is told."""
        ...

    async def open_stream(self) -> Stream:
        """Open the one upstream connection, authenticated; raises ProviderError."""
        ...


class Limited:
    """The operations that a provider lacks: each refuses as a plan that does not include it would."""

    name: str
    capabilities: Capabilities

    async def fetch_bars(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> list[Bar]:
        raise PlanLocked(f"{self.name} has no bars of {interval.value}")

    async def fetch_actions(self, symbol: str, start: date, end: date) -> list[Action]:
        raise PlanLocked(f"{self.name} has no corporate actions")

    async def search(self, text: str) -> list[SymbolMatch]:
        raise PlanLocked(f"{self.name} has no symbol search")

    async def fetch_news(self, symbol: str, since: datetime) -> list[News]:
        raise PlanLocked(f"{self.name} has no news")

    async def fetch_calls(self, symbol: str, newest: int) -> list[tuple[int, int]]:
        raise PlanLocked(f"{self.name} has no earnings calls")

    async def fetch_call(self, symbol: str, year: int, quarter: int) -> EarningsCall:
        raise PlanLocked(f"{self.name} has no transcripts")

    async def fetch_fundamentals(self, symbol: str) -> Fundamentals:
        raise PlanLocked(f"{self.name} has no fundamentals")

    async def open_stream(self) -> Stream:
        raise PlanLocked(f"{self.name} has no stream")
