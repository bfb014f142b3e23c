"""Minute bars that wait to be told once: when their minute is over, and what comes late has had its time. Pure.

Nothing is lost with one that is never told: the bar itself goes to PostgreSQL, again and again.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Protocol

from marketdata.quotes import Bar

MINUTE_US = 60_000_000
# How late a trade of the minute, or its cancel, may come and still count for what is told.
ALLOWED_LATENESS_US = 2_000_000


class InTheMaking(Protocol):
    def as_bar(self, symbol: str) -> Bar: ...


class Closings:
    """`begin` with each minute of a symbol; `take` what is due. A minute is told once, if at all."""

    def __init__(self) -> None:
        self._due: defaultdict[int, dict[str, InTheMaking]] = defaultdict(dict)

    def begin(self, symbol: str, minute: int, bar: InTheMaking, *, delayed_s: int = 0) -> None:
        """`minute` counts minutes since 1970; its provider tells everything `delayed_s` later."""
        ends_us = (minute + 1) * MINUTE_US
        self._due[ends_us + delayed_s * 1_000_000 + ALLOWED_LATENESS_US][symbol] = bar

    def take(self, now_us: int) -> list[Bar]:
        """The bars as they are by now, the oldest minutes first."""
        due = sorted(due_us for due_us in self._due if due_us <= now_us)
        return [bar.as_bar(symbol) for due_us in due for symbol, bar in self._due.pop(due_us).items()]
