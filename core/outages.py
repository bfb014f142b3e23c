"""Which exceptions mean that a server we depend on is away, so that every edge answers 503 and not 500."""

from __future__ import annotations

import re

import django.db
import kombu.exceptions
import psycopg
import psycopg_pool
import redis.exceptions

# A bundled server is restarted within seconds; a client that comes back sooner only waits again.
RETRY_AFTER_S = 5

DATABASE_ERRORS: tuple[type[Exception], ...] = (
    django.db.OperationalError,
    django.db.InterfaceError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg_pool.PoolTimeout,
)
REDIS_ERRORS: tuple[type[Exception], ...] = (
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.OutOfMemoryError,
)
OUTAGES: tuple[type[Exception], ...] = (*DATABASE_ERRORS, *REDIS_ERRORS)
# The replies of a Redis that cannot write to its disk or has no memory left, alone, within a pipeline or a script;
# redis-py has no class for them there.
CANNOT_WRITE = re.compile(r"\b(?:MISCONF|OOM) ")


def outage_of(error: BaseException | None) -> str | None:
    """The name of the dependency that is away, or None for any other error."""
    if isinstance(error, DATABASE_ERRORS):
        return "database"
    if isinstance(error, REDIS_ERRORS):
        return "redis"
    if isinstance(error, redis.exceptions.ResponseError) and CANNOT_WRITE.search(str(error)):
        return "redis"
    if isinstance(error, kombu.exceptions.OperationalError):
        return "queue"
    return None
