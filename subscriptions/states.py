"""What this process knows of the tickers that its clients follow: the newest state, and the few before it.

The few before it let a client that comes back get everything it missed, where that can be said for certain: the
tape gives each symbol's states consecutive numbers, so a run of them is complete. A number that was never published,
such as while Redis was away, looks like a state that was missed: then it cannot be said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from subscriptions.feeds import Minute, Position, State

# About five seconds of a ticker that never rests; of 5,000 such tickers it takes 110 MB.
KEPT = 50
NOWHERE: Position = (-1, -1)
# A quote that was fetched, not published, has no number, and so says nothing of what came before.
NUMBERED: Position = (1, 1)


@dataclass(frozen=True)
class Recovery:
    """What somebody who came back has missed; `gaps`: of which tickers that cannot be said."""

    missed: Sequence[State] = ()
    gaps: Sequence[str] = ()


class States:
    """By symbol; forgotten when nobody follows it any more."""

    def __init__(self) -> None:
        self._recent: dict[str, deque[State]] = {}
        self._minutes: dict[str, Minute] = {}

    def take(self, state: State) -> bool:
        """False for one that is not newer than what is known: it changes nothing."""
        recent = self._recent.get(state.symbol)
        if recent is None:
            recent = self._recent[state.symbol] = deque(maxlen=KEPT)
        elif recent:
            epoch, number = recent[-1].position
            if state.position <= (epoch, number):
                return False
            recent[-1].is_history()
            if state.position != (epoch, number + 1):
                recent.clear()  # what came between was never heard
        recent.append(state)
        return True

    def take_minute(self, minute: Minute) -> bool:
        known = self._minutes.get(minute.symbol)
        if known is not None and minute.position <= known.position:
            return False
        self._minutes[minute.symbol] = minute
        return True

    def latest(self, symbol: str) -> State | None:
        recent = self._recent.get(symbol)
        return recent[-1] if recent else None

    def minute(self, symbol: str) -> Minute | None:
        return self._minutes.get(symbol)

    def position(self, symbol: str) -> Position:
        latest = self.latest(symbol)
        return NOWHERE if latest is None else latest.position

    def since(self, symbol: str, position: Position) -> list[State] | None:
        """Every state after `position`, oldest first; None where something may be missing."""
        recent = self._recent.get(symbol)
        if not recent or position > recent[-1].position or position < NUMBERED:
            return None
        if position == recent[-1].position:
            return []
        epoch, number = position
        if (epoch, number + 1) < recent[0].position or epoch != recent[0].epoch:
            return None
        return [state for state in recent if state.position > position]

    def recovery(
        self, symbols: Iterable[str], positions: Mapping[str, Position], told: Mapping[str, Position]
    ) -> Recovery:
        """What lies between the positions and what is `told` now.

        The newest is never among it: it is told now, or is on its way.
        """
        missed: list[State] = []
        gaps: list[str] = []
        for symbol in symbols:
            since = self.since(symbol, positions[symbol])
            if since is None:
                gaps.append(symbol)
            else:
                missed += [state for state in since[:-1] if state.position != told.get(symbol)]
        return Recovery(missed, gaps)

    def forget(self, symbol: str) -> None:
        self._recent.pop(symbol, None)
        self._minutes.pop(symbol, None)
