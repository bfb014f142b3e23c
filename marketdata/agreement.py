"""How far providers agree on prices, so that one that drifts is noticed. Nothing is ever averaged. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from statistics import median

# Two venues' last trades differ by a spread; beyond this somebody is wrong or late.
MOST_APART = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two providers over the symbols both knew: the median distance of their prices in percent of the lower."""

    one: str
    other: str
    symbols: int
    median_percent: Decimal
    worst_symbol: str

    @property
    def fine(self) -> bool:
        return self.median_percent <= MOST_APART


def agreements(prices: Mapping[str, Mapping[str, Decimal]]) -> list[Agreement]:
    """For each pair of providers with a symbol in common; `prices` is provider -> symbol -> price."""
    found = []
    for one, other in combinations(prices, 2):
        apart = {
            symbol: _apart(prices[one][symbol], prices[other][symbol])
            for symbol in prices[one]
            if symbol in prices[other]
        }
        if apart:
            worst = max(apart, key=lambda symbol: apart[symbol])
            middle = median(apart.values()).quantize(Decimal("0.001"))
            found.append(Agreement(one, other, len(apart), middle, worst))
    return found


def _apart(one: Decimal, other: Decimal) -> Decimal:
    low, high = sorted((one, other))
    return (high - low) / low * 100
