"""Days on which a provider told prices in another unit: 100 times too high or too low, then right again. Pure.

Pence for pounds and cents for rand come and go by themselves in some feeds, for days. No price moves like that: a run
of at most 30 days that is a hundred times off the many days around it is put back. A longer run is left alone, since it
may be real, and so is a jump that a known split explains.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import groupby, pairwise

from marketdata.adjusting import ratio_of
from marketdata.quotes import Action, Bar

UNIT = 100
# From one close to the next besides the unit: a quarter down, a third up.
LOWEST, HIGHEST = UNIT * Fraction(3, 4), UNIT * Fraction(4, 3)
LONGEST_RUN = 30
# Who is right is only known where the other days are many more.
MORE_OTHERS = 2


def without_unit_flips(bars: Sequence[Bar], actions: Iterable[Action] = ()) -> tuple[list[Bar], list[date]]:
    """Bars that are oldest first, with flipped days put back into the unit of the others; and which those were."""
    levels = _levels(bars, actions)
    if not levels:
        return list(bars), []
    usual, days = Counter(levels).most_common(1)[0]
    wrong: set[int] = set()
    for level, run in groupby(range(len(bars)), key=levels.__getitem__):
        positions = list(run)
        if level != usual and len(positions) <= min(LONGEST_RUN, days // MORE_OTHERS):
            wrong.update(positions)
    put_back = [_scaled(bar, usual - levels[i]) if i in wrong else bar for i, bar in enumerate(bars)]
    return put_back, [bars[i].start.date() for i in sorted(wrong)]


def _levels(bars: Sequence[Bar], actions: Iterable[Action]) -> list[int]:
    """How many hundreds each bar is above the first one, by the jumps between."""
    splits = [(action.ex_date, ratio) for action in actions if (ratio := ratio_of(action))]
    levels = [0] if bars else []
    for before, bar in pairwise(bars):
        move = Fraction(bar.close) / Fraction(before.close)
        for day, ratio in splits:
            if before.start.date() < day <= bar.start.date():
                move *= ratio
        levels.append(levels[-1] + (LOWEST <= move <= HIGHEST) - (LOWEST <= 1 / move <= HIGHEST))
    return levels


def _scaled(bar: Bar, hundreds: int) -> Bar:
    factor = Decimal(UNIT) ** hundreds
    return replace(
        bar,
        open=bar.open * factor,
        high=bar.high * factor,
        low=bar.low * factor,
        close=bar.close * factor,
    )
