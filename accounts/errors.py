"""What can go wrong with an account.

AccountError
└── KeyLimit    more API keys than the tier allows; nothing was made
"""

from __future__ import annotations

from accounts.tiers import limits_of


class AccountError(Exception):
    """Base of the tree."""


class KeyLimit(AccountError):
    """More API keys than the tier allows; str() is a sentence to show."""

    def __init__(self, tier: str) -> None:
        limits = limits_of(tier)
        super().__init__(
            f"Your {limits.label} plan has room for {limits.max_api_keys} API keys and all are in use. "
            "Revoke one that you no longer need."
        )
