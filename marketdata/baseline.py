"""What is remembered of one symbol: the last believed ticks, against which the next one is judged. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import log
from statistics import median
from typing import Any

from marketdata.plausibility import rounded, too_fine
from marketdata.quotes import Correction, Tick

# Beyond a fifth of the median of the last accepted prices a tick is held; a hair more, for binary floats.
LOWEST_PART, HIGHEST_PART = 0.80 - 1e-9, 1.20 + 1e-9
WINDOW = 20
# Trades that were taken back and may come again, as after a reconnect.
MAX_TAKEN_BACK = 64
# A first price further than this from its own previous close may be the one that is wrong.
PROVEN_RATIO = 5
# Splits smaller than this leave the day's open, high and low alone: a day's own move is as large.
CLEAR_SPLIT = 1.5


@dataclass(frozen=True, slots=True)
class Split:
    """From this moment on prices are divided by `factor`: 4 for 4:1, 1/50 for the reverse split 1:50."""

    from_us: int
    factor: Decimal


@dataclass(slots=True)
class Baseline:
    """Of one symbol. `reference` is the last price before today's split, in prices of after it.

    `proven`: its level was believed twice, or fits its own previous close; a lone first price can be outvoted.
    """

    last: Tick
    recent: deque[Tick]
    prices: deque[float]
    # Bounds of the window, or wider: they are narrowed only every WINDOW ticks.
    lowest: float
    highest: float
    until_narrowed: int = WINDOW
    ties: set[tuple[object, ...]] | None = None
    held: Tick | None = None
    held_at_us: int = 0
    mistake: Tick | None = None
    mistaken_since_us: int = 0
    taken_back: deque[tuple[object, ...]] = field(default_factory=lambda: deque(maxlen=MAX_TAKEN_BACK))
    split: Split | None = None
    reference: Decimal | None = None
    rebase_next: bool = False
    proven: bool = False

    @classmethod
    def of(cls, *ticks: Tick) -> Baseline:
        prices = [float(tick.price) for tick in ticks]
        made = cls(
            ticks[-1], deque(ticks, WINDOW), deque(prices, WINDOW), lowest=min(prices), highest=max(prices)
        )
        close = ticks[0].previous_close
        made.proven = close is not None and 1 / PROVEN_RATIO < ticks[0].price / close < PROVEN_RATIO
        return made

    @property
    def is_settled(self) -> bool:
        """Neither a split nor a trade that was taken back has to be minded."""
        return not self.taken_back and self.split is None and not self.rebase_next

    def is_near(self, price: float) -> bool:
        # Within the band around every price of the window is within the band around their median.
        if LOWEST_PART * self.highest <= price <= HIGHEST_PART * self.lowest:
            return True
        middle = self.middle
        return LOWEST_PART * middle <= price <= HIGHEST_PART * middle

    @property
    def middle(self) -> float:
        return median(self.prices)

    def remember(self, tick: Tick, price: float) -> None:
        if tick.as_of_us > self.last.as_of_us:
            self.ties = None
        self.last = tick
        self.held = self.mistake = None
        self.proven = True
        self.recent.append(tick)
        self.prices.append(price)
        self.until_narrowed -= 1
        if self.until_narrowed == 0:
            self._narrow()
        elif price < self.lowest:
            self.lowest = price
        elif price > self.highest:
            self.highest = price

    def restart(self, *ticks: Tick) -> None:
        """Only these count from now on: the price stands on another base, or has really jumped."""
        self.ties = None
        self.last = ticks[-1]
        self.held = self.mistake = None
        self.proven = True
        self.recent = deque(ticks, WINDOW)
        self.prices = deque([float(tick.price) for tick in ticks], WINDOW)
        self._narrow()

    def _narrow(self) -> None:
        self.lowest, self.highest = min(self.prices), max(self.prices)
        self.until_narrowed = WINDOW

    def is_further(self, price: float, other: float) -> bool:
        """Which of two is further from what was believed."""
        return _apart(price, self.middle) > _apart(other, self.middle)

    # --- splits

    def rescale(self, split: Split, first: float) -> None:
        """What was believed before the split, in prices of after it; `first` is the first price of after it.

        A lone price that was fetched may be one that its vendor had adjusted: that is no measure of what comes.
        """
        self.split, self.rebase_next = split, True
        before = float(self.last.price)
        self.last = replace(self.last, price=priced(self.last.price / split.factor))
        self.reference = self.last.price
        if len(self.recent) == 1 and not self.last.size:
            self.proven = False
            if _apart(first, before) < _apart(first, float(self.reference)):
                self.reference = None
        self.prices = deque([price / float(split.factor) for price in self.prices], WINDOW)
        self.recent = deque([self.last], WINDOW)
        self.held = self.mistake = None
        self._narrow()

    # --- corrections

    def find(self, correction: Correction) -> int | None:
        """Where among the recent ones the trade stands that is meant."""
        for place, tick in enumerate(self.recent):
            if is_meant(tick, correction):
                return place
        return None

    def take_back(self, place: int, price: Decimal | None) -> bool:
        """Forget a trade, or give it its right price; True when that changes the last price."""
        wrong = self.recent[place]
        rest = list(self.recent)
        rest[place : place + 1] = [] if price is None else [replace(wrong, price=price)]
        was_last = place == len(self.recent) - 1
        self.recent = deque(rest, WINDOW)
        self.prices = deque([float(tick.price) for tick in rest], WINDOW)
        self._narrow()
        if was_last:
            volume = max(0, self.last.volume - wrong.size) if price is None else self.last.volume
            self.last = replace(self.last, price=rest[-1].price, size=0, volume=volume, rebased=True)
        return was_last


def _apart(price: float, other: float) -> float:
    return abs(log(price / other))


def is_meant(tick: Tick, correction: Correction) -> bool:
    if tick.provider != correction.provider:
        return False
    if correction.trade_id:
        return tick.trade_id == correction.trade_id
    return tick.as_of_us == correction.as_of_us and correction.was in (None, tick.price)


def trade_marks(tick: Tick) -> tuple[tuple[object, ...], ...]:
    """Under which a trade may have been taken back."""
    return (
        (tick.provider, tick.trade_id),
        (tick.provider, tick.as_of_us, tick.price),
        (tick.provider, tick.as_of_us, None),
    )


def correction_mark(correction: Correction) -> tuple[object, ...]:
    if correction.trade_id:
        return (correction.provider, correction.trade_id)
    return (correction.provider, correction.as_of_us, correction.was)


def priced(price: Decimal) -> Decimal:
    return rounded(price) if too_fine(price) else price


def after_split(tick: Tick, split: Split, reference: Decimal | None) -> Tick:
    """The tick with those of its day fields divided that still stand on the base of before the split.

    Some providers adjust the previous close in the morning, others later: the one nearer to the price of before the
    split, as it was then or divided, tells which.
    """
    near = float(reference or tick.price)
    factor = float(split.factor)
    names = ["previous_close"]
    if not 1 / CLEAR_SPLIT < factor < CLEAR_SPLIT:
        names += ["open", "high", "low"]
    changed: dict[str, Any] = {}
    for name in names:
        value = getattr(tick, name)
        if value is not None and _apart(float(value) / factor, near) < _apart(float(value), near):
            changed[name] = priced(value / split.factor)
    return replace(tick, **changed) if changed else tick
