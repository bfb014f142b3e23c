"""How big a scenario is. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

TICKERS, EACH = 100, 8
# Deliveries per second that Channels alone is asked for: it ends between 1,500 and 5,000.
NAIVE_CLIMB = (1_000, 1_500, 2_000, 2_300, 2_600, 3_000, 3_500, 4_200, 5_000, 6_000, 8_000)


@dataclass(frozen=True)
class Size:
    """`rates` are updates per second: the steps of a climb, else one; `seconds` is the length of a window."""

    connections: int
    rates: tuple[int, ...]
    seconds: float
    server: str = "daphne"
    workers: int = 1
    naive: tuple[int, ...] = NAIVE_CLIMB
    thorough: bool = True


def asked(size: Size, **other: Any) -> Size:
    """What the command line says otherwise."""
    if rates := other.pop("rates", None):
        other["rates"] = tuple(int(rate) for rate in rates.split(","))
    return replace(size, **{name: value for name, value in other.items() if value is not None})
