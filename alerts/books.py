"""The alerts of one ticker, in heaps by the edges of what is quiet for each. Pure.

An alert is quiet between two values: only beyond them can it fire or be armed again (`conditions.quiet`). Per ticker
and series two heaps hold those edges, the nearest on top, so that a tick that reaches none of them costs two
comparisons, whatever the number of alerts. Entries of alerts that have changed meanwhile are recognised by their ticket
and dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from heapq import heapify, heappop, heappush

from alerts import conditions
from alerts.conditions import AT_ONCE, NOWHERE
from alerts.kinds import Phase, Rule, Sessions
from alerts.series import Reference, TickLike, Which, make

Entry = tuple[Decimal, int, int]
NEVER = -1
Heard = tuple[int | None, int]
"""From when silence counts, and when the last tick came."""


@dataclass(slots=True)
class Watched:
    """One alert as the engine knows it. Times are microseconds since 1970, 0: never.

    `armed_us` is since when it has been in its phase: only later ticks count.
    """

    id: int
    symbol: str
    rule: Rule
    phase: Phase
    version: int
    priority: int
    armed_us: int
    armed_price: Decimal | None = None
    fire_seq: int = 0
    last_fired_us: int = 0
    last_fired_day: date | None = None
    ticket: int = 0
    """Which entries of the heaps are its own."""


class Book:
    """The alerts of one ticker on one series."""

    __slots__ = (
        "alerts", "down", "heard", "high", "is_price", "low", "rebased_us", "regular_only", "series", "up", "value",
        "which",
    )  # fmt: skip

    def __init__(self, which: Which, reference: Reference) -> None:
        self.which, self.series = which, make(which, reference)
        self.is_price = which.kind == "price"
        self.regular_only = which.sessions is Sessions.REGULAR
        self.alerts: dict[int, Watched] = {}
        self.up: list[Entry] = []
        self.down: list[Entry] = []
        self.high, self.low = NOWHERE, -NOWHERE
        self.value: Decimal | None = None
        self.rebased_us = NEVER
        self.heard: Heard | None = None
        """What silence was last measured from, of alerts on quotes gone stale."""

    def begin_anew(self, at_us: int) -> None:
        """The price stands on another base, also where the tick that says so is of no session that counts here: the
        next one that counts has not moved, for alerts that were armed before."""
        self.series.forget(at_us)
        self.rebased_us = at_us

    def follow(self, tick: TickLike) -> Decimal | None:
        """The value after this tick, if something may happen at it."""
        value = self.value = tick.price if self.is_price else self.series.value(tick)
        return value if value is not None and (value > self.high or value < self.low) else None

    def place(self, alert: Watched, *, push: Callable[[list[Entry], Entry], None] = heappush) -> None:
        alert.ticket += 1
        below, above = conditions.quiet(alert.rule, alert.phase, self.value)
        if (below, above) == AT_ONCE:
            below, above = None, -NOWHERE
        if above is not None:
            push(self.up, (above, alert.id, alert.ticket))
        if below is not None:
            push(self.down, (-below, alert.id, alert.ticket))

    def measure(self) -> None:
        """The nearest edges; entries whose alert has changed are thrown away on the way."""
        self._clean(self.up)
        self._clean(self.down)
        self.high = self.up[0][0] if self.up else NOWHERE
        self.low = -self.down[0][0] if self.down else -NOWHERE

    def _clean(self, heap: list[Entry]) -> None:
        if len(heap) > 2 * len(self.alerts) + 16:
            heap[:] = [entry for entry in heap if self._owner(entry) is not None]
            heapify(heap)
        while heap and self._owner(heap[0]) is None:
            heappop(heap)

    def _owner(self, entry: Entry) -> Watched | None:
        alert = self.alerts.get(entry[1])
        return alert if alert is not None and alert.ticket == entry[2] else None

    def take_silent(self, seconds: Decimal, heard: Heard) -> list[Watched]:
        """The same after so much silence. It only grows until something else is heard, so that nothing is armed again
        before: alerts that wait, maybe all there are, are not looked at each second."""
        is_news, self.heard = heard != self.heard, heard
        return self.take_reached(seconds, falls=is_news)

    def take_reached(self, value: Decimal, *, falls: bool = True) -> list[Watched]:
        """Take out the alerts for which something may happen at this value, each once."""
        found: dict[int, Watched] = {}
        while self.up and self.up[0][0] < value:
            entry = heappop(self.up)
            if (alert := self._owner(entry)) is not None:
                found[alert.id] = alert
        while falls and self.down and -self.down[0][0] > value:
            entry = heappop(self.down)
            if (alert := self._owner(entry)) is not None:
                found[alert.id] = alert
        return list(found.values())


class Lane:
    """What is known of one ticker."""

    __slots__ = ("books", "gap", "last", "last_regular")

    def __init__(self) -> None:
        self.books: dict[Which, Book] = {}
        self.last: TickLike | None = None
        self.last_regular: TickLike | None = None
        self.gap = 0

    def begin_anew(self, at_us: int) -> None:
        for book in self.books.values():
            book.begin_anew(at_us)
