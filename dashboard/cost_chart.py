"""The picture of what each day cost: bars without words, which stand beside it as text.

Attributes and classes only, no inline style; the page stretches it to its width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, Decimal

from django.utils.safestring import SafeString, mark_safe

HEIGHT = 100
SLOT, BAR = 10, 7
# Fewer bars than this stay as wide as a week's.
FEWEST = 7
NICE = (Decimal(1), Decimal(2), Decimal(5), Decimal(10))


@dataclass(frozen=True, slots=True)
class DayCost:
    """What one day cost, in dollars: its part of the monthly fees, and its calls."""

    day: date
    fees: Decimal
    calls: Decimal

    @property
    def total(self) -> Decimal:
        return self.fees + self.calls


def nice_top(highest: Decimal) -> Decimal:
    """The first of 1, 2, 5, 10, 20, … (also 0.1, 0.02) that is not below; 1 where all is nought."""
    if highest <= 0:
        return Decimal(1)
    scale = Decimal(1).scaleb(highest.adjusted())
    return next(step * scale for step in NICE if step * scale >= highest)


def bars(days: Sequence[DayCost]) -> SafeString:
    """The fees below, the calls above; as high as `nice_top` of the dearest day."""
    top = nice_top(max((one.total for one in days), default=Decimal(0)))
    width = max(len(days), FEWEST) * SLOT
    parts = [
        f'<svg class="cost-bars" viewBox="0 0 {width} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">',
        *(f'<path class="cost-grid" d="M0 {y}H{width}"/>' for y in (0.5, HEIGHT / 2)),
        *_rectangles(days, top),
        f'<path class="cost-base" d="M0 {HEIGHT - 0.5}H{width}"/></svg>',
    ]
    return mark_safe("".join(parts))  # noqa: S308 -- numbers and fixed words only


def _rectangles(days: Sequence[DayCost], top: Decimal) -> Iterator[str]:
    for number, one in enumerate(days):
        x = number * SLOT + (SLOT - BAR) / 2
        low = _height(one.fees, top)
        high = _height(one.total, top)
        if low:
            yield f'<rect class="cost-fees" x="{x}" y="{HEIGHT - low}" width="{BAR}" height="{low}"/>'
        if high > low:
            yield (
                f'<rect class="cost-calls" x="{x}" y="{HEIGHT - high}" width="{BAR}" height="{high - low}"/>'
            )


def _height(value: Decimal, top: Decimal) -> Decimal:
    return (HEIGHT * value / top).quantize(Decimal("0.1"), rounding=ROUND_CEILING)
