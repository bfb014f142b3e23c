"""Many who ask for the same kind of thing at the same moment are answered together: one question for all.

While one question is on its way, whoever comes meanwhile waits for the next; so the batches grow by themselves
with the load, and nobody waits for a timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from core.loops import Tasks

K = TypeVar("K")
V = TypeVar("V")

LARGEST = 500


class Batched(Generic[K, V]):
    """`ask_many` answers each key in its place: a value, or an exception, which is raised for that one only.

    What it raises itself is raised for all of the batch. One per event loop.
    """

    def __init__(
        self,
        ask_many: Callable[[Sequence[K]], Awaitable[Sequence[V | BaseException]]],
        largest: int = LARGEST,
    ) -> None:
        self._ask_many = ask_many
        self._largest = largest
        self._waiting: list[tuple[K, asyncio.Future[V]]] = []
        self._tasks = Tasks()
        self._running = False

    async def ask(self, key: K) -> V:
        answer: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, answer))
        if not self._running:
            self._running = True
            self._tasks.start(self._run())
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(0)  # whoever is ready in this turn of the loop comes along
                batch, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
                await self._answer([one for one in batch if not one[1].done()])
        except BaseException:  # the loop ends: nobody will answer those who came meanwhile
            waiting, self._waiting = self._waiting, []
            for _, answer in waiting:
                answer.cancel()
            raise
        finally:
            self._running = False

    async def _answer(self, batch: list[tuple[K, asyncio.Future[V]]]) -> None:
        if not batch:
            return
        try:
            answers = await self._ask_many([key for key, _ in batch])
            if len(answers) != len(batch):
                raise ValueError(f"{len(answers)} answers to {len(batch)} questions")  # noqa: TRY301 -- likewise
        except Exception as error:  # noqa: BLE001 -- handed to whoever asked
            answers = [error] * len(batch)
        except BaseException:
            for _, answer in batch:
                answer.cancel()
            raise
        for (_, answer), value in zip(batch, answers, strict=True):
            _settle(answer, value)


def _settle(answer: asyncio.Future[V], value: V | BaseException) -> None:
    if answer.done():
        return  # whoever asked is gone
    if isinstance(value, BaseException):
        answer.set_exception(value)
    else:
        answer.set_result(value)
