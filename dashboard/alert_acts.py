"""What is done with alerts that there are, one or many at once: one address for every button."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.models import User
from alerts import rules
from alerts.errors import AlertError
from alerts.models import Alert
from core import clock
from dashboard.inbox_views import LONGEST_ID, place_of
from dashboard.moments import zone_of

# Messages that offer to undo name what to restore behind this word.
UNDO = "alerts:"
MOST = 1000

Act = Callable[[User, list[int]], list[Alert]]


def _snooze(until: Callable[[User, datetime], datetime]) -> Act:
    return lambda user, ids: rules.snooze(user, ids, until(user, clock.now()))


def _tomorrow(user: User, now: datetime) -> datetime:
    """The beginning of the user's next day."""
    zone = zone_of(user.time_zone)
    return datetime.combine(now.astimezone(zone).date() + timedelta(days=1), time(), zone)


# By the value of a button: what is done, and what was done, in words.
ACTS: dict[str, tuple[Act, str]] = {
    "pause": (rules.pause, "paused"),
    "resume": (rules.resume, "armed again"),
    "duplicate": (rules.duplicate, "duplicated"),
    "delete": (rules.delete, "deleted"),
    "restore": (rules.restore, "back"),
    "snooze_hour": (_snooze(lambda _user, now: now + timedelta(hours=1)), "snoozed for an hour"),
    "snooze_day": (_snooze(_tomorrow), "snoozed until tomorrow"),
    "snooze_week": (_snooze(lambda _user, now: now + timedelta(days=7)), "snoozed for a week"),
}


@require_POST
@login_required
def alert_acts(request: HttpRequest) -> HttpResponse:
    known = ACTS.get(request.POST.get("act", ""))
    if known is None:
        return HttpResponseBadRequest("What is to be done is missing.", content_type="text/plain")
    act, done = known
    ids = _ids(request)
    try:
        rows = act(cast(User, request.user), ids) if ids else []
    except AlertError as error:
        messages.error(request, str(error))
    else:
        _tell(request, rows, done, marked=bool(ids))
    return HttpResponseRedirect(place_of(request, reverse("alerts")))


def _ids(request: HttpRequest) -> list[int]:
    """Numbers that cannot be an alert's are nobody's."""
    given = request.POST.getlist("ids")[:MOST]
    return [int(one) for one in given if one.isascii() and one.isdigit() and len(one) <= LONGEST_ID]


def _tell(request: HttpRequest, rows: list[Alert], done: str, *, marked: bool) -> None:
    if not rows:
        messages.info(request, "Nothing to change" if marked else "Mark the alerts first")
        return
    what = f"Alert on {rows[0].ticker.symbol}" if len(rows) == 1 else f"{len(rows)} alerts"
    undo = UNDO + ",".join(str(row.pk) for row in rows) if done == "deleted" else ""
    messages.success(request, f"{what} {done}", extra_tags=undo)
