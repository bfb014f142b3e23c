"""What connections missed of the inbox, for many users in two queries: those who come back, and those who are here.

Whoever connects them asks; alerts know nothing of connections.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from alerts import inbox
from alerts.models import Notification
from alerts.upkeep import KEPT
from core import clock

MOST = 200

# Of each (user, the last one that it has, whether it says itself which ones of about that time it has): the ids that
# came after it, the newest of all, and how many are unread. An id that became visible after higher ones is of the
# last minute, and so not many ids below.
MISSED = """
SELECT
    ARRAY(
        SELECT missed.id FROM alerts_notification missed
        WHERE missed.user_id = asked.user_id AND missed.created_at >= %(kept)s
          AND missed.id > asked.last - CASE WHEN asked.again THEN 100000 ELSE 0 END
          AND (
              missed.id > asked.last
              OR missed.created_at >= (SELECT created_at FROM alerts_notification WHERE id = asked.last)
                                      - interval '60 seconds'
          )
        ORDER BY missed.id LIMIT %(limit)s
    ),
    COALESCE((SELECT max(id) FROM alerts_notification WHERE user_id = asked.user_id), 0),
    (
        SELECT count(*) FROM alerts_notification
        WHERE user_id = asked.user_id AND read_at IS NULL AND created_at >= %(kept)s
    )
FROM unnest(%(users)s::uuid[], %(lasts)s::bigint[], %(agains)s::bool[])
     WITH ORDINALITY AS asked (user_id, last, again, place)
ORDER BY asked.place
"""

Asked = tuple[UUID, int | None, bool]


class Missed(NamedTuple):
    """`last` is the id of the user's newest notification, 0 without any."""

    payloads: list[dict[str, Any]]
    more: bool
    last: int
    unread: int


def missed(asked: Sequence[Asked]) -> list[Missed]:
    """In the order of `asked`; at most 200 each, the oldest of them first."""
    users, lasts, agains = [list(column) for column in zip(*asked, strict=True)]
    values: dict[str, Any] = {
        "users": users,
        "lasts": lasts,
        "agains": agains,
        "kept": clock.now() - KEPT,
        "limit": MOST + 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(MISSED, values)
        rows = cursor.fetchall()
    payloads = _payloads(number for ids, _, _ in rows for number in ids[:MOST])
    return [
        Missed([payloads[one] for one in ids[:MOST] if one in payloads], len(ids) > MOST, last, unread)
        for ids, last, unread in rows
    ]


def _payloads(ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    rows = Notification.objects.filter(pk__in=list(ids)).select_related("trigger")
    return {row.pk: inbox.payload(row) for row in rows}


def lately(
    users: Collection[UUID], since: datetime, after: int, limit: int
) -> list[tuple[UUID, datetime, dict[str, Any]]]:
    """Of these users, made since then, with an id above `after`, in the order of ids."""
    rows = Notification.objects.filter(user__in=list(users), created_at__gte=since, pk__gt=after)
    found = rows.select_related("trigger").order_by("pk")[:limit]
    return [(row.user_id, row.created_at, inbox.payload(row)) for row in found]
