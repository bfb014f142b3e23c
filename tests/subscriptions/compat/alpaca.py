"""A program that speaks Alpaca's protocol to our real ASGI application, in either encoding."""

from __future__ import annotations

from typing import Any

import msgpack
import orjson
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator

from config.routing import websocket_urlpatterns

CONNECTED = [{"T": "success", "msg": "connected"}]
AUTHENTICATED = [{"T": "success", "msg": "authenticated"}]
WAIT_S = 20
EMPTY = {
    name: []
    for name in (
        "trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "corrections", "cancelErrors",
    )
}  # fmt: skip


def subscription(**channels: list[str]) -> list[dict[str, Any]]:
    return [{"T": "subscription", **EMPTY, **channels}]


def error(code: int, message: str) -> list[dict[str, Any]]:
    return [{"T": "error", "code": code, "msg": message}]


class Program:
    """One connection; `key` is said at once, where given."""

    def __init__(
        self, key: str = "", *, feed: str = "iex", binary: bool = False, headers: dict[str, str] | None = None
    ) -> None:
        self._key, self._binary = key, binary
        told = {"host": "localhost", **(headers or {})}
        if binary:
            told["content-type"] = "application/msgpack"
        self._communicator = WebsocketCommunicator(
            URLRouter(websocket_urlpatterns),
            f"/compat/alpaca/v2/{feed}",
            [(name.encode(), value.encode("latin1")) for name, value in told.items()],
        )

    async def __aenter__(self) -> Program:
        assert await self.connects()
        assert await self.hear() == CONNECTED
        if self._key:
            assert await self.ask(action="auth", key=self._key, secret=self._key) == AUTHENTICATED
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._communicator.disconnect(timeout=WAIT_S)

    async def connects(self) -> bool:
        connected, _ = await self._communicator.connect(timeout=WAIT_S)
        return connected

    async def say(self, message: Any) -> None:
        if self._binary:
            await self.say_raw(msgpack.packb(message))
        else:
            await self.say_raw(orjson.dumps(message).decode())

    async def say_raw(self, data: str | bytes) -> None:
        kind = "text" if isinstance(data, str) else "bytes"
        await self._communicator.send_input({"type": "websocket.receive", kind: data})

    async def ask(self, **message: Any) -> Any:
        await self.say(message)
        return await self.hear()

    async def hear(self) -> Any:
        """The next frame."""
        data = await self._communicator.receive_from(timeout=WAIT_S)
        assert isinstance(data, bytes) == self._binary
        return msgpack.unpackb(data) if self._binary else orjson.loads(data)

    async def closed(self) -> int:
        """The code with which we close; nothing may come before."""
        event = await self._communicator.receive_output(timeout=WAIT_S)
        assert event["type"] == "websocket.close"
        return event["code"]
