"""Tasks that live and die together, and that end for certain."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

# A library may swallow a cancellation that comes at a bad moment (measured: redis-py while it connects, and
# asyncio.wait_for before Python 3.12); whoever is still running after this long is cancelled again.
CANCEL_AGAIN_S = 0.5


class Tasks:
    """Keeps strong references, since the loop alone would let a running task be collected, without a word."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._failed = asyncio.Event()
        self._error: BaseException | None = None

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and self._error is None:
            self._error = error
            self._failed.set()

    async def run_until(self, stop: asyncio.Event) -> None:
        """Return when `stop` is set; raise the first failure of a task. Either way all tasks have ended."""
        waits = [asyncio.ensure_future(event.wait()) for event in (stop, self._failed)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await self.cancel()
        if self._error is not None:
            raise self._error

    async def cancel(self) -> None:
        """Cancel all tasks, again and again, until they have ended."""
        while self._running:
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running, timeout=CANCEL_AGAIN_S)
