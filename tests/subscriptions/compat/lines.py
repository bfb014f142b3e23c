"""A program that speaks JSON to one of our sockets for vendors' clients, message by message."""

from __future__ import annotations

from typing import Any

import orjson
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator

from config.routing import websocket_urlpatterns

WAIT_S = 20


class Line:
    """`async with Line("/compat/finnhub?token=…") as line:`"""

    def __init__(self, path: str, headers: dict[str, str] | None = None) -> None:
        told = {"host": "localhost", **(headers or {})}
        self._communicator = WebsocketCommunicator(
            URLRouter(websocket_urlpatterns),
            path,
            [(name.encode(), value.encode("latin1")) for name, value in told.items()],
        )

    async def __aenter__(self) -> Line:
        connected, _ = await self._communicator.connect(timeout=WAIT_S)
        assert connected
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._communicator.disconnect(timeout=WAIT_S)

    async def say(self, message: Any) -> None:
        """An object as JSON, text and bytes as they are."""
        if isinstance(message, bytes):
            await self._communicator.send_to(bytes_data=message)
        else:
            text = message if isinstance(message, str) else orjson.dumps(message).decode()
            await self._communicator.send_to(text_data=text)

    async def hear(self) -> Any:
        return orjson.loads(await self._communicator.receive_from(timeout=WAIT_S))

    async def ask(self, message: Any) -> Any:
        await self.say(message)
        return await self.hear()

    async def is_quiet(self) -> bool:
        return await self._communicator.receive_nothing(timeout=0.2)

    async def closed(self) -> int:
        """The code of the end, which must be the next thing."""
        event = await self._communicator.receive_output(timeout=WAIT_S)
        assert event["type"] == "websocket.close", event
        return int(event["code"])
