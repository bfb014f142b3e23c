from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from core import metrics
from core.redis import async_client, client, close_async_client
from marketdata import cache
from marketdata.cache import BEATS_KEY, LOST_KEY, STREAMING_KEY
from marketdata.tape import openset, owner
from tests.outages import redis_away

MISSED_AFTER_S = cache.BEAT_MISSED_AFTER_S


@pytest.fixture(autouse=True)
async def redis(monkeypatch) -> AsyncIterator:
    client().flushall()
    monkeypatch.setattr(cache, "BEAT_MISSED_AFTER_S", 30.0)  # no owner dies of a busy machine
    yield async_client()
    await close_async_client()


async def test_what_a_living_owner_opened_streams(redis):
    await openset.write_open(redis, 0, {"AAPL", "MSFT"}, epoch=1)
    assert openset.streaming(["AAPL"]) == set()

    await openset.beat(redis, 0, 1)
    assert openset.streaming(["AAPL", "MSFT", "NVDA"]) == {"AAPL", "MSFT"}

    await openset.leave(redis, 0)
    assert openset.streaming(["AAPL"]) == set()


async def test_an_owner_that_missed_three_beats_is_dead(redis, monkeypatch):
    assert MISSED_AFTER_S == 3 * owner.BEAT_EVERY_S
    monkeypatch.setattr(cache, "BEAT_MISSED_AFTER_S", 100 * MISSED_AFTER_S)
    await openset.write_open(redis, 0, {"AAPL"}, epoch=1)
    client().hset(BEATS_KEY, "0", str(time.time() - 250))
    assert openset.streaming(["AAPL"]) == {"AAPL"}

    client().hset(BEATS_KEY, "0", str(time.time() - 301))
    assert openset.streaming(["AAPL"]) == set()


async def test_a_host_whose_clock_is_wrong_is_alive_all_the_same(redis, monkeypatch):
    right = time.time()
    monkeypatch.setattr(time, "time", lambda: right - 3600)
    await openset.write_open(redis, 0, {"AAPL"}, epoch=1)
    await openset.beat(redis, 0, 1)
    monkeypatch.setattr(time, "time", lambda: right + 3600)

    assert openset.streaming(["AAPL"]) == {"AAPL"}


async def test_each_shard_speaks_for_its_own_symbols(redis):
    await openset.write_open(redis, 0, {"AAPL"}, epoch=1)
    await openset.write_open(redis, 1, {"MSFT"}, epoch=1)
    await openset.beat(redis, 1, 2)

    assert openset.streaming(["AAPL", "MSFT"]) == {"MSFT"}
    assert openset.shards(client()) == 2
    assert await openset.said_open(redis, 0) == {"AAPL"}


async def test_dropped_symbols_are_forgotten(redis):
    await openset.write_open(redis, 0, {"AAPL", "MSFT"}, epoch=1)
    await openset.write_open(redis, 0, {"MSFT"}, epoch=1, drop={"AAPL"})
    await openset.write_open(redis, 0, set(), epoch=1, drop=set())

    assert client().hgetall(STREAMING_KEY) == {b"MSFT": b"0"}


async def test_a_former_owner_changes_nothing_in_what_its_successor_says(redis):
    client().set(openset.epoch_key(0), 7)
    assert await openset.write_open(redis, 0, {"AAPL"}, epoch=7)

    assert not await openset.write_open(redis, 0, {"OLD"}, epoch=6, drop={"AAPL"}, lost={"AAPL"})

    assert client().hgetall(STREAMING_KEY) == {b"AAPL": b"0"}
    assert not client().exists(LOST_KEY)


async def test_what_another_shard_streams_by_now_is_not_dropped(redis):
    await openset.write_open(redis, 0, {"AAPL", "MSFT"}, epoch=1)
    await openset.write_open(redis, 1, {"AAPL"}, epoch=2)

    await openset.write_open(redis, 0, set(), epoch=1, drop={"AAPL", "MSFT"}, lost={"AAPL", "MSFT"})

    assert client().hgetall(STREAMING_KEY) == {b"AAPL": b"1"}
    assert client().hkeys(LOST_KEY) == [b"MSFT"]


async def test_what_streams_again_is_not_lost_any_more(redis):
    await openset.write_open(redis, 0, {"AAPL"}, epoch=1)
    await openset.write_open(redis, 0, set(), epoch=1, drop={"AAPL"}, lost={"AAPL"})
    assert client().hkeys(LOST_KEY) == [b"AAPL"]

    await openset.write_open(redis, 0, {"AAPL"}, epoch=1)

    assert not client().exists(LOST_KEY)


async def test_a_beat_tells_whether_redis_knew_of_one_before(redis):
    assert await openset.beat(redis, 0, 1, epoch=7) == (0, False)

    client().set(openset.epoch_key(0), 7)
    assert await openset.beat(redis, 0, 1, epoch=7) == (7, True)
    client().flushall()
    assert await openset.beat(redis, 0, 1, epoch=7) == (0, False)


async def test_nobody_hears_the_beat_of_a_former_owner(redis):
    client().set(openset.epoch_key(0), 8)

    assert (await openset.beat(redis, 0, 1, epoch=7))[0] == 8

    assert not client().exists(BEATS_KEY, openset.SHARDS_KEY)


def test_nobody_can_tell_while_redis_is_away():
    before = metrics.redis_failures.labels(used_by="openset")._value.get()
    with redis_away():
        assert openset.streaming(["AAPL"]) is None
        assert openset.streaming([]) == set()
    assert metrics.redis_failures.labels(used_by="openset")._value.get() == before + 1


def test_without_owners_there_are_no_shards():
    assert openset.shards(client()) == 0


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (None, []),
        ([], []),
        ({}, []),
        ([[b"k", [(b"1-0", {b"q": b"x"})]]], [(b"1-0", {b"q": b"x"})]),
        ({b"k": [[(b"1-0", {b"q": b"x"})]]}, [(b"1-0", {b"q": b"x"})]),
    ],
)
def test_entries_are_found_in_both_forms_of_the_answer(answer, found):
    assert openset.entries(answer) == found


async def test_a_shard_of_another_number_that_still_beats_is_left_alone(redis):
    await openset.beat(redis, 1, 2)
    await openset.write_open(redis, 1, ["AAPL"], epoch=3)

    await openset.prune(redis, 1, epoch=4)

    assert (client().hkeys(BEATS_KEY), client().hgetall(STREAMING_KEY)) == ([b"1"], {b"AAPL": b"1"})


async def test_a_former_shard_whose_symbol_another_has_said_since_takes_nothing_along(redis):
    await openset.write_open(redis, 1, ["AAPL", "MSFT"], epoch=3)
    await openset.write_open(redis, 0, ["AAPL"], epoch=4)
    client().hset(BEATS_KEY, "1", client().time()[0] - 60)

    await openset.prune(redis, 1, epoch=4)

    assert (client().hkeys(BEATS_KEY), client().hgetall(STREAMING_KEY)) == ([], {b"AAPL": b"0"})
