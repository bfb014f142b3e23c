from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from core import live
from core.redis import client, close_async_client
from tests.outages import redis_away


@pytest.fixture
async def receiver() -> AsyncIterator[live.Receiver]:
    client().flushall()
    found = live.Receiver()
    await found.open()
    yield found
    await get_channel_layer().flush()
    await close_async_client()


async def receive(receiver: live.Receiver) -> dict:
    async with asyncio.timeout(25):
        return await receiver.receive()


async def test_a_receiver_gets_the_events_of_its_groups_in_order(receiver):
    await receiver.join("one")
    await receiver.join("two")

    for number, group in enumerate(["one", "two", "three", "one"]):
        await live.publish(group, {"type": live.QUOTE_TICKED, "n": number})

    assert [(await receive(receiver))["n"] for _ in range(3)] == [0, 1, 3]


async def test_a_group_that_was_left_is_silent(receiver):
    await receiver.join("one")
    await receiver.join("two")
    await receiver.leave("one")

    await live.publish("one", {"type": live.QUOTE_TICKED, "n": 1})
    await live.publish("two", {"type": live.QUOTE_TICKED, "n": 2})

    assert (await receive(receiver))["n"] == 2


async def test_many_updates_reach_the_receiver_only_from_the_owner(receiver):
    await receiver.join("tk_A")
    keys = {"epoch_key": "tape:epoch:0", "latest_key": "quote:latest"}
    owners = [live.Update("A", b"5", "tk_A", {"type": live.QUOTE_TICKED, "e": 5})]
    stale = [live.Update("A", b"4", "tk_A", {"type": live.QUOTE_TICKED, "e": 4})]

    assert await live.publish_many(owners, epoch=5, **keys)
    assert not await live.publish_many(stale, epoch=4, **keys)
    await live.publish("tk_A", {"type": "end"})

    assert (await receive(receiver))["e"] == 5
    assert (await receive(receiver))["type"] == "end"


async def test_telling_nobody_is_no_error_but_an_absent_redis_is():
    await live.publish("nobody", {"type": live.TAPE_BEAT})
    await get_channel_layer().flush()
    with redis_away(), pytest.raises((RedisError, OSError)):
        await live.publish("nobody", {"type": live.TAPE_BEAT})


async def test_a_silent_layer_holds_nobody_up_for_ever(receiver, settings, monkeypatch):
    settings.REDIS_TIMEOUT_S = 0.05
    monkeypatch.setattr(get_channel_layer(), "group_send", lambda *_: asyncio.Event().wait())
    with pytest.raises(RedisError, match="silent"):
        await live.publish("tape", {"type": live.TAPE_BEAT})


async def test_users_are_told_in_order_each_by_their_own_group(receiver):
    alice, bob = uuid4(), uuid4()
    await receiver.join(live.user_group(alice))

    await live.tell_users(
        [
            (user, {"id": number, "title": "Ä"})
            for number, user in enumerate([alice, bob, *[alice] * 1_100], start=1)
        ]
    )

    events = [await receive(receiver) for _ in range(1_101)]
    assert [event["i"] for event in events] == [1, *range(3, 1_103)]
    assert events[0] == {
        "type": "user.told",
        "u": alice.hex,
        "i": 1,
        "d": '{"type":"notification","id":1,"title":"Ä"}',
    }


async def test_who_tells_users_learns_that_redis_is_away():
    with redis_away(), pytest.raises(RedisError):
        await live.tell_users([(uuid4(), {"id": 1})])


async def test_the_line_of_a_receiver_is_another_one_after_a_reconnect(receiver):
    await receiver.join("one")
    before = receiver.line

    client().client_kill_filter(_type="pubsub", skipme=False)
    async with asyncio.timeout(25):
        while receiver.line in (before, None) or not client().pubsub_numsub("asgi__group__one")[0][1]:
            await asyncio.sleep(0.01)
    await live.publish("one", {"type": live.QUOTE_TICKED, "n": 1})

    assert before is not None
    assert (await receive(receiver))["n"] == 1


async def test_many_groups_are_joined_at_once_and_once(receiver):
    await receiver.join_many(["one", "two"])
    await receiver.join_many(["two", "three"])

    for number, group in enumerate(["one", "two", "three"]):
        await live.publish(group, {"type": live.QUOTE_TICKED, "n": number})
    assert [(await receive(receiver))["n"] for _ in range(3)] == [0, 1, 2]

    await receiver.leave("two")
    await live.publish("two", {"type": live.QUOTE_TICKED, "n": 3})
    await live.publish("three", {"type": live.QUOTE_TICKED, "n": 4})
    assert (await receive(receiver))["n"] == 4


async def test_a_receiver_that_is_closed_joins_nothing(receiver):
    await receiver.close()

    with pytest.raises(RuntimeError):
        await receiver.join_many(["one"])
