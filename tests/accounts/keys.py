"""API keys for tests."""

from __future__ import annotations

from accounts.models import ApiKey, User


def make_api_key(user: User, name: str = "robot", **fields) -> tuple[ApiKey, str]:
    """A key and its text."""
    text = ApiKey.make_text()
    prefix = ApiKey.prefix_of(text)
    return ApiKey.objects.create(
        user=user, name=name, prefix=prefix, hash=ApiKey.hash_of(text), **fields
    ), text
