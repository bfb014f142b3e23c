"""Deliveries that their channel does not send: to the channel that stands in for it, or to the dead letters.

The other channel's delivery is made in the same transaction in which this one ends, and only where that channel has
none for the notification yet: so a ring of channels ends, and nothing is handed to one that hands it back. What
nobody takes stays here, and is given up only where it cannot be tried again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from django.db import connection
from django.db.models import Q

from alerts.models import Channel, ChannelState, Delivery, DeliveryState
from core import metrics

HAND_ON = """
INSERT INTO alerts_delivery
       (notification_id, channel_id, key, state, priority, attempts, next_attempt_at, last_error, created_at)
SELECT d.notification_id, %(channel)s, format('ot-%%s-%%s', d.notification_id, %(channel)s), 'queued', d.priority, 0,
       %(now)s, '', %(now)s
  FROM alerts_delivery d WHERE d.id = %(id)s
ON CONFLICT DO NOTHING
"""
DELIVERED = (DeliveryState.SENT, DeliveryState.DIGESTED)


def skip(ids: Sequence[int]) -> None:
    """Nobody wants these any more."""
    _end(ids, DeliveryState.SKIPPED)


def hand_on(ids: Sequence[int], error: str, now: datetime, *, or_dead: bool = True) -> set[int]:
    """Give these to other channels; which of them were taken. The rest is dead, or stays as it is."""
    taken: set[int] = set()
    for one in _with_members(ids):
        if _try(one, now):
            taken.add(one.pk)
            _end([one.pk], DeliveryState.FAILED_OVER, error)
        elif or_dead:
            _end([one.pk], DeliveryState.DEAD, error)
    return taken


def _try(delivery: Delivery, now: datetime) -> bool:
    """Whether another channel has it now, or has had it."""
    for channel in _stand_ins(delivery.channel):
        with connection.cursor() as cursor:
            cursor.execute(HAND_ON, {"channel": channel.pk, "id": delivery.pk, "now": now})
            if cursor.rowcount:
                return True
        others = Delivery.objects.filter(notification_id=delivery.notification_id, channel=channel)
        if others.filter(state__in=DELIVERED).exists():
            return True
    return False


def _stand_ins(channel: Channel) -> Iterator[Channel]:
    """Those that could take it, the nearest first; each once, however they point at each other."""
    seen = {channel.pk}
    following = channel.failover_id
    while following is not None and following not in seen:
        seen.add(following)
        found = Channel.objects.defer("address", "secret").filter(pk=following).first()
        if found is None:
            return
        if found.is_enabled and found.state not in {ChannelState.DISABLED, ChannelState.UNCONFIRMED}:
            yield found
        following = found.failover_id


def _with_members(ids: Iterable[int]) -> list[Delivery]:
    """With what a digest of theirs holds."""
    ids = list(ids)
    found = Delivery.objects.filter(Q(pk__in=ids) | Q(digest__in=ids), state=DeliveryState.QUEUED)
    return list(found.select_related("channel").defer("channel__address", "channel__secret").order_by("pk"))


def _end(ids: Sequence[int], state: DeliveryState, error: str = "") -> None:
    changed = Delivery.objects.filter(pk__in=ids, state=DeliveryState.QUEUED).update(
        state=state, last_error=error
    )
    metrics.alerts_deliveries.labels(outcome=state.value).inc(changed)
