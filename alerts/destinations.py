"""Where a channel sends to: what a user wrote becomes an address, and what of it may be shown.

Whoever knows the address of a webhook or of a chat can write there, so of these only the host and a few last
characters are shown, even to their owner.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from alerts.checking import Wrong, text
from alerts.models import ChannelKind
from core import egress

LONGEST_EMAIL, LONGEST_URL, LABEL_LENGTH = 254, 2_000, 120
# What a browser's subscription holds: a point on P-256, and 16 bytes.
POINT_BYTES, AUTH_BYTES = 65, 16


class Destination(NamedTuple):
    address: str
    label: str


def read(kind: ChannelKind, value: Any) -> Destination:
    """Raises Wrong. Asks a name server whether the address is one that may be called."""
    return _READERS[kind](value)


def _email(value: Any) -> Destination:
    address = text(LONGEST_EMAIL)(value)
    try:
        validate_email(address)
    except ValidationError:
        raise Wrong("Write an e-mail address.") from None
    return Destination(address, address[:LABEL_LENGTH])


def _webhook(value: Any) -> Destination:
    address = _url(value)
    path = urlsplit(address).path.rstrip("/")
    return Destination(address, f"{_host(address)}/…{path[-4:]}" if len(path) > 4 else _host(address))


def _chat(value: Any) -> Destination:
    address = _url(value)
    return Destination(address, _host(address))


def _browser(value: Any) -> Destination:
    """What `PushSubscription.toJSON()` makes, as an object or as text."""
    found = _as_object(value)
    endpoint, keys = found.get("endpoint"), found.get("keys")
    if not isinstance(keys, dict) or not (
        _is_key(keys.get("p256dh"), POINT_BYTES) and _is_key(keys.get("auth"), AUTH_BYTES)
    ):
        raise Wrong("This is no subscription of a browser.")
    endpoint = _url(endpoint)
    if not endpoint.startswith("https://"):
        raise Wrong("This is no subscription of a browser.")
    kept = {"endpoint": endpoint, "keys": {name: keys[name] for name in ("p256dh", "auth")}}
    return Destination(json.dumps(kept), _host(endpoint))


def endpoint_of(address: str) -> str:
    """Of a browser's stored subscription: what tells it from others."""
    return str(json.loads(address)["endpoint"])


def _as_object(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str) and len(value) <= LONGEST_URL * 2:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise Wrong("This is no subscription of a browser.")
    return value


def _is_key(value: Any, length: int) -> bool:
    if not isinstance(value, str) or len(value) > 2 * length:
        return False
    try:
        found = base64.urlsafe_b64decode(value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4))
    except (ValueError, binascii.Error):
        return False
    return len(found) == length


def _url(value: Any) -> str:
    address: str = text(LONGEST_URL)(value)
    try:
        egress.validate(address)
    except ValidationError as error:
        raise Wrong(" ".join(error.messages), "address") from None
    return address


def _host(address: str) -> str:
    return (urlsplit(address).hostname or "")[: LABEL_LENGTH - 10]


_READERS: dict[ChannelKind, Callable[[Any], Destination]] = {
    ChannelKind.EMAIL: _email,
    ChannelKind.WEBHOOK: _webhook,
    ChannelKind.SLACK: _chat,
    ChannelKind.DISCORD: _chat,
    ChannelKind.BROWSER: _browser,
}
