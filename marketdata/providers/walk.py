"""A deterministic path of ticks from open to close that touches high and low exactly, on the cent grid.

The same seed gives the same path in every process, so a quote fetched here and a tick streamed there agree.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import sqrt
from random import Random

MIN_STEPS = 6
# How far the path strays from the straight line between its fixed points, as a part of the span's range.
WANDER = 0.25
# Standard deviation of a byte's distance from the mean of all bytes.
BYTE_SD = 74.0
# In how many spans the low (high) comes first when the close lies above (below) the open.
PLAUSIBLE_ORDER = 0.8


@dataclass(frozen=True, slots=True)
class Walk:
    """One tick per slot of equal length, at an irregular moment within the slot."""

    start_us: int
    slot_us: int
    prices: array[int]
    highs: array[int]
    lows: array[int]
    jitter: bytes

    def __len__(self) -> int:
        return len(self.prices)

    @property
    def end_us(self) -> int:
        return self.start_us + self.slot_us * len(self.prices)

    def time_of(self, i: int) -> int:
        return self.start_us + i * self.slot_us + self.jitter[i] * self.slot_us // 264

    def index_at(self, us: int) -> int:
        """The last tick at or before `us`; -1 before the first, the last one after the end."""
        i = min((us - self.start_us) // self.slot_us, len(self.prices) - 1)
        if i >= 0 and self.time_of(i) > us:
            return i - 1
        return max(i, -1)


@dataclass(frozen=True, slots=True)
class Span:
    """What a walk must do: prices in cents, low <= open, close <= high."""

    open: int
    high: int
    low: int
    close: int


def walk(span: Span, *, start_us: int, slot_us: int, steps: int, seed: str) -> Walk:
    """Walk `span` in `steps` ticks, at least MIN_STEPS; the first one comes at the very start."""
    random = Random(seed)  # noqa: S311 -- a path that must repeat, not a secret
    prices = array("i", [span.open])
    fixed = _fixed_points(span, steps, random)
    scale = WANDER * (span.high - span.low) / (BYTE_SD * sqrt(steps))
    for (i, price), (j, next_price) in pairwise(fixed):
        prices.extend(_bridge(price, next_price, random.randbytes(j - i), scale, (span.low, span.high)))
    return Walk(
        start_us=start_us,
        slot_us=slot_us,
        prices=prices,
        highs=array("i", accumulate(prices, max)),
        lows=array("i", accumulate(prices, min)),
        jitter=b"\x00" + random.randbytes(steps - 1),
    )


def _fixed_points(span: Span, steps: int, random: Random) -> list[tuple[int, int]]:
    """(tick, price) of open, both extremes in a plausible order, and close."""
    last = steps - 1
    middle = last // 2
    first_extreme = 1 + int(random.random() * (middle - 1))
    second_extreme = middle + 1 + int(random.random() * (last - middle - 1))
    low_first = (span.close >= span.open) == (random.random() < PLAUSIBLE_ORDER)
    extremes = (span.low, span.high) if low_first else (span.high, span.low)
    return [(0, span.open), (first_extreme, extremes[0]), (second_extreme, extremes[1]), (last, span.close)]


def _bridge(start: int, end: int, noise: bytes, scale: float, bounds: tuple[int, int]) -> list[int]:
    """A random walk of len(noise) steps that begins after `start`, ends on `end` and stays in bounds."""
    low, high = bounds
    strayed = list(accumulate(noise))
    slope = (end - start - scale * strayed[-1]) / len(noise)
    origin = start + 0.5
    path = [int(origin + slope * i + scale * stray) for i, stray in enumerate(strayed, 1)]
    path[-1] = end
    if low <= min(path) and max(path) <= high:
        return path
    return [price if low <= price <= high else _mirrored(price, low, high) for price in path]


def _mirrored(price: int, low: int, high: int) -> int:
    mirrored = 2 * high - price if price > high else 2 * low - price
    return min(max(mirrored, low), high)


def share_of_day(done: float) -> float:
    """How much of a day's volume has traded after the part `done` of it: much at both ends of the day."""
    return (done + ((2 * done - 1) ** 3 + 1) / 2) / 2


def volume_at(total: int, i: int, steps: int, jitter: int) -> int:
    """The volume after tick `i` of `steps`, never falling, `total` at the end; `jitter` is 0 to 255."""
    if i == steps - 1:
        return total
    return int(total * share_of_day((i + 0.05 + 0.9 * jitter / 255) / steps))
