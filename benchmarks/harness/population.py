"""People and tickers for a benchmark."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from accounts.models import User
from accounts.tiers import Tier
from marketdata.models import Ticker

BATCH = 1_000


def make_tickers(count: int, prefix: str) -> list[Ticker]:
    rows = [Ticker(symbol=f"{prefix}{number:04d}", name=f"Company {number}") for number in range(count)]
    return Ticker.objects.bulk_create(rows, batch_size=BATCH)


def make_users(count: int, prefix: str, tiers: Sequence[Tier]) -> list[User]:
    """The tiers in turn; nobody has a password, as hashing one is slow on purpose."""
    rows = []
    for number in range(count):
        name = f"{prefix}{number}"
        tier = tiers[number % len(tiers)].value
        rows.append(
            User(id=uuid.uuid4(), username=name, email=f"{name}@example.com", tier=tier, password="!")  # noqa: S106 -- unusable
        )
    return User.objects.bulk_create(rows, batch_size=BATCH)
