"""What a table says of the New York market when it is not open: since when, and until when.

The words are made here only. A page carries those of the coming sessions, so that its script can go on saying the
right ones while nothing is sent (`static/js/phases.js`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from typing import Any

from marketdata import market_hours
from marketdata.calendar import NEW_YORK, Span
from marketdata.quotes import Session

# Four sessions a day: a page that stays open over a long weekend still knows what to say.
PHASES_PER_PAGE = 12


@dataclass(frozen=True, slots=True)
class Phase:
    """Until when it lasts, the state of the dot, the words beside it and a note; no words: an open market."""

    until: datetime
    state: str
    words: str
    note: str = ""


def phase_at(moment: datetime) -> Phase:
    return next(_phases_from(moment))


def payload_of(moment: datetime) -> list[dict[str, Any]]:
    """The phases from this moment on, for the script of a page."""
    return [
        {
            "until": round(one.until.timestamp() * 1000),
            "state": one.state,
            "words": one.words,
            "note": one.note,
        }
        for one in islice(_phases_from(moment), PHASES_PER_PAGE)
    ]


def _phases_from(moment: datetime) -> Iterator[Phase]:
    """Closed time is cut at midnight: from then on it matters which day the market closed."""
    while True:
        span = market_hours.calendar().span_at(moment)
        until = min(span.end, _next_midnight(moment))
        yield _phase_of(span, moment, until)
        moment = until


def _phase_of(span: Span, moment: datetime, until: datetime) -> Phase:
    calendar = market_hours.calendar()
    if span.session is Session.REGULAR:
        return Phase(until, "live", "")
    opens = f"opens {_told(calendar.next_open(moment), moment)} New York time"
    if span.session is Session.PRE:
        return Phase(until, "live", "Before the open", opens)
    since = _told(calendar.previous_close(moment), moment)
    if span.session is Session.POST:
        return Phase(until, "live", "After the close", f"closed since {since} New York time")
    return Phase(until, "closed", f"Closed since {since}", opens)


def _told(moment: datetime, now: datetime) -> str:
    """The time in New York, with the day where it is not today's."""
    local, today = moment.astimezone(NEW_YORK), now.astimezone(NEW_YORK).date()
    return f"{local:%H:%M}" if local.date() == today else f"{local:%a %H:%M}"


def _next_midnight(moment: datetime) -> datetime:
    local = moment.astimezone(NEW_YORK)
    return datetime.combine(local.date() + timedelta(days=1), time(), NEW_YORK).astimezone(UTC)
