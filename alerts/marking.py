"""What is written down after an attempt: of the delivery, of the channel's health, and for its owner.

It was sent first and is marked now: who dies in between has it sent once more, with the same key, and loses nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from alerts import handing_on, outbox
from alerts.claiming import Claim
from alerts.deliveries.base import Outcome
from alerts.kinds import Priority
from alerts.models import Channel, ChannelState, Delivery, DeliveryState
from alerts.quiet import delay_s
from core import metrics

# Failed so often in a row, a channel is shown as failing.
FAILING_AFTER = 3
# After so many attempts, five minutes apart, the channel that stands in gets it; a critical one seconds earlier.
HANDED_ON_AFTER = 3
CRITICAL_HANDED_ON_AFTER = 2
_rng = random.Random()  # noqa: S311 -- jitter is no secret

SENT = """
WITH sent AS (
  UPDATE alerts_delivery SET state = 'sent', sent_at = %(now)s, last_error = ''
   WHERE id = ANY (%(ids)s) AND state = 'queued' RETURNING id, notification_id
), digested AS (
  UPDATE alerts_delivery SET state = 'digested', sent_at = %(now)s, last_error = ''
   WHERE digest_id = ANY (%(ids)s) AND state IN ('queued', 'dead')
)
SELECT s.id, extract(epoch FROM %(now)s - coalesce(t.committed_at, n.created_at))
  FROM sent s JOIN alerts_notification n ON n.id = s.notification_id
  LEFT JOIN alerts_trigger t ON t.id = n.trigger_id AND n.kind = 'alert'
"""
# What another attempt has just found out for good is not taken back by one that began before; and no attempt, which
# went to an address that the channel had before, makes an unconfirmed one anything else.
HEALTHY = """
UPDATE alerts_channel
   SET state = CASE WHEN state = 'unconfirmed' OR (state = 'disabled' AND NOT %(revives)s) THEN state ELSE 'ok' END,
       last_success_at = %(now)s, failures_in_a_row = 0
 WHERE id = ANY (%(channels)s)
"""
FAILED = """
UPDATE alerts_channel
   SET last_error = %(error)s, last_error_at = %(now)s, failures_in_a_row = failures_in_a_row + 1,
       state = CASE WHEN state = 'unconfirmed' THEN state
                    WHEN %(is_permanent)s THEN 'disabled' WHEN state = 'disabled' THEN state
                    WHEN %(is_last)s OR failures_in_a_row + 1 >= %(failing_after)s THEN 'failing' ELSE state END
 WHERE id = %(channel)s
"""


@dataclass(frozen=True, slots=True)
class Finished:
    """One attempt and how it ended."""

    claim: Claim
    outcome: Outcome


def mark(finished: Sequence[Finished], now: datetime) -> None:
    """Write all of these down, in one transaction. Raises DATABASE_ERRORS, and nothing was written."""
    if not finished:
        return
    with transaction.atomic():
        _lock({one.claim.channel_id for one in finished})
        sent = [one.claim for one in finished if one.outcome.is_sent]
        if sent:
            _mark_sent(sent, now)
        for one in finished:
            if not one.outcome.is_sent:
                _mark_failed(one.claim, one.outcome, now)


def _lock(channels: Iterable[int]) -> None:
    """All of them in the order of their ids, before any delivery: as everybody does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM alerts_channel WHERE id = ANY (%s) ORDER BY id FOR NO KEY UPDATE",
            [sorted(channels)],
        )


def _mark_sent(claims: Sequence[Claim], now: datetime) -> None:
    """Whoever holds the claim by now: it was sent."""
    held = {claim.id for claim in claims if claim.was_held}
    kinds = {claim.id: claim.kind for claim in claims}
    with connection.cursor() as cursor:
        cursor.execute(SENT, {"ids": list(kinds), "now": now})
        ages = dict(cursor.fetchall())
    keep_success((claim.channel_id for claim in claims), now)
    for one, age in ages.items():
        metrics.alerts_deliveries.labels(outcome=DeliveryState.SENT.value).inc()
        if one not in held:
            metrics.alerts_sent_s.labels(kind=kinds[one]).observe(max(0.0, float(age)))


def _mark_failed(claim: Claim, outcome: Outcome, now: datetime) -> None:
    """Only by who holds the claim: another attempt may be under way or even have succeeded."""
    mine = Delivery.objects.filter(pk=claim.id, attempts=claim.attempts, state=DeliveryState.QUEUED)
    delivery = mine.select_related("channel").defer("channel__address", "channel__secret").first()
    if delivery is None:
        return
    error = outcome.error[:300]
    wait = None if outcome.is_permanent else delay_s(claim.attempts, _rng, outcome.after_s)
    metrics.alerts_deliveries.labels(outcome="permanent" if outcome.is_permanent else "failed").inc()
    note_failure(delivery.channel, error, now, is_permanent=outcome.is_permanent, is_last=wait is None)
    taken: set[int] = set()
    if wait is None or _is_hopeless(delivery):
        taken = handing_on.hand_on([delivery.pk], error, now, or_dead=wait is None)
    if wait is not None and delivery.pk not in taken:
        mine.update(next_attempt_at=now + timedelta(seconds=wait), last_error=error)


def _is_hopeless(delivery: Delivery) -> bool:
    is_critical = delivery.priority == Priority.CRITICAL
    return delivery.attempts >= (CRITICAL_HANDED_ON_AFTER if is_critical else HANDED_ON_AFTER)


def note_failure(channel: Channel, error: str, now: datetime, *, is_permanent: bool, is_last: bool) -> None:
    """Keep the channel's health, and tell its owner when it is switched off or has given up. Inside a transaction."""
    before = Channel.objects.filter(pk=channel.pk).values_list("state", flat=True).first()
    keep_failure(channel.pk, error, now, is_permanent=is_permanent, is_last=is_last)
    if is_permanent and before not in {ChannelState.DISABLED, ChannelState.UNCONFIRMED}:
        title = f"{channel.name} was switched off"
        body = f"{_named(channel)} cannot be reached: {error} Put it right and switch it on again."
        outbox.post(channel.user_id, title, body, now)
    elif is_last and not is_permanent:
        _tell_given_up(channel, error, now)


def keep_success(channels: Iterable[int], now: datetime, *, revives: bool = False) -> None:
    """`revives`: also a channel that an error has switched off."""
    with connection.cursor() as cursor:
        cursor.execute(HEALTHY, {"channels": sorted(set(channels)), "now": now, "revives": revives})


def keep_failure(channel: int, error: str, now: datetime, *, is_permanent: bool, is_last: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            FAILED,
            {
                "channel": channel, "error": error, "now": now, "is_permanent": is_permanent, "is_last": is_last,
                "failing_after": FAILING_AFTER,
            },
        )  # fmt: skip


def _tell_given_up(channel: Channel, error: str, now: datetime) -> None:
    """Once, however many messages are given up until it works again."""
    title = f"{channel.name} does not work"
    last = Channel.objects.filter(pk=channel.pk).values_list("last_success_at", flat=True).first()
    told = channel.user.notifications.filter(kind="channel", title=title)
    if (told.filter(created_at__gt=last) if last else told).exists():
        return
    body = f"A message was given up after ten attempts through {_named(channel)}: {error}"
    outbox.post(channel.user_id, title, body, now)


def _named(channel: Channel) -> str:
    return f"{channel.get_kind_display()} {channel.label}"
