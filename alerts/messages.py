"""What a delivery says: rows become a message, the same at every attempt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.conf import settings

from alerts.deliveries.base import Message
from alerts.kinds import Priority
from alerts.models import Delivery, Notification

# Of a digest, in the text; programs get all of them.
LINES = 50


def load(ids: Iterable[int]) -> dict[int, Message]:
    """The messages of these deliveries; with those that a digest of them holds."""
    ids = list(ids)
    related = ("notification__trigger", "notification__user")
    rows = Delivery.objects.select_related(*related).defer("notification__trigger__rule")
    members: dict[int, list[Delivery]] = {}
    for one in rows.filter(digest__in=ids).order_by("id"):
        members.setdefault(one.digest_id or 0, []).append(one)
    found = rows.filter(pk__in=ids)
    return {one.pk: _of_delivery(one, members.get(one.pk, [])) for one in found}


def _of_delivery(delivery: Delivery, members: Sequence[Delivery]) -> Message:
    if not members:
        return of_notification(delivery.notification, delivery.key)
    items = [of_notification(one.notification, one.key) for one in sorted([delivery, *members], key=_age)]
    return digest_of(items, delivery.key)


def _age(delivery: Delivery) -> tuple[Any, int]:
    return delivery.notification.created_at, delivery.notification_id


def of_notification(notification: Notification, key: str) -> Message:
    return Message(
        key=key,
        kind=notification.kind,
        priority=Priority(notification.priority),
        title=notification.title,
        body=notification.body,
        symbol=notification.symbol,
        current_price=notification.current_price,
        url=_absolute(f"/notifications/{notification.pk}/"),
        created_at=notification.created_at,
        user_email=notification.user.email,
        extra=_extra(notification),
    )


def digest_of(items: Sequence[Message], key: str) -> Message:
    """One message of several, oldest first."""
    symbols = {item.symbol for item in items}
    lines = [item.title for item in items[:LINES]]
    if len(items) > LINES:
        lines.append(f"… and {len(items) - LINES} more")
    return Message(
        key=key,
        kind=items[0].kind,
        priority=min(item.priority for item in items),
        title=f"{len(items)} notifications",
        body="\n".join(lines),
        symbol=symbols.pop() if len(symbols) == 1 else "",
        current_price=None,
        url=_absolute("/notifications/"),
        created_at=items[0].created_at,
        user_email=items[0].user_email,
        items=tuple(items),
    )


def _absolute(path: str) -> str:
    return f"{settings.PUBLIC_URL.rstrip('/')}{path}"


def _extra(notification: Notification) -> Mapping[str, Any]:
    """`idempotency_key` is the same over all channels and for all that is told of one fire."""
    extra: dict[str, Any] = {"notification": notification.pk, "category": notification.category}
    trigger = notification.trigger
    if trigger is None:
        return extra
    return {
        **extra,
        "alert": trigger.alert_id,
        "trigger": trigger.pk,
        "idempotency_key": f"{trigger.alert_id}:{trigger.fire_seq}",
        "evidence": {
            "source": trigger.source,
            "provider": trigger.provider,
            "session": trigger.session,
            "before": trigger.before,
            "tick": trigger.tick,
        },
    }
