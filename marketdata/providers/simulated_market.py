"""A made-up market: the price of any symbol at any time, from a seed and nothing else.

The price at the start of each quarter hour comes from noise at nine scales, from a quarter hour to two years,
each four times as long and twice as strong as the one below: it moves by the square root of time, as prices
do. Inside a quarter hour a walk (walk.py) leads from one end to the other and shows its high and low.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from math import exp

from marketdata.providers.walk import MIN_STEPS, Span, Walk, walk

CELL_US = 900_000_000
DAY_US = 86_400_000_000
CELLS_PER_DAY = DAY_US // CELL_US
OCTAVES = 9
# Strength of the finest noise; gives about 25 % of yearly volatility.
FINEST = 0.0015
# How far high and low lie outside open and close, at most, as a part of the price.
LONGEST_WICK = 0.0015
# Symbols whose current path is kept, 12 kB each; one more, and all are made anew when next asked for.
MAX_SYMBOLS = 10_000

# Around which price a well-known symbol moves, in dollars, so that a demo looks familiar.
FAMILIAR = dict(
    [
        *[
            ("SPY", 600),
            ("QQQ", 520),
            ("VTI", 295),
            ("SCHD", 28),
            ("AAPL", 230),
            ("MSFT", 430),
            ("NVDA", 140),
        ],
        *[("AMZN", 210), ("GOOG", 175), ("GOOGL", 174), ("META", 580), ("TSLA", 300), ("BRK.B", 470)],
        *[("JPM", 240), ("IBM", 220), ("V", 310), ("BTC-USD", 90_000), ("ETH-USD", 3_200), ("^GSPC", 6_000)],
    ]
)


@dataclass(frozen=True, slots=True)
class DaySoFar:
    """High and low of the first `cells` quarter hours of a day, and what its volume will be."""

    day: int
    cells: int
    open: int
    high: int
    low: int
    volume: int


class Market:
    def __init__(self, seed: int, ticks_per_second: float = 1.0) -> None:
        steps = int(ticks_per_second * CELL_US / 1_000_000)
        if steps < MIN_STEPS:
            raise ValueError(f"a simulated quarter hour needs at least {MIN_STEPS} ticks")
        self.slot_us = CELL_US // steps
        self.steps = steps
        self._seed = seed
        self._lattice: dict[str, list[tuple[int, float, float]]] = {}
        self._paths: dict[str, tuple[int, Walk]] = {}
        self._days: dict[str, DaySoFar] = {}

    def price(self, symbol: str, cell: int) -> int:
        """Cents at the start of a quarter hour, counted since 1970."""
        lattice = self._lattice.get(symbol) or self._new_lattice(symbol)
        strength, total = FINEST, 0.0
        for octave in range(OCTAVES):
            period = 4**octave
            position, offset = divmod(cell, period)
            at, left, right = lattice[octave]
            if at != position:
                left = right if at == position - 1 else self._noise(symbol, octave, position)
                right = self._noise(symbol, octave, position + 1)
                lattice[octave] = (position, left, right)
            part = offset / period
            total += strength * (left + (right - left) * part * part * (3 - 2 * part))
            strength *= 2
        return max(2, round(base_cents(symbol, self._seed) * exp(total)))

    def span(self, symbol: str, cell: int) -> Span:
        first, last = self.price(symbol, cell), self.price(symbol, cell + 1)
        wick = max(1, int(LONGEST_WICK * first))
        above, below = (int((self._noise(symbol, side, cell) + 1) / 2 * wick) for side in (-1, -2))
        return Span(
            open=first,
            close=last,
            high=max(first, last) + above + 1,
            low=max(1, min(first, last) - below - 1),
        )

    def path(self, symbol: str, cell: int) -> Walk:
        cached = self._paths.get(symbol)
        if cached and cached[0] == cell:
            return cached[1]
        path = self.walked(symbol, cell)
        self._paths[symbol] = (cell, path)
        return path

    def walked(self, symbol: str, cell: int) -> Walk:
        """The same, but not kept: for bars of the past."""
        return walk(
            self.span(symbol, cell),
            start_us=cell * CELL_US,
            slot_us=self.slot_us,
            steps=self.steps,
            seed=f"{self._seed} {symbol} {cell}",
        )

    def before(self, symbol: str, cell: int) -> DaySoFar:
        """The day of `cell` before that cell; each call works out only what is new since the last one."""
        day, cells = divmod(cell, CELLS_PER_DAY)
        known = self._days.get(symbol)
        if known and known.day == day and known.cells == cells:
            return known
        if known is None or known.day != day or known.cells > cells:
            first = self.price(symbol, day * CELLS_PER_DAY)
            known = DaySoFar(day, 0, first, first, first, self.volume_of_day(symbol, day))
        spans = [self.span(symbol, day * CELLS_PER_DAY + i) for i in range(known.cells, cells)]
        high = max([known.high, *(span.high for span in spans)])
        low = min([known.low, *(span.low for span in spans)])
        known = self._days[symbol] = replace(known, cells=cells, high=high, low=low)
        return known

    def volume_of_day(self, symbol: str, day: int) -> int:
        return int(10 ** (6.7 + 0.8 * self._noise(symbol, -3, 0) + 0.15 * self._noise(symbol, -3, day)))

    def _noise(self, symbol: str, scale: int, position: int) -> float:
        """A number in [-1, 1) that belongs to this symbol, scale and position."""
        digest = blake2b(f"{self._seed} {symbol} {scale} {position}".encode(), digest_size=6).digest()
        return int.from_bytes(digest) / 2**47 - 1

    def _new_lattice(self, symbol: str) -> list[tuple[int, float, float]]:
        if len(self._lattice) >= MAX_SYMBOLS:
            for kept in (self._lattice, self._paths, self._days):
                kept.clear()
        lattice = self._lattice[symbol] = [(-1, 0.0, 0.0)] * OCTAVES
        return lattice


@lru_cache(maxsize=MAX_SYMBOLS)
def base_cents(symbol: str, seed: int) -> int:
    if symbol in FAMILIAR:
        return FAMILIAR[symbol] * 100
    digest = blake2b(f"{seed} {symbol} base".encode(), digest_size=6).digest()
    return int(1_200 * 40 ** (int.from_bytes(digest) / 2**48))
