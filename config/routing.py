"""Every WebSocket URL of Onetape."""

from __future__ import annotations

from django.urls import URLPattern, path, re_path

from subscriptions.consumers import StreamSocket
from subscriptions.sockets import NoSuchSocket

websocket_urlpatterns: list[URLPattern] = [
    # Django's stubs know views only.
    path("ws/v1/stream", StreamSocket.as_asgi()),  # type: ignore[arg-type]
    re_path("", NoSuchSocket.as_asgi()),  # type: ignore[arg-type]
]
