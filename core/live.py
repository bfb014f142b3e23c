"""The one door to the channel layer, and the whole vocabulary of live events on one page.

Groups        `tk_…`  one ticker; its members are server processes, never browsers
              `us_…`  one user; its members are server processes to which somebody of this login is connected
              `tape`  what the owners of the tape say about themselves
Events        quote.ticked  {s: symbol, e: epoch, n: number within the epoch, d: the JSON text for clients}
                            and where known z: size of the last trade, b and a: bid and ask as price text
              bar.closed    {s: symbol, e: epoch, t: start of the minute in Unix seconds, o, h, l, c: price text,
                            v: volume}; to the ticker's group, when the minute is over and two seconds have passed
              user.told     {u: id of the user in hex, i: id of the notification, d: the JSON text for clients}; after
                            the commit that wrote it, at once, to each of the user's connections
              tape.beat     {shard, of: how many shards, e: epoch, t: Unix ms}; every second while an owner is alive

A group message is a doorbell: it can be lost. Whoever listens also reads the latest state, or the inbox, again on a
timer. A closed bar is told at most once in a term, also when a trade is corrected later: the bar that lasts is in
PostgreSQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import orjson
from channels.layers import get_channel_layer
from django.conf import settings
from redis.exceptions import TimeoutError as RedisTimeoutError

from core.channel_layer import FencedPubSubChannelLayer, Update

__all__ = [
    "BAR_CLOSED", "QUOTE_TICKED", "TAPE_BEAT", "TAPE_GROUP", "USER_TOLD",
    "Receiver", "Update", "notification_text", "publish", "publish_many", "tell_many", "tell_users", "user_group",
]  # fmt: skip

TAPE_GROUP = "tape"
QUOTE_TICKED = "quote.ticked"
BAR_CLOSED = "bar.closed"
TAPE_BEAT = "tape.beat"
USER_TOLD = "user.told"


def user_group(user_id: UUID) -> str:
    return f"us_{user_id.hex}"


def notification_text(payload: dict[str, Any]) -> str:
    """What a client is sent; `payload` as the inbox writes it."""
    return orjson.dumps({"type": "notification", **payload}).decode()


def _layer() -> FencedPubSubChannelLayer:
    return cast(FencedPubSubChannelLayer, get_channel_layer())


async def publish(group: str, event: dict[str, Any]) -> None:
    """Tell one group; raises RedisError, also where the layer's connection, which has no time-out, is silent."""
    try:
        async with asyncio.timeout(settings.REDIS_TIMEOUT_S):
            await _layer().group_send(group, event)
    except TimeoutError as error:
        raise RedisTimeoutError("the channel layer is silent") from error


async def publish_many(updates: Sequence[Update], *, epoch: int, epoch_key: str, latest_key: str) -> bool:
    """Store and tell all updates, fenced, hundreds in one call; False when `epoch` is no longer the highest."""
    return await _layer().publish_many(updates, epoch=epoch, epoch_key=epoch_key, latest_key=latest_key)


async def tell_many(messages: Sequence[tuple[str, dict[str, Any]]], *, epoch: int, epoch_key: str) -> bool:
    """Tell each (group, event) likewise; False when `epoch` is no longer the highest."""
    return await _layer().tell_many(messages, epoch=epoch, epoch_key=epoch_key)


async def tell_users(messages: Sequence[tuple[UUID, dict[str, Any]]]) -> None:
    """Tell each (user, notification as the inbox writes it), in this order; hundreds in one call. Raises RedisError."""
    await _layer().send_many(
        [
            (
                user_group(user),
                {"type": USER_TOLD, "u": user.hex, "i": payload["id"], "d": notification_text(payload)},
            )
            for user, payload in messages
        ]
    )


async def reset() -> None:
    """Forget all of this process's memberships and close the layer's connections; the next use opens them anew."""
    await _layer().flush()


class Receiver:
    """One channel of this process that joins and leaves groups and receives their events in order."""

    def __init__(self) -> None:
        self._channel = ""

    async def open(self) -> None:
        self._channel = await _layer().new_channel()

    async def close(self) -> None:
        """What is still sent to it would lie in the layer for ever."""
        await _layer().forget(self._channel)

    @property
    def line(self) -> object:
        """Another object after each reconnect, which is when events may have been lost without a word."""
        return _layer().line

    async def join(self, group: str) -> None:
        await _layer().group_add(group, self._channel)

    async def join_many(self, groups: Sequence[str]) -> None:
        """In one round trip; raises RedisError, and then may be done again."""
        await _layer().join_many(groups, self._channel)

    async def leave(self, group: str) -> None:
        await _layer().group_discard(group, self._channel)

    async def receive(self) -> dict[str, Any]:
        return cast(dict[str, Any], await _layer().receive(self._channel))
