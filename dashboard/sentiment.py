"""How a text sounds, as it is shown: a word, a signed number and a bar from the middle. Never colour alone."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from dashboard import formats

# Closer to nothing than this is neither.
NEUTRAL_BELOW = Decimal("0.15")
# Half of the bar, and the least that can be seen of it.
HALF_PX = 32
LEAST_PX = 2


@dataclass(frozen=True, slots=True)
class Sentiment:
    value: Decimal
    """From -1 to 1."""

    @property
    def word(self) -> str:
        if abs(self.value) < NEUTRAL_BELOW:
            return "Neutral"
        return "Positive" if self.value > 0 else "Negative"

    @property
    def number(self) -> str:
        return formats.signed(self.value)

    @property
    def direction(self) -> formats.Direction:
        if abs(self.value) < NEUTRAL_BELOW:
            return "flat"
        return formats.direction(self.value)

    @property
    def width(self) -> int:
        return max(round(abs(self.value) * HALF_PX), LEAST_PX)

    @property
    def left(self) -> int:
        return HALF_PX if self.value >= 0 else HALF_PX - self.width
