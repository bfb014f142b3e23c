"""The transactional outbox: what was committed with a fire becomes deliveries, and somebody is asked to send them.

Whoever writes a notification writes its outbox row in the same transaction and calls `wake`. A wake-up may be lost;
beat asks every five seconds. Deliveries are made and the outbox row is deleted in one statement, so that neither can
happen without the other, and a delivery is unique by (notification, channel).
"""

from __future__ import annotations

import logging
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from kombu.exceptions import OperationalError as QueueAway
from redis.exceptions import RedisError

from alerts.kinds import Priority
from alerts.models import Notification, NotificationKind, Outbox
from core import clock, metrics
from core.waking import Waker

logger = logging.getLogger(__name__)

# Rows of one statement: some tens of milliseconds.
ROWS = 1_000

# A channel that was switched off by an error still gets its row if another stands in for it: the dispatcher passes it
# on. One that nobody has confirmed gets none. Whoever has no channel has read the inbox.
EXPAND = """
WITH taken AS MATERIALIZED (
  SELECT notification_id, priority FROM alerts_outbox
   WHERE due_at <= %(now)s ORDER BY priority, due_at LIMIT %(rows)s
     FOR UPDATE SKIP LOCKED
), made AS (
  INSERT INTO alerts_delivery
         (notification_id, channel_id, key, state, priority, attempts, next_attempt_at, last_error, created_at)
  SELECT n.id, c.id, format('ot-%%s-%%s', n.id, c.id), 'queued', t.priority, 0, %(now)s, '', %(now)s
    FROM taken t
    JOIN alerts_notification n ON n.id = t.notification_id
    JOIN accounts_user u ON u.id = n.user_id AND u.is_active
    JOIN alerts_channel c ON c.user_id = n.user_id AND c.is_enabled AND t.priority <= c.lowest_priority
                         AND c.state <> 'unconfirmed' AND (c.state <> 'disabled' OR c.failover_id IS NOT NULL)
   ORDER BY t.priority, n.id
  ON CONFLICT DO NOTHING
), gone AS (
  DELETE FROM alerts_outbox o USING taken t WHERE o.notification_id = t.notification_id
)
SELECT count(*) FROM taken
"""


def expand(limit: int = ROWS) -> int:
    """Make the deliveries of outbox rows that are due, the most urgent first; how many rows were taken."""
    try:
        return _expand(limit)
    except IntegrityError:
        # A channel was removed between our looking and our writing; now it is gone.
        return _expand(limit)


def _expand(limit: int) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(EXPAND, {"now": clock.now(), "rows": limit})
        return int(cursor.fetchone()[0])


def post(
    user_id: UUID, title: str, body: str, now: datetime, priority: Priority = Priority.HIGH
) -> Notification:
    """Tell a user about a channel of theirs: in the inbox, and through the other channels."""
    notification = Notification.objects.create(
        user_id=user_id, kind=NotificationKind.CHANNEL, priority=priority, title=title[:200], body=body,
        scheduled_at=now, created_at=now,
    )  # fmt: skip
    Outbox.objects.create(notification=notification, priority=priority, due_at=now)
    transaction.on_commit(partial(_tell_live, notification), robust=True)
    return notification


def _tell_live(notification: Notification) -> None:
    """Open pages, and whoever sends; a loss costs seconds."""
    from alerts import telling  # noqa: PLC0415 -- telling imports this module
    from alerts.committing import Written  # noqa: PLC0415 -- likewise

    telling.tell_and_wait([], Written(set(), [notification]))


# --- asking for a dispatcher


def wake() -> None:
    """Have deliveries sent soon after the running transaction, if there is one, is committed.

    Never waits and never raises: another thread asks, a few times a second at most.
    """
    _waker.after_commit()


def _ask_for_delivery() -> None:
    from alerts.tasks import deliver  # noqa: PLC0415 -- tasks import this module

    try:
        deliver.apply_async(retry=False)
    except (QueueAway, RedisError, OSError):
        metrics.redis_failures.labels(used_by="queue").inc()
        logger.warning("nobody could be asked to deliver; beat asks within seconds")


_waker = Waker(_ask_for_delivery)
