"""Which ticks are believed.

A tick is refused when it cannot be true (plausibility.py) or tells nothing new (older than the last one, the same
again, or a trade that was taken back). Otherwise it is compared with the last believed ones (baseline.py):

- A price far from them is held until the next tick: if that one agrees, both come out in order (a real gap, also a
  split that nobody announced); if not, the held one was a bad print.
- A price a hundred times too high or too low is a mistake of units (pence, cents). However often one provider
  repeats it, it is believed after ten minutes at the earliest, or when another provider says the same.
- The first price of another provider than before is believed at once when it is near, else when a second one of that
  provider agrees, or when nothing else came for five seconds. Either way it begins a new baseline, marked `rebased`.
  A price that is older than the last one never replaces it, whoever says it: a delayed provider takes over when its
  prices have become newer than the last one of a real-time provider that is gone.
- From the morning of a known split on the baseline is divided, and so is a previous close of before the split.

Ticks are ordered by time, then by the provider's sequence, then by arrival; sequences of two providers are not
compared. Refusals are counted by reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

from marketdata.baseline import (
    WINDOW,
    Baseline,
    Split,
    after_split,
    correction_mark,
    is_meant,
    priced,
    trade_marks,
)
from marketdata.plausibility import (
    CENT,
    MAX_AGE_US,
    MAX_AHEAD_US,
    MAX_COUNT,
    SIDES,
    TOO_BIG,
    Refusal,
    broken_sides,
    impossible,
    sides_are_fine,
    too_fine,
)
from marketdata.quotes import Correction, Tick

__all__ = [
    "MAX_AGE_US", "SIDES", "WINDOW", "Acceptance", "Before", "Refusal", "Split", "Verdict",
    "broken_sides", "impossible",
]  # fmt: skip

# Two outliers agree when they are this close to each other.
AGREEMENT = 0.10
# The same for the first two ticks of another provider, of which none may be far from the last price.
SOURCE_AGREEMENT = 0.02
SAME_PRICE = 0.005
SOURCE_PATIENCE_US = 5_000_000
# A price is off by this much when its unit was mistaken; within a twentieth, since it moves as well.
UNIT, UNIT_TOLERANCE = 100.0, 0.05
UNIT_PATIENCE_US = 600_000_000
# Ticks of one moment that are remembered, to know a repetition.
MAX_TIES = 64
MAX_SYMBOLS = 50_000


class Verdict(NamedTuple):
    """The ticks to publish now, oldest first, and why the judged one is not among them."""

    ticks: tuple[Tick, ...]
    refusal: Refusal | None = None

    @property
    def accepted(self) -> bool:
        return self.refusal is None


class Before(NamedTuple):
    """What somebody else said last of a symbol, and whether it has been split since."""

    provider: str
    as_of_us: int
    has_split: bool = False


# No provider has no name.
TAKEN_BACK = Before("", 0)

REFUSED = {reason: Verdict((), reason) for reason in Refusal}


class Acceptance:
    """The judge of all ticks of one tape. `known` is what may be streamed; None lets every symbol in."""

    def __init__(self, known: Container[str] | None = None, *, max_age_us: int = MAX_AGE_US) -> None:
        self.known = known
        self.max_age_us = max_age_us
        self.accepted = 0
        self.blanked = 0
        self.refused: Counter[Refusal] = Counter()
        self.splits: dict[str, Split] = {}
        self._seen: dict[str, Baseline] = {}
        self._waiting: set[str] = set()
        self._before: dict[str, Before] = {}

    def remind(self, before: Mapping[str, Before]) -> None:
        """What was said before the first tick that comes of these symbols."""
        self._before.update(before)

    def judge(self, tick: Tick, now_us: int) -> Verdict:
        seen = self._seen.get(tick.symbol)
        if seen is not None and self._is_ordinary(tick, seen, now_us):
            seen.remember(tick, float(tick.price))
            self.accepted += 1
            return Verdict((tick,))
        if refusal := self._refusal(tick, seen, now_us):
            self.refused[refusal] += 1
            return REFUSED[refusal]
        tick = self._cleaned(tick)
        if self.splits and (split := self.splits.get(tick.symbol)):
            tick = _across(seen, tick, split)
        elif seen is not None and seen.split is not None:
            seen.split = seen.reference = None  # that day is over
        verdict = self._first(tick) if seen is None else self._weighed(seen, tick, now_us)
        if verdict.refusal:
            self.refused[verdict.refusal] += 1
        self.accepted += len(verdict.ticks)
        return verdict

    def _is_ordinary(self, tick: Tick, seen: Baseline, now_us: int) -> bool:
        """Whether nothing of what follows could find anything: so are nearly all, and they cost half as much."""
        price, last, as_of_us = tick.price, seen.last, tick.as_of_us
        return (
            type(price) is Decimal
            and price.same_quantum(CENT)  # which nothing but a number has
            and CENT <= price < TOO_BIG
            and last.as_of_us < as_of_us <= now_us + MAX_AHEAD_US
            and as_of_us >= now_us - self.max_age_us
            and tick.provider == last.provider
            and 0 <= tick.size <= MAX_COUNT
            and 0 <= tick.volume <= MAX_COUNT
            and seen.is_settled
            and seen.is_near(float(price))
            and sides_are_fine(tick)
            and self.known is None
            and tick.symbol not in self.splits
        )

    def overdue(self, now_us: int) -> list[Tick]:
        """First prices of another provider, that are believed because nobody has said anything else since."""
        believed: list[Tick] = []
        for symbol in list(self._waiting):
            seen = self._seen.get(symbol)
            held = seen.held if seen is not None else None
            if seen is None or held is None or held.provider == seen.last.provider:
                self._waiting.discard(symbol)
            elif now_us - seen.held_at_us >= SOURCE_PATIENCE_US and seen.is_near(float(held.price)):
                self._waiting.discard(symbol)
                believed += _rebased(seen, held).ticks
        self.accepted += len(believed)
        return believed

    def plausible(self, correction: Correction, now_us: int) -> Correction | None:
        """The correction with a price as fine as is stored; None where that price cannot be believed."""
        if correction.price is None:
            return correction
        seen = self._seen.get(correction.symbol)
        if seen is None or not _is_right(seen, seen.find(correction), correction.price, now_us):
            return None
        return replace(correction, price=priced(correction.price))

    def correct(self, correction: Correction, now_us: int) -> tuple[bool, Tick | None]:
        """(whether the trade is known that is taken back, the tick to publish where the last price was wrong)."""
        seen, right = self._seen.get(correction.symbol), self.plausible(correction, now_us)
        if seen is None or right is None:
            return False, None
        place = seen.find(correction)
        seen.taken_back.append(correction_mark(correction))
        if seen.held is not None and is_meant(seen.held, correction):
            seen.held = None
            return True, None
        if place is None:
            return False, None
        if correction.price is None and len(seen.recent) == 1:
            self.forget(correction.symbol)  # nothing is known that could be said instead
            self._before[correction.symbol] = TAKEN_BACK
            return True, None
        return True, seen.last if seen.take_back(place, right.price) else None

    def source_of(self, symbol: str) -> str | None:
        """Whose price was believed last."""
        seen = self._seen.get(symbol)
        return None if seen is None else seen.last.provider

    def forget(self, symbol: str) -> None:
        """Start without a baseline: the symbol is no longer wanted."""
        self._seen.pop(symbol, None)
        self._before.pop(symbol, None)

    def _refusal(self, tick: Tick, seen: Baseline | None, now_us: int) -> Refusal | None:
        if self.known is not None and tick.symbol not in self.known:
            return Refusal.UNKNOWN_SYMBOL
        if refusal := impossible(tick, now_us, self.max_age_us):
            return refusal
        if seen is None:
            return None
        if seen.taken_back and any(mark in seen.taken_back for mark in trade_marks(tick)):
            return Refusal.TAKEN_BACK
        if tick.as_of_us <= seen.last.as_of_us:
            return _nothing_new(tick, seen)
        return None

    def _first(self, tick: Tick) -> Verdict:
        if len(self._seen) >= MAX_SYMBOLS:
            self.forget(next(iter(self._seen)))
        if self._is_on_another_base(tick):
            tick = replace(tick, rebased=True)
        self._seen[tick.symbol] = Baseline.of(tick)
        return Verdict((tick,))

    def _is_on_another_base(self, tick: Tick) -> bool:
        """Whether what others said before this first tick cannot be compared with it."""
        before, split = self._before.pop(tick.symbol, None), self.splits.get(tick.symbol)
        if before is None:
            return False
        if split is not None and before.as_of_us < split.from_us <= tick.as_of_us:
            return True
        return before.has_split or before.provider != tick.provider

    def _cleaned(self, tick: Tick) -> Tick:
        """The tick with a price as fine as is stored and without broken side fields; the same object if it is fine."""
        if too_fine(tick.price):
            tick = replace(tick, price=priced(tick.price))
        if broken := broken_sides(tick):
            nothing: dict[str, Any] = dict.fromkeys(broken)
            self.blanked += len(nothing)
            tick = replace(tick, **nothing)
        return tick

    def _weighed(self, seen: Baseline, tick: Tick, now_us: int) -> Verdict:
        """Accept a price near the last ones, hold another."""
        price = float(tick.price)
        if tick.provider != seen.last.provider:
            verdict = _other_source(seen, tick, price, now_us)
            if verdict.refusal is Refusal.SOURCE_HELD:
                self._waiting.add(tick.symbol)
            return verdict
        if seen.is_near(price):
            return _remembered(seen, tick, price)
        if _is_unit_mistake(seen, price):
            return _mistaken(seen, tick, price, now_us)
        return _held_or_confirmed(seen, tick, price)


def _nothing_new(tick: Tick, seen: Baseline) -> Refusal | None:
    """Judge a tick that is not younger than the last one; a tie goes by sequence, then by arrival."""
    last = seen.last
    if tick.as_of_us < last.as_of_us:
        return Refusal.OUT_OF_ORDER
    mark = _mark(tick)
    if seen.ties is None:
        seen.ties = {_mark(last)}
    if mark in seen.ties:
        return Refusal.DUPLICATE
    if tick.provider == last.provider and tick.sequence < last.sequence:
        return Refusal.OUT_OF_ORDER
    if len(seen.ties) < MAX_TIES:
        seen.ties.add(mark)
    return None


def _mark(tick: Tick) -> tuple[object, ...]:
    """Two ticks of one moment with the same mark are the same tick; a halt is news although the price stays."""
    return (tick.as_of_us, tick.provider, tick.sequence, tick.price, tick.halted)


def _across(seen: Baseline | None, tick: Tick, split: Split) -> Tick:
    """A tick of the day of a split: the baseline is divided at the first one, once."""
    if tick.as_of_us < split.from_us:
        return tick
    if seen is not None and seen.split != split and seen.last.as_of_us < split.from_us:
        seen.rescale(split, float(tick.price))
    return after_split(tick, split, seen.reference if seen is not None and seen.split == split else None)


def _remembered(seen: Baseline, tick: Tick, price: float) -> Verdict:
    if seen.rebase_next:
        seen.rebase_next = False
        tick = replace(tick, rebased=True)
    seen.remember(tick, price)
    return Verdict((tick,))


def _rebased(seen: Baseline, *ticks: Tick) -> Verdict:
    """A new baseline, of which the first tick says so."""
    marked = (replace(ticks[0], rebased=True), *ticks[1:])
    seen.rebase_next = False
    seen.restart(*marked)
    return Verdict(marked)


def _agree(price: float, other: Tick, tolerance: float) -> bool:
    return abs(price - float(other.price)) <= tolerance * price


def _other_source(seen: Baseline, tick: Tick, price: float, now_us: int) -> Verdict:
    """The provider has changed: what differs by it is no move of the price."""
    if _agree(price, seen.last, SAME_PRICE):
        return _rebased(seen, tick)
    if _is_unit_mistake(seen, price):
        return _mistaken(seen, tick, price, now_us)
    held = seen.held
    if held is not None and _mark(held) == _mark(tick):
        return REFUSED[Refusal.DUPLICATE]
    if held is not None and held.provider == tick.provider:
        if _agree(price, held, SOURCE_AGREEMENT):
            return _rebased(seen, *sorted((held, tick), key=_order))
    elif held is not None and _agree(price, held, AGREEMENT):
        return _rebased(seen, tick)  # a gap that the former provider saw as well
    else:
        seen.held_at_us = now_us
    seen.held = tick
    return REFUSED[Refusal.SOURCE_HELD]


def _is_unit_mistake(seen: Baseline, price: float) -> bool:
    if not seen.proven:
        return False
    if seen.split is not None and _is_times(price, seen.middle, float(seen.split.factor)):
        return True  # the price of before the split
    return _is_unit_of(price, seen.middle)


def _is_unit_of(price: float, other: float) -> bool:
    return _is_times(price, other, UNIT) or _is_times(price, other, 1 / UNIT)


def _is_times(price: float, other: float, factor: float) -> bool:
    return abs(price / other / factor - 1) <= UNIT_TOLERANCE


def _mistaken(seen: Baseline, tick: Tick, price: float, now_us: int) -> Verdict:
    mistake = seen.mistake
    if mistake is None or not _agree(price, mistake, AGREEMENT):
        seen.mistake, seen.mistaken_since_us = tick, now_us
        return REFUSED[Refusal.UNIT_MISTAKE]
    if mistake.provider == tick.provider and now_us - seen.mistaken_since_us < UNIT_PATIENCE_US:
        return REFUSED[Refusal.UNIT_MISTAKE]
    seen.split = seen.reference = None  # if that is what it contradicts, it was not one
    return _rebased(seen, tick)


def _held_or_confirmed(seen: Baseline, tick: Tick, price: float) -> Verdict:
    held = seen.held
    if held is None or held.provider != tick.provider:
        seen.held = tick
        return REFUSED[Refusal.OUTLIER_HELD]
    if _mark(held) == _mark(tick):
        return REFUSED[Refusal.DUPLICATE]
    if not _agree(price, held, AGREEMENT):
        if _is_unit_of(price, float(held.price)) and seen.is_further(price, float(held.price)):
            return REFUSED[Refusal.UNIT_MISTAKE]  # of the price that is held, which still may be confirmed
        seen.held = tick
        return REFUSED[Refusal.OUTLIER_HELD]
    first, second = sorted((held, tick), key=_order)
    if seen.rebase_next:
        return _rebased(seen, first, second)
    seen.restart(first, second)
    return Verdict((first, second))


def _is_right(seen: Baseline, place: int | None, price: Decimal, now_us: int) -> bool:
    """Whether a corrected price can be believed, by the recent trades other than the wrong one."""
    wrong = seen.last if place is None else seen.recent[place]
    if impossible(replace(wrong, price=price), now_us):
        return False
    others = [tick for tick in seen.recent if place is None or tick is not wrong]
    return not others or Baseline.of(*others).is_near(float(price))


def _order(tick: Tick) -> tuple[int, int]:
    return (tick.as_of_us, tick.sequence)
