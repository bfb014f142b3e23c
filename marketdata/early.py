"""When to ask for a quote again before it has run out, so that no reader ever waits for it. Pure.

Each read draws lots (XFetch, Vattani et al. 2015): the nearer the end, the likelier. A quote that many read is
renewed early by one of them, one that few read is not bought in advance. It works together with single flight:
one read asks, the others are answered with what is known.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp

# How far before the end lots are drawn, as a multiple of what a fetch takes. With 1 a ticker that is read 200 times
# a second is bought 1.12 times per time to live, with 0.5 1.03 times, and still before its end in 99 of 100 cases.
BETA = 0.5


def should_refresh(
    remaining_s: float, fetch_s: float, rng: Callable[[], float], *, beta: float = BETA
) -> bool:
    """Whether this read of a quote that is good for `remaining_s` more should renew it.

    `fetch_s` is how long a fetch takes, `rng` draws evenly from [0, 1).
    """
    if remaining_s <= 0:
        return True
    if fetch_s <= 0:
        return False
    return rng() < exp(-remaining_s / (beta * fetch_s))
