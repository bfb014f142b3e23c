from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from accounts.credentials import Login
from core.redis import client, close_async_client
from subscriptions import connections, granting
from subscriptions.connections import FORGOTTEN_AFTER_S, Connections, alive_key, key_of
from subscriptions.errors import Refused
from subscriptions.hub import hub
from tests.outages import redis_away
from tests.subscriptions.conftest import PATIENCE_S

LIMIT = 10
LONG_S = 60


@pytest.fixture(autouse=True)
async def empty_redis(monkeypatch) -> AsyncIterator[None]:
    monkeypatch.setattr(connections, "PROCESS_LIVES_S", LONG_S)  # no process dies of a busy machine
    client().flushall()
    yield
    await close_async_client()


@pytest.fixture
def user() -> uuid.UUID:
    return uuid.uuid4()


async def enter(process: Connections, user: uuid.UUID, times: int = 1, limit: int = LIMIT) -> list[str]:
    """Those that were let in."""
    found = await process.enter([(user, limit)] * times)
    assert len(found) == times
    return [member for member in found if member]


def counted(user: uuid.UUID) -> set[str]:
    return {member.decode() for member in client().smembers(key_of(user))}


@asynccontextmanager
async def away() -> AsyncIterator[None]:
    """Redis, also for the client that this loop holds."""
    await close_async_client()
    with redis_away():
        yield
        await close_async_client()


# --- exact, whoever comes together


async def test_of_fifty_who_come_at_once_to_two_processes_exactly_the_limit_is_let_in(user):
    processes = Connections(), Connections()

    found = await asyncio.gather(*(enter(processes[number % 2], user) for number in range(50)))

    inside = {member for one in found for member in one}
    assert (len(inside), counted(user)) == (LIMIT, inside)


async def test_fifty_in_one_question_are_counted_as_fifty(user):
    inside = await enter(Connections(), user, 50)
    assert (len(inside), counted(user)) == (LIMIT, set(inside))


async def test_who_leaves_makes_room_for_one(user):
    process = Connections()
    inside = await enter(process, user, LIMIT)
    await process.leave(inside[:3])
    assert len(await enter(process, user, 50)) == 3


async def test_users_do_not_count_for_each_other(user):
    process, other = Connections(), uuid.uuid4()
    found = await process.enter([(user, 2), (other, 1), (user, 2), (other, 1), (user, 2)])
    assert [member is not None for member in found] == [True, True, True, False, False]


async def test_a_place_is_given_back_once(user):
    process = Connections()
    inside = await enter(process, user, LIMIT)
    for _ in range(3):
        await process.leave(inside[:1])
    assert len(counted(user)) == LIMIT - 1
    await process.leave(["nobody:1"])


# --- processes die, and Redis forgets


async def test_those_of_a_dead_process_count_no_more_when_its_sign_of_life_has_run_out(user):
    dead, alive = Connections(), Connections()
    await enter(dead, user, LIMIT)
    assert await enter(alive, user) == []
    assert 0 < client().pttl(alive_key(dead.process)) <= LONG_S * 1000

    client().delete(alive_key(dead.process))  # as time does

    assert len(await enter(alive, user, 50)) == LIMIT
    assert {member.partition(":")[0] for member in counted(user)} == {alive.process}


async def test_a_process_that_stood_still_for_too_long_writes_its_own_down_with_the_next_beat(user):
    stood_still, other = Connections(), Connections()
    inside = await enter(stood_still, user, LIMIT)
    client().delete(alive_key(stood_still.process))
    (passing,) = await enter(other, user)
    await other.leave([passing])
    assert counted(user) == set()

    await stood_still.beat()

    assert counted(user) == set(inside)
    assert await enter(other, user) == []


async def test_after_flushall_one_beat_makes_the_limit_hold_again_everywhere(user):
    processes = Connections(), Connections()
    for process in processes:
        await enter(process, user, 5)
    client().flushall()
    for process in processes:
        await process.beat()
    assert await enter(processes[0], user) == await enter(processes[1], user) == []
    assert len(counted(user)) == LIMIT


async def test_an_ordinary_beat_writes_one_key(user):
    process = Connections()
    await enter(process, user)
    client().delete(key_of(user))
    await process.beat()
    assert counted(user) == set()
    await process.write_down()
    assert len(counted(user)) == 1


async def test_who_was_refused_here_takes_no_place_elsewhere(user):
    """Redis has forgotten, and would let in whom this process refuses."""
    process = Connections()
    inside = await enter(process, user, LIMIT)
    client().flushall()
    assert await enter(process, user, 5) == []
    await process.beat()
    assert counted(user) == set(inside)


async def test_nothing_outlives_the_processes(user):
    process = Connections()
    await enter(process, user)
    await process.write_down()
    for key in client().keys("*"):
        assert 0 < client().ttl(key) <= FORGOTTEN_AFTER_S


async def test_who_goes_while_all_are_written_down_is_not_written_down(user):
    process = Connections()
    inside = await enter(process, user, LIMIT)
    writing = asyncio.create_task(process.write_down())
    await asyncio.sleep(0)  # its question is made
    process._mine.pop(inside[0])
    client().srem(key_of(user), inside[0])
    await writing
    assert counted(user) == set(inside[1:])


# --- Redis is away


async def test_while_redis_is_away_the_limit_of_this_process_holds(user):
    process = Connections()
    async with away():
        assert len(await enter(process, user, 50)) == LIMIT
        assert await enter(process, user) == []
    assert counted(user) == set()


async def test_who_left_while_redis_was_away_counts_no_more_when_it_is_back(user):
    process, other = Connections(), Connections()
    inside = await enter(process, user, LIMIT)
    async with away():
        await process.leave(inside[:4])
    assert len(counted(user)) == LIMIT

    await process.beat()

    assert counted(user) == set(inside[4:])
    assert len(await enter(other, user, 50)) == 4


async def test_many_are_written_down_without_holding_up_the_loop():
    process = Connections()
    people = [uuid.uuid4() for _ in range(3_000)]
    await process.enter([(one, 1) for one in people])
    client().flushall()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    await process.write_down()
    counting.cancel()
    assert client().exists(*map(key_of, people)) == 3_000
    assert turns > 6  # somebody else had a turn between any two five hundred


# --- places of a login


async def test_somebody_who_went_while_the_place_was_asked_for_keeps_none(user):
    login = Login(user, "free")
    asking = asyncio.create_task(granting.enter(login))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    await granting.enter(Login(uuid.uuid4(), "free"))  # answered after the one that nobody waits for
    async with asyncio.timeout(PATIENCE_S):
        while hub().connections.count > 1 or counted(user):
            await asyncio.sleep(0.01)
    assert len(await asyncio.gather(*(granting.enter(login) for _ in range(LIMIT)))) == LIMIT


async def test_the_eleventh_of_a_free_account_is_told_how_many_there_may_be(user):
    login = Login(user, "free")
    places = [await granting.enter(login) for _ in range(LIMIT)]
    with pytest.raises(Refused, match="room for 10 live connections") as refused:
        await granting.enter(login)
    assert refused.value.code == "connection_limit"
    await granting.leave(places[0])
    assert await granting.enter(login)


async def test_a_hub_that_is_gone_leaves_no_desk_behind():
    before = len(granting._desks)
    await granting.enter(Login(uuid.uuid4(), "free"))
    assert granting._desk() is granting._desk()
    assert len(granting._desks) <= before + 1
