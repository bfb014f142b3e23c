"""Which ticks are believed.

A tick is refused when it cannot be true (not a number, not positive, from the future, too old) or tells nothing new
(older than the last one, or the same again). A price far from the last ones is held until the next tick: if that one
agrees, both come out in order (a real gap); if not, the held one was a bad print. Refusals are counted by reason.

Decisions where the data leave a choice:
- More than 8 decimals or 15 significant digits are rounded: they are artefacts of binary floats, and dropping them
  would silence a vendor. The database would round to as many, and everybody is to see one price. What rounds to zero
  or to 10^12 is refused.
- A size of zero is fine (a quote without a trade); a negative one is not.
- A broken side field (open, high, low, previous close, bid, ask) is blanked, and the price is still believed.
- Ticks are ordered by time, then by the provider's sequence, then by arrival; sequences of two providers are not
  compared.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Container
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from statistics import median
from typing import Any, NamedTuple

from marketdata.quotes import Tick

MAX_AHEAD_US = 2_000_000
# A quiet share's last trade can lie before a long weekend; seconds mistaken for microseconds lie in 1970.
MAX_AGE_US = 7 * 86_400_000_000
# Beyond a fifth of the median of the last accepted prices a tick is held; a hair more, for binary floats.
LOWEST_PART, HIGHEST_PART = 0.80 - 1e-9, 1.20 + 1e-9
WINDOW = 20
# Two outliers agree when they are this close to each other.
AGREEMENT = 0.10
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
# Ticks of one moment that are remembered, to know a repetition.
MAX_TIES = 64
MAX_SYMBOLS = 50_000
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
    OUTLIER_HELD = "outlier_held"


class Verdict(NamedTuple):
    """The ticks to publish now, oldest first, and why the judged one is not among them."""

    ticks: tuple[Tick, ...]
    refusal: Refusal | None = None

    @property
    def accepted(self) -> bool:
        return self.refusal is None


REFUSED = {reason: Verdict((), reason) for reason in Refusal}


@dataclass(slots=True)
class _Seen:
    """What is remembered of one symbol."""

    last: Tick
    prices: deque[float]
    # Bounds of the window, or wider: they are narrowed only every WINDOW ticks.
    lowest: float
    highest: float
    until_narrowed: int = WINDOW
    ties: set[tuple[object, ...]] | None = None
    held: Tick | None = None


class Acceptance:
    """The judge of all ticks of one tape. `known` is what may be streamed; None lets every symbol in."""

    def __init__(self, known: Container[str] | None = None, *, max_age_us: int = MAX_AGE_US) -> None:
        self.known = known
        self.max_age_us = max_age_us
        self.accepted = 0
        self.blanked = 0
        self.refused: Counter[Refusal] = Counter()
        self._seen: dict[str, _Seen] = {}

    def judge(self, tick: Tick, now_us: int) -> Verdict:
        seen = self._seen.get(tick.symbol)
        if refusal := self._refusal(tick, seen, now_us):
            self.refused[refusal] += 1
            return REFUSED[refusal]
        tick = self._cleaned(tick)
        verdict = self._first(tick) if seen is None else _weighed(seen, tick)
        if verdict.refusal:
            self.refused[verdict.refusal] += 1
        self.accepted += len(verdict.ticks)
        return verdict

    def forget(self, symbol: str) -> None:
        """Start without a baseline: the symbol is no longer streamed, or was split."""
        self._seen.pop(symbol, None)

    def _refusal(self, tick: Tick, seen: _Seen | None, now_us: int) -> Refusal | None:
        if self.known is not None and tick.symbol not in self.known:
            return Refusal.UNKNOWN_SYMBOL
        if refusal := impossible(tick, now_us, self.max_age_us):
            return refusal
        if seen is not None and tick.as_of_us <= seen.last.as_of_us:
            return _nothing_new(tick, seen)
        return None

    def _first(self, tick: Tick) -> Verdict:
        if len(self._seen) >= MAX_SYMBOLS:
            self.forget(next(iter(self._seen)))
        price = float(tick.price)
        self._seen[tick.symbol] = _Seen(tick, deque([price], WINDOW), price, price)
        return Verdict((tick,))

    def _cleaned(self, tick: Tick) -> Tick:
        """The tick with a price as fine as is stored and without broken side fields; the same object if it is fine."""
        if too_fine(tick.price):
            tick = replace(tick, price=rounded(tick.price))
        if broken := broken_sides(tick):
            nothing: dict[str, Any] = dict.fromkeys(broken)
            self.blanked += len(nothing)
            tick = replace(tick, **nothing)
        return tick


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


def _nothing_new(tick: Tick, seen: _Seen) -> Refusal | None:
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


def _weighed(seen: _Seen, tick: Tick) -> Verdict:
    """Accept a price near the last ones, hold another."""
    price = float(tick.price)
    # Within the band around every price of the window is within the band around their median.
    if LOWEST_PART * seen.highest <= price <= HIGHEST_PART * seen.lowest or _near_median(price, seen):
        _remember(seen, tick, price)
        return Verdict((tick,))
    return _held_or_confirmed(seen, tick, price)


def _near_median(price: float, seen: _Seen) -> bool:
    middle = median(seen.prices)
    return LOWEST_PART * middle <= price <= HIGHEST_PART * middle


def _remember(seen: _Seen, tick: Tick, price: float) -> None:
    if tick.as_of_us > seen.last.as_of_us:
        seen.ties = None
    seen.last = tick
    seen.held = None
    seen.prices.append(price)
    seen.until_narrowed -= 1
    if seen.until_narrowed == 0:
        seen.lowest, seen.highest = min(seen.prices), max(seen.prices)
        seen.until_narrowed = WINDOW
    elif price < seen.lowest:
        seen.lowest = price
    elif price > seen.highest:
        seen.highest = price


def _held_or_confirmed(seen: _Seen, tick: Tick, price: float) -> Verdict:
    held = seen.held
    if held is None:
        seen.held = tick
        return REFUSED[Refusal.OUTLIER_HELD]
    if _mark(held) == _mark(tick):
        return REFUSED[Refusal.DUPLICATE]
    if abs(price - float(held.price)) > AGREEMENT * price:
        seen.held = tick
        return REFUSED[Refusal.OUTLIER_HELD]
    first, second = sorted((held, tick), key=_order)
    prices = float(first.price), float(second.price)
    seen.prices = deque(prices, WINDOW)
    seen.lowest, seen.highest, seen.until_narrowed = min(prices), max(prices), WINDOW
    seen.last, seen.held, seen.ties = second, None, None
    return Verdict((first, second))


def _order(tick: Tick) -> tuple[int, int]:
    return (tick.as_of_us, tick.sequence)
