"""What a connection wants of a ticker, and how it is written: the seam between the hub and every protocol we speak.

A `Feed` writes one state of a ticker, once per process whatever the number of clients; a `Wire` joins what one
client gets in one beat into one frame. Our own protocol is here; the others are in `subscriptions.fallbacks` and
`subscriptions.compat`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

import orjson

if TYPE_CHECKING:
    from subscriptions.errors import Refused

Position = tuple[int, int]
Frame = str | bytes


class Source(StrEnum):
    """What a feed is made of."""

    QUOTE = "quote"
    MINUTE = "minute"


# Followed of one ticker: the newest price, or its minute bars.
Topic = tuple[str, Source]


@lru_cache(maxsize=20_000)
def topic_of(symbol: str, source: Source) -> Topic:
    """One tuple for all who hold it: there are thousands of connections."""
    return symbol, source


class State:
    """The newest price of one ticker; `text` is the JSON that was written once for the whole installation."""

    __slots__ = ("_fields", "_parts", "ask", "bid", "position", "size", "symbol", "text")

    def __init__(
        self,
        symbol: str,
        position: Position,
        text: str,
        *,
        size: int = 0,
        bid: str | None = None,
        ask: str | None = None,
    ) -> None:
        self.symbol, self.position, self.text = symbol, position, text
        self.size, self.bid, self.ask = size, bid, ask
        self._fields: dict[str, Any] | None = None
        self._parts: dict[Feed, Any] | None = None

    @property
    def epoch(self) -> int:
        return self.position[0]

    @property
    def number(self) -> int:
        return self.position[1]

    @property
    def fields(self) -> dict[str, Any]:
        """The keys of an update, docs/reference/stream.md."""
        if self._fields is None:
            self._fields = cast("dict[str, Any]", orjson.loads(self.text))
        return self._fields

    def part(self, feed: Feed) -> Any:
        """Written at the first call."""
        if self._parts is None:
            self._parts = {}
        if feed not in self._parts:
            self._parts[feed] = feed.part(self)
        return self._parts[feed]

    def is_history(self) -> None:
        """Something newer is known: what was written of this one is hardly asked for again."""
        self._parts = self._fields = None


@dataclass(frozen=True, slots=True)
class Minute:
    """A minute bar that has closed; prices as text, `start_s` in Unix seconds."""

    symbol: str
    epoch: int
    start_s: int
    open: str
    high: str
    low: str
    close: str
    volume: int

    @property
    def position(self) -> Position:
        return self.epoch, self.start_s

    def part(self, feed: Feed) -> Any:
        return feed.part(self)


class Feed(Protocol):
    """Compared by identity: make one of each."""

    source: Source

    def part(self, state: Any) -> Any:
        """One `State` or `Minute`, as `source` says, in the form that `Wire.frame` joins; None: nothing to say."""


class Wire:
    """One protocol. What it has no words for is None, and is not sent."""

    notifications_at_once: ClassVar[int] = 0
    """How many go into one frame; 0: this protocol knows no notifications."""

    def frame(self, parts: list[Any]) -> Frame:
        raise NotImplementedError

    def error(self, refused: Refused, request_id: str | int | None = None) -> Frame | None:
        return None

    def heartbeat(self, now_ms: int, *, ack: bool) -> Frame | None:
        return None

    def stale(self, symbols: Collection[str], reason: str) -> Frame | None:
        return None

    def fresh(self, symbols: Collection[str]) -> Frame | None:
        return None

    def cadence(self, mode: str, reason: str) -> Frame | None:
        return None

    def notifications(self, texts: Sequence[str]) -> Frame | None:
        return None


class NativeQuotes:
    source = Source.QUOTE

    def part(self, state: State) -> str:
        return state.text


class NativeWire(Wire):
    """JSON text frames of `/ws/v1/stream`; the words are explained in docs/reference/stream.md."""

    notifications_at_once = 1

    def frame(self, parts: list[str]) -> str:
        return f'{{"type":"quotes","q":[{",".join(parts)}]}}'

    def error(self, refused: Refused, request_id: str | int | None = None) -> str:
        return refused.frame(request_id)

    def heartbeat(self, now_ms: int, *, ack: bool) -> str:
        question = ',"ack":true' if ack else ""
        return f'{{"type":"heartbeat","t":{now_ms}{question}}}'

    def stale(self, symbols: Collection[str], reason: str) -> str:
        return _json({"type": "stale", "symbols": list(symbols), "reason": reason})

    def fresh(self, symbols: Collection[str]) -> str:
        return _json({"type": "fresh", "symbols": list(symbols)})

    def cadence(self, mode: str, reason: str) -> str:
        return _json({"type": "cadence", "mode": mode, "reason": reason})

    def notifications(self, texts: Sequence[str]) -> str:
        (text,) = texts
        return text


def _json(message: dict[str, Any]) -> str:
    return orjson.dumps(message).decode()


NATIVE_QUOTES: Feed = NativeQuotes()
NATIVE = NativeWire()
