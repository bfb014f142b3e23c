"""Circuit breakers of the providers, shared by all processes: a dead provider costs one probe per breaker window.

The state lies in Redis; while Redis is away each process has its own. A breaker is one provider and one purpose.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from redis.exceptions import RedisError

from core import clock, metrics
from core.redis import client
from core.resilience import CircuitBreaker
from marketdata.quotes import EPOCH

FAIL_MAX = 3
OPEN_S = 30.0
# Longer than any request: a probe that outlives it belongs to a process that died.
PROBE_S = 10.0
# A refused key is an operator's matter: asked again seldom, and closed by hand in the administration.
REFUSED_S = 600.0
# How long failures in a row are remembered.
MEMORY_S = 600


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Reading:
    """How one breaker stands. `open_until` is set while it is open."""

    state: State
    failures: int = 0
    open_until: datetime | None = None


_local: defaultdict[str, CircuitBreaker] = defaultdict(
    lambda: CircuitBreaker(FAIL_MAX, OPEN_S * settings.TIME_FACTOR, PROBE_S)
)


def _keys(name: str) -> tuple[str, str, str]:
    return f"breaker:{name}:open", f"breaker:{name}:failures", f"breaker:{name}:probe"


def allows(name: str) -> Reading:
    """CLOSED and HALF_OPEN mean: ask. HALF_OPEN is given to one process at a time."""
    opened, failures, probe = _keys(name)
    try:
        until, count = client().mget(opened, failures)
        if until:
            return Reading(State.OPEN, int(count or 0), _moment(float(until)))
        if count is None or int(count) < FAIL_MAX:
            return Reading(State.CLOSED, int(count or 0))
        if client().set(probe, "1", nx=True, px=int(PROBE_S * 1000)):
            return Reading(State.HALF_OPEN, int(count))
        return Reading(State.OPEN, int(count), clock.now() + timedelta(seconds=PROBE_S))
    except RedisError:
        metrics.redis_failures.labels(used_by="breakers").inc()
        return _allows_locally(name)


def _allows_locally(name: str) -> Reading:
    breaker = _local[name]
    now = clock.monotonic()
    if breaker.allows(now):
        half = breaker.failures >= breaker.fail_max
        return Reading(State.HALF_OPEN if half else State.CLOSED, breaker.failures)
    left = max(breaker.open_until, breaker.probe_until) - now
    return Reading(State.OPEN, breaker.failures, clock.now() + timedelta(seconds=left))


def succeeded(name: str, before: Reading) -> None:
    """The provider answered; `before` spares the round trip where nothing was wrong."""
    _local.pop(name, None)
    if before.failures or before.state is not State.CLOSED:
        reset(name)


def failed(name: str) -> None:
    opened, failures, probe = _keys(name)
    _local[name].failed(clock.monotonic())
    try:
        count = client().incr(failures)
        client().expire(failures, MEMORY_S)
        if count >= FAIL_MAX:
            _open(opened, OPEN_S * settings.TIME_FACTOR)
        client().delete(probe)
    except RedisError:
        metrics.redis_failures.labels(used_by="breakers").inc()


def hold(name: str, seconds: float) -> None:
    """Keep it open for so long, without counting a failure."""
    _local[name].hold(clock.monotonic() + seconds)
    try:
        _open(_keys(name)[0], seconds)
    except RedisError:
        metrics.redis_failures.labels(used_by="breakers").inc()


def reset(name: str) -> None:
    """Close it, as a success does."""
    _local.pop(name, None)
    try:
        client().delete(*_keys(name))
    except RedisError:
        metrics.redis_failures.labels(used_by="breakers").inc()


def reading(name: str) -> Reading:
    """How it stands, without taking the probe; raises RedisError."""
    until, count = client().mget(*_keys(name)[:2])
    if until:
        return Reading(State.OPEN, int(count or 0), _moment(float(until)))
    return Reading(State.HALF_OPEN if int(count or 0) >= FAIL_MAX else State.CLOSED, int(count or 0))


def _open(key: str, seconds: float) -> None:
    until = clock.now() + timedelta(seconds=seconds)
    client().set(key, str((until - EPOCH).total_seconds()), px=max(1, int(seconds * 1000)))


def _moment(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)
