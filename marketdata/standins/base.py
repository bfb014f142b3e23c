"""What all stand-ins share: a loopback server for HTTP and WebSocket on one port, faults on request, and a record."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import threading
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Self, TypeVar
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from marketdata.standins.market import Market

T = TypeVar("T")
LOOPBACK = "127.0.0.1"
# Bounded, so that a stand-in cannot outlive the patience of whoever waits for it.
LONGEST_SILENCE_S = 30.0
# At DEBUG the library writes down every frame, with the key in it.
_quiet = logging.getLogger("marketdata.standins.wire")
_quiet.setLevel(logging.CRITICAL)


class Fault(StrEnum):
    """What the next requests meet instead of an answer. Bodies of refusals are the vendor's own."""

    UNAUTHORIZED = "401"
    PLAN = "403 plan"
    RATE_LIMITED = "429 with headers"
    RATE_LIMITED_BARE = "429 without headers"
    SERVER_ERROR = "500"
    BAD_GATEWAY = "502 HTML"
    HTML = "HTML page with 200"
    EMPTY_OBJECT = "empty object"
    EMPTY_BODY = "empty body"
    TRUNCATED = "truncated JSON"
    TRUNCATED_GZIP = "truncated gzip"
    WRONG_SHAPE = "JSON of another shape"
    REDIRECT_LOOP = "redirect loop"
    SLOW = "slow first byte"
    TRICKLE = "a byte now and then"
    DROPPED = "connection dropped"
    # within an answer of status 200
    MISSING = "first symbol missing"
    ZEROS = "first symbol zeros"
    ITEM_ERROR = "first symbol an error"
    THROTTLED_200 = "throttled with 200"
    SKEWED = "clock an hour ahead"
    NOT_A_NUMBER = "prices NaN"
    SCRAMBLED = "other order, one never asked for, duplicates"


