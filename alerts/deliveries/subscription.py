"""What a browser gives when it subscribes to notifications: where its maker takes them, and keys to encrypt for it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from core import json
from core.addresses import Refused, Target, parse

UNREADABLE = "This is not the subscription of a browser. Turn notifications on in the browser again."
LONGEST = 4_000
AUTH_BYTES = 16


@dataclass(frozen=True, slots=True)
class Subscription:
    endpoint: str = field(repr=False)
    target: Target
    keys: dict[str, str] = field(repr=False)


def read(text: str) -> Subscription:
    """Raises Refused."""
    try:
        given = json.loads(text) if len(text) <= LONGEST else None
    except json.InvalidJSON:
        given = None
    found = _subscription_of(given) if isinstance(given, dict) else None
    if found is None:
        raise Refused(UNREADABLE)
    # No maker of browsers has an address without a name, and the signature has no form for it.
    if found.target.scheme != "https" or ":" in found.target.host:
        raise Refused("A browser's notifications go to an https:// address with a name.")
    return found


def _subscription_of(given: dict[str, Any]) -> Subscription | None:
    endpoint, keys = given.get("endpoint"), given.get("keys")
    if not isinstance(endpoint, str) or not isinstance(keys, dict):
        return None
    texts = {name: str(keys.get(name)) for name in ("p256dh", "auth")}
    if not (_is_point(_bytes_of(texts["p256dh"])) and len(_bytes_of(texts["auth"])) == AUTH_BYTES):
        return None
    return Subscription(endpoint, parse(endpoint), texts)


def _bytes_of(text: str) -> bytes:
    try:
        return base64.b64decode(
            text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True
        )
    except ValueError:
        return b""


def _is_point(data: bytes) -> bool:
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data)
    except ValueError:
        return False
    return len(data) == 65
