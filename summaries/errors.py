"""What can go wrong when a user wants a text.

SummaryError
├── PersonaLocked       the tier does not include analyses in this style
└── TooManyRefreshes    as many were wanted within an hour as the tier allows; `wait_s` says how long to wait
"""

from __future__ import annotations

import math

from accounts.tiers import cheapest_with, limits_of


class SummaryError(Exception):
    """Base of the tree; str() is a sentence to show."""


class PersonaLocked(SummaryError):
    def __init__(self, persona: str, label: str) -> None:
        self.persona = persona
        self.needs_tier = cheapest_with(persona)
        super().__init__(
            f"The analysis “{label}” comes with the {limits_of(self.needs_tier.value).label} plan."
        )


class TooManyRefreshes(SummaryError):
    def __init__(self, tier: str, wait_s: float) -> None:
        self.limit = limits_of(tier).analyses_per_hour
        self.wait_s = max(1, math.ceil(wait_s))
        minutes = math.ceil(self.wait_s / 60)
        super().__init__(
            f"Your {limits_of(tier).label} plan has {self.limit} new analyses an hour, and all are used. "
            f"Try again in {minutes} minute{'' if minutes == 1 else 's'}."
        )
