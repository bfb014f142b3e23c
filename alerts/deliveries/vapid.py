"""Who we are for the makers of browsers: the key with which web push is signed, and whom they may ask.

Apart from the sender, since pages need the public key and nothing else of web push.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from py_vapid import Vapid02
from py_vapid.utils import b64urlencode

from core import clock

# They refuse more than a day.
GOOD_FOR_S = 12 * 3_600
CONTACTS = ("mailto:", "https://")


def public_key() -> str:
    """What a browser must be given to subscribe. Raises ValueError."""
    point = _signer(settings.VAPID_PRIVATE_KEY).public_key.public_bytes(
        Encoding.X962, PublicFormat.UncompressedPoint
    )
    return str(b64urlencode(point))


def headers(origin: str) -> dict[str, str]:
    """For a push service at this origin. Raises ValueError."""
    claims = {"sub": subject(), "aud": origin, "exp": int(clock.now().timestamp()) + GOOD_FOR_S}
    return dict(_signer(settings.VAPID_PRIVATE_KEY).sign(claims))


def subject() -> str:
    if settings.VAPID_SUBJECT:
        return str(settings.VAPID_SUBJECT)
    if settings.PUBLIC_URL.startswith("https://"):
        return str(settings.PUBLIC_URL)
    return f"mailto:{settings.DEFAULT_FROM_EMAIL.rpartition('<')[2].rstrip('>')}"


@cache
def _signer(text: str) -> Any:
    """Raises ValueError, which does not repeat the text."""
    found = _read(text)
    if found is None or not _is_p256(found.private_key):
        raise ValueError("VAPID_PRIVATE_KEY is not a private key of the curve P-256")
    # The library's own check of the contact refuses addresses with a port; ours stands in alerts/checks.py.
    found.conf = {"no-strict": True}
    return found


def _read(text: str) -> Any:
    try:
        if text.startswith("-----BEGIN"):
            return Vapid02.from_pem(text.encode())
        return Vapid02.from_string(text)
    except (ValueError, TypeError):
        return None


def _is_p256(key: object) -> bool:
    return isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)
