"""The real daily bars of 2000 to 2013 that the replay walks through, with the dividends and splits of those years.

Origin: marketdata/data/README.md.
"""

from __future__ import annotations

import csv
import gzip
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path

from marketdata.quotes import Action, ActionKind

DATA = Path(__file__).resolve().parent.parent / "data"
FILE = DATA / "daily_bars_2000_2013.csv.gz"
ACTIONS_FILE = DATA / "corporate_actions_2000_2013.csv"
SYMBOLS = frozenset({"AAPL", "FB", "GOOG", "IBM", "MSFT"})


@dataclass(frozen=True, slots=True)
class DailyRow:
    """One trading day; prices in cents."""

    day: date
    open: int
    high: int
    low: int
    close: int
    volume: int


def _ints() -> array[int]:
    return array("i")


@dataclass(frozen=True, slots=True)
class History:
    """The trading days of one symbol, oldest first, as columns: 28 bytes a day instead of a thousand."""

    days: array[int] = field(default_factory=_ints)
    opens: array[int] = field(default_factory=_ints)
    highs: array[int] = field(default_factory=_ints)
    lows: array[int] = field(default_factory=_ints)
    closes: array[int] = field(default_factory=_ints)
    volumes: array[int] = field(default_factory=lambda: array("q"))

    def row(self, day: date) -> DailyRow:
        return self._row(self._position(day))

    def rows(self, start: date, end: date) -> Iterator[DailyRow]:
        """The days with start <= day < end."""
        return (self._row(i) for i in range(self._position(start), self._position(end)))

    def close_before(self, day: date) -> int | None:
        position = self._position(day)
        return self.closes[position - 1] if position else None

    def _position(self, day: date) -> int:
        return bisect_left(self.days, day.toordinal())

    def _row(self, i: int) -> DailyRow:
        return DailyRow(
            day=date.fromordinal(self.days[i]),
            open=self.opens[i],
            high=self.highs[i],
            low=self.lows[i],
            close=self.closes[i],
            volume=self.volumes[i],
        )


@cache
def histories() -> Mapping[str, History]:
    """All of them, read at the first use: 30 ms."""
    found = {symbol: History() for symbol in SYMBOLS}
    with gzip.open(FILE, "rt", newline="") as lines:
        reader = csv.reader(lines)
        next(reader)
        for symbol, day, *prices, volume in reader:
            history = found[symbol]
            history.days.append(date.fromisoformat(day).toordinal())
            columns = (history.opens, history.highs, history.lows, history.closes)
            for column, price in zip(columns, prices, strict=True):
                column.append(int(price.replace(".", "")))
            history.volumes.append(int(volume))
    return found


@cache
def loop_days() -> tuple[date, ...]:
    """The trading days on which all symbols exist: what the replay goes through, round and round."""
    shared = set.intersection(*(set(history.days) for history in histories().values()))
    return tuple(date.fromordinal(day) for day in sorted(shared))


@cache
def actions() -> Mapping[str, tuple[Action, ...]]:
    """Those of each symbol that had some, oldest first."""
    found: dict[str, list[Action]] = {}
    with ACTIONS_FILE.open(newline="") as lines:
        for row in csv.DictReader(lines):
            found.setdefault(row["symbol"], []).append(_action(row))
    return {symbol: tuple(sorted(some, key=lambda one: one.ex_date)) for symbol, some in found.items()}


def _action(row: Mapping[str, str]) -> Action:
    symbol, day, value = row["symbol"], date.fromisoformat(row["ex_date"]), Decimal(row["value"])
    if row["kind"] == ActionKind.SPLIT:
        return Action(symbol, ActionKind.SPLIT, day, split_from=Decimal(1), split_to=value)
    return Action(symbol, ActionKind.DIVIDEND, day, amount=value, special=row["special"] == "1")
