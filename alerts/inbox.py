"""What users were told: reading it, and having read it. One shape for the API and the live stream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal
from uuid import UUID

from django.db.models import QuerySet

from accounts.models import User
from alerts.kinds import Priority
from alerts.models import Notification, NotificationKind
from alerts.upkeep import KEPT
from core import clock
from marketdata.payload import time_text
from marketdata.quotes import price_text

ALL: Literal["all"] = "all"


def of_user(user_id: UUID) -> QuerySet[Notification]:
    """Of the last 30 days, the newest first, with what `payload` needs."""
    since = clock.now() - KEPT
    rows = Notification.objects.filter(user_id=user_id, created_at__gte=since)
    return rows.select_related("trigger").order_by("-id")


def unread_count(user: User) -> int:
    return of_user(user.pk).filter(read_at=None).count()


def since(user_id: UUID, last_id: int, limit: int) -> list[dict[str, Any]]:
    """What came after the notification `last_id`, the oldest first."""
    rows = of_user(user_id).filter(id__gt=last_id).order_by("id")
    return [payload(row) for row in rows[:limit]]


def mark_read(user: User, ids: Iterable[int] | Literal["all"]) -> int:
    """How many of these were unread; what is not the user's is left out."""
    rows = Notification.objects.filter(user=user, read_at=None)
    if ids != ALL:
        rows = rows.filter(pk__in=list(ids))
    return rows.update(read_at=clock.now())


def payload(row: Notification) -> dict[str, Any]:
    """Every key is always there; prices are text, times end in Z."""
    return {
        "id": row.pk,
        "kind": row.kind,
        "priority": Priority(row.priority).name.lower(),
        # Of a channel it is how `alerts.confirming` counts, and nobody's word.
        "category": "" if row.kind == NotificationKind.CHANNEL else row.category,
        "title": row.title,
        "body": row.body,
        "symbol": row.symbol,
        "current_price": None if row.current_price is None else price_text(row.current_price),
        "scheduled_at": time_text(row.scheduled_at),
        "created_at": time_text(row.created_at),
        "read_at": None if row.read_at is None else time_text(row.read_at),
        "alert": row.trigger.alert_id if row.trigger else None,
        "trigger": row.trigger_id,
        "url": f"/notifications/{row.pk}/",
    }
