"""Who likes which ticker: a few are everybody's, most are rare. Needs no Django."""

from __future__ import annotations

import random
from itertools import accumulate


class Taste:
    """Draws positions 0..count-1 after Zipf's law: the second is liked half as much as the first, and so on."""

    def __init__(self, count: int, rng: random.Random) -> None:
        self._rng = rng
        self._all = range(count)
        self._weights = list(accumulate(1 / (rank + 1) for rank in range(count)))

    def one(self) -> int:
        return self._rng.choices(self._all, cum_weights=self._weights)[0]

    def several(self, count: int) -> list[int]:
        """Different ones, in the order drawn."""
        drawn: dict[int, None] = {}
        while len(drawn) < count:
            drawn[self.one()] = None
        return list(drawn)
