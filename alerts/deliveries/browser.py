"""Notifications in a browser, also while no page is open: Web Push, encrypted for that browser.

The address was given by a browser, so by a user: it is called like every other one. The text is that of Declarative
Web Push, which some browsers show by themselves; for the others our service worker (static/js/sw.js) reads it.
"""

from __future__ import annotations

import base64
from bisect import bisect_right
from hashlib import sha256

from pywebpush import WebPusher

from alerts.deliveries import vapid
from alerts.deliveries.base import Message, Outcome
from alerts.deliveries.posting import post
from alerts.deliveries.subscription import Subscription, read
from alerts.kinds import Priority
from alerts.models import Channel
from core.addresses import Refused
from core.egress import Answer
from core.json import dumps_bytes

# By which a browser recognises Declarative Web Push.
DECLARATIVE = 8030
# A push service takes 4096 bytes, encryption costs about a hundred.
LONGEST = 3_000
KEPT_S = 86_400
GONE = (404, 410)
URGENCY = {Priority.CRITICAL: "high", Priority.HIGH: "high", Priority.MEDIUM: "normal", Priority.LOW: "low"}
TITLE = 200


def send(channel: Channel, message: Message) -> Outcome:
    try:
        subscription = read(channel.address)
    except Refused as error:
        return Outcome.permanent(str(error))
    try:
        signed = vapid.headers(subscription.target.origin)
    except ValueError:
        return Outcome.retry("The server's key for notifications in browsers cannot be read.")
    return post(
        subscription.endpoint,
        _encrypted(subscription, payload(message)),
        {**_headers(message), **signed},
        is_gone=_is_gone,
    )


def _headers(message: Message) -> dict[str, str]:
    return {
        "Content-Type": "application/octet-stream",
        "Content-Encoding": "aes128gcm",
        "TTL": str(KEPT_S),
        "Urgency": URGENCY[message.priority],
        # A repetition takes the place of what still waits for the browser.
        "Topic": _topic(message.key),
    }


def _topic(key: str) -> str:
    return base64.urlsafe_b64encode(sha256(key.encode()).digest())[:32].decode()


def _encrypted(subscription: Subscription, data: bytes) -> bytes:
    pusher = WebPusher({"endpoint": subscription.endpoint, "keys": subscription.keys})
    return bytes(pusher.encode(data)["body"])


def payload(message: Message) -> bytes:
    """Cut where it would be too long."""
    whole = _notification(message, message.body)
    if len(whole) <= LONGEST:
        return whole

    def size(count: int) -> int:
        return len(_cut(message, count))

    return _cut(message, bisect_right(range(len(message.body)), LONGEST, key=size) - 1)


def _cut(message: Message, count: int) -> bytes:
    return _notification(message, f"{message.body[:count]}…")


def _notification(message: Message, body: str) -> bytes:
    shown = {
        "web_push": DECLARATIVE,
        "notification": {
            "title": message.title[:TITLE],
            "body": body,
            "navigate": message.url,
            # Shown once, however often it arrives.
            "tag": message.key,
            "timestamp": int(message.created_at.timestamp() * 1000),
            "requireInteraction": message.priority is Priority.CRITICAL,
        },
    }
    return dumps_bytes(shown)


def _is_gone(answer: Answer) -> bool:
    return answer.status in GONE
