"""Channels' pub/sub layer on Redis, with one addition: many fenced sends in one call.

What is sent travels to Redis as one packed list. As many single arguments it would cost the sender more than all the
rest (4 us for each update), and the script would not get it sooner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgpack
from channels_redis.pubsub import RedisPubSubChannelLayer
from redis.exceptions import RedisError

from core.redis import async_client

# Other users of this Redis wait while a call is done: some 2 ms for so many.
LARGEST_CALL = 500

# Refuses a stale epoch, stores the latest state of each key and publishes to each group, atomically.
# ARGV: epoch; keys and states, one after the other; channels and messages likewise.
PUBLISH_FENCED = """
local known = tonumber(redis.call('GET', KEYS[1]) or '0')
if known > tonumber(ARGV[1]) then return 0 end
if known < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
local stored, messages = cmsgpack.unpack(ARGV[2]), cmsgpack.unpack(ARGV[3])
if #stored > 0 then redis.call('HSET', KEYS[2], unpack(stored)) end
for i = 1, #messages, 2 do redis.call('PUBLISH', messages[i], messages[i + 1]) end
return 1
"""

# ARGV: channels and messages, one after the other.
PUBLISH = """
local messages = cmsgpack.unpack(ARGV[1])
for i = 1, #messages, 2 do redis.call('PUBLISH', messages[i], messages[i + 1]) end
"""


class Update(NamedTuple):
    """The latest state of `key`, and the event that tells its group."""

    key: str
    latest: bytes
    group: str
    event: dict[str, Any]


class FencedPubSubChannelLayer(RedisPubSubChannelLayer):  # type: ignore[misc]
    """Same bytes and channel names as `group_send`, one round trip for hundreds of groups."""

    async def publish_many(
        self, updates: Sequence[Update], *, epoch: int, epoch_key: str, latest_key: str
    ) -> bool:
        """False when a higher epoch has published: the caller is no longer the owner. Raises RedisError.

        Many updates are several calls at the same time, each of which is fenced; no key may be twice among them.
        Where one fails, others are published.
        """
        calls = []
        for start in range(0, max(1, len(updates)), LARGEST_CALL):
            some = updates[start : start + LARGEST_CALL]
            stored = [part for update in some for part in (update.key, update.latest)]
            messages = [(update.group, update.event) for update in some]
            calls.append(self._publish((epoch_key, latest_key), epoch, stored, messages))
        return await _all(calls)

    async def tell_many(
        self, messages: Sequence[tuple[str, dict[str, Any]]], *, epoch: int, epoch_key: str
    ) -> bool:
        """The same for (group, event) that leave no state behind."""
        return await _all(
            [
                self._publish((epoch_key,), epoch, [], messages[start : start + LARGEST_CALL])
                for start in range(0, len(messages), LARGEST_CALL)
            ]
        )

    async def send_many(self, messages: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Each (group, event) in this order, unfenced; raises RedisError, and then the first ones may be sent."""
        for start in range(0, len(messages), LARGEST_CALL):
            sent = self._sendable(messages[start : start + LARGEST_CALL])
            await async_client().eval(PUBLISH, 0, _packed(sent))

    async def join_many(self, groups: Sequence[str], channel: str) -> None:
        """`group_add` for each, in one round trip; raises RedisError, and then may be done again."""
        inner = self._get_layer()
        if channel not in inner.channels:
            raise RuntimeError("a channel that is not open joins nothing")
        names = [inner._get_group_channel_name(group) for group in groups]  # noqa: SLF001
        for name in names:
            inner.groups.setdefault(name, set()).add(channel)
        await self._subscribe(names)

    async def _subscribe(self, names: Sequence[str]) -> None:
        """What the library's connection does for one name."""
        shard = self._get_layer()._shards[0]  # noqa: SLF001 -- we have one host, so one shard
        async with shard._lock:  # noqa: SLF001
            missing = [name for name in names if name not in shard._subscribed_to]  # noqa: SLF001
            if missing:
                shard._ensure_redis()  # noqa: SLF001
                shard._ensure_receiver()  # noqa: SLF001
                await shard._pubsub.subscribe(*missing)  # noqa: SLF001
                shard._subscribed_to.update(missing)  # noqa: SLF001

    @property
    def line(self) -> object:
        """What events arrive by; another object after each reconnect, None before the first."""
        shard = self._get_layer()._shards[0]  # noqa: SLF001 -- the library says nothing of a reconnect
        connection = shard._pubsub.connection if shard._pubsub is not None else None  # noqa: SLF001
        return getattr(connection, "_reader", None)

    async def forget(self, channel: str) -> None:
        """Nobody receives from it any more: keep no messages for it. Does nothing for one that is not there."""
        inner = self._get_layer()
        if inner.channels.pop(channel, None) is None:
            return
        for members in inner.groups.values():
            members.discard(channel)
        with suppress(RedisError):  # nothing is kept of what still arrives
            await inner._get_shard(channel).unsubscribe(channel)  # noqa: SLF001

    async def _publish(
        self,
        keys: Sequence[str],
        epoch: int,
        stored: Sequence[str | bytes],
        messages: Sequence[tuple[str, dict[str, Any]]],
    ) -> bool:
        arguments = (epoch, _packed(stored), _packed(self._sendable(messages)))
        return bool(await async_client().eval(PUBLISH_FENCED, len(keys), *keys, *arguments))

    def _sendable(self, messages: Sequence[tuple[str, dict[str, Any]]]) -> list[str | bytes]:
        channel_of, serialize = self._get_layer()._get_group_channel_name, self.serialize  # noqa: SLF001
        return [part for group, event in messages for part in (channel_of(group), serialize(event))]


async def _all(calls: Sequence[Coroutine[Any, Any, bool]]) -> bool:
    # To the end of each, also when one fails: what is said next must not be overtaken by it.
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return all(answers)


def _packed(parts: Sequence[str | bytes]) -> bytes:
    # Redis' script knows one kind of text only.
    return msgpack.packb(parts, use_bin_type=False)  # type: ignore[no-any-return]
