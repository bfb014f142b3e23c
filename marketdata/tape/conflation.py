"""Newest wins: of what comes while a symbol waits for its turn only the last tick is kept, then it is numbered. Pure.

Time goes in turns. A symbol is said once in `slices` turns: who was quiet so long is due at once, who is busy waits
until the others had theirs. So publications flow steadily instead of in one burst, and no turn is longer than `most`:
what finds no place in one is first in the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from marketdata.quotes import Tick

SLICES = 10
MOST_IN_A_TURN = 500


class Conflator:
    """Collects ticks and hands them out numbered: within one epoch `seq` rises strictly per symbol, from 1."""

    def __init__(self, slices: int = SLICES, most: int = MOST_IN_A_TURN) -> None:
        self._slices, self._most = slices, most
        self._turn = 0
        self._waiting: dict[str, Tick] = {}
        self._due: list[list[str]] = [[] for _ in range(slices)]
        self._overdue: list[str] = []
        self._next_turn: dict[str, int] = {}
        self._numbers: dict[str, int] = {}

    def put(self, tick: Tick) -> None:
        """That the price stands on another base is told with whatever is said next."""
        symbol = tick.symbol
        before = self._waiting.get(symbol)
        if before is None:
            due = max(self._turn, self._next_turn.get(symbol, 0))
            self._due[due % self._slices].append(symbol)
        elif before.rebased and not tick.rebased:
            tick = replace(tick, rebased=True)
        self._waiting[symbol] = tick

    def drain(self, turns: int = 1) -> list[tuple[Tick, int]]:
        """One turn, or as many as have gone by: the newest tick of each symbol that is due, with its number."""
        turns = min(turns, self._slices)
        due, room = self._overdue, turns * self._most
        for _ in range(turns):
            place = self._turn % self._slices
            due, self._due[place] = due + self._due[place], []
            self._turn += 1
        self._overdue = due[room:]
        return self._number(due[:room])

    def drain_all(self) -> list[tuple[Tick, int]]:
        """Everything that waits, at the end."""
        self._overdue, self._due = [], [[] for _ in range(self._slices)]
        return self._number(list(self._waiting))

    def _number(self, symbols: Sequence[str]) -> list[tuple[Tick, int]]:
        numbered = []
        for symbol in symbols:
            number = self._numbers[symbol] = self._numbers.get(symbol, 0) + 1
            self._next_turn[symbol] = self._turn - 1 + self._slices
            numbered.append((self._waiting.pop(symbol), number))
        return numbered

    def put_missing(self, tick: Tick) -> None:
        """Say this again unless something newer waits already."""
        if tick.symbol not in self._waiting:
            self.put(tick)

    def put_back(self, ticks: Sequence[tuple[Tick, int]]) -> None:
        """Return what could not be published; a newer tick that came meanwhile stays."""
        for tick, _ in ticks:
            newer = self._waiting.get(tick.symbol)
            if newer is None:
                self.put(tick)
            elif tick.rebased and not newer.rebased:
                self._waiting[tick.symbol] = replace(newer, rebased=True)

    def __len__(self) -> int:
        return len(self._waiting)
