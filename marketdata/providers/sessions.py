"""Trading sessions by New York hours and weekdays, for the simulator only: it has no holidays."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from marketdata.providers.paced import from_us
from marketdata.quotes import Session, microseconds

NEW_YORK = ZoneInfo("America/New_York")
PRE, REGULAR, POST, CLOSED = time(4), time(9, 30), time(16), time(20)


def session_at(us: int) -> Session:
    local = from_us(us).astimezone(NEW_YORK)
    moment = local.time()
    if local.isoweekday() > 5 or not PRE <= moment < CLOSED:
        return Session.CLOSED
    if moment < REGULAR:
        return Session.PRE
    return Session.REGULAR if moment < POST else Session.POST


def last_open_us(us: int) -> int:
    """`us` itself while a session runs, else the last microsecond of the one before."""
    if session_at(us) is not Session.CLOSED:
        return us
    day = from_us(us).astimezone(NEW_YORK)
    if day.time() < PRE:
        day -= timedelta(days=1)
    while day.isoweekday() > 5:
        day -= timedelta(days=1)
    return microseconds(datetime.combine(day.date(), CLOSED, NEW_YORK)) - 1
