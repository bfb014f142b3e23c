"""What a tick must be to be true at all, whatever came before it. Pure.

Decisions where the data leave a choice:
- More than 8 decimals or 15 significant digits are rounded: they are artefacts of binary floats, and dropping them
  would silence a vendor. The database would round to as many, and everybody is to see one price. What rounds to zero
  or to 10^12 is refused.
- A size of zero is fine (a quote without a trade); a negative one is not.
- A broken side field (open, high, low, previous close, bid, ask) is blanked, and the price is still believed.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from operator import attrgetter

from marketdata.quotes import Tick

MAX_AHEAD_US = 2_000_000
# A quiet share's last trade can lie before a long weekend; seconds mistaken for microseconds lie in 1970.
MAX_AGE_US = 7 * 86_400_000_000
# The database's limits: numeric(20, 8) and bigint.
CENT = Decimal("0.01")
SMALLEST = Decimal("0.00000001")
ROUNDS_TO_ZERO = SMALLEST / 2
MAX_DECIMALS = 8
# What a binary float, as which prices travel to the database, holds exactly.
MAX_DIGITS = 15
# From here on fifteen digits round to 10^12, which no column holds.
TOO_BIG = Decimal(10) ** 12 - Decimal("0.0005")
MAX_COUNT = 2**63 - 1
# A previous close a million times off makes a change in percent that no column holds.
MAX_MAGNITUDES_APART = 6
SIDES = ("open", "high", "low", "previous_close", "bid", "ask")
sides_of = attrgetter(*SIDES)


class Refusal(StrEnum):
    UNKNOWN_SYMBOL = "unknown_symbol"
    NOT_FINITE = "not_finite"
    NOT_POSITIVE = "not_positive"
    TOO_BIG = "too_big"
    BAD_SIZE = "bad_size"
    FUTURE = "future"
    TOO_OLD = "too_old"
    OUT_OF_ORDER = "out_of_order"
    DUPLICATE = "duplicate"
    TAKEN_BACK = "taken_back"
    OUTLIER_HELD = "outlier_held"
    SOURCE_HELD = "source_held"
    UNIT_MISTAKE = "unit_mistake"


def impossible(  # noqa: PLR0911 -- one line per reason
    tick: Tick, now_us: int, max_age_us: int = MAX_AGE_US
) -> Refusal | None:
    """Why this tick cannot be true, whatever came before."""
    price = tick.price
    if type(price) is not Decimal or not price.is_finite():
        return Refusal.NOT_FINITE
    if price <= ROUNDS_TO_ZERO:
        return Refusal.NOT_POSITIVE
    if price >= TOO_BIG:
        return Refusal.TOO_BIG
    if not 0 <= tick.size <= MAX_COUNT or not 0 <= tick.volume <= MAX_COUNT:
        return Refusal.BAD_SIZE
    if tick.as_of_us > now_us + MAX_AHEAD_US:
        return Refusal.FUTURE
    if tick.as_of_us < now_us - max_age_us:
        return Refusal.TOO_OLD
    return None


def too_fine(price: Decimal) -> bool:
    if price.same_quantum(CENT):
        return False
    _, digits, exponent = price.as_tuple()
    return len(digits) > MAX_DIGITS or (isinstance(exponent, int) and exponent < -MAX_DECIMALS)


def rounded(price: Decimal) -> Decimal:
    """Rounded once, to 8 decimals or 15 digits, whichever is coarser."""
    return price.quantize(Decimal(1).scaleb(max(-MAX_DECIMALS, price.adjusted() + 1 - MAX_DIGITS)))


def broken_sides(tick: Tick) -> list[str]:
    """Names of the fields beside the price that cannot be shown or stored."""
    return [] if sides_are_fine(tick) else _broken_sides(tick)


def sides_are_fine(tick: Tick) -> bool:
    """As of nearly all; a quarter of the price of looking at each by name."""
    close, bid, ask = tick.previous_close, tick.bid, tick.ask
    try:
        for value in sides_of(tick):
            if value is not None and not SMALLEST <= value < TOO_BIG:
                return False
        if bid is not None and ask is not None and bid > ask:
            return False
    except InvalidOperation:  # what is not a number cannot be compared
        return False
    return close is None or abs(close.adjusted() - tick.price.adjusted()) <= MAX_MAGNITUDES_APART


def _broken_sides(tick: Tick) -> list[str]:
    broken = []
    for name, value in zip(SIDES, sides_of(tick), strict=True):
        if value is None or (value.is_finite() and SMALLEST <= value < TOO_BIG):
            continue
        broken.append(name)
    close, bid, ask = tick.previous_close, tick.bid, tick.ask
    if close is not None and abs(close.adjusted() - tick.price.adjusted()) > MAX_MAGNITUDES_APART:
        broken.append("previous_close")
    if bid is not None and ask is not None and bid.is_finite() and ask.is_finite() and bid > ask:
        broken += ["bid", "ask"]
    return broken
