"""The ledger: each call that may cost money becomes one row, with the reason why it was made.

A row is written before its answer is handed on. While PostgreSQL is away rows wait in memory, bounded, and are
written with the next call; what had to be dropped is counted.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence

from django.db import DatabaseError

from core import clock, metrics
from core.outages import DATABASE_ERRORS
from marketdata.metering import Call
from marketdata.models import Cause, ProviderCall

logger = logging.getLogger(__name__)

MOST_WAITING = 10_000
# While the database is away nobody waits for its time-out more often than this.
TRY_AGAIN_S = 5.0
LONGEST_MS = 2**31 - 1

_waiting: deque[ProviderCall] = deque(maxlen=MOST_WAITING)
_lock = threading.Lock()
_away_until = 0.0


def record(calls: Sequence[Call], cause: Cause) -> None:
    """Write the calls; never raises for a database that is away."""
    if calls or _waiting:
        _write([_row(call, cause) for call in calls])


def _row(call: Call, cause: Cause) -> ProviderCall:
    return ProviderCall(
        at=call.at,
        provider=call.provider,
        plan=call.plan,
        endpoint=call.endpoint,
        cause=cause,
        symbols=list(call.symbols),
        units=call.units,
        unit=call.unit.value,
        outcome=call.kind.value,
        status=call.status,
        bytes=call.bytes,
        latency_ms=min(round(call.took_s * 1000), LONGEST_MS),
    )


def _write(rows: list[ProviderCall]) -> None:
    global _away_until  # noqa: PLW0603 -- one patience per process
    with _lock:
        rows = [*_waiting, *rows]
        _waiting.clear()
    if clock.monotonic() >= _away_until:
        try:
            _insert(rows)
        except DATABASE_ERRORS:
            metrics.database_failures.labels(used_by="ledger").inc()
            _away_until = clock.monotonic() + TRY_AGAIN_S
        else:
            return
    _wait(rows)


def _insert(rows: list[ProviderCall]) -> None:
    """All of them; a row that the database refuses costs that row and no other. Raises DATABASE_ERRORS."""
    try:
        ProviderCall.objects.bulk_create(rows, batch_size=500)
    except DATABASE_ERRORS:
        raise
    except (DatabaseError, ValueError) as error:
        if len(rows) > 1:
            middle = len(rows) // 2
            _insert(rows[:middle])
            _insert(rows[middle:])
        else:
            metrics.ledger_rows_lost.inc()
            logger.error("a call of %s cannot be written: %s", rows[0].provider, type(error).__name__)  # noqa: TRY400


def _wait(rows: list[ProviderCall]) -> None:
    with _lock:
        lost = max(0, len(_waiting) + len(rows) - MOST_WAITING)
        _waiting.extend(rows)
    if lost:
        metrics.ledger_rows_lost.inc(lost)
        logger.error("%s calls are missing in the ledger: the database is away", lost)