@dataclass(frozen=True, slots=True)
class Asked:
    """One HTTP request that arrived."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: `body` becomes JSON unless it is bytes."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


REFUSALS = {
    Fault.UNAUTHORIZED, Fault.PLAN, Fault.RATE_LIMITED, Fault.RATE_LIMITED_BARE, Fault.SERVER_ERROR,
}  # fmt: skip
HTML = {"Content-Type": "text/html"}
BROKEN: Mapping[Fault, Reply] = {
    Fault.BAD_GATEWAY: Reply(b"<html><h1>502 Bad Gateway</h1></html>", 502, HTML),
    Fault.HTML: Reply(b"<!doctype html><p>We will be back soon", 200, HTML),
    Fault.EMPTY_OBJECT: Reply({}),
    Fault.EMPTY_BODY: Reply(b""),
    Fault.TRUNCATED: Reply(b'{"symbol": "AAPL", "pri'),
    Fault.TRUNCATED_GZIP: Reply(gzip.compress(b'{"a": 1}' * 99)[:-12], 200, {"Content-Encoding": "gzip"}),
    Fault.WRONG_SHAPE: Reply([1, {"quotes": "none"}, None]),
    Fault.REDIRECT_LOOP: Reply(b"", 302, {"Location": "/"}),
}


class StandIn(ABC):
    """A vendor on loopback. `async with standin.running():` in a loop, `with standin.in_thread():` elsewhere.

    Its own `key` (and `secret`) is the only one it accepts.
    """

    vendor: str

    def __init__(self, market: Market | None = None, *, key: str = "standin-key", secret: str = "") -> None:
        self.market = market or Market()
        self.key, self.secret = key, secret
        self.port = 0
        self.asked: list[Asked] = []
        self.connections = 0
        self.open_sockets: set[ServerConnection] = set()
        self.most_open = 0
        self.received: list[Any] = []
        self.page_size = 10_000
        self.stream_faults: Counter[str] = Counter()
        self._faults: deque[Fault | None] = deque()
        self._always: Fault | None = None
        self._closing = asyncio.Event()

    # --- what each vendor says

    @abstractmethod
    async def respond(self, asked: Asked, fault: Fault | None) -> Reply:
        """The answer to a request; `fault` is one of those within an answer of status 200, or None."""

    @abstractmethod
    def refusal(self, fault: Fault) -> Reply:
        """The vendor's own words for 401, 403, 429 and 500."""

    async def talk(self, socket: ServerConnection, path: str, params: Mapping[str, str]) -> None:
        """One WebSocket session, from greeting to end; ConnectionClosed ends it quietly."""
        await socket.close(1008, "no stream here")

    # --- faults

    def fail(self, fault: Fault, times: int | None = None, *, after: int = 0) -> None:
        """Meet the next `times` requests with this fault; without a number every one until `heal`.

        The first `after` requests are still answered well.
        """
        self._faults.extend([None] * after)
        if times is None:
            self._always = fault
        else:
            self._faults.extend([fault] * times)

    def heal(self) -> None:
        self._always = None
        self._faults.clear()
        self.stream_faults.clear()

    def _next_fault(self) -> Fault | None:
        return self._faults.popleft() if self._faults else self._always

    # --- the server

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def stream_url(self) -> str:
        return f"ws://{LOOPBACK}:{self.port}"

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[Self]:
        server = await serve(
            self._session, LOOPBACK, port or self.port, process_request=self._on_request, ping_interval=None,
            max_size=None, compression=None, logger=_quiet,
        )  # fmt: skip
        self.port = next(iter(server.sockets)).getsockname()[1]
        self._closing.clear()
        try:
            yield self
        finally:
            self._closing.set()
            server.close(close_connections=True)
            for socket in list(self.open_sockets):
                socket.transport.abort()
            await server.wait_closed()

    @contextmanager
    def in_thread(self) -> Iterator[Self]:
        """Serve from a loop of its own, for clients that block."""
        ready, stop = threading.Event(), asyncio.Event()
        loop = asyncio.new_event_loop()

        async def run() -> None:
            async with self.running():
                ready.set()
                await stop.wait()

        thread = threading.Thread(
            target=loop.run_until_complete, args=(run(),), name=self.vendor, daemon=True
        )
        thread.start()
        ready.wait(LONGEST_SILENCE_S)
        self.loop = loop
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(LONGEST_SILENCE_S)
            loop.close()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Do this in the loop of `in_thread`, from outside."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    async def _on_request(self, connection: ServerConnection, request: Request) -> Response | None:
        address = urlsplit(request.path)
        params = dict(parse_qsl(address.query, keep_blank_values=True))
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.refuse_socket(params, request.headers)
        asked = Asked(
            address.path, params, {name.lower(): value for name, value in request.headers.raw_items()}
        )
        self.asked.append(asked)
        fault = self._next_fault()
        reply = await self._spoiled(connection, fault) if fault else None
        return response_of(reply or await self.respond(asked, fault))

    async def refuse_socket(self, params: Mapping[str, str], headers: Headers) -> Response | None:
        """An HTTP refusal of the handshake, where the vendor refuses that early."""
        return None

    async def _spoiled(self, connection: ServerConnection, fault: Fault) -> Reply | None:
        """What the fault makes of the answer; None leaves the answer to the vendor."""
        if fault in REFUSALS:
            return self.refusal(fault)
        if fault is Fault.SLOW:
            await self.pause(LONGEST_SILENCE_S)
        if fault is Fault.TRICKLE:
            await self._trickle(connection)
        if fault is Fault.DROPPED:
            connection.transport.abort()
        return BROKEN.get(fault)

    async def pause(self, seconds: float) -> None:
        """Sleep, but no longer than the server lives."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    async def _trickle(self, connection: ServerConnection) -> None:
        connection.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(int(LONGEST_SILENCE_S * 10)):
            if connection.transport.is_closing() or self._closing.is_set():
                return
            connection.transport.write(b" ")
            await self.pause(0.1)

    async def _session(self, socket: ServerConnection) -> None:
        self.connections += 1
        self.open_sockets.add(socket)
        self.most_open = max(self.most_open, len(self.open_sockets))
        assert socket.request is not None
        address = urlsplit(socket.request.path)
        try:
            with suppress(ConnectionClosed):
                await self.talk(socket, address.path, dict(parse_qsl(address.query)))
        finally:
            self.open_sockets.discard(socket)


def response_of(reply: Reply) -> Response:
    data = reply.data()
    headers = Headers({"Content-Type": "application/json", **reply.headers})
    headers["Content-Length"] = str(len(data))
    headers["Connection"] = "close"
    return Response(reply.status, HTTPStatus(reply.status).phrase, headers, data)
