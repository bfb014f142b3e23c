"""Which provider streams a symbol: the preferred one that is relied on and has room, busiest symbols first. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

# Away for so long, a provider's symbols go to the next one that streams them.
GONE_AFTER_S = 30.0
# Open for so long again, they come back; longer each time it fell soon after.
BACK_AFTER_S, LONGEST_PROBATION_S = 60.0, 1_800.0
RELAPSE_WITHIN_S = 600.0
WITHOUT_PLACE = 9
# A connection that is lost sooner was never up.
STEADY_AFTER_S = 5.0


@dataclass(slots=True)
class Standing:
    """Whether the stream of one provider is relied on. Times are any one clock's seconds, from `look` to `look`."""

    relied_on: bool = True
    is_open: bool = False
    _open_since: float = 0.0
    _down_since: float | None = None
    _back_since: float | None = None
    _probation_s: float = field(default_factory=lambda: BACK_AFTER_S)

    def look(self, now: float, *, is_open: bool, is_idle: bool = False, is_barred: bool = False) -> None:
        """`is_idle`: nobody wants anything of it. `is_barred`: it refuses us for longer than we wait."""
        if is_open and not self.is_open:
            self._open_since = now
        self.is_open = is_open
        if is_open:
            self._look_up(now - self._open_since, now)
        elif is_idle:
            self.relied_on, self._down_since = True, None
        else:
            self._look_down(now, is_barred)

    def _look_up(self, open_for_s: float, now: float) -> None:
        if open_for_s >= STEADY_AFTER_S:
            self._down_since = None
        if not self.relied_on and open_for_s >= self._probation_s:
            self.relied_on, self._back_since = True, now

    def _look_down(self, now: float, is_barred: bool) -> None:
        if self._down_since is None:
            self._down_since = now
        if not self.relied_on or not (is_barred or now - self._down_since >= GONE_AFTER_S):
            return
        self.relied_on = False
        relapsed = self._back_since is not None and now - self._back_since < RELAPSE_WITHIN_S
        self._probation_s = min(2 * self._probation_s, LONGEST_PROBATION_S) if relapsed else BACK_AFTER_S


@dataclass(slots=True)
class Routes:
    """Who streams what; `over` are by provider how many it had no room for, `awaited` those who were passed over."""

    provider_of: dict[str, str] = field(default_factory=dict)
    over: Counter[str] = field(default_factory=Counter)
    awaited: set[str] = field(default_factory=set)


def routes(
    holders: Mapping[str, int],
    candidates: Callable[[str], Sequence[str]],
    standings: Mapping[str, Standing],
    rooms: Mapping[str, int | None],
    refused: Container[tuple[str, str]],
    before: Mapping[str, str],
) -> Routes:
    """Route each symbol that has `holders`; among equals who streams already goes on, then the alphabet decides.

    `rooms` are the most symbols of each provider, None for any number; `refused` are (provider, symbol) that it will
    not stream. A symbol without a provider that has room is not routed: it is polled.
    """
    found = Routes()
    taken: Counter[str] = Counter()
    for symbol in sorted(holders, key=_priority(holders, candidates, standings, before)):
        names = [name for name in candidates(symbol) if (name, symbol) not in refused]
        ranked = sorted(names, key=lambda name: _rank(standings[name], is_current=before.get(symbol) == name))
        for name in ranked:
            room = rooms.get(name)
            if room is not None and taken[name] >= room:
                found.over[name] += 1
                continue
            found.provider_of[symbol] = name
            taken[name] += 1
            found.awaited.update(
                other for other in names[: names.index(name)] if not standings[other].relied_on
            )
            break
    return found


def spread(
    symbols: Sequence[str],
    rooms: Mapping[int, int | None],
    before: Mapping[str, int],
    refused: Container[tuple[int, str]],
) -> dict[str, int]:
    """Which connection of one provider streams which of its symbols, the most important first.

    Who streams stays, as long as there is room; the others go to the first connection that has some.
    """
    places: dict[str, int] = {}
    taken: Counter[int] = Counter()

    def put(symbol: str, wishes: Iterable[int]) -> None:
        for place in wishes:
            room = rooms.get(place, 0)
            if (room is None or taken[place] < room) and (place, symbol) not in refused:
                places[symbol] = place
                taken[place] += 1
                return

    for symbol in symbols:
        if symbol in before:
            put(symbol, [before[symbol]])
    for symbol in symbols:
        if symbol not in places:
            put(symbol, sorted(rooms))
    return places


def _priority(
    holders: Mapping[str, int],
    candidates: Callable[[str], Sequence[str]],
    standings: Mapping[str, Standing],
    before: Mapping[str, str],
) -> Callable[[str], tuple[int, int, int, str]]:
    """Busiest first; among equals those that have the best place already, so that nothing changes without need."""

    def priority(symbol: str) -> tuple[int, int, int, str]:
        names, current = candidates(symbol), before.get(symbol)
        if current is None or current not in names:
            return (-holders[symbol], WITHOUT_PLACE, 0, symbol)
        return (-holders[symbol], _rank(standings[current], is_current=True), names.index(current), symbol)

    return priority


def _rank(standing: Standing, *, is_current: bool) -> int:
    """Who is relied on comes first, then who is open at all, if need be the one that has the symbol now."""
    if standing.relied_on:
        return 0
    return (1 if is_current else 2) if standing.is_open else 3
