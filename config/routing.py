"""Every WebSocket URL of Onetape."""

from __future__ import annotations

from django.urls import URLPattern, path, re_path

from subscriptions.compat.alpaca_stream import AlpacaSocket
from subscriptions.compat.finnhub_stream import FinnhubSocket
from subscriptions.compat.massive_stream import CryptoSocket, ForexSocket, IndicesSocket, MassiveSocket
from subscriptions.consumers import StreamSocket
from subscriptions.sockets import NoSuchSocket

websocket_urlpatterns: list[URLPattern] = [
    # Django's stubs know views only.
    path("ws/v1/stream", StreamSocket.as_asgi()),  # type: ignore[arg-type]
    path("compat/massive/stocks", MassiveSocket.as_asgi()),  # type: ignore[arg-type]
    path("compat/massive/crypto", CryptoSocket.as_asgi()),  # type: ignore[arg-type]
    path("compat/massive/forex", ForexSocket.as_asgi()),  # type: ignore[arg-type]
    path("compat/massive/indices", IndicesSocket.as_asgi()),  # type: ignore[arg-type]
    re_path("^compat/finnhub/?$", FinnhubSocket.as_asgi()),  # type: ignore[arg-type]
    re_path(r"^compat/alpaca/v2/(?:iex|sip|test)$", AlpacaSocket.as_asgi()),  # type: ignore[arg-type]
    re_path("", NoSuchSocket.as_asgi()),  # type: ignore[arg-type]
]
