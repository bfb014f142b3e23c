"""The calendar of this process: the rules with the operator's exceptions of the administration on top, today's splits.

`calendar()` never waits: it is asked on event loops and for every quote. `refresh()` reads the exceptions, at most
once a minute, and is called where the database is asked anyway: by the timer that fetches, by the owner of the tape,
by the hub. A new process knows the rules at once and the exceptions a few seconds later.
"""

from __future__ import annotations

import threading

from core import clock, metrics
from core.outages import DATABASE_ERRORS
from marketdata import splits
from marketdata.calendar import Calendar, SpecialDay
from marketdata.models import CalendarException

READ_EVERY_S = 60.0

_calendar = Calendar()
_exceptions: list[SpecialDay] = []
_read_at: float | None = None
_lock = threading.Lock()


def calendar() -> Calendar:
    """As last known."""
    return _calendar


def refresh() -> None:
    """Read the operator's exceptions if that was not done lately; the database away: what was known stays."""
    global _read_at  # noqa: PLW0603 -- one calendar per process
    with _lock:
        now = clock.monotonic()
        if _read_at is not None and now - _read_at < READ_EVERY_S:
            return
        _read_at = now
    reread()


def reread() -> None:
    """The same at once: what an operator has just saved counts in his own process."""
    try:
        use([special_day(row) for row in CalendarException.objects.all()])
        splits.reread()
    except DATABASE_ERRORS:
        metrics.database_failures.labels(used_by="calendar").inc()


def use(exceptions: list[SpecialDay]) -> None:
    """These exceptions from now on; the same ones as before keep the calendar and what it has worked out."""
    global _calendar, _exceptions
    if exceptions != _exceptions:
        _calendar, _exceptions = Calendar(exceptions), exceptions


def special_day(row: CalendarException) -> SpecialDay:
    return SpecialDay(row.day, row.closed, row.opens_at, row.closes_at, row.note)
