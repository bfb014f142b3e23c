"""What each tier allows. The only place that knows 5, 10 and 20."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Tier(StrEnum):
    FREE = "free"
    PRO = "pro"
    EXPERT = "expert"


@dataclass(frozen=True, slots=True)
class Limits:
    label: str
    max_tickers: int


LIMITS: dict[Tier, Limits] = {
    Tier.FREE: Limits(label="Free", max_tickers=5),
    Tier.PRO: Limits(label="Pro", max_tickers=10),
    Tier.EXPERT: Limits(label="Expert", max_tickers=20),
}


def limits_of(tier: str) -> Limits:
    return LIMITS[Tier(tier)]
