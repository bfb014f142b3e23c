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
# Longer than any budget of the chain: a probe that outlives it belongs to a process that died.
PROBE_S = 20.0
# A refused key is an operator's matter: asked again seldom, and closed by hand in the administration.
REFUSED_S = 600.0
# How long failures in a row are remembered.
MEMORY_S = 600

# In one step, so that nobody is let through by what he read before another one's probe failed.
ALLOWS = """
local failures, opened = tonumber(redis.call('GET', KEYS[2]) or 0), redis.call('GET', KEYS[1])
if opened then return {'open', failures, opened} end
if failures < tonumber(ARGV[1]) then return {'closed', failures, ''} end
if redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[2]) then return {'half_open', failures, ''} end
return {'probed', failures, redis.call('PTTL', KEYS[3])}
"""


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
    keys = _keys(name)
    try:
        state, failures, until = client().eval(ALLOWS, len(keys), *keys, FAIL_MAX, int(PROBE_S * 1000))
    except RedisError:
        metrics.redis_failures.labels(used_by="breakers").inc()
        return _allows_locally(name)
    if state == b"open":
        return Reading(State.OPEN, failures, _moment(float(until)))
    if state == b"probed":
        return Reading(State.OPEN, failures, clock.now() + timedelta(milliseconds=until))
    return Reading(State(state.decode()), failures)


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


def hold(name: str, seconds: float) -> bool:
    """Keep it open for so long, without counting a failure; whether it was not open before."""
    breaker, now = _local[name], clock.monotonic()
    is_first = breaker.open_until <= now
    breaker.hold(now + seconds)
    try:
        is_first = _open(_keys(name)[0], seconds, nx=True)
        if not is_first:
            _open(_keys(name)[0], seconds)
    except RedisError:
        metrics.redis_failures.labels(used_by="breakers").inc()
    return is_first


def release(name: str) -> None:
    """Give a probe back that told nothing about the provider: the next one may make it."""
    _local[name].probe_until = 0.0
    try:
        client().delete(_keys(name)[2])
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


def _open(key: str, seconds: float, *, nx: bool = False) -> bool:
    until = clock.now() + timedelta(seconds=seconds)
    text = str((until - EPOCH).total_seconds())
    return bool(client().set(key, text, px=max(1, int(seconds * 1000)), nx=nx))


def _moment(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)
