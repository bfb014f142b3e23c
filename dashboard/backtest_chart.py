"""The picture of a back-test: a year of closes, the level, and a lane with what would have fired.

Drawn by the server, without inline style: the plot and, beside it, its axis. Words and marks keep their size at any
width: they stand at percents of it, and only the line of prices, in a picture of its own within, is stretched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.utils.safestring import SafeString, mark_safe

from dashboard import formats

TOP, BOTTOM = 12, 232
LANE, DATES, HEIGHT = 262, 292, 300
WIDTH = 1000
# At the right, with the prices.
AXIS = 68
# More guides than these would be a curtain.
MOST_GUIDES = 60
MOST_MARKS = 250
STEPS = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
# A label that would come so near to the tag is left out.
TAG_ROOM = 18


@dataclass(frozen=True, slots=True)
class Scale:
    """Prices to heights, days to percents of the width."""

    low: Decimal
    high: Decimal
    first: date
    last: date

    def y(self, price: Decimal) -> float:
        part = (self.high - price) / (self.high - self.low)
        return round(TOP + (BOTTOM - TOP) * float(part), 1)

    def x(self, day: date) -> float:
        whole = max((self.last - self.first).days, 1)
        return round(100 * min(max((day - self.first).days / whole, 0), 1), 2)

    def shows(self, price: Decimal) -> bool:
        return self.low <= price <= self.high


def picture(
    closes: Sequence[tuple[date, Decimal]], levels: Sequence[Decimal], fires: Sequence[date]
) -> SafeString:
    """`closes` oldest first, at least two of them; levels that lie far outside are not drawn."""
    scale = _scale(closes, levels)
    shown = [level for level in levels if scale.shows(level)]
    prices = list(_round_prices(scale))
    parts = [
        f'<svg class="bt-plot" width="100%" height="{HEIGHT}" aria-hidden="true" focusable="false">',
        *(_across("bt-grid", scale.y(price)) for price in prices),
        *_guides(scale, fires),
        _line(scale, closes),
        *(_across("bt-level", scale.y(level)) for level in shown),
        *_marks(scale, fires),
        *_dates(scale),
        f'</svg><svg class="bt-axis" width="{AXIS}" height="{HEIGHT}" aria-hidden="true" focusable="false">',
        *_prices(scale, prices, shown),
        *_tags(scale, shown),
        f'<text class="bt-words" x="8" y="{LANE + 8}">fires</text></svg>',
    ]
    return mark_safe("".join(parts))  # noqa: S308 -- numbers, dates and fixed words only


def _across(kind: str, y: float) -> str:
    return f'<line class="{kind}" x2="100%" y1="{y}" y2="{y}"/>'


def _scale(closes: Sequence[tuple[date, Decimal]], levels: Sequence[Decimal]) -> Scale:
    prices = [price for _, price in closes]
    low, high = min(prices), max(prices)
    room = (high - low) or high / 10 or Decimal(1)
    # A level near to the prices widens the picture; one far away would flatten it.
    near = [level for level in levels if low - room / 2 <= level <= high + room / 2]
    low, high = min([low, *near]), max([high, *near])
    edge = (high - low or room) / 20
    return Scale(low - edge, high + edge, closes[0][0], closes[-1][0])


def _prices(scale: Scale, prices: Sequence[Decimal], levels: Sequence[Decimal]) -> Iterator[str]:
    """Beside the grid; none where a tag stands."""
    places = 4 if scale.high < 1 else 2
    for price in prices:
        y = scale.y(price)
        if all(abs(y - scale.y(level)) >= TAG_ROOM for level in levels):
            yield f'<text class="bt-words" x="8" y="{y + 4}">{formats.price(price, places)}</text>'


def _round_prices(scale: Scale) -> Iterator[Decimal]:
    """Three to five of them."""
    rough = (scale.high - scale.low) / 4
    size = Decimal(1).scaleb(rough.adjusted())
    step = next(one * size for one in STEPS if one * size >= rough)
    price = (scale.low // step + 1) * step
    while price < scale.high:
        yield price
        price += step


def _line(scale: Scale, closes: Sequence[tuple[date, Decimal]]) -> str:
    points = "L".join(f"{scale.x(day) * WIDTH / 100:.1f} {scale.y(price)}" for day, price in closes)
    return (
        f'<svg class="bt-stretch" viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" height="{HEIGHT}"'
        f' preserveAspectRatio="none"><path class="bt-line" d="M{points}"'
        ' vector-effect="non-scaling-stroke"/></svg>'
    )


def _places(scale: Scale, fires: Sequence[date]) -> list[float]:
    """Percents; those that fall onto one another count once."""
    return sorted({scale.x(day) for day in fires})[:MOST_MARKS]


def _guides(scale: Scale, fires: Sequence[date]) -> Iterator[str]:
    places = _places(scale, fires)
    if len(places) <= MOST_GUIDES:
        for x in places:
            yield f'<line class="bt-guide" x1="{x}%" x2="{x}%" y1="{TOP}" y2="{LANE}"/>'


def _marks(scale: Scale, fires: Sequence[date]) -> Iterator[str]:
    for x in _places(scale, fires):
        yield f'<svg class="bt-mark" x="{x}%" y="{LANE}"><path d="M-4 0h8l-4 8z"/></svg>'


def _dates(scale: Scale) -> Iterator[str]:
    """Four or fewer beginnings of months, evenly spread, away from the edges."""
    months = [day for day in _months(scale) if 4 <= scale.x(day) <= 94]
    step = max(-(-len(months) // 4), 1)
    years = {scale.first.year, scale.last.year}
    for day in months[step // 2 :: step]:
        words = f"{day:%b %Y}" if len(years) > 1 else f"{day:%b}"
        yield f'<text class="bt-words" x="{scale.x(day)}%" y="{DATES}" text-anchor="middle">{words}</text>'


def _months(scale: Scale) -> Iterator[date]:
    day = scale.first.replace(day=1)
    while day <= scale.last:
        yield day
        day = day.replace(year=day.year + day.month // 12, month=day.month % 12 + 1)


def _tags(scale: Scale, levels: Sequence[Decimal]) -> Iterator[str]:
    for level in levels:
        y = scale.y(level)
        yield f'<rect class="bt-tag" y="{y - 10}" width="{AXIS}" height="20" rx="4"/>'
        yield f'<text class="bt-tag-words" x="8" y="{y + 4}">{formats.price(level)}</text>'
