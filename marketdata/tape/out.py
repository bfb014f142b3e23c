"""Every believed tick and every correction on its way to the stream that alerts read, in batches; see `accepted`.

A batch is closed when it is written, some milliseconds after its first tick, or before a correction that comes after
a tick. While Redis is away batches wait, as many as may; of those that are too many the oldest are dropped, which
readers notice by the numbers. A write whose answer got lost is done again, so a batch may be there twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, NamedTuple

from core import clock, metrics
from core.redis import async_client
from marketdata.accepted import encode_ticks, fields_of, key_of
from marketdata.quotes import Correction, Tick
from marketdata.tape.openset import epoch_key

# So long the first tick of a batch waits for others; with the way to Redis that is less than 10 ms.
GATHER_S = 0.005
# Of one batch, so that no reader gets more at once than it can work off; and of the batches of one call.
MOST_TICKS = 5_000
LARGEST_CALL = 1_000_000
# What waits for Redis.
LONGEST_WAIT_US, MOST_WAITING = 30_000_000, 64_000_000
# What is kept for readers that were away, and of a Redis with a limit at most this share for all shards together.
KEPT_S, MOST_KEPT, SHARE_OF_REDIS = 120, 64_000_000, 4
# How often that is looked at, and to how much of it the stream is trimmed, or it would be done each time.
TRIM_EVERY_S, TRIMMED_TO = 1.0, 0.9

# Atomic, so that of one call all batches are there or none. ARGV: epoch, seconds to keep; of each batch its fields.
WRITE = """
if tonumber(redis.call('GET', KEYS[2]) or 0) > tonumber(ARGV[1]) then return 0 end
for i = 3, #ARGV, 8 do
  redis.call('XADD', KEYS[1], '*', unpack(ARGV, i, i + 7))
end
local oldest = redis.call('TIME')[1] - ARGV[2]
redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%d-0', oldest * 1000))
return 1
"""


class _Closed(NamedTuple):
    number: int
    at_us: int
    body: bytes


class Out:
    """Of one term: numbers begin at 1. The newest are kept whatever happens to Redis."""

    def __init__(self, shard: int, shards: int, epoch: int) -> None:
        self._shard, self._shards, self._epoch = shard, shards, epoch
        self._ticks: list[Tick] = []
        self._received: list[int] = []
        self._corrections: list[Correction] = []
        self._number = self._last_us = 0
        self._closed: deque[_Closed] = deque()
        self._bytes = 0
        self._waits = asyncio.Event()
        self._trim_at = clock.monotonic()

    def put(self, tick: Tick, received_us: int) -> None:
        """Believed, in the order of the calls.

        No two are received at the same microsecond: readers tell earlier from later by it, also within one frame.
        """
        received_us = self._last_us = max(received_us, self._last_us + 1)
        if not self._ticks:
            self._waits.set()
        self._ticks.append(tick)
        self._received.append(received_us)
        if len(self._ticks) >= MOST_TICKS:
            self._close(received_us)

    def put_correction(self, correction: Correction, received_us: int) -> None:
        if self._ticks:
            self._close(received_us)
        self._corrections.append(correction)
        self._waits.set()

    async def write(self) -> bool:
        """All that waits; False when a newer owner has spoken. Raises RedisError."""
        self._waits.clear()
        self._close(clock.now_us())
        try:
            while self._closed:
                if not await self._write(self._next()):
                    return False
        finally:
            if self._closed:
                self._waits.set()
        if clock.monotonic() >= self._trim_at:
            self._trim_at = clock.monotonic() + TRIM_EVERY_S
            await self._trim()
        return True

    async def write_next(self) -> bool:
        """The same as soon as there is something."""
        await self._waits.wait()
        await asyncio.sleep(GATHER_S)
        return await self.write()

    async def _trim(self) -> None:
        """By what the stream takes of Redis's memory; by age it is trimmed with each write. Raises RedisError."""
        key, pipe = key_of(self._shard), async_client().pipeline(transaction=False)
        pipe.memory_usage(key, samples=0)  # of a few thousand entries; a sample would be far off after a rush
        pipe.xlen(key)
        pipe.info("memory")
        used, entries, memory = await pipe.execute()
        most = _most_kept(memory, self._shards)
        if used and used > most:
            await async_client().xtrim(key, maxlen=int(entries * most / used * TRIMMED_TO), approximate=False)

    def _close(self, now_us: int) -> None:
        if not self._ticks and not self._corrections:
            return
        self._number += 1
        body = encode_ticks(self._ticks, self._received, self._corrections)
        self._ticks, self._received, self._corrections = [], [], []
        self._closed.append(_Closed(self._number, max(now_us, self._last_us), body))
        self._bytes += len(body)
        self._drop_oldest(now_us)

    def _drop_oldest(self, now_us: int) -> None:
        oldest_us = now_us - LONGEST_WAIT_US
        while self._closed[0].at_us < oldest_us or self._bytes > MOST_WAITING:
            self._forget_first()
            metrics.tape_batches_dropped.inc()

    def _forget_first(self) -> None:
        self._bytes -= len(self._closed.popleft().body)

    def _next(self) -> list[_Closed]:
        """As many of the oldest as one call may take, but one at least."""
        some: list[_Closed] = []
        size = 0
        for batch in self._closed:
            size += len(batch.body)
            if some and size > LARGEST_CALL:
                break
            some.append(batch)
        return some

    async def _write(self, some: list[_Closed]) -> bool:
        keys = (key_of(self._shard), epoch_key(self._shard))
        arguments: list[Any] = []
        for batch in some:
            for name, value in fields_of(self._epoch, *batch).items():
                arguments += [name, value]
        if not await async_client().eval(WRITE, len(keys), *keys, self._epoch, KEPT_S, *arguments):
            return False
        # Others may have been dropped meanwhile, of these as well.
        while self._closed and self._closed[0].number <= some[-1].number:
            self._forget_first()
        return True


def _most_kept(memory: dict[str, Any], shards: int) -> int:
    limit = int(memory.get("maxmemory") or 0)
    return min(MOST_KEPT, limit // SHARE_OF_REDIS // shards) if limit else MOST_KEPT
