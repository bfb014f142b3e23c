"""API keys for tests."""

from __future__ import annotations

from accounts.models import ApiKey, User


def make_api_key(user: User, name: str = "robot", **fields) -> tuple[ApiKey, str]:
    """A key and its text."""
    text = ApiKey.make_text()
    key = ApiKey.of(user, name, text)
    for field, value in fields.items():
        setattr(key, field, value)
    key.save()
    return key, text
