"""Which tickers are wanted, how fresh and why: asked of the registered sources in one SQL statement.

Nothing is counted by hand. An app that wants prices registers, in its AppConfig.ready(), a function that returns
a queryset of (ticker_id, fresh_s, why); demand wraps their compiled SQL in one GROUP BY. Who wants a ticker never
enters here. After a change, `changed()` wakes the tape; a lost wake-up costs at most its timer of one second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet
from redis.exceptions import RedisError

from core import metrics
from core.redis import client

WAKE_CHANNEL = "tape:wake"
# Many changes at once need one wake-up: the tape looks at the whole demand anyway.
WAKE_PAUSE_S = 0.1

# What a source of alerts says as `why`: such a ticker is asked for also while nobody looks.
ALERT = "alert"

Source = Callable[[], "QuerySet[Any, tuple[int, int, str]]"]
_sources: dict[str, Source] = {}
_last_wake = 0.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """One ticker that somebody wants: by how many, how fresh at most, and how fresh the alerts on it need it."""

    ticker_id: int
    symbol: str
    holders: int
    fresh_s: int
    alert_s: int | None = None


def register(name: str, source: Source) -> None:
    """Add a source of demand; a second registration under the same name replaces the first."""
    _sources[name] = source


def wanted() -> dict[str, Wanted]:
    """Every wanted ticker by symbol, derived now; raises OperationalError when PostgreSQL is away."""
    parts: list[str] = []
    params: list[Any] = []
    for source in _sources.values():
        try:
            sql, values = source().query.sql_with_params()
        except EmptyResultSet:  # the ORM knows without asking, as for an empty list of demo symbols
            continue
        parts.append(f"SELECT * FROM ({sql}) AS source (ticker_id, fresh_s, why)")  # noqa: S608 -- compiled by the ORM
        params.extend(values)
    if not parts:
        return {}
    statement = (
        "SELECT ticker.id, ticker.symbol, count(*), min(fresh_s), min(fresh_s) FILTER (WHERE why = %s) "  # noqa: S608 -- compiled by the ORM
        f"FROM ({' UNION ALL '.join(parts)}) AS wish "
        "JOIN marketdata_ticker AS ticker ON ticker.id = wish.ticker_id GROUP BY ticker.id"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [ALERT, *params])
        return {row[1]: Wanted(*row) for row in cursor.fetchall()}


def changed() -> None:
    """Wake the tape after a commit that changed the demand."""
    global _last_wake  # noqa: PLW0603 -- one throttle per process
    now = time.monotonic()
    if now - _last_wake < WAKE_PAUSE_S:
        return
    _last_wake = now
    try:
        client().publish(WAKE_CHANNEL, b"")
    except RedisError:
        metrics.redis_failures.labels(used_by="wake").inc()
