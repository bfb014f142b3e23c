"""Newest wins: between two flushes only the last tick of a symbol is kept, then it is numbered."""

from __future__ import annotations

from dataclasses import replace

from marketdata.quotes import Tick


class Conflator:
    """Collects ticks and hands them out numbered: within one epoch `seq` rises strictly per symbol, from 1."""

    def __init__(self) -> None:
        self._waiting: dict[str, Tick] = {}
        self._numbers: dict[str, int] = {}

    def put(self, tick: Tick) -> None:
        """That the price stands on another base is told with whatever is said next."""
        before = self._waiting.get(tick.symbol)
        if before is not None and before.rebased and not tick.rebased:
            tick = replace(tick, rebased=True)
        self._waiting[tick.symbol] = tick

    def drain(self) -> list[tuple[Tick, int]]:
        """The newest tick of each changed symbol with its number; the next drain starts empty."""
        waiting, self._waiting = self._waiting, {}
        numbered = []
        for symbol, tick in waiting.items():
            number = self._numbers.get(symbol, 0) + 1
            self._numbers[symbol] = number
            numbered.append((tick, number))
        return numbered

    def put_missing(self, tick: Tick) -> None:
        """Say this again unless something newer waits already."""
        self._waiting.setdefault(tick.symbol, tick)

    def put_back(self, ticks: list[tuple[Tick, int]]) -> None:
        """Return what could not be published; a newer tick that came meanwhile stays."""
        for tick, _ in ticks:
            newer = self._waiting.get(tick.symbol)
            self._waiting[tick.symbol] = tick
            if newer is not None:
                self.put(newer)

    def __len__(self) -> int:
        return len(self._waiting)
