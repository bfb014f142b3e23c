"""What can go wrong when a user asks for tickers.

SubscriptionError
├── TierLimit   more tickers than the tier allows; nothing was changed
└── Refused     something on the live stream is not possible, or not any more
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from accounts.tiers import limits_of


class SubscriptionError(Exception):
    """Base of the tree."""


class TierLimit(SubscriptionError):
    """More tickers than the tier allows; str() is a sentence to show."""

    def __init__(self, tier: str, watched: int, symbols: Sequence[str]) -> None:
        self.tier = tier
        self.limit = limits_of(tier).max_tickers
        self.watched = watched
        self.symbols = list(symbols)
        super().__init__(
            f"Your {limits_of(tier).label} plan has room for {self.limit} tickers and {watched} are in use: "
            f"{', '.join(self.symbols)} not added. Remove a ticker or change your plan."
        )


class Refused(SubscriptionError):
    """Becomes an error frame with a stable code; all of them: docs/reference/stream.md."""

    def __init__(self, code: str, message: str, symbols: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code, self.symbols = code, list(symbols)

    def frame(self, request_id: str | int | None = None) -> str:
        fields = {"id": request_id, "code": self.code, "message": str(self), "symbols": self.symbols}
        return orjson.dumps({"type": "error", **fields}).decode()
