"""What an ASGI server runs: pages and the API over HTTP, the live stream over WebSocket."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
pages = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402 -- needs the apps to be loaded

from config.logs import hide_queries  # noqa: E402 -- same
from config.routing import websocket_urlpatterns  # noqa: E402 -- same
from core import serving  # noqa: E402 -- same

hide_queries()
# Who is connecting is found by the sockets themselves, many at a time (subscriptions/admission.py).
websocket = URLRouter(websocket_urlpatterns)  # type: ignore[arg-type]


async def http(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Django, with a way to end an answer that nobody reads (`subscriptions.fallbacks`)."""
    scope["onetape.cut"] = partial(serving.cut, send)
    await pages(scope, receive, send)


application = ProtocolTypeRouter({"http": http, "websocket": websocket})
