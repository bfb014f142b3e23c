"""A connection to the real ASGI application of our sockets, logged in as a browser is."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client as Browser

from accounts.models import User
from config.routing import websocket_urlpatterns
from core.database import in_thread

# What comes by itself; a test that waits for an answer does not mean these.
UNASKED = ("cadence", "heartbeat", "stale", "fresh")
PATIENCE_S = 25
HOST = "localhost"


class Socket:
    """One connection; `headers` replace those of a browser with this user's session."""

    def __init__(
        self,
        user: User | None = None,
        *,
        path: str = "/ws/v1/stream",
        headers: list[tuple[bytes, bytes]] | None = None,
        browser: Browser | None = None,
    ) -> None:
        self._user, self._path, self._headers = user, path, headers
        self._browser = browser or Browser()

    async def __aenter__(self) -> Socket:
        assert await self.connects()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.goes()

    async def goes(self) -> None:
        """Returns when nothing of it is left."""
        await self.communicator.disconnect(timeout=PATIENCE_S)

    async def connects(self) -> bool:
        """Whether the handshake is accepted."""
        headers = self._headers
        if headers is None:
            headers = [(b"host", HOST.encode()), (b"origin", f"http://{HOST}".encode())]
        if self._user is not None:
            await in_thread(self._browser.force_login, self._user)
        if cookie := self._browser.cookies.get(settings.SESSION_COOKIE_NAME):
            headers = [*headers, (b"cookie", f"{cookie.key}={cookie.value}".encode())]
        self.communicator = WebsocketCommunicator(URLRouter(websocket_urlpatterns), self._path, [*headers])
        connected, _ = await self.communicator.connect(timeout=PATIENCE_S)
        return connected

    async def say(self, message: Any) -> None:
        text = message if isinstance(message, str) else orjson.dumps(message).decode()
        await self.communicator.send_to(text_data=text)

    async def ask(self, message: Any) -> dict[str, Any]:
        await self.say(message)
        return await self.next()

    async def next(self, *types: str) -> dict[str, Any]:
        """The next message; of one of these types, where given."""
        while True:
            message = orjson.loads(await self.communicator.receive_from(timeout=PATIENCE_S))
            if message["type"] in types or (not types and message["type"] not in UNASKED):
                return message

    async def closed(self) -> int:
        """The code with which the server closes; what comes before is dropped."""
        while (event := await self.communicator.receive_output(timeout=PATIENCE_S))[
            "type"
        ] != "websocket.close":
            pass
        return event["code"]

    async def fails(self) -> None:
        """Until the application has ended by a mistake."""
        with pytest.raises(ZeroDivisionError):
            await self.communicator.wait(timeout=PATIENCE_S)
