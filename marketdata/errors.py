"""What can go wrong with market data.

MarketDataError
├── InvalidSymbol        the spelling is no symbol; tell the user, never ask a provider
└── ProviderError        a provider did not deliver; carries the reason and whether to try the next one
    ├── NotFound         it does not know the symbol
    ├── RateLimited      it asks us to wait until `retry_at`
    ├── PlanLocked       our plan does not include this
    └── ProviderDown     no usable answer: timeout, 5xx, malformed
"""

from __future__ import annotations

from datetime import datetime

from marketdata.quotes import Reason


class MarketDataError(Exception):
    """Base of the tree."""


class InvalidSymbol(MarketDataError, ValueError):
    """The text is not a symbol; its message is safe to show."""


class ProviderError(MarketDataError):
    """A provider did not deliver; `reason` is the word of the API."""

    reason: Reason = Reason.PROVIDER_DOWN

    def __init__(self, message: str = "", *, retry_at: datetime | None = None) -> None:
        super().__init__(message or self.reason.value)
        self.retry_at = retry_at


class NotFound(ProviderError):
    reason = Reason.NOT_FOUND


class RateLimited(ProviderError):
    reason = Reason.RATE_LIMITED


class PlanLocked(ProviderError):
    reason = Reason.PLAN_LOCKED


class ProviderDown(ProviderError):
    reason = Reason.PROVIDER_DOWN
