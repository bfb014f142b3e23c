"""What a term says: one turn of the conflator after the other, published and kept for PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

from redis.exceptions import RedisError

from core import clock, live, metrics
from marketdata.cache import LATEST_KEY
from marketdata.quotes import Tick
from marketdata.tape.conflation import Conflator
from marketdata.tape.history import History
from marketdata.tape.openset import epoch_key
from marketdata.tape.publish import publish_closed_bars
from marketdata.tape.writing import Said, Writer


class Outlet:
    """Each of `say_…` answers False when a newer owner has spoken, and raises RedisError."""

    def __init__(self, shard: int, epoch: int, conflator: Conflator, history: History, turn_s: float) -> None:
        self.writer = Writer(epoch)
        self._turn_s, self._turn_began = turn_s, clock.monotonic()
        self._shard, self._epoch = shard, epoch
        self._conflator, self._history = conflator, history
        self._latest: dict[str, Tick] = {}

    async def say_next(self) -> bool:
        """The turns that have gone by since the last call."""
        numbered = self._conflator.drain(self._turns_gone_by())
        return not numbered or await self._say(numbered)

    async def say_all(self) -> bool:
        """All that waits, at the end."""
        numbered = self._conflator.drain_all()
        return not numbered or await self._say(numbered)

    async def say_epoch(self) -> bool:
        return await self._publish([])

    async def say_closed_bars(self) -> bool:
        bars = self._history.closings.take(clock.now_us())
        return not bars or await publish_closed_bars(bars, shard=self._shard, epoch=self._epoch)

    def repeat(self) -> None:
        """For a Redis that has forgotten: what was said last of each symbol, unless something newer waits."""
        for tick in self._latest.values():
            self._conflator.put_missing(replace(tick, size=0, rebased=False))

    def forget(self, symbols: Collection[str]) -> None:
        """What is not wanted any more need not be repeated."""
        for symbol in symbols:
            self._latest.pop(symbol, None)

    def _turns_gone_by(self) -> int:
        """At least one. What was rounded off counts in the next call, or the turns of a second would not be as many."""
        now = clock.monotonic()
        turns = max(1, round((now - self._turn_began) / self._turn_s))
        self._turn_began = min(self._turn_began + turns * self._turn_s, now + self._turn_s / 2)
        return turns

    async def _say(self, numbered: Sequence[tuple[Tick, int]]) -> bool:
        """What fails counts as said for PostgreSQL all the same; it comes again with another number."""
        now = clock.now()
        for tick, number in numbered:
            self._latest[tick.symbol] = tick
            self._history.add_said(Said(tick, number, now))
        try:
            published = await self._publish(self.writer.updates(numbered, now))
        except (RedisError, asyncio.CancelledError):  # what was cut off, a stop says again
            self._conflator.put_back(numbered)
            raise
        if published:
            metrics.quotes_published.inc(len(numbered))
        return published

    async def _publish(self, updates: Sequence[live.Update]) -> bool:
        return await live.publish_many(
            updates, epoch=self._epoch, epoch_key=epoch_key(self._shard), latest_key=LATEST_KEY
        )
