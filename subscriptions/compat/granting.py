"""What vendors' protocols ask of a user's rights beyond our own: a star for every ticker, and as many as there is room.

`granting.grant` allows all or nothing, which fits a protocol that answers a message. Others acknowledge each ticker by
itself, so there a message with one ticker too many must not cost all the others.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from subscriptions.errors import TierLimit
from subscriptions.models import Subscription


def watched_symbols(user_id: uuid.UUID) -> list[str]:
    """The watchlist, oldest first, without what sleeps: what a star means here."""
    rows = Subscription.objects.lasting().filter(user_id=user_id, dormant=False)
    return list(rows.order_by("subscribed_at", "ticker_id").values_list("ticker__symbol", flat=True))


def within(limit: TierLimit, symbols: Sequence[str]) -> tuple[list[str], list[str]]:
    """(what has room, what has not) of symbols of which some were too many; the first ones come first."""
    room = max(0, limit.limit - limit.watched)
    surplus = set([symbol for symbol in symbols if symbol in set(limit.symbols)][room:])
    return [one for one in symbols if one not in surplus], [one for one in symbols if one in surplus]
