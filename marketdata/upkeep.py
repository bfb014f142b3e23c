"""Room made before it is needed, and rows deleted when they are too old: small steps, each committed by itself.

Minute bars and ledger rows are kept for as long as the settings say. One run deletes what fits into its time; what is
left over, the next run takes. See docs/design/history.md.
"""

from __future__ import annotations

import logging
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection

from core import clock, retention
from marketdata import store
from marketdata.models import Ticker

logger = logging.getLogger(__name__)

MONTHS_AHEAD = 2
# Well below the time limit of a task.
RUN_S = 30.0
# Rows of one statement: some 50 ms, so that nothing waits long for its locks and a lost run loses little.
ROWS = 10_000
# Tickers looked through by one statement: where nothing is old each costs one descent into the index.
TICKERS = 500

# By ticker, because the index of minute bars begins with it; an index on the time alone would cost every insert.
OLD_MINUTES = """
DELETE FROM marketdata_minutebar WHERE ctid = ANY (ARRAY(
  SELECT old.ctid FROM unnest(%s::bigint[]) AS one (id)
  CROSS JOIN LATERAL (
    SELECT bar.ctid FROM marketdata_minutebar AS bar
     WHERE bar.ticker_id = one.id AND bar.start < %s ORDER BY bar.start LIMIT %s) AS old
  LIMIT %s))
"""
# Through the index on provider and time, or the block ranges of the time: either leads straight to the old end.
OLD_CALLS = """
DELETE FROM marketdata_providercall WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM marketdata_providercall WHERE at < %s LIMIT %s))
"""


def make_months() -> None:
    """Partitions of daily bars for this month and the next two, so that no first bar of a month waits for one."""
    store.ensure_months(months_from(clock.now().date(), MONTHS_AHEAD))


def months_from(day: date, ahead: int) -> list[date]:
    """The first of this month and of so many after it."""
    found = [day.replace(day=1)]
    for _ in range(ahead):
        found.append((found[-1] + timedelta(days=32)).replace(day=1))
    return found


def delete_old() -> dict[str, int]:
    """Delete what is older than the settings keep; rows deleted by kind. Stops when its time is up."""
    now, until = clock.now(), clock.monotonic() + RUN_S
    deleted = {
        "minute bars": delete_minutes(now - timedelta(days=settings.MINUTE_BARS_DAYS), until),
        "ledger rows": delete_calls(now - timedelta(days=settings.LEDGER_DAYS), until),
    }
    for what, rows in deleted.items():
        if rows:
            logger.info("deleted %d old %s", rows, what)
    if clock.monotonic() >= until:
        logger.warning("more is too old than one run could delete; the next one goes on")
    return deleted


def delete_minutes(before: datetime, until: float) -> int:
    ids = list(Ticker.objects.order_by("pk").values_list("pk", flat=True))
    deleted = 0
    for first in range(0, len(ids), TICKERS):
        some = ids[first : first + TICKERS]
        deleted += retention.by_and_by(partial(_run, OLD_MINUTES, some, before, ROWS, ROWS), ROWS, until)
    return deleted


def delete_calls(before: datetime, until: float) -> int:
    return retention.by_and_by(partial(_run, OLD_CALLS, before, ROWS), ROWS, until)


def _run(statement: str, *params: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return int(cursor.rowcount)
