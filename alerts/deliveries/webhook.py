"""Webhooks to programs of the user's own, signed as Standard Webhooks says (https://www.standardwebhooks.com/).

The receiver knows a repetition by `webhook-id`, which is the delivery's key; an alert that fired also carries its
own `idempotency_key`.
"""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256

from alerts.deliveries.base import Message, Outcome
from alerts.deliveries.posting import fields, post
from alerts.models import Channel, NotificationKind
from core import clock
from core.egress import Answer
from core.json import dumps_bytes
from marketdata.payload import time_text

PREFIX = "whsec_"
GONE = 410
TYPES = {
    NotificationKind.ALERT.value: "alert.fired",
    NotificationKind.RETRACTION.value: "alert.retracted",
    NotificationKind.SPLIT.value: "alert.adjusted",
    NotificationKind.CHANNEL.value: "channel.disabled",
    NotificationKind.TEST.value: "channel.test",
}
DIGEST = "notification.digest"


def send(channel: Channel, message: Message) -> Outcome:
    body = body_of(message)
    at = str(int(clock.now().timestamp()))
    try:
        signature = sign(channel.secret, message.key, at, body)
    except ValueError:
        return Outcome.permanent("The channel's signing secret cannot be read. Make a new one.")
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message.key,
        "webhook-timestamp": at,
        "webhook-signature": signature,
    }
    return post(channel.address, body, headers, is_gone=_is_gone)


def sign(secret: str, key: str, at: str, body: bytes) -> str:
    """Raises ValueError for what is no secret."""
    if not secret.startswith(PREFIX):
        raise ValueError("not a signing secret")
    bare = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    if not bare:
        raise ValueError("an empty signing secret")
    digest = hmac.digest(bare, f"{key}.{at}.".encode() + body, sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def body_of(message: Message) -> bytes:
    """The same at every attempt."""
    data = fields(message)
    if message.items:
        data["items"] = [fields(item) for item in message.items]
    kind = DIGEST if message.items else TYPES.get(message.kind, f"notification.{message.kind}")
    return dumps_bytes({"type": kind, "timestamp": time_text(message.created_at), "data": data})


def _is_gone(answer: Answer) -> bool:
    return answer.status == GONE
