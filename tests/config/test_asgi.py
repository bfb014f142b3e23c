from __future__ import annotations

import pytest
from channels.testing import HttpCommunicator, WebsocketCommunicator

from config.asgi import application


async def test_http_reaches_django():
    asked = HttpCommunicator(application, "GET", "/healthz", headers=[(b"host", b"localhost")])

    response = await asked.get_response()
    await asked.wait()

    assert (response["status"], response["body"]) == (200, b"ok")


@pytest.mark.parametrize(
    "origin",
    [
        None,
        b"null",
        b"https://evil.example",
        b"https://localhost.evil.example",
        b"https://evil-localhost",
        b"file://",
    ],
)
async def test_a_socket_from_a_foreign_page_is_refused(origin):
    headers = [(b"host", b"localhost")] + ([(b"origin", origin)] if origin else [])

    connected, _ = await WebsocketCommunicator(application, "/ws/v1/stream", headers=headers).connect()

    assert not connected
