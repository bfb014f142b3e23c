"""Brute force: what every level does over the prices of its ticker, one after the other.

It shares no code with the product.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from benchmarks.evaluation.field import Level

Priced = tuple[int, Decimal]


class Did(NamedTuple):
    """A level at the price with this number: it fired, or it was armed again."""

    level: int
    number: int
    fired: bool


def over(levels: Iterable[Level], prices: Mapping[int, Sequence[Priced]]) -> set[Did]:
    """All levels are armed at first; `prices` by place, in their order."""
    found: set[Did] = set()
    reach = {
        place: (min(one[1] for one in some), max(one[1] for one in some)) for place, some in prices.items()
    }
    for level in levels:
        if level.place not in reach:
            continue
        low, high = reach[level.place]
        if (high > level.threshold) if level.direction > 0 else (low < level.threshold):
            found.update(_of_one(level, prices[level.place]))
    return found


def _of_one(level: Level, prices: Sequence[Priced]) -> list[Did]:
    did, armed = [], True
    for number, price in prices:
        beyond = price > level.threshold if level.direction > 0 else price < level.threshold
        if armed and beyond:
            did.append(Did(level.id, number, fired=True))
            armed = False
            if level.is_last:
                break
        elif not armed and not beyond:
            did.append(Did(level.id, number, fired=False))
            armed = True
    return did
