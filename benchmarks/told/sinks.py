"""Where news arrives: a mail server and a webhook receiver on loopback, the sockets of browsers; each notes when."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
import time
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any

from aiosmtpd.smtp import SMTP
from websockets.asyncio.client import unix_connect

# It writes a line for each word of a client.
logging.getLogger("mail.log").setLevel(logging.WARNING)

KEY = re.compile(rb"^Message-ID:\s*<(ot-(\d+)-\d+)@", re.IGNORECASE | re.MULTILINE)


class Arrivals:
    """Of each way: notification id -> Unix times of arrival."""

    def __init__(self) -> None:
        self.ways: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.order: dict[str, list[int]] = defaultdict(list)

    def note(self, way: str, notification: int) -> None:
        if notification not in self.ways[way]:
            self.order[way].append(notification)
        self.ways[way][notification].append(time.time())

    def count(self, way: str) -> int:
        return len(self.ways[way])


class Mail:
    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 -- aiosmtpd's name
        found = KEY.search(envelope.content)
        assert found
        self._arrivals.note("email", int(found[2]))
        return "250 OK"


async def receive(arrivals: Arrivals, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request of a webhook, answered 204."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"content-length:\s*(\d+)", head, re.IGNORECASE)[1])  # type: ignore[index]
    key = re.search(rb"webhook-id:\s*ot-(\d+)-", head, re.IGNORECASE)
    await reader.readexactly(length)
    if key:
        arrivals.note("webhook", int(key[1]))
    writer.write(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    await writer.drain()
    writer.close()


async def watch(arrivals: Arrivals, path: str, key: str, ready: asyncio.Event) -> None:
    """One browser of one user."""
    headers = {"Authorization": f"Api-Key {key}"}
    async with unix_connect(path, "ws://localhost/ws/v1/stream", additional_headers=headers) as socket:
        await socket.send('{"type":"follow","notifications":true,"id":"1"}')
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "following":
                ready.set()
            elif message["type"] == "notification":
                arrivals.note("browser", message["id"])


class Loop:
    """A loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def connect(self, arrivals: Arrivals, path: str, keys: list[str]) -> None:
        """All are following when this returns."""

        async def all_of_them() -> None:
            ready = [asyncio.Event() for _ in keys]
            self.tasks = [
                asyncio.create_task(watch(arrivals, path, key, event))
                for key, event in zip(keys, ready, strict=True)
            ]
            await asyncio.gather(*(event.wait() for event in ready))

        self.do(all_of_them())

    def serve_mail(self, arrivals: Arrivals) -> int:
        async def serve() -> int:
            server = await self.loop.create_server(
                lambda: SMTP(Mail(arrivals), hostname="localhost", loop=self.loop),
                "127.0.0.1",
                0,
                backlog=1_000,
            )
            return int(server.sockets[0].getsockname()[1])

        return int(self.do(serve()))

    def serve_webhooks(self, arrivals: Arrivals) -> int:
        async def serve() -> int:
            async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await receive(arrivals, reader, writer)

            server = await asyncio.start_server(one, "127.0.0.1", 0, backlog=1_000)
            return int(server.sockets[0].getsockname()[1])

        return int(self.do(serve()))
