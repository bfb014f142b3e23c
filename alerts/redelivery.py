"""Sending again what has ended: dead letters, and anything else somebody asks for. The key stays the same."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.db.models.functions import Coalesce

from alerts import outbox
from alerts.models import Delivery, DeliveryState
from core import clock


@transaction.atomic
def send_again(ids: Iterable[int]) -> int:
    """Queue these for now, with all attempts before them; how many messages that makes. What is queued stays so.

    What a digest holds goes with the whole digest, or by itself if the digest was sent.
    """
    rows = Delivery.objects.filter(pk__in=list(ids)).select_related("digest").order_by("pk")
    chosen = {_meant(row) for row in rows}
    ended = Delivery.objects.filter(pk__in=chosen).exclude(state=DeliveryState.QUEUED)
    now = clock.now()
    queued = ended.update(
        state=DeliveryState.QUEUED, attempts=0, next_attempt_at=now, digest=None,
        first_attempt_at=Coalesce("first_attempt_at", now),
    )  # fmt: skip
    if queued:
        outbox.wake()
    return queued


def _meant(row: Delivery) -> int:
    leader = row.digest
    return row.pk if leader is None or leader.state == DeliveryState.SENT else leader.pk
