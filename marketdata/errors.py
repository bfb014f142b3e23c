"""What can go wrong with market data.

MarketDataError
├── InvalidSymbol        the spelling is no symbol; tell the user, never ask a provider
└── ProviderError        a provider did not deliver
    ├── NotFound         it does not know the symbol
    ├── RateLimited      it asks us to wait until `retry_at`
    ├── PlanLocked       our plan does not include this, or the provider has no such operation
    ├── Unauthorized     it refuses our key: an operator must act
    ├── BadRequest       it refuses the question itself: asking again is useless
    ├── Malformed        it answered something that cannot be read
    └── ProviderDown     no answer: time-out, connection refused, 5xx

`kind` is what the chain, the ledger and the admin call it; `reason` is the word of the API.
Messages never hold a vendor's own text, which may repeat the key.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from marketdata.quotes import Reason


class Kind(StrEnum):
    """How one attempt at one provider ended."""

    OK = "ok"
    NOT_FOUND = "not_found"
    AUTH = "auth"
    PLAN_LOCKED = "plan_locked"
    RATE_LIMITED = "rate_limited"
    TRANSIENT = "transient"
    BAD_REQUEST = "bad_request"
    MALFORMED = "malformed"
    HALTED = "halted"


class MarketDataError(Exception):
    """Base of the tree."""


class InvalidSymbol(MarketDataError, ValueError):
    """The text is not a symbol; its message is safe to show."""


class ProviderError(MarketDataError):
    """A provider did not deliver."""

    kind: Kind = Kind.TRANSIENT
    reason: Reason = Reason.PROVIDER_DOWN

    def __init__(self, message: str = "", *, retry_at: datetime | None = None) -> None:
        super().__init__(message or self.kind.value)
        self.retry_at = retry_at


class NotFound(ProviderError):
    kind = Kind.NOT_FOUND
    reason = Reason.NOT_FOUND


class RateLimited(ProviderError):
    kind = Kind.RATE_LIMITED
    reason = Reason.RATE_LIMITED


class PlanLocked(ProviderError):
    kind = Kind.PLAN_LOCKED
    reason = Reason.PLAN_LOCKED


class Unauthorized(ProviderError):
    kind = Kind.AUTH


class BadRequest(ProviderError):
    kind = Kind.BAD_REQUEST


class Malformed(ProviderError):
    kind = Kind.MALFORMED


class ProviderDown(ProviderError):
    kind = Kind.TRANSIENT
