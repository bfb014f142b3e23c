"""A message and a channel that are in no database."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from alerts.deliveries.base import Message
from alerts.kinds import Priority
from alerts.models import Channel, ChannelKind

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def message(**fields) -> Message:
    return Message(
        **{
            "key": "ot-17-4",
            "kind": "alert",
            "priority": Priority.HIGH,
            "title": "AAPL crossed above 190.00",
            "body": "190.02 at 14:31:05, regular session.",
            "symbol": "AAPL",
            "current_price": Decimal("190.02000000"),
            "url": "https://onetape.example.com/notifications/17/",
            "created_at": datetime(2026, 11, 20, 19, 31, 5, 120_000, tzinfo=UTC),
            "user_email": "ada@example.com",
            "extra": {"idempotency_key": "3:1"},
            **fields,
        }
    )


def channel(kind: ChannelKind, address: str, **fields) -> Channel:
    return Channel(**{"kind": kind.value, "address": address, "secret": SECRET, "name": "mine", **fields})
