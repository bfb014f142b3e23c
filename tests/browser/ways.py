"""What stands between a page and its prices: ways that a test closes, and what the page says of the open one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Locator, Page, WebSocketRoute

SOCKET, STREAM, QUOTES = "**/ws/v1/stream", "**/api/v1/stream/**", "**/api/v1/quotes/**"
# Falling takes two attempts with waits of up to 1 and 2 s, or two that are given up after 8 s on a busy machine.
FALLEN_MS = 60_000
NO_WEBSOCKET = "window.WebSocket = class { constructor() { throw new Error('not here'); } };"
NO_EVENTSOURCE = "window.EventSource = class { constructor() { throw new Error('not here'); } };"


def way(page: Page) -> Locator:
    return page.locator("[data-live-way]").first


def often(page: Page) -> Locator:
    return page.locator("[data-live-often]").first


def open_details(page: Page) -> None:
    page.locator("[data-live-menu]:visible > summary").click()


@dataclass
class Gate:
    """The WebSockets of a page. While it is shut they are closed as a proxy does it; `answer` replaces the server."""

    page: Page
    is_shut: bool = False
    answer: Callable[[WebSocketRoute], None] | None = None
    sockets: list[WebSocketRoute] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.route_web_socket(SOCKET, self._open)

    def _open(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        if self.answer is not None:
            self.answer(socket)
        elif self.is_shut:
            socket.close()
        else:
            server = socket.connect_to_server()
            socket.on_message(lambda text: self._pass_on(server, text))

    def _pass_on(self, server: WebSocketRoute, text: str | bytes) -> None:
        self.said.append(json.loads(text))
        server.send(text)

    def hear(self, kind: str, number: int = 1) -> list[dict[str, Any]]:
        """What the page has said of this kind, once it is so much."""
        until = time.monotonic() + FALLEN_MS / 1000
        while len(self.of_type(kind)) < number:
            assert time.monotonic() < until, self.said
            self.page.wait_for_timeout(50)
        return self.of_type(kind)

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.said if message["type"] == kind]

    def close(self, code: int, why: str = "", **more: object) -> None:
        """The connection that is open, as the server does it."""
        end(self.sockets[-1], code, why, **more)


def end(socket: WebSocketRoute, code: int, why: str = "", **more: object) -> None:
    if why:
        error = {"type": "error", "id": None, "code": why, "message": "", "symbols": []}
        socket.send(json.dumps({**error, **more}))
    socket.close(code=code)
