"""What an owner does again and again; a dead dependency is counted and waited for, anything else ends the term."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from redis.exceptions import RedisError

from core import clock, metrics
from core.outages import OUTAGES, outage_of

logger = logging.getLogger(__name__)

# Which of them mean that a server is away, `outage_of` decides.
STEP_ERRORS: tuple[type[Exception], ...] = (*OUTAGES, RedisError)
# Woken without a rest it looked at the whole demand all the time, and people could watch half as much per second.
REST_SHARE, LONGEST_REST_S = 4, 0.25
AGAIN_AFTER_S = 0.5

Step = Callable[[], Awaitable[None]]


async def wait(event: asyncio.Event, seconds: float) -> None:
    # Not wait_for: before Python 3.12 it swallows a cancellation that comes together with the event.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class Steps:
    """Of the term `name`; `redis_failed` is told when Redis was the dependency."""

    def __init__(self, name: str, redis_failed: Callable[[], None]) -> None:
        self._name, self._redis_failed = name, redis_failed

    async def every(self, seconds: float, step: Step, wake: asyncio.Event | None = None) -> None:
        """On a steady beat; what a dead dependency stopped is tried again on the next one.

        A wake-up comes before the beat, but not before the step has rested several times as long as it took.
        """
        while True:
            began = clock.monotonic()
            if wake is not None:
                wake.clear()
            await self.attempt(step)
            took = clock.monotonic() - began
            pause = max(0.01, seconds - took)
            if wake is not None:
                rest = min(pause, took * REST_SHARE, LONGEST_REST_S)
                await asyncio.sleep(rest)
                await wait(wake, pause - rest)
            else:
                await asyncio.sleep(pause)

    async def forever(self, step: Step) -> None:
        while True:
            await self.attempt(step, pause_s=AGAIN_AFTER_S)

    async def attempt(self, step: Step, *, pause_s: float = 0.0) -> None:
        """Once; `pause_s`: how long to leave a dead dependency alone."""
        try:
            await step()
        except STEP_ERRORS as error:
            if outage_of(error) is None:
                raise
            if isinstance(error, RedisError):
                self._redis_failed()
            metrics.tape_step_failures.labels(step=step.__name__.strip("_")).inc()
            logger.warning("tape %s: %s failed: %s", self._name, step.__name__, type(error).__name__)
            await asyncio.sleep(pause_s)
