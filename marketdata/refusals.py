"""Wanted symbols that no provider knows or sells to us: not asked again at every beat of the timer.

An answer is kept as long as a quote would be. What a provider could not answer for the moment is none: breakers and
quotas see to that. One key in Redis for each refused symbol, for all processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from redis.exceptions import RedisError

from core import metrics
from core.redis import client
from marketdata.quotes import Reason
from marketdata.quoting import Outcome

LASTING = {Reason.NOT_FOUND, Reason.PLAN_LOCKED}


def refusal_key(symbol: str) -> str:
    return f"poll:refused:{symbol}"


def others(symbols: Sequence[str]) -> list[str]:
    """Those that were not refused lately; all of them while Redis is away."""
    if not symbols:
        return []
    try:
        refused = client().mget([refusal_key(symbol) for symbol in symbols])
    except RedisError:
        metrics.redis_failures.labels(used_by="refusals").inc()
        return list(symbols)
    return [symbol for symbol, is_refused in zip(symbols, refused, strict=True) if not is_refused]


def remember(outcomes: Mapping[str, Outcome], keep: timedelta) -> None:
    """Keep the lasting refusals among the outcomes of what was just asked."""
    refused = [symbol for symbol, one in outcomes.items() if one.reason in LASTING]
    kept_ms = int(keep / timedelta(milliseconds=1))
    if not refused or kept_ms <= 0:
        return
    try:
        pipe = client().pipeline(transaction=False)
        for symbol in refused:
            pipe.set(refusal_key(symbol), 1, px=kept_ms)
        pipe.execute()
    except RedisError:
        metrics.redis_failures.labels(used_by="refusals").inc()
