"""Prices and quantities over splits, dividends and renames: raw bars in, a continuous series out. Pure.

An action counts from the morning of its ex-date on. So whatever is from an earlier day is restated in today's shares: a
price is multiplied by from/to of each later split, a volume by to/from. With dividends a price is also multiplied by
1 - D/C, where C is the last close before the ex-date: whoever sold at C and bought again without the dividend lost
nothing. What is worth something stays so: quantity x price is the same before and after.

Factors are exact fractions; each result is rounded once, to the eight decimals of a stored price.
See docs/design/history.md.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import StrEnum
from fractions import Fraction

from marketdata.quotes import Action, ActionKind, Bar

PLACES = Decimal("0.00000001")
# Far beyond the 20 digits of a price, so that the one rounding to eight decimals is the only one that shows.
_EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN)
ONE = Fraction(1)


class Adjustment(StrEnum):
    """What past prices are corrected for; the words of the API."""

    RAW = "raw"
    SPLIT = "split"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Step:
    """From `day` on: an earlier price counts `price` times, an earlier quantity `shares` times."""

    day: date
    price: Fraction
    shares: Fraction = ONE


def steps_of(
    actions: Iterable[Action], mode: Adjustment, closes: Mapping[date, Decimal] | None = None
) -> list[Step]:
    """One for each ex-date that changes something, oldest first. `closes` has the last raw close before an ex-date.

    A dividend is left out where that close is unknown or not above the dividend: no such price can be believed.
    """
    if mode is Adjustment.RAW:
        return []
    splits: dict[date, Fraction] = defaultdict(lambda: ONE)
    paid: dict[date, Decimal] = defaultdict(Decimal)
    for action in actions:
        if ratio := ratio_of(action):
            splits[action.ex_date] *= ratio
        elif mode is Adjustment.ALL and action.kind is ActionKind.DIVIDEND and action.amount:
            paid[action.ex_date] += action.amount
    days = sorted({*splits, *paid})
    return [_step(day, splits.get(day, ONE), paid.get(day), (closes or {}).get(day)) for day in days]


def ratio_of(action: Action) -> Fraction | None:
    """New shares for one old share: 4 after a 4:1 split, 1/50 after a reverse split of 1:50; None: no split."""
    if action.kind is not ActionKind.SPLIT or not action.split_from or not action.split_to:
        return None
    return Fraction(action.split_to) / Fraction(action.split_from)


def _step(day: date, ratio: Fraction, paid: Decimal | None, close: Decimal | None) -> Step:
    """A dividend is paid on the shares of its ex-date, so a split of the same morning comes first."""
    price = 1 / ratio
    lost = Fraction(paid) / Fraction(close) if paid and close else Fraction(0)
    if lost < price:
        price -= lost
    return Step(day, price, ratio)


def closes_before(bars: Sequence[Bar], days: Iterable[date]) -> dict[date, Decimal]:
    """The last close before each of these days, from bars that are oldest first."""
    known = [bar.start.date() for bar in bars]
    positions = {day: bisect_left(known, day) for day in days}
    return {day: bars[position - 1].close for day, position in positions.items() if position}


def adjusted(
    bars: Sequence[Bar], steps: Sequence[Step], day_of: Callable[[Bar], date] = lambda bar: bar.start.date()
) -> list[Bar]:
    """The same bars in the shares, and with the dividends, of the last step; steps are oldest first."""
    days = [step.day for step in steps]
    factors = _products(steps)
    found = []
    for bar in bars:
        later = bisect_right(days, day_of(bar))
        found.append(_times(bar, *factors[later]) if later < len(days) else bar)
    return found


def adjust(bars: Sequence[Bar], actions: Sequence[Action], mode: Adjustment) -> list[Bar]:
    """Bars that are oldest first, and all that is needed of them is among them."""
    closes = closes_before(bars, {action.ex_date for action in actions})
    return adjusted(bars, steps_of(actions, mode, closes))


def _products(steps: Sequence[Step]) -> list[tuple[Fraction, Fraction]]:
    """For each position the product of its step and all later ones."""
    products = [(ONE, ONE)]
    for step in reversed(steps):
        price, shares = products[-1]
        products.append((price * step.price, shares * step.shares))
    return products[::-1]


def _times(bar: Bar, price: Fraction, shares: Fraction) -> Bar:
    # As decimals here, since a fraction of many dividends has hundreds of digits and a chart thousands of prices.
    top, bottom = _EXACT.create_decimal(price.numerator), _EXACT.create_decimal(price.denominator)

    def scaled(value: Decimal) -> Decimal:
        return _EXACT.quantize(_EXACT.divide(_EXACT.multiply(value, top), bottom), PLACES)

    return replace(
        bar,
        open=scaled(bar.open),
        high=scaled(bar.high),
        low=scaled(bar.low),
        close=scaled(bar.close),
        volume=round(bar.volume * shares),
    )


def split_ratio(actions: Iterable[Action], since: date, until: date) -> Fraction:
    """What one share of `since` has become on `until`, both at the close of their day."""
    ratio = ONE
    for action in actions:
        if since < action.ex_date <= until:
            ratio *= ratio_of(action) or ONE
    return ratio


def adjusted_quantity(quantity: Decimal, since: date, actions: Iterable[Action], until: date) -> Decimal:
    """The shares on `until` that `quantity` of `since` have become, to eight decimals."""
    return _rounded(Fraction(quantity) * split_ratio(actions, since, until))


def adjusted_price(price: Decimal, since: date, actions: Iterable[Action], until: date) -> Decimal:
    """A price of `since`, such as a threshold or what was paid, in the shares of `until`, to eight decimals."""
    return _rounded(Fraction(price) / split_ratio(actions, since, until))


def _rounded(value: Fraction) -> Decimal:
    exact = _EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))
    return _EXACT.quantize(exact, PLACES)


@dataclass(frozen=True, slots=True)
class Name:
    """A symbol that an instrument had, from `since` on and before `until`; None: from the beginning, until now."""

    symbol: str
    since: date | None = None
    until: date | None = None


def names_of(symbol: str, renames: Iterable[Action]) -> list[Name]:
    """Every name of the instrument that has this symbol now, oldest first. A symbol may be used again by another."""
    led_here = {(action.new_symbol, action.ex_date): action.symbol for action in renames}
    names = [Name(symbol)]
    while True:
        now = names[-1]
        days = [day for new, day in led_here if new == now.symbol and (now.until is None or day < now.until)]
        if not days:
            return names[::-1]
        names[-1] = replace(now, since=max(days))
        names.append(Name(led_here[now.symbol, max(days)], until=max(days)))


def successor_of(symbol: str, since: date, renames: Iterable[Action], until: date) -> str:
    """What the instrument that had this symbol on `since` is called on `until`."""
    for action in sorted(renames, key=lambda one: one.ex_date):
        if action.kind is ActionKind.RENAME and action.symbol == symbol and since < action.ex_date <= until:
            symbol, since = action.new_symbol, action.ex_date
    return symbol
