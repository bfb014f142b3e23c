"""What Redis is told to stream: only what really does, at an open connection.

What is lost is taken out, so that it is polled meanwhile. What streams again has missed something: it counts as
streaming when that has been made up for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any

from core.redis import async_client
from marketdata.tape import openset


class Saying:
    """`refresh` looks up the current quotes of symbols; `changed` asks for `say` to be called soon."""

    def __init__(
        self,
        shard: int,
        epoch: int,
        refresh: Callable[[Collection[str]], Awaitable[None]],
        start: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.changed = asyncio.Event()
        self._shard, self._epoch, self._refresh, self._start = shard, epoch, refresh, start
        self._one_at_a_time = asyncio.Lock()
        self._said: set[str] = set()
        self._lost: set[str] = set()
        self._returning: set[str] = set()

    async def say(self, streaming: Collection[str], wanted: Collection[str]) -> bool:
        """Tell what has changed since; False when a newer owner has spoken. Raises RedisError."""
        async with self._one_at_a_time:
            back = self._lost & set(streaming) - self._returning
            if back:
                self._returning |= back
                self._start(self._come_back(back))
            now = set(streaming) - self._returning
            added, dropped = now - self._said, self._said - now
            self._lost = (self._lost | dropped) & set(wanted)
            if not added and not dropped:
                return True
            return await self._write(now, added, dropped, lost=dropped & set(wanted))

    async def say_all(self, streaming: Collection[str]) -> bool:
        """The same for a Redis of which it is not known what it holds."""
        async with self._one_at_a_time:
            now = set(streaming) - self._returning
            left_behind = await openset.said_open(async_client(), self._shard) - now
            return await self._write(now, now, left_behind, lost=left_behind)

    async def _write(self, now: set[str], added: set[str], dropped: set[str], *, lost: set[str]) -> bool:
        written = await openset.write_open(
            async_client(), self._shard, added, epoch=self._epoch, drop=dropped, lost=lost
        )
        if written:
            self._said = now
        return written

    async def _come_back(self, symbols: set[str]) -> None:
        await self._refresh(symbols)
        self._returning -= symbols
        self._lost -= symbols
        self.changed.set()
