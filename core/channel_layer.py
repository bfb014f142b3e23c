"""Channels' pub/sub layer on Redis, with one addition: many fenced sends in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer

from core.redis import async_client

# Refuses a stale epoch, stores the latest state of each key and publishes to each group, atomically.
# ARGV: epoch, how many of the following are keys and states, those, then channels and messages.
PUBLISH_FENCED = """
local known = tonumber(redis.call('GET', KEYS[1]) or '0')
if known > tonumber(ARGV[1]) then return 0 end
if known < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
local stored = 2 + tonumber(ARGV[2])
for i = 3, stored, 1000 do
  redis.call('HSET', KEYS[2], unpack(ARGV, i, math.min(i + 999, stored)))
end
for i = stored + 1, #ARGV, 2 do redis.call('PUBLISH', ARGV[i], ARGV[i + 1]) end
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
        stored = [part for update in updates for part in (update.key, update.latest)]
        messages = [(update.group, update.event) for update in updates]
        return await self._publish((epoch_key, latest_key), epoch, stored, messages)

    async def tell_many(
        self, messages: Sequence[tuple[str, dict[str, Any]]], *, epoch: int, epoch_key: str
    ) -> bool:
        """The same for (group, event) that leave no state behind."""
        return await self._publish((epoch_key,), epoch, [], messages)

    async def _publish(
        self,
        keys: Sequence[str],
        epoch: int,
        stored: Sequence[str | bytes],
        messages: Sequence[tuple[str, dict[str, Any]]],
    ) -> bool:
        layer = self._get_layer()
        args: list[Any] = [epoch, len(stored), *stored]
        for group, event in messages:
            # The parent's own naming
            args += (layer._get_group_channel_name(group), self.serialize(event))  # noqa: SLF001
        return bool(await async_client().eval(PUBLISH_FENCED, len(keys), *keys, *args))
