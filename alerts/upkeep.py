"""What follows from alerts, and what time does to them: demand for prices, expiry, the tier's limit, retention.

All of it is derived from rows again and again; a lost message costs a minute and no alert.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import connection, transaction
from django.db.models import IntegerField, OuterRef, QuerySet, Subquery, Value
from django.db.models.fields import CharField

from accounts.models import User
from accounts.tiers import Tier, limits_of
from alerts.models import Alert, Notification, Trigger
from core import clock, retention
from marketdata import demand
from marketdata.models import Ticker

logger = logging.getLogger(__name__)

# How old the price may be that an alert looks at, of a ticker that does not stream.
FRESH_S = 15
# Rows of one statement: nothing waits long for its locks, and a lost run loses little.
ROWS = 1_000
# Well below the time limit of a task.
RUN_S = 30.0
# Notifications; and what was deleted, so that it can be restored.
KEPT = timedelta(days=30)
# What made an alert fire, for its history.
FIRES_KEPT = timedelta(days=365)

# The index tells which; they are locked in the order of their ids, as everywhere, and looked at again then.
EXPIRE = """
UPDATE alerts_alert SET active = false, edited_at = %(now)s
 WHERE id = ANY (ARRAY(
   SELECT id FROM alerts_alert
    WHERE id = ANY (ARRAY(
            SELECT id FROM alerts_alert WHERE active AND expires_at <= %(now)s ORDER BY expires_at LIMIT %(rows)s))
      AND active AND expires_at <= %(now)s
    ORDER BY id FOR NO KEY UPDATE))
"""


def wanted_by_alerts() -> QuerySet[Ticker, tuple[int, int, str]]:
    """The demand of all alerts, for `marketdata.demand`: one look into the index for each ticker.

    A subquery with a limit is never made a join, so that no plan reads a million alerts to find 5,000 tickers.
    """
    some = Alert.objects.filter(active=True, ticker_id=OuterRef("pk")).order_by().values("pk")[:1]
    return (
        Ticker.objects.alias(some=Subquery(some))
        .filter(some__isnull=False)
        .order_by()
        .values_list(
            "pk",
            Value(FRESH_S, output_field=IntegerField()),
            Value(demand.ALERT, output_field=CharField()),
        )
    )


def expire() -> int:
    """End the alerts whose time is over; how many. The evaluation itself minds the very second."""
    total = retention.by_and_by(_expire_some, ROWS, clock.monotonic() + RUN_S)
    if total:
        demand.changed()
    return total


def _expire_some() -> int:
    with connection.cursor() as cursor:
        cursor.execute(EXPIRE, {"now": clock.now(), "rows": ROWS})
        return int(cursor.rowcount)


# --- the tier's limit


def on_tier_changed(user: User, **_: object) -> None:
    pause_beyond_limit(user.pk)


@transaction.atomic
def pause_beyond_limit(user_id: UUID) -> int:
    """The oldest alerts go on up to what the tier allows, the rest is paused and none is lost; how many."""
    user = User.objects.select_for_update(no_key=True).filter(pk=user_id).first()
    if user is None:
        return 0
    going = Alert.objects.kept().filter(user_id=user_id, active=True).order_by("pk")
    beyond = list(going.values_list("pk", flat=True)[limits_of(user.tier).max_alerts :])
    if not beyond:
        return 0
    locked = Alert.objects.select_for_update(no_key=True).filter(pk__in=beyond, active=True).order_by("pk")
    ids = [alert.pk for alert in locked]
    paused = Alert.objects.filter(pk__in=ids).update(is_paused=True, active=False, edited_at=clock.now())
    transaction.on_commit(demand.changed)
    return paused


def pause_all_beyond_limit() -> int:
    """The same for everybody, whatever was missed: the signal is lost when its process dies after the commit."""
    return sum(pause_beyond_limit(user_id) for tier in Tier for user_id in _beyond(tier.value).iterator(ROWS))


def _beyond(tier: str) -> QuerySet[User, UUID]:
    """Who has more alerts than the tier allows: of each user no more rows are read than that."""
    most = limits_of(tier).max_alerts
    one_more = Alert.objects.kept().filter(user_id=OuterRef("pk"), active=True).order_by("-pk").values("pk")
    return (
        User.objects.alias(one_more=Subquery(one_more[most : most + 1]))
        .filter(tier=tier, one_more__isnull=False)
        .values_list("pk", flat=True)
    )


# --- retention


def delete_old() -> dict[str, int]:
    """Delete notifications and deleted alerts after 30 days, fires after a year; rows by kind. Each kind has its
    share of the time.
    """
    now = clock.now()
    before = now - KEPT
    steps = {
        "notifications": partial(_delete_notifications, before),
        "triggers": partial(_delete_triggers, before),
        "old triggers": partial(_delete_old_triggers, now - FIRES_KEPT),
        "alerts": partial(_delete_alerts, before),
    }
    deleted = retention.in_turns(steps, ROWS, RUN_S)
    if any(rows and rows % ROWS == 0 for rows in deleted.values()):
        logger.warning("more may be too old than one run could delete; the next one goes on")
    return deleted


def _delete_notifications(before: datetime) -> int:
    old = Notification.objects.filter(created_at__lt=before).order_by("created_at")
    return retention.delete_some(Notification.objects, old, ROWS)


def _delete_triggers(before: datetime) -> int:
    """Of deleted alerts: one that fired each minute for a year has half a million."""
    gone = Alert.objects.filter(deleted_at__lt=before)
    theirs = Trigger.objects.filter(alert_id__in=gone.values("pk")).order_by("alert_id")
    return retention.delete_some(Trigger.objects, theirs, ROWS)


def _delete_old_triggers(before: datetime) -> int:
    old = Trigger.objects.filter(committed_at__lt=before).order_by("committed_at")
    return retention.delete_some(Trigger.objects, old, ROWS)


def _delete_alerts(before: datetime) -> int:
    """Without triggers, or there are more of those than the run had time for."""
    gone = Alert.objects.filter(deleted_at__lt=before, triggers=None).order_by("deleted_at")
    return retention.delete_some(Alert.objects, gone, ROWS)
