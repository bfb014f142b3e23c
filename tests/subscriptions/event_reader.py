"""Reads Server-Sent Events as a browser does, on the far side of any ASGI application or of a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from config.asgi import application

PATIENCE_S = 25
# What the hub says by itself at any moment.
UNASKED = ("heartbeat", "stale", "fresh")


@dataclass
class Event:
    """One event; `id` is what a browser would know after it."""

    type: str
    data: dict[str, Any]
    id: str


class EventParser:
    """The rules of the HTML standard, as far as a server of ours may use them."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.comments = 0
        self.retry_ms: int | None = None
        self.last_event_id = ""
        self._rest = ""
        self._type = ""
        self._data: list[str] = []

    def feed(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._line(line)

    def _line(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            self._dispatch()
        elif not name:
            self.comments += 1
        elif name == "event":
            self._type = value
        elif name == "data":
            self._data.append(value)
        elif name == "id":
            self.last_event_id = value
        elif name == "retry":
            self.retry_ms = int(value)
        else:
            raise AssertionError(f"an unknown field: {line!r}")

    def _dispatch(self) -> None:
        if self._data:
            message = orjson.loads("\n".join(self._data))
            self.events.append(Event(self._type or "message", message, self.last_event_id))
        self._type, self._data = "", []


class EventReader(EventParser):
    """One request to our application in the words of an ASGI server. With `gate` closed it does not read."""

    def __init__(
        self,
        address: str,
        headers: dict[str, str] | None = None,
        *,
        app: Any = application,
        method: str = "GET",
    ) -> None:
        super().__init__()
        path, _, query = address.partition("?")
        names = {"host": "localhost", **(headers or {})}
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in names.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        self._app = app
        self.gate = asyncio.Event()
        self.gate.set()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.chunks: list[bytes] = []
        self.ended = asyncio.Event()
        self._asked = False
        self._gone = asyncio.Event()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> EventReader:
        self._task = asyncio.create_task(self._run())
        await self.until(lambda: self.status != 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        await self.disconnect()

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
        finally:
            self.ended.set()
            self._news.set()

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        await self.gate.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")
            self.chunks.append(message.get("body", b""))
            if self.headers.get("content-type", "").startswith("text/event-stream"):
                self.feed(message.get("body", b"").decode())
        self._news.set()

    async def disconnect(self) -> None:
        """The client goes; returns when the server has noticed."""
        self._gone.set()
        assert self._task is not None
        await asyncio.wait_for(self._task, PATIENCE_S)

    async def until(self, met: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not met():
                if self.ended.is_set() and self._task is not None and self._task.done():
                    self._task.result()
                    raise AssertionError(f"the stream ended: {self.status} {self.body[-300:]!r}")
                self._news.clear()
                await self._news.wait()

    async def ends(self) -> None:
        await asyncio.wait_for(self.ended.wait(), PATIENCE_S)

    async def next(self, *types: str) -> Event:
        """The next event that was not returned yet; of one of these types where given, else none that is unasked."""
        while True:
            await self.until(lambda: self.events)
            event = self.events.pop(0)
            if event.type in types or (not types and event.type not in UNASKED):
                return event

    def prices(self) -> dict[str, str]:
        """What is on the screen, by all events that are still there."""
        shown: dict[str, str] = {}
        for event in self.events:
            if event.type == "subscribed":
                shown |= {quote["symbol"]: quote["price"] for quote in event.data["quotes"]}
            if event.type == "quotes":
                shown |= {quote["s"]: quote["p"] for quote in event.data["q"]}
        return shown

    def problem(self) -> tuple[int, str]:
        assert self.headers["content-type"] == "application/problem+json"
        return self.status, orjson.loads(self.body)["code"]
