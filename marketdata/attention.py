"""Which tickers are on somebody's screen now, told by whoever serves screens; who looks never enters here.

One sorted set in Redis for all processes, symbol -> when it was last looked at, by Redis's own clock. It may vanish:
then everything counts as not looked at until it is told again, a few seconds later.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any

from redis.exceptions import RedisError

from core import clock, metrics
from core.redis import client

LOOKED_KEY = "attention:looked"
# How often a process that goes on looking says so.
TELL_EVERY_S = 10.0
# A process says the same ticker at most this often, however many ask it to.
TOLD_FOR_S = 5.0
# Two tellings may be lost before a ticker counts as not looked at.
LOOKING_FOR = timedelta(seconds=3 * TELL_EVERY_S)
FORGOTTEN_AFTER_S = 600
# A script takes a few thousand arguments at most.
CHUNK = 1_000

TELL = """
local now = redis.call('TIME')[1]
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now, ARGV[i]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[1])
"""
LOOKED = """
local since = redis.call('TIME')[1] - ARGV[1]
return redis.call('ZRANGEBYSCORE', KEYS[1], since, '+inf')
"""

_told: dict[str, float] = {}
_lock = threading.Lock()


def look(symbols: Iterable[str]) -> None:
    """Somebody looks at these now. Redis away: counted, and told again next time."""
    fresh = _not_told_lately(symbols)
    try:
        for start in range(0, len(fresh), CHUNK):
            client().eval(TELL, 1, LOOKED_KEY, FORGOTTEN_AFTER_S, *fresh[start : start + CHUNK])
    except RedisError:
        metrics.redis_failures.labels(used_by="attention").inc()
        forget(fresh)


def looked_at(within: timedelta = LOOKING_FOR) -> set[str]:
    """What anybody looked at lately; empty while Redis is away."""
    try:
        found: Any = client().eval(LOOKED, 1, LOOKED_KEY, int(within.total_seconds()))
    except RedisError:
        metrics.redis_failures.labels(used_by="attention").inc()
        return set()
    return {symbol.decode() for symbol in found}


def _not_told_lately(symbols: Iterable[str]) -> list[str]:
    now = clock.monotonic()
    with _lock:
        for symbol in [symbol for symbol, at in _told.items() if now - at >= TOLD_FOR_S]:
            del _told[symbol]
        fresh = [symbol for symbol in dict.fromkeys(symbols) if symbol not in _told]
        _told.update(dict.fromkeys(fresh, now))
    return fresh


def forget(symbols: Collection[str] | None = None) -> None:
    """As if this process had not told of these, or of any."""
    with _lock:
        for symbol in list(_told) if symbols is None else symbols:
            _told.pop(symbol, None)
