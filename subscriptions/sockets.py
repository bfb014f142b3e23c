"""What every WebSocket that we serve has in common, whatever it speaks: limits, admission, and how it ends.

An ASGI application of its own and not a Channels consumer: those start a task and a job of the thread pool for each
message of each connection (docs/design/live.md). It reads one message at a time; the hub sends beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from redis.exceptions import ResponseError

from accounts.credentials import Login
from accounts.models import User
from core import clock, metrics, serving
from core.database import in_thread
from core.outages import OUTAGES, outage_of
from subscriptions import admission, granting, streaming
from subscriptions.client import Client
from subscriptions.errors import Refused, TierLimit
from subscriptions.feeds import NATIVE, Frame, Wire
from subscriptions.hub import hub
from subscriptions.streaming import Grant

Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Coroutine[Any, Any, None]]

# With which number the connection is closed after an error of this code; docs/reference/stream.md.
CLOSE_CODES = {
    "not_authenticated": 4001,
    "session_ended": 4001,
    "connection_limit": 4003,
    "too_slow": 4008,
    "message_too_big": 4009,
    "too_many_messages": 4029,
    "restarting": 4012,
    "unavailable": 4012,
}
NORMAL = 1000
# A Redis that cannot write to its disk has no class of its own.
MAYBE_AWAY: tuple[type[Exception], ...] = (*OUTAGES, ResponseError)
# Nobody's list of symbols is longer; the servers in front of this refuse much larger ones unread.
MAX_MESSAGE = 16_384
# As many at once, and as many per minute; acks, cadences and page changes of a person are far below.
MESSAGES_AT_ONCE, MESSAGES_PER_MINUTE = 60, 120
AUTHENTICATE_WITHIN_S = 10.0
CLOSE_WITHIN_S = 10.0


class Allowance:
    """A bucket of messages that fills up steadily."""

    __slots__ = ("_at", "_left")

    def __init__(self, now: float) -> None:
        self._left, self._at = float(MESSAGES_AT_ONCE), now

    def take(self, now: float) -> bool:
        self._left = min(MESSAGES_AT_ONCE, self._left + (now - self._at) * MESSAGES_PER_MINUTE / 60)
        self._at = now
        self._left -= 1
        return self._left >= 0


class Socket:
    """One connection. A subclass speaks a protocol; the seam is `opened`, `received` and the words of its `wire`."""

    wire: ClassVar[Wire] = NATIVE

    def __init__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive, self._send = receive, send
        self.client = Client(self._push, wire=self.wire_of(scope), close=self._close)
        self.admitted = False
        self._lease: str | None = None
        self._closed = False
        self._waiting: asyncio.Timeout | None = None
        self._opened_at = clock.monotonic()
        self._allowance = Allowance(self._opened_at)

    def wire_of(self, scope: dict[str, Any]) -> Wire:
        return self.wire

    @classmethod
    def as_asgi(cls) -> Callable[[dict[str, Any], Receive, Send], Awaitable[None]]:
        def application(scope: dict[str, Any], receive: Receive, send: Send) -> Awaitable[None]:
            return cls(scope, receive, send).run()

        return application

    # --- the seam

    async def opened(self) -> None:
        """The connection is accepted: greet."""

    async def received(self, text: str | None, data: bytes | None) -> None:
        """One message within the limits; raises Refused, which is told, and closes where `CLOSE_CODES` says so."""
        raise NotImplementedError

    async def let_in(self) -> bool:
        """Before it is accepted; False refuses the handshake with HTTP 403."""
        return True

    # --- its life

    async def run(self) -> None:
        """However it ends, also by a mistake of ours: nobody who is gone is kept."""
        await self._receive()  # that it connects; nothing else comes before
        try:
            if not await self.let_in():
                await self._send({"type": "websocket.close", "code": NORMAL})
                return
            await self._send({"type": "websocket.accept", **self.accepting()})
            await self._guarded(self.opened())
            self._forget_handshake()
            await self._read()
        finally:
            self._closed = True
            await self._leave()

    def _forget_handshake(self) -> None:
        """Its headers, which everybody above holds as well: 2 kB that ten thousand connections need not keep."""
        headers = self.scope.get("headers")
        if isinstance(headers, list):
            headers.clear()

    def accepting(self) -> dict[str, Any]:
        """What else stands in the answer to the handshake."""
        return {}

    async def _read(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._patience()) as self._waiting:
                    message = await self._receive()
            except TimeoutError:
                if self.client.ended:
                    serving.cut(self._send)  # who does not even close is left
                    return
                self.end(self.too_late())
                continue
            finally:
                self._waiting = None
            if message["type"] == "websocket.disconnect":
                return
            if not self.client.ended:
                await self._guarded(self._take(message.get("text"), message.get("bytes")))
                await self._let_go_of_who_ended()

    async def _let_go_of_who_ended(self) -> None:
        if self.client.ended:
            await hub().remove(self.client)

    def _patience(self) -> float | None:
        """Seconds for the next message; only who is admitted and stays may be silent."""
        if self.client.ended:
            return CLOSE_WITHIN_S
        return (
            None if self.admitted else max(0.0, self._opened_at + AUTHENTICATE_WITHIN_S - clock.monotonic())
        )

    def too_late(self) -> Refused:
        return Refused("not_authenticated", "Say who you are first.")

    async def _take(self, text: str | None, data: bytes | None) -> None:
        if not self._allowance.take(clock.monotonic()):
            raise Refused("too_many_messages", f"At most {MESSAGES_PER_MINUTE} messages a minute.")
        size = len(data) if data is not None else len((text or "").encode())
        if size > MAX_MESSAGE:
            raise Refused("message_too_big", f"A message may have {MAX_MESSAGE} bytes.")
        await self.received(text, data)

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except TierLimit as limit:
            self.refuse(Refused("tier_limit", str(limit), limit.symbols))
        except Refused as refused:
            self.refuse(refused)
        except User.DoesNotExist:
            self.refuse(Refused("session_ended", "You are logged out. Log in and connect again."))
        except MAYBE_AWAY as error:
            if outage_of(error) is None:
                raise
            self.refuse(unavailable())

    # --- coming in

    async def admit(self, login: Login | None) -> None:
        """Count the connection and put it into the hub; None is a visitor. Raises Refused("connection_limit")."""
        if login is not None:
            self._lease = await granting.enter(login)
            self.client.login = login
            self.client.cadence.fastest = admission.fastest_of(login)
        self.admitted = True
        await hub().add(self.client)

    async def _leave(self) -> None:
        lease, self._lease = self._lease, None
        try:
            await hub().remove(self.client)
        finally:
            if lease is not None:
                await granting.leave(lease)

    # --- what protocols ask for

    async def grant(self, symbols: Sequence[str]) -> Grant:
        """What of these the client may have; raises TierLimit, and then nothing is granted, or an outage."""
        granted = await granting.grant(self.client.user_id, symbols)
        self.client.temporary |= granted.temporary
        return granted

    async def give_up(self, symbols: Sequence[str]) -> None:
        """They are no longer followed: those that were only streamed make room for others."""
        client = self.client
        given_up = {symbol: client.temporary.pop(symbol) for symbol in symbols if symbol in client.temporary}
        try:
            await in_thread(streaming.give_up, client.user_id, given_up.values())
        except OUTAGES:
            client.temporary |= given_up
            raise

    # --- saying

    def send(self, frame: Frame | None) -> None:
        """Send without waiting."""
        self.client.send(frame)

    def refuse(self, refused: Refused, request_id: str | int | None = None) -> None:
        """Tell what is not possible; some of it ends the connection."""
        if refused.code in CLOSE_CODES and self._ends(refused):
            self.end(refused)
        else:
            self.send(self.client.wire.error(refused, request_id))

    def _ends(self, refused: Refused) -> bool:
        return refused.code != "unavailable" or not self.admitted

    def end(self, refused: Refused) -> None:
        metrics.connections_refused.labels(code=refused.code).inc()
        self.client.end(refused)

    def close_code(self, refused: Refused) -> int:
        return CLOSE_CODES.get(refused.code, NORMAL)

    def _push(self, frame: Frame) -> Coroutine[Any, Any, None]:
        """The server's own sending, with nothing around it: it runs for every frame."""
        key = "text" if isinstance(frame, str) else "bytes"
        return self._send({"type": "websocket.send", key: frame})

    async def _close(self, refused: Refused) -> None:
        if self._closed:
            return
        self._closed = True
        if self._waiting is not None:  # somebody who reads nothing does not read this either
            with suppress(RuntimeError):  # its time is over this very moment
                self._waiting.reschedule(asyncio.get_running_loop().time() + CLOSE_WITHIN_S)
        frame = self.client.wire.error(refused)
        if frame is not None:
            await self._push(frame)
        await self._send({"type": "websocket.close", "code": self.close_code(refused)})


def unavailable(symbols: Sequence[str] = ()) -> Refused:
    return Refused("unavailable", "Not possible right now; try again in a few seconds.", symbols)


class NoSuchSocket(Socket):
    """Any other address: refused without a word in the log."""

    async def let_in(self) -> bool:
        return False
