"""What is wrong with the settings of notifications, told before anything starts."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, register

from alerts.deliveries import vapid

TAG = "alerts"


@register(TAG)
def web_push_can_be_signed(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    try:
        vapid.public_key()
    except ValueError as error:
        hint = "Leave it empty for a key that is made once, or make one with `vapid --gen`."
        found.append(Error(f"{error}.", hint=hint, id="alerts.E001"))
    if not vapid.subject().startswith(vapid.CONTACTS):
        words = "VAPID_SUBJECT is neither a mailto: nor an https:// address."
        found.append(Error(words, hint="Such as mailto:admin@example.com.", id="alerts.E001"))
    return found
