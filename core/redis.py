"""Redis clients with explicit time-outs, and a cache that degrades to a miss. Anything in Redis can vanish."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import redis
import redis.asyncio
from django.conf import settings
from django.core.cache.backends.redis import RedisCache
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from core import metrics

logger = logging.getLogger(__name__)
T = TypeVar("T")

# A Redis that is away must cost a reader milliseconds: one quick second try, then the next tier answers.
RETRIES = 1
RETRY_PAUSE_S = 0.02


def options() -> dict[str, Any]:
    return {
        "socket_timeout": settings.REDIS_TIMEOUT_S,
        "socket_connect_timeout": settings.REDIS_TIMEOUT_S,
    }


@lru_cache(maxsize=1)
def client() -> redis.Redis:
    """The process's synchronous client; a pool of connections, safe between threads."""
    retry = Retry(ConstantBackoff(RETRY_PAUSE_S), RETRIES)
    return redis.Redis.from_url(settings.REDIS_URL, retry=retry, **options())


_async_clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, redis.asyncio.Redis] = (
    weakref.WeakKeyDictionary()
)


def async_client() -> redis.asyncio.Redis:
    """The running loop's client; close it with `close_async_client` before the loop ends."""
    loop = asyncio.get_running_loop()
    found = _async_clients.get(loop)
    if found is None:
        retry = AsyncRetry(ConstantBackoff(RETRY_PAUSE_S), RETRIES)
        found = redis.asyncio.Redis.from_url(settings.REDIS_URL, retry=retry, **options())
        _async_clients[loop] = found
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
        return operation()
    except RedisError as error:
        metrics.redis_failures.labels(used_by="cache").inc()
        logger.warning("cache unavailable: %s", type(error).__name__)
        return fallback
