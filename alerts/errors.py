"""What can go wrong when a user makes or changes an alert.

AlertError
├── InvalidRule     fields that cannot be; `errors` says which and why
├── UnknownTicker   nobody lists such a ticker
├── NoPrice         percent of a price that is not known
├── AlertLimit      more alerts than the tier allows; nothing was changed
├── Expired         it has run out, and can only go on with another expiry
├── ChannelLimit    more channels than the tier allows; nothing was made
├── TooManyTests    a channel was tried too often just now
├── Unconfirmed     nobody has confirmed the address of the channel yet; nothing was sent
├── TooManyConfirmations   enough mails that ask for it were sent; nothing was sent
└── BadLink         it confirms nothing (any more)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from accounts.tiers import limits_of


class AlertError(Exception):
    """Base of the tree; str() is a sentence to show."""


class FieldError(NamedTuple):
    code: str
    message: str


class InvalidRule(AlertError):
    """`errors` has one entry for each field that is wrong."""

    def __init__(self, errors: Mapping[str, FieldError]) -> None:
        self.errors = dict(errors)
        super().__init__(" ".join(f"{name}: {error.message}" for name, error in self.errors.items()))


class UnknownTicker(AlertError):
    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        super().__init__(f"There is no ticker {symbol}.")


class NoPrice(AlertError):
    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        super().__init__(
            f"No price of {symbol} is known yet, so percent of it cannot be told. Give the threshold as a price."
        )


class AlertLimit(AlertError):
    def __init__(self, tier: str, in_use: int) -> None:
        self.tier = tier
        self.limit = limits_of(tier).max_alerts
        self.in_use = in_use
        super().__init__(
            f"Your {limits_of(tier).label} plan has room for {self.limit} alerts and {in_use} are in use. "
            "Delete one that you no longer need or change your plan."
        )


class Expired(AlertError):
    def __init__(self, at: datetime) -> None:
        super().__init__(f"It ran out on {at:%Y-%m-%d at %H:%M} UTC. Give it a later expiry, or none.")


class ChannelLimit(AlertError):
    def __init__(self, tier: str) -> None:
        self.limit = limits_of(tier).max_channels
        super().__init__(
            f"Your {limits_of(tier).label} plan has room for {self.limit} channels and all are in use. "
            "Remove one that you no longer need or change your plan."
        )


class TooManyTests(AlertError):
    def __init__(self) -> None:
        super().__init__("You have sent several test messages just now. Wait a minute and try again.")


class Unconfirmed(AlertError):
    def __init__(self) -> None:
        super().__init__("Nothing is sent to this address before the link in the mail to it is followed.")


class TooManyConfirmations(AlertError):
    pass


class BadLink(AlertError):
    pass
