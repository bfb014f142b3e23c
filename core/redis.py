"""Redis clients with explicit time-outs, and a cache that degrades to a miss. Anything in Redis can vanish.

A Redis that is silent, not gone, would cost everybody the whole time-out at each step. So one time-out is enough: for
a second the client refuses at once, then one caller looks with a short time-out whether it answers again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, TypeVar

import redis
import redis.asyncio
from django.conf import settings
from django.core.cache.backends.redis import RedisCache
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ConstantBackoff
from redis.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from core import clock, metrics

logger = logging.getLogger(__name__)
T = TypeVar("T")

# A Redis that is away must cost a reader milliseconds: one quick second try, then the next tier answers.
RETRIES = 1
RETRY_PAUSE_S = 0.02
# How long a Redis that let somebody wait is left alone, and how long one who looks again waits for it.
LEFT_ALONE_S = 1.0
LOOK_S = 0.1
# On a loop that serves thousands the answer may lie there for a while before it is read.
LOOP_LOOK_S = 0.5


def options() -> dict[str, Any]:
    return {
        "socket_timeout": settings.REDIS_TIMEOUT_S,
        "socket_connect_timeout": settings.REDIS_TIMEOUT_S,
    }


class _Silence:
    """Whether one Redis is silent, for all threads of this process."""

    def __init__(self) -> None:
        self._until: float | None = None
        self._lock = threading.Lock()

    def ask(self, operation: Callable[[], T]) -> T:
        """Raises ConnectionError at once while Redis is silent."""
        if self._until is not None and self._lasts():
            raise RedisConnectionError("Redis did not answer lately")
        try:
            return operation()
        except RedisTimeoutError:
            self._until = clock.monotonic() + LEFT_ALONE_S
            raise

    def _lasts(self) -> bool:
        with self._lock:
            if self._until is None:
                return False
            if clock.monotonic() < self._until:
                return True
            # The others go on without it while this one looks.
            self._until = clock.monotonic() + LEFT_ALONE_S
        if not _answers():
            return True
        self._until = None
        return False


def _answers() -> bool:
    seconds = dict.fromkeys(options(), LOOK_S)
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, retry=Retry(ConstantBackoff(0), 0), **seconds
        ) as looking:
            return bool(looking.ping())
    except RedisError:
        return False


class _Pipeline(Pipeline):
    silence: _Silence

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        return self.silence.ask(lambda: super(_Pipeline, self).execute(raise_on_error))


class _Client(redis.Redis):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.silence = _Silence()

    def execute_command(self, *args: Any, **options: Any) -> Any:
        return self.silence.ask(lambda: super(_Client, self).execute_command(*args, **options))  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        made = _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        made.silence = self.silence
        return made


@lru_cache(maxsize=1)
def client() -> _Client:
    """The process's synchronous client; a pool of connections, safe between threads."""
    # Not what timed out: it may have been done, such as a request counted, and waiting once was long enough.
    retry = Retry(ConstantBackoff(RETRY_PAUSE_S), RETRIES, (RedisConnectionError,))
    made: _Client = _Client.from_url(settings.REDIS_URL, retry=retry, **options())  # type: ignore[assignment]
    return made


def _timed_out(error: BaseException) -> bool:
    """Also a greeting that was not answered, of which redis-py makes a failure to connect."""
    return isinstance(error, RedisTimeoutError) or isinstance(error.__cause__, RedisTimeoutError)


