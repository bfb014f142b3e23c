"""Undoing vendors' adjustment for splits: our bars and dividends are as they were on their day. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from marketdata.adjusting import ratio_of
from marketdata.quotes import Action, Bar

# A price that the vendor divided and rounded is not exact any more; finer digits would be invented.
PLACES = Decimal("0.0001")


def unadjusted(bars: Iterable[Bar], actions: Sequence[Action]) -> list[Bar]:
    """The bars as they were traded; `actions` have all splits from the first bar until now."""
    return [_undone(bar, factor_of(bar.start.date(), actions)) for bar in bars]


def unadjusted_dividend(action: Action, actions: Sequence[Action]) -> Action:
    factor = factor_of(action.ex_date, actions)
    if factor == 1 or action.amount is None:
        return action
    return replace(action, amount=_times(action.amount, factor))


def factor_of(day: date, actions: Iterable[Action]) -> Fraction:
    """How many shares of now one share of this day has become."""
    factor = Fraction(1)
    for action in actions:
        if day < action.ex_date:
            factor *= ratio_of(action) or 1
    return factor


def _undone(bar: Bar, factor: Fraction) -> Bar:
    if factor == 1:
        return bar
    return replace(
        bar,
        open=_times(bar.open, factor),
        high=_times(bar.high, factor),
        low=_times(bar.low, factor),
        close=_times(bar.close, factor),
        volume=round(bar.volume / factor),
    )


def _times(price: Decimal, factor: Fraction) -> Decimal:
    return (price * factor.numerator / factor.denominator).quantize(PLACES)
