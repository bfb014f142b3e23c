"""What else than the price an alert can look at: values made of many ticks, each for all alerts on it. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from alerts.conditions import HUNDRED, ONE, ZERO
from alerts.kinds import Kind, Rule, Sessions, Way


class TickLike(Protocol):
    """What is read of a tick; `marketdata.accepted.Accepted`."""

    symbol: str
    price: Decimal
    as_of_us: int
    received_us: int
    provider: str
    session: str
    volume: int
    rebased: bool
    halted: bool
    replay: bool
    delayed_s: int
    trade_id: str


@dataclass(frozen=True, slots=True)
class Reference:
    """What a day is compared with, from the days before it, in shares of today."""

    high_52w: Decimal | None = None
    low_52w: Decimal | None = None
    average_volume: Decimal | None = None
    day: date | None = None
    """The newest of those days."""


NO_REFERENCE = Reference()


class Which(NamedTuple):
    """A series of one ticker: alerts with the same one share it."""

    kind: str
    sessions: Sessions
    window_s: int = 0
    way: Way = Way.EITHER


def series_of(rule: Rule) -> Which:
    if rule.kind is Kind.MOVES:
        return Which("moves", rule.sessions, rule.window_s or 0, rule.way)
    if rule.kind in (Kind.VOLUME, Kind.HIGH_52W, Kind.LOW_52W, Kind.STALE):
        return Which(rule.kind.value, rule.sessions)
    return Which("price", rule.sessions)


class Series(Protocol):
    def value(self, tick: TickLike) -> Decimal | None:
        """After this tick; None: it cannot be told."""

    def forget(self, at_us: int) -> None:
        """The price stands on another base from this moment on."""

    def evidence(self) -> dict[str, Any]:
        """What the last value was made of besides its tick."""


class Price:
    def value(self, tick: TickLike) -> Decimal:
        return tick.price

    def forget(self, at_us: int) -> None:
        """A price remembers nothing."""

    def evidence(self) -> dict[str, Any]:
        return {}


class Against:
    """A tick compared with what is known of the days before."""

    def __init__(self, kind: Kind, reference: Reference) -> None:
        self.kind, self.reference = kind, reference

    def value(self, tick: TickLike) -> Decimal | None:
        return against(self.kind, self.reference, tick.price, tick.volume)

    def forget(self, at_us: int) -> None:
        """The days before are restated by whoever gives the reference."""

    def evidence(self) -> dict[str, Any]:
        known = self.reference
        found = {"high_52w": known.high_52w, "low_52w": known.low_52w, "average_volume": known.average_volume}
        return {name: str(value) for name, value in found.items() if value is not None} | {
            "until": known.day.isoformat() if known.day else None
        }


def against(kind: Kind, known: Reference, price: Decimal, volume: int) -> Decimal | None:
    if kind is Kind.VOLUME:
        return Decimal(volume) / known.average_volume if volume and known.average_volume else None
    old = known.high_52w if kind is Kind.HIGH_52W else known.low_52w
    return (price / old - ONE) * HUNDRED if old else None


class Moves:
    """By how many percent the price has moved away from its lowest, or highest, of the last `window_s` seconds."""

    def __init__(self, window_s: int, way: Way) -> None:
        self._window_us, self._way = window_s * 1_000_000, way
        self._lowest: deque[tuple[int, Decimal]] = deque()
        self._highest: deque[tuple[int, Decimal]] = deque()
        self._from: tuple[int, Decimal] | None = None
        self.is_new = True
        """Nobody has told it yet what was before."""
        self.begins_us = 0
        """Since when it has seen every tick on the base that the price stands on; 0: since it was made."""

    def remember(self, at_us: int, low: Decimal, high: Decimal) -> None:
        """Oldest first: what was before, such as a stored bar."""
        _push(self._lowest, at_us, low, _not_lower)
        _push(self._highest, at_us, high, _not_higher)

    def recall(self, past: Moves) -> None:
        """What was before, though some ticks have been seen since."""
        self._lowest = _merged(past._lowest, self._lowest, _not_lower)
        self._highest = _merged(past._highest, self._highest, _not_higher)
        self.is_new = False

    def value(self, tick: TickLike) -> Decimal:
        now, price = tick.received_us, tick.price
        self.remember(now, price, price)
        for extremes in (self._lowest, self._highest):
            while extremes[0][0] < now - self._window_us:
                extremes.popleft()
        low, high = self._lowest[0], self._highest[0]
        up, down = moved(low[1], price, Way.UP), moved(high[1], price, Way.DOWN)
        rises = self._way is Way.UP or (self._way is Way.EITHER and up >= down)
        self._from = low if rises else high
        return up if rises else down

    def forget(self, at_us: int) -> None:
        self._lowest.clear()
        self._highest.clear()
        self.is_new, self.begins_us = True, at_us

    def evidence(self) -> dict[str, Any]:
        return {} if self._from is None else {"from_price": str(self._from[1]), "from_at": self._from[0]}


def moved(before: Decimal, price: Decimal, way: Way) -> Decimal:
    """In percent, positive in the asked direction."""
    change = (price / before - ONE) * HUNDRED
    return change if way is Way.UP else (-change if way is Way.DOWN else abs(change))


def _push(
    extremes: deque[tuple[int, Decimal]],
    at_us: int,
    price: Decimal,
    useless: Callable[[Decimal, Decimal], bool],
) -> None:
    """What is no better and older than the new one can never be the extreme again."""
    while extremes and useless(extremes[-1][1], price):
        extremes.pop()
    extremes.append((at_us, price))


def _merged(
    past: Iterable[tuple[int, Decimal]],
    own: Iterable[tuple[int, Decimal]],
    useless: Callable[[Decimal, Decimal], bool],
) -> deque[tuple[int, Decimal]]:
    merged: deque[tuple[int, Decimal]] = deque()
    for at_us, price in sorted([*past, *own]):
        _push(merged, at_us, price, useless)
    return merged


def _not_lower(old: Decimal, new: Decimal) -> bool:
    return old >= new


def _not_higher(old: Decimal, new: Decimal) -> bool:
    return old <= new


class Silence:
    """Told by the clock, not by ticks."""

    def value(self, tick: TickLike) -> Decimal:
        return ZERO

    def forget(self, at_us: int) -> None:
        """Silence has no price."""

    def evidence(self) -> dict[str, Any]:
        return {}


def make(which: Which, reference: Reference) -> Series:
    if which.kind == "moves":
        return Moves(which.window_s, which.way)
    if which.kind == "price":
        return Price()
    kind = Kind(which.kind)
    return Silence() if kind is Kind.STALE else Against(kind, reference)
