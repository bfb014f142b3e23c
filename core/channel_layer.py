"""Channels' pub/sub layer on Redis, with one addition: many fenced sends in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer

from core.redis import async_client

# Refuses a stale epoch, stores the latest state of each key and publishes to each group, atomically.
PUBLISH_MANY = """
local known = tonumber(redis.call('GET', KEYS[1]) or '0')
if known > tonumber(ARGV[1]) then return 0 end
if known < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
for i = 2, #ARGV, 4 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  redis.call('PUBLISH', ARGV[i + 2], ARGV[i + 3])
end
return 1
"""


@dataclass(frozen=True, slots=True)
class Update:
    """The latest state of `key`, and the event that tells its group."""

    key: str
    latest: bytes
    group: str
    event: dict[str, Any]


class FencedPubSubChannelLayer(RedisPubSubChannelLayer):  # type: ignore[misc]
    """Same bytes and channel names as `group_send`, one round trip for any number of groups."""

    async def publish_many(
        self, updates: Sequence[Update], *, epoch: int, epoch_key: str, latest_key: str
    ) -> bool:
        """False when a higher epoch has published: the caller is no longer the owner. Raises RedisError."""
        layer = self._get_layer()
        args: list[Any] = [epoch]
        for update in updates:
            channel = layer._get_group_channel_name(update.group)  # noqa: SLF001 -- the parent's own naming
            args += (update.key, update.latest, channel, self.serialize(update.event))
        return bool(await async_client().eval(PUBLISH_MANY, 2, epoch_key, latest_key, *args))
