"""How numbers, ages and days are written; `static/js/format.js` is its twin and a browser test compares the two.

Minus is U+2212, a thin space stands before a unit, thousands have a comma. Rounding is half away from zero,
as in the browser's Intl.NumberFormat.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

MINUS = "\u2212"
THIN = "\u2009"
NOTHING = "\u2014"

Direction = Literal["up", "down", "flat"]

# Below this many units, millions with two decimals would say 0.00 or lose half of the figure.
WHOLE_VOLUME_BELOW = 100_000


def decimals_for(prices: Iterable[Decimal | None]) -> int:
    """Decimals of a column of prices: 2, or 4 for all as soon as one is below 1."""
    return 4 if any(price is not None and abs(price) < 1 for price in prices) else 2


def rounded(value: Decimal, decimals: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)


def price(value: Decimal | None, decimals: int | None = None) -> str:
    if value is None:
        return NOTHING
    shown = rounded(value, decimals_for([value]) if decimals is None else decimals)
    return f"{shown:,f}".replace("-", MINUS)


def signed(value: Decimal | None, decimals: int = 2) -> str:
    """With its sign, except zero (also what rounds to zero), which has none."""
    if value is None:
        return NOTHING
    shown = rounded(value, decimals)
    sign = "+" if shown > 0 else MINUS if shown < 0 else ""
    return f"{sign}{abs(shown):,f}"


def percent(value: Decimal | None) -> str:
    return NOTHING if value is None else f"{signed(value)}{THIN}%"


def direction(value: Decimal | None, decimals: int = 2) -> Direction:
    """The arrow beside a change: that of the number as it is shown."""
    shown = rounded(value or Decimal(0), decimals)
    return "up" if shown > 0 else "down" if shown < 0 else "flat"


def volume(value: int | None) -> str:
    if value is None:
        return NOTHING
    if value < WHOLE_VOLUME_BELOW:
        return f"{value:,}"
    return f"{rounded(Decimal(value) / 1_000_000, 2):,f}{THIN}M"


def age(span: timedelta) -> str:
    """One decimal below ten seconds, then whole seconds, minutes, hours, days; never negative."""
    seconds = max(span.total_seconds(), 0.0)
    if seconds < 9.95:
        return f"{seconds:.1f}{THIN}s"
    if seconds < 60:
        return f"{int(seconds)}{THIN}s"
    if seconds < 3600:
        return f"{int(seconds // 60)}{THIN}min"
    if seconds < 48 * 3600:
        return f"{int(seconds // 3600)}{THIN}h"
    return f"{int(seconds // 86400)}{THIN}days"


def day(value: date) -> str:
    return f"{value.day} {value:%b %Y}"


def clock_time(value: datetime) -> str:
    return f"{value:%H:%M}"


def window(seconds: int) -> str:
    """The length of a quota's window: second, minute, hour, day, or so many of them."""
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size and seconds % size == 0:
            count = seconds // size
            return name if count == 1 else f"{count} {name}s"
    return f"{seconds} seconds"
