from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from core.channel_layer import FencedPubSubChannelLayer, Update
from core.redis import async_client, client, close_async_client
from tests.outages import redis_away


@pytest.fixture
async def layer() -> AsyncIterator[FencedPubSubChannelLayer]:
    client().flushall()
    found = get_channel_layer()
    yield found
    await found.flush()
    await close_async_client()


def update(key: str, latest: str, **event) -> Update:
    return Update(key, latest.encode(), f"group-{key}", {"type": "quote.ticked", **event})


async def publish(layer: FencedPubSubChannelLayer, epoch: int, *updates: Update) -> bool:
    return await layer.publish_many(updates, epoch=epoch, epoch_key="epoch", latest_key="latest")


async def joined(layer: FencedPubSubChannelLayer, *groups: str) -> str:
    channel = await layer.new_channel()
    for group in groups:
        await layer.group_add(group, channel)
    return channel


async def receive(layer: FencedPubSubChannelLayer, channel: str) -> dict:
    async with asyncio.timeout(25):
        return await layer.receive(channel)


async def test_one_call_stores_every_state_and_tells_every_group(layer):
    channel = await joined(layer, "group-a", "group-b")

    assert await publish(layer, 5, update("a", "A1", n=1), update("b", "B1", n=2))

    assert client().hgetall("latest") == {b"a": b"A1", b"b": b"B1"}
    assert client().get("epoch") == b"5"
    assert [(await receive(layer, channel))["n"] for _ in range(2)] == [1, 2]


async def test_its_messages_look_like_those_of_group_send(layer):
    channel = await joined(layer, "group-a")
    event = {"type": "quote.ticked", "s": "A", "n": 1}

    await layer.group_send("group-a", event)
    await publish(layer, 1, Update("a", b"", "group-a", event))

    assert await receive(layer, channel) == await receive(layer, channel) == event


async def test_a_lower_epoch_is_refused_and_changes_nothing(layer):
    channel = await joined(layer, "group-a")
    await publish(layer, 7, update("a", "new", n=1))

    assert not await publish(layer, 6, update("a", "old", n=2), update("b", "old", n=3))

    assert client().hgetall("latest") == {b"a": b"new"}
    assert client().get("epoch") == b"7"
    await publish(layer, 7, update("a", "newer", n=4))
    assert [(await receive(layer, channel))["n"] for _ in range(2)] == [1, 4]


async def test_a_call_without_updates_raises_the_epoch(layer):
    assert await publish(layer, 9)

    assert not await publish(layer, 8, update("a", "old"))
    assert await publish(layer, 9, update("a", "now"))


async def test_epochs_are_compared_as_numbers(layer):
    await publish(layer, 9)

    assert await publish(layer, 10)
    assert not await publish(layer, 9)


async def test_thousands_of_updates_are_all_stored(layer):
    updates = [update(f"s{number}", "x" * 200, n=number) for number in range(3000)]

    assert await publish(layer, 1, *updates)

    assert client().hlen("latest") == 3000


async def test_a_redis_that_is_away_is_an_error_of_redis(layer):
    await close_async_client()
    with redis_away(), pytest.raises(RedisError):
        await publish(get_channel_layer(), 1, update("a", "A"))
    await close_async_client()


async def test_any_number_of_writers_leave_the_state_of_the_highest_epoch(layer):
    async def write(epoch: int) -> list[bool]:
        return [await publish(layer, epoch, update("a", str(epoch))) for _ in range(20)]

    async with asyncio.TaskGroup() as group:
        for epoch in (1, 3, 2):
            group.create_task(write(epoch))

    assert client().hget("latest", "a") == b"3"
    assert await async_client().get("epoch") == b"3"
