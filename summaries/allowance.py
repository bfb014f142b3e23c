"""How often one user may have a ticker analysed anew: a window of an hour that slides, in Redis.

What it costs is bounded by the budget; this keeps one user from taking the budget of all. So Redis away lets everybody
through, which is counted.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from redis.exceptions import RedisError

from accounts.models import User
from core import clock, metrics
from core.redis import client
from summaries.errors import TooManyRefreshes

SPAN = timedelta(hours=1)

# Answers 0, or after how many milliseconds there is room again. After a change to a smaller plan more than `most` may
# be in the window; those that are too many have to leave it first.
TAKE = """
local now, span, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - span)
local used = redis.call('ZCARD', KEYS[1])
if used >= most then
  return redis.call('ZRANGE', KEYS[1], used - most, used - most, 'WITHSCORES')[2] + span - now
end
redis.call('ZADD', KEYS[1], now, ARGV[4])
redis.call('PEXPIRE', KEYS[1], span)
return 0
"""


def take(user: User) -> str:
    """One of this hour, by a name to give it back; raises TooManyRefreshes and takes none where none is left."""
    span_ms, name = SPAN // timedelta(milliseconds=1), uuid4().hex
    args = (clock.now_us() // 1000, span_ms, user.limits.analyses_per_hour, name)
    try:
        wait_ms: Any = client().eval(TAKE, 1, _key(user), *args)
    except RedisError:
        metrics.redis_failures.labels(used_by="analyses").inc()
        return name
    if wait_ms:
        raise TooManyRefreshes(user.tier, wait_ms / 1000)
    return name


def give_back(user: User, name: str) -> None:
    """Nothing was ordered for it."""
    try:
        client().zrem(_key(user), name)
    except RedisError:
        metrics.redis_failures.labels(used_by="analyses").inc()


def _key(user: User) -> str:
    return f"analyses:taken:{user.pk}"
