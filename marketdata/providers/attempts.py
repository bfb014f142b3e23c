"""Every attempt of the chain, explained: which provider was asked or passed over, and why.

The latest that were not plainly fine lie in Redis, for the administration and the status page; they may vanish.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import orjson
from redis.exceptions import RedisError

from core import clock, metrics
from core.redis import client
from marketdata.errors import Kind

RECENT_KEY = "chain:recent"
RECENT = 300
SYMBOLS_SHOWN = 5


class Skip(StrEnum):
    """Why a provider was not asked."""

    CIRCUIT_OPEN = "circuit_open"
    NO_QUOTA = "no_quota"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One provider asked (`kind`) or passed over (`skip`) for so many symbols. `detail` holds no secret."""

    provider: str
    symbols: int
    kind: Kind | None = None
    skip: Skip | None = None
    detail: str = ""
    retry_at: datetime | None = None
    took_s: float = 0.0

    @property
    def fine(self) -> bool:
        return self.kind is Kind.OK

    @property
    def outcome(self) -> str:
        return (self.kind or self.skip or Kind.OK).value


def summed_up(tried: Sequence[Attempt]) -> list[dict[str, Any]]:
    """As JSON, one entry for all attempts at a provider that ended alike: a run may have hundreds of parts."""
    alike: dict[tuple[str, str, str], list[Attempt]] = {}
    for attempt in tried:
        alike.setdefault((attempt.provider, attempt.outcome, attempt.detail), []).append(attempt)
    return [_entry(attempts) for attempts in alike.values()]


def _entry(attempts: Sequence[Attempt]) -> dict[str, Any]:
    first = attempts[0]
    retry_at = max((one.retry_at for one in attempts if one.retry_at), default=None)
    return {
        "provider": first.provider,
        "parts": len(attempts),
        "symbols": sum(one.symbols for one in attempts),
        "outcome": first.outcome,
        "skipped": first.skip is not None,
        "detail": first.detail,
        "retry_at": retry_at.isoformat() if retry_at else None,
        "took_ms": round(max(one.took_s for one in attempts) * 1000, 1),
    }


class Named(Protocol):
    @property
    def value(self) -> str: ...


class Why(Protocol):
    @property
    def priority(self) -> Named: ...

    @property
    def cause(self) -> Named: ...


def remember(purpose: Named, why: Why, symbols: Sequence[str], tried: Sequence[Attempt]) -> None:
    """Keep the account of one run of the chain, unless the first provider simply answered, in any number of parts."""
    if all(attempt.fine for attempt in tried) and len({attempt.provider for attempt in tried}) <= 1:
        return
    entry = {
        "at": clock.now().isoformat(),
        "purpose": purpose.value,
        "priority": why.priority.value,
        "cause": why.cause.value,
        "symbols": list(symbols[:SYMBOLS_SHOWN]),
        "more": max(0, len(symbols) - SYMBOLS_SHOWN),
        "attempts": summed_up(tried),
    }
    try:
        pipe = client().pipeline(transaction=False)
        pipe.lpush(RECENT_KEY, orjson.dumps(entry))
        pipe.ltrim(RECENT_KEY, 0, RECENT - 1)
        pipe.execute()
    except RedisError:
        metrics.redis_failures.labels(used_by="attempts").inc()


def recent(count: int = RECENT) -> list[dict[str, Any]]:
    """The newest runs first; raises RedisError."""
    found: list[Any] = client().lrange(RECENT_KEY, 0, count - 1)
    return [orjson.loads(entry) for entry in found]
