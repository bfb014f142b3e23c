"""What the stand-ins with a stream share: who has subscribed what, trades on request, and the faults of a stream."""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Response

from core import clock
from marketdata.standins.base import Reply, StandIn, response_of

# Text that begins a frame of 4,096 bytes, of which only these follow.
TORN_FRAME = b"\x81\x7e\x10\x00" + b'[{"T":"t","S":"AA'


class StreamFault(StrEnum):
    """Switches of `StandIn.stream_faults`: set one to the number of connections or steps that shall meet it."""

    GREETING_WITHHELD = "greeting withheld"
    AUTH_UNANSWERED = "authentication unanswered"
    CLOSED_AFTER_AUTH = "authentication accepted, then closed"
    SUBSCRIBE_UNANSWERED = "subscription unanswered"
    REFUSED_401 = "handshake refused with 401"
    REFUSED_403 = "handshake refused with 403"
    REFUSED_429 = "handshake refused with 429"
    REFUSED_503 = "handshake refused with 503"
    REDIRECTED = "handshake redirected"


HANDSHAKES: Mapping[StreamFault, Reply] = {
    StreamFault.REFUSED_401: Reply({"message": "unauthorized"}, 401),
    StreamFault.REFUSED_403: Reply({"message": "forbidden"}, 403),
    StreamFault.REFUSED_429: Reply({"message": "too many connections"}, 429, {"Retry-After": "30"}),
    StreamFault.REFUSED_503: Reply(b"<html>Service Unavailable</html>", 503),
    StreamFault.REDIRECTED: Reply(b"", 302, {"Location": "/elsewhere"}),
}


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade as the market makes it; `at` None is now, `conditions` are in the vendor's own codes."""

    symbol: str
    price: Decimal
    size: int = 100
    at: datetime | None = None
    conditions: tuple[Any, ...] = ()
    id: int = 0

    @property
    def moment(self) -> datetime:
        return self.at or clock.now()


def as_json(message: Any) -> str:
    return json.dumps(message)


@dataclass(eq=False)
class Session:
    """One client's connection; `symbols` are canonical. `encode` makes a frame of a message."""

    socket: ServerConnection
    encode: Callable[[Any], str | bytes] = as_json
    symbols: set[str] = field(default_factory=set)

    async def send(self, message: Any) -> None:
        await self.socket.send(self.encode(message))


class StreamStandIn(StandIn):
    """Base of those with a stream. Trades go to the sessions that subscribed their symbols."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sessions: list[Session] = []
        self._changed = asyncio.Event()

    # --- what each vendor says

    @abstractmethod
    async def serve(self, session: Session, path: str, params: Mapping[str, str]) -> None:
        """One session from greeting to end: it sets `session.symbols` and calls `changed` after."""

    @abstractmethod
    def trades_message(self, trades: Sequence[Trade]) -> Any:
        """One message, ready for `encode`, that tells of these trades."""

    def life_message(self) -> Any | None:
        """The vendor's own sign of life, where it has one."""
        return None

    # --- sessions

    async def talk(self, socket: ServerConnection, path: str, params: Mapping[str, str]) -> None:
        session = Session(socket)
        self.sessions.append(session)
        self.changed()
        try:
            await self.serve(session, path, params)
        finally:
            self.sessions.remove(session)
            self.changed()

    def changed(self) -> None:
        """Somebody came, went, subscribed or unsubscribed."""
        self._changed.set()

    async def until(self, ready: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Wait until `ready()` is true, looking again at each change of the sessions; raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not ready():
                self._changed.clear()
                await self._changed.wait()

    async def subscribed(self, *symbols: str) -> None:
        """Wait until one session has exactly these symbols."""
        await self.until(lambda: any(session.symbols == set(symbols) for session in self.sessions))

    def takes(self, fault: StreamFault) -> bool:
        """Whether this fault is switched on; uses it up by one."""
        if self.stream_faults[fault] <= 0:
            return False
        self.stream_faults[fault] -= 1
        return True

    async def refuse_socket(self, params: Mapping[str, str], headers: Headers) -> Response | None:
        for fault, reply in HANDSHAKES.items():
            if self.takes(fault):
                return response_of(reply)
        return None

    # --- what a test or a trial makes happen

    async def sell(self, *trades: Trade, to_all: bool = False) -> None:
        """Tell of these trades, in one frame per session; `to_all` also those who did not subscribe them."""
        for session in list(self.sessions):
            theirs = [trade for trade in trades if to_all or trade.symbol in session.symbols]
            if theirs:
                await session.send(self.trades_message(theirs))

    async def send_raw(self, data: str | bytes, *, text: bool = True) -> None:
        """Send exactly this to every session, as a text frame although it may not be text."""
        for session in list(self.sessions):
            await session.socket.send(data, text=text)

    async def send_life(self) -> None:
        for session in list(self.sessions):
            await session.send(self.life_message())

    async def drop(self, code: int) -> None:
        """End every session with this close code; 1006 is an end without a word."""
        for session in list(self.sessions):
            if code == 1006:
                session.socket.transport.abort()
            else:
                await session.socket.close(code, f"goodbye {self.key}")

    def tear(self) -> None:
        """End every session in the middle of a frame."""
        for session in list(self.sessions):
            session.socket.transport.write(TORN_FRAME)
            session.socket.transport.close()

    def silence(self) -> None:
        """Every session stays open and says nothing any more, not even a pong."""
        for session in list(self.sessions):
            session.socket.transport.pause_reading()