class _AsyncRetry(AsyncRetry):
    """As above: once more what was cut, not what timed out."""

    async def call_with_retry(
        self,
        do: Callable[[], Awaitable[T]],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> T:
        def again(error: Exception) -> bool:
            return not _timed_out(error)

        return await super().call_with_retry(do, fail, again, with_failure_count)


class _AsyncSilence:
    """The same for the callers of one loop."""

    def __init__(self) -> None:
        self._until: float | None = None

    async def ask(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Raises ConnectionError at once while Redis is silent."""
        if self._until is not None and await self._lasts(self._until):
            raise RedisConnectionError("Redis did not answer lately")
        try:
            return await operation()
        except RedisError as error:
            if _timed_out(error):
                self._until = clock.monotonic() + LEFT_ALONE_S
            raise

    async def _lasts(self, until: float) -> bool:
        if clock.monotonic() < until:
            return True
        # The others go on without it while this one looks.
        self._until = clock.monotonic() + LEFT_ALONE_S
        if not await _answers_async():
            return True
        self._until = None
        return False


async def _answers_async() -> bool:
    seconds: dict[str, Any] = dict.fromkeys(options(), LOOP_LOOK_S)
    retry = AsyncRetry(ConstantBackoff(0), 0)
    try:
        async with redis.asyncio.Redis.from_url(settings.REDIS_URL, retry=retry, **seconds) as looking:
            return bool(await looking.ping())
    except RedisError:
        return False


class _AsyncPipeline(redis.asyncio.client.Pipeline):
    silence: _AsyncSilence

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        return await self.silence.ask(lambda: super(_AsyncPipeline, self).execute(raise_on_error))


class _AsyncClient(redis.asyncio.Redis):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.silence = _AsyncSilence()

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        return await self.silence.ask(lambda: super(_AsyncClient, self).execute_command(*args, **options))  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> _AsyncPipeline:
        made = _AsyncPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        made.silence = self.silence
        return made


_async_clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, redis.asyncio.Redis] = (
    weakref.WeakKeyDictionary()
)


def async_client() -> redis.asyncio.Redis:
    """The running loop's client; close it with `close_async_client` before the loop ends."""
    loop = asyncio.get_running_loop()
    found = _async_clients.get(loop)
    if found is None:
        retry = _AsyncRetry(ConstantBackoff(RETRY_PAUSE_S), RETRIES)
        found = _async_clients[loop] = _AsyncClient.from_url(settings.REDIS_URL, retry=retry, **options())
    return found


async def close_async_client() -> None:
    found = _async_clients.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.aclose()


class DegradingRedisCache(RedisCache):
    """Django's cache on Redis; while Redis is away every read is a miss and every write is dropped, and counted."""

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return _or(default, lambda: super(DegradingRedisCache, self).get(key, default, version))

    def get_many(self, keys: Any, version: int | None = None) -> dict[Any, Any]:
        return _or({}, lambda: super(DegradingRedisCache, self).get_many(keys, version))

    def set(self, key: Any, value: Any, timeout: Any = 300, version: int | None = None) -> None:
        _or(None, lambda: super(DegradingRedisCache, self).set(key, value, timeout, version))

    def set_many(self, data: Any, timeout: Any = 300, version: int | None = None) -> list[Any]:
        return _or(list(data), lambda: super(DegradingRedisCache, self).set_many(data, timeout, version))

    def add(self, key: Any, value: Any, timeout: Any = 300, version: int | None = None) -> bool:
        return _or(True, lambda: super(DegradingRedisCache, self).add(key, value, timeout, version))

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return _or(delta, lambda: super(DegradingRedisCache, self).incr(key, delta, version))

    def touch(self, key: Any, timeout: Any = 300, version: int | None = None) -> bool:
        return _or(False, lambda: super(DegradingRedisCache, self).touch(key, timeout, version))

    def delete(self, key: Any, version: int | None = None) -> bool:
        return _or(False, lambda: super(DegradingRedisCache, self).delete(key, version))

    def delete_many(self, keys: Any, version: int | None = None) -> None:
        _or(None, lambda: super(DegradingRedisCache, self).delete_many(keys, version))

    def clear(self) -> None:
        _or(None, lambda: super(DegradingRedisCache, self).clear())

    def has_key(self, key: Any, version: int | None = None) -> bool:
        return _or(False, lambda: super(DegradingRedisCache, self).has_key(key, version))


def _or(fallback: T, operation: Callable[[], T]) -> T:
    try:
        return client().silence.ask(operation)
    except RedisError as error:
        metrics.redis_failures.labels(used_by="cache").inc()
        logger.warning("cache unavailable: %s", type(error).__name__)
        return fallback
