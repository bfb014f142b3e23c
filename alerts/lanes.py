"""Threads for one kind of work: the most urgent job is next, and threads that have nothing to do end by themselves."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable
from itertools import count

IDLE_S = 5.0

Job = Callable[[], None]


class Lane:
    """Up to so many threads. A job may not raise; the threads are daemons and hold up no process that ends."""

    def __init__(self, name: str, threads: int) -> None:
        self._name = name
        self._most = threads
        self._jobs: list[tuple[int, int, Job]] = []
        self._numbers = count()
        self._changed = threading.Condition()
        self._running = 0
        self._idle = 0

    def submit(self, jobs: Iterable[tuple[int, Job]]) -> None:
        """All of them before any begins; the lower the number, the sooner, in the order of coming among equals."""
        with self._changed:
            for priority, job in jobs:
                heapq.heappush(self._jobs, (priority, next(self._numbers), job))
            more = max(0, min(self._most - self._running, len(self._jobs) - self._idle))
            self._running += more
            self._changed.notify(len(self._jobs))
        for _ in range(more):
            threading.Thread(target=self._work, name=f"deliver-{self._name}", daemon=True).start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            job()

    def _next(self) -> Job | None:
        """None: there was nothing for a while, and this thread is counted no more."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: bool(self._jobs), timeout=IDLE_S)
            self._idle -= 1
            if self._jobs:
                return heapq.heappop(self._jobs)[2]
            self._running -= 1
            return None
