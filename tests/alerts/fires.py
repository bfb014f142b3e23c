"""Fires with evidence, as the evaluation writes them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from alerts.evidence import rule_json
from alerts.models import Alert, Channel, ChannelKind, Delivery, Notification, Trigger


def microseconds(moment: Any) -> int:
    return round(moment.timestamp() * 1_000_000)


def make_fire(alert: Alert, price: str = "191", **fields: Any) -> Trigger:
    """On the tick at `price`, 35 ms after it was traded; it raises the number of fires."""
    alert.fire_seq += 1
    Alert.objects.filter(pk=alert.pk).update(fire_seq=alert.fire_seq, last_fired_at=timezone.now())
    committed = fields.pop("committed_at", timezone.now())
    exchange = committed - timedelta(milliseconds=35)
    tick = {
        "price": price, "as_of": microseconds(exchange), "received": microseconds(exchange) + 20_000,
        "provider": "simulator", "session": "regular", "volume": 1_000, "trade_id": "t1", "replay": False,
        "delayed_s": 0,
    }  # fmt: skip
    values: dict[str, Any] = {
        "fire_seq": alert.fire_seq, "rule_version": alert.version, "rule": rule_json(alert.rule),
        "source": "tick", "price": Decimal(price), "provider": "simulator", "session": "regular",
        "trade_id": "t1", "before": {**tick, "price": "189.90"}, "tick": tick, "armed_at": alert.armed_at,
        "exchange_at": exchange, "received_at": exchange + timedelta(milliseconds=20),
        "evaluated_at": exchange + timedelta(milliseconds=30), "committed_at": committed, **fields,
    }  # fmt: skip
    return Trigger.objects.create(alert=alert, **values)


def make_notification(fire: Trigger, **fields: Any) -> Notification:
    now = timezone.now()
    values = {
        "title": "AAPL is above 190.00",
        "symbol": "AAPL",
        "created_at": now,
        "scheduled_at": now,
        **fields,
    }
    return Notification.objects.create(user=fire.alert.user, trigger=fire, **values)


def make_channel(user: Any, **fields: Any) -> Channel:
    values = {
        "kind": ChannelKind.WEBHOOK, "name": "Bot", "address": "https://example.com/hidden-place",
        "label": "example.com/…lace", "secret": "whsec_hidden-secret", **fields,
    }  # fmt: skip
    return Channel.objects.create(user=user, **values)


def make_delivery(notification: Notification, channel: Channel, **fields: Any) -> Delivery:
    values = {
        "key": f"ot-{notification.pk}-{channel.pk}", "priority": notification.priority,
        "next_attempt_at": timezone.now(), **fields,
    }  # fmt: skip
    return Delivery.objects.create(notification=notification, channel=channel, **values)
