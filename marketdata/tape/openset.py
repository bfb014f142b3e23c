"""What the tape says about itself in Redis: which symbols stream, and that their owner is alive."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

import redis
import redis.asyncio
from redis.exceptions import RedisError

from core import clock, metrics
from core.redis import client
from marketdata.cache import BEATS_KEY, LOST_KEY, STREAMING_KEY, alive_shards, decode
from marketdata.quotes import Quote

SHARDS_KEY = "tape:shards"
# By then any price is as old as its own age says, whatever became of its stream.
LOST_KEPT_US = 86_400_000_000
# A beat is the time of Redis: who reads it compares it with the same clock. It tells at the same stroke whether there
# was one before: asked a moment earlier, a Redis that is emptied in between would never be noticed.
BEAT = """
local known = tonumber(redis.call('GET', KEYS[2]) or 0)
if known > tonumber(ARGV[2]) then return {known, 0} end
local time, had_beaten = redis.call('TIME'), redis.call('HEXISTS', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d.%06d', time[1], time[2]))
redis.call('SET', KEYS[3], ARGV[3])
return {known, had_beaten}
"""
NEVER_TOO_OLD = 2**53
# Fenced like the quotes: a former owner that wakes up late must not take the symbols of the newer one out of the list.
# Nor are those touched that another shard has said since.
WRITE_OPEN = """
local streaming, lost_key, shard, at = KEYS[1], KEYS[2], ARGV[2], ARGV[3]
if tonumber(redis.call('GET', KEYS[3]) or 0) > tonumber(ARGV[1]) then return 0 end
local position = 4
local function each(change)
  local count = tonumber(ARGV[position])
  for i = position + 1, position + count do change(ARGV[i]) end
  position = position + count + 1
end
local function is_ours(symbol) return redis.call('HGET', streaming, symbol) == shard end
each(function(symbol) if is_ours(symbol) then redis.call('HSET', lost_key, symbol, at) end end)
each(function(symbol) if is_ours(symbol) then redis.call('HDEL', streaming, symbol) end end)
each(function(symbol)
  redis.call('HSET', streaming, symbol, shard)
  redis.call('HDEL', lost_key, symbol)
end)
return 1
"""


def epoch_key(shard: int) -> str:
    return f"tape:epoch:{shard}"


def inbox_key(shard: int) -> str:
    """The stream through which quotes that were fetched, not streamed, reach the owner."""
    return f"tape:in:{shard}"


def streaming(symbols: Sequence[str]) -> set[str] | None:
    """Those of the symbols that a living owner streams now; None when Redis cannot tell."""
    if not symbols:
        return set()
    try:
        pipe = client().pipeline(transaction=False)
        pipe.hmget(STREAMING_KEY, symbols)
        pipe.hgetall(BEATS_KEY)
        pipe.time()
        shards, beats, now = pipe.execute()
    except RedisError:
        metrics.redis_failures.labels(used_by="openset").inc()
        return None
    alive = alive_shards(beats, now)
    return {symbol for symbol, shard in zip(symbols, shards, strict=True) if shard in alive}


async def said_open(redis_client: redis.asyncio.Redis, shard: int) -> set[str]:
    """The symbols that Redis lists for this shard, a former owner's included; raises RedisError."""
    listed: dict[Any, Any] = await redis_client.hgetall(STREAMING_KEY)
    return {symbol.decode() for symbol, owner in listed.items() if owner == str(shard).encode()}


async def write_open(
    redis_client: redis.asyncio.Redis,
    shard: int,
    symbols: Collection[str],
    *,
    epoch: int,
    drop: Collection[str | bytes] = (),
    lost: Collection[str] = (),
) -> bool:
    """Say which symbols this shard streams, forget the dropped ones, date the lost among them; raises RedisError.

    False when a newer owner has spoken: then nothing is changed.
    """
    counts_and_symbols: list[str | bytes | int] = []
    for some in (lost, drop, symbols):
        counts_and_symbols += [len(some), *some]
    keys = (STREAMING_KEY, LOST_KEY, epoch_key(shard))
    return bool(
        await redis_client.eval(
            WRITE_OPEN, len(keys), *keys, epoch, shard, clock.now_us(), *counts_and_symbols
        )
    )


async def beat(
    redis_client: redis.asyncio.Redis, shard: int, of: int, epoch: int = NEVER_TOO_OLD
) -> tuple[int, bool]:
    """Say that the owner of this shard is alive, and how many shards there are; not if a newer owner has spoken.

    (the highest epoch that Redis knows of the shard, whether it knew of a beat before); raises RedisError.
    """
    keys = (BEATS_KEY, epoch_key(shard), SHARDS_KEY)
    known, had_beaten = await redis_client.eval(BEAT, len(keys), *keys, shard, epoch, of)
    return int(known), bool(had_beaten)


async def beats(redis_client: redis.asyncio.Redis, shard: int) -> bool:
    """Whether an owner of this shard has beaten lately; raises RedisError."""
    pipe = redis_client.pipeline(transaction=False)
    pipe.hgetall(BEATS_KEY)
    pipe.time()
    known, now = await pipe.execute()
    return str(shard).encode() in alive_shards(known, now)


async def leave(redis_client: redis.asyncio.Redis, shard: int) -> None:
    """The owner goes: nobody need wait for the missed beats."""
    await redis_client.hdel(BEATS_KEY, str(shard))


async def prune(redis_client: redis.asyncio.Redis, of: int, *, epoch: int) -> None:
    """Forget the shards that are no more, and ends of streams that are too long ago to matter; raises RedisError."""
    pipe = redis_client.pipeline(transaction=False)
    for key in (BEATS_KEY, STREAMING_KEY, LOST_KEY):
        pipe.hgetall(key)
    pipe.time()
    known, listed, lost, now = await pipe.execute()
    gone = {shard for shard in {*known, *listed.values()} if int(shard) >= of} - alive_shards(known, now)
    for shard in gone:
        theirs = [symbol for symbol, owner in listed.items() if owner == shard]
        await write_open(redis_client, int(shard), (), epoch=epoch, drop=theirs)
        await redis_client.hdel(BEATS_KEY, shard)
        await redis_client.delete(inbox_key(int(shard)))
    if old := [symbol for symbol, us in lost.items() if int(us) < clock.now_us() - LOST_KEPT_US]:
        await redis_client.hdel(LOST_KEY, *old)


def shards(redis_client: redis.Redis) -> int:
    """How many shards the tape has, as its owners say; 0 when none has said anything. Raises RedisError."""
    return int(redis_client.get(SHARDS_KEY) or 0)


async def fetched(redis_client: redis.asyncio.Redis, shard: int, block_ms: int) -> AsyncIterator[Quote]:
    """The quotes that are handed over to the owner from now on; raises RedisError."""
    # Where the stream stands now: "$" would skip what comes in between two reads.
    seconds, microseconds = await redis_client.time()
    position: bytes | str = f"{seconds}{microseconds // 1000:03}-0"
    while True:
        answer: Any = await redis_client.xread({inbox_key(shard): position}, block=block_ms)
        for entry_id, fields in entries(answer):
            position = entry_id
            yield decode(fields[b"q"])


def entries(answer: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """The entries of a read of one stream; redis-py answers a list or a dict, as the protocol version has it."""
    if not answer:
        return []
    found = next(iter(answer.values()))[0] if isinstance(answer, dict) else answer[0][1]
    return list(found)
