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
    # The fastest cadence of the live stream, as a word of its protocol.
    fastest: str
    max_connections: int
    max_api_keys: int
    max_alerts: int
    max_channels: int
    # In whose style tickers are analysed, by the names of summaries.kinds.Persona.
    personas: tuple[str, ...]
    # How often an hour somebody may have a ticker analysed anew.
    analyses_per_hour: int


LIMITS: dict[Tier, Limits] = {
    Tier.FREE: Limits(
        label="Free",
        max_tickers=5,
        fastest="1s",
        max_connections=10,
        max_api_keys=2,
        max_alerts=20,
        max_channels=3,
        personas=("basic",),
        analyses_per_hour=5,
    ),
    Tier.PRO: Limits(
        label="Pro",
        max_tickers=10,
        fastest="live",
        max_connections=20,
        max_api_keys=5,
        max_alerts=100,
        max_channels=5,
        personas=("basic", "buffett", "lynch"),
        analyses_per_hour=20,
    ),
    Tier.EXPERT: Limits(
        label="Expert",
        max_tickers=20,
        fastest="live",
        max_connections=50,
        max_api_keys=10,
        max_alerts=500,
        max_channels=10,
        personas=("basic", "buffett", "lynch", "dcf"),
        analyses_per_hour=60,
    ),
}


def limits_of(tier: str) -> Limits:
    return LIMITS[Tier(tier)]


def cheapest_with(persona: str) -> Tier:
    """The first tier that has this persona."""
    return next(tier for tier, limits in LIMITS.items() if persona in limits.personas)
