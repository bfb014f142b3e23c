"""The naive way: Channels as a textbook shows it. Served by Daphne as `benchmarks.fan_out.naive:application`.

Each connection has a channel of its own and joins one group per ticker on the core layer; each update is one
`group_send` and one frame per follower. Nobody is asked who he is, no database is read: that speaks for it.
"""

from __future__ import annotations

import json
import os
from typing import Any

import django
from django.conf import settings

settings.configure(
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            # Without it redis-py 8 ends each wait of the layer after 5 s, and with it the consumer.
            "CONFIG": {"hosts": [{"address": os.environ["REDIS_URL"], "socket_timeout": None}]},
        }
    }
)
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402 -- needs the settings

from marketdata.symbols import group_name  # noqa: E402 -- same


class Screen(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        wish = json.loads(text_data or "")
        self.names = [group_name(symbol) for symbol in wish["symbols"]]
        for name in self.names:
            await self.channel_layer.group_add(name, self.channel_name)
        await self.send(json.dumps({"type": "subscribed", "symbols": wish["symbols"]}, separators=(",", ":")))

    async def disconnect(self, code: int) -> None:
        for name in getattr(self, "names", ()):
            await self.channel_layer.group_discard(name, self.channel_name)

    async def price(self, event: dict[str, Any]) -> None:
        await self.send(text_data=event["text"])


application = Screen.as_asgi()
