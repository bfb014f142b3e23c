"""Past bars for tests, in as few words as possible."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from marketdata.quotes import Bar

# A Tuesday, at the open in New York.
OPEN = datetime(2026, 3, 3, 14, 30, tzinfo=UTC)


def bar(start: datetime, prices: str, volume: int = 100) -> Bar:
    """Prices are open, high, low, close; or one for all four."""
    told = [Decimal(text) for text in prices.split()]
    return Bar("ABC", start, *(told if len(told) == 4 else told * 4), volume)


def minutes(*prices: str, start: datetime = OPEN, volume: int = 100) -> list[Bar]:
    return [bar(start + timedelta(minutes=n), text, volume) for n, text in enumerate(prices)]


def days(*prices: str, start: datetime = datetime(2026, 3, 2, tzinfo=UTC), volume: int = 100) -> list[Bar]:
    """From Monday, 2 March on, no weekends in between."""
    return [bar(start + timedelta(days=n), text, volume) for n, text in enumerate(prices)]
