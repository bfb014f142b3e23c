"""The connections of one shard to one provider: a second one where the first has no room and the key may have two.

Which symbol goes to which connection, `routing.spread` decides; a symbol stays where it streams. A connection without
symbols is closed, unless it is away and awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from core import clock
from marketdata.models import UpstreamState
from marketdata.tape import routing
from marketdata.tape.routing import Standing, spread
from marketdata.tape.upstream import Upstream


class Lines:
    """Looks like one upstream to those who route and report; `make` begins one connection that is idle at first."""

    def __init__(self, make: Callable[[], Upstream]) -> None:
        self._make = make
        self._upstreams = [make()]
        self.provider = self._upstreams[0].provider
        self._standings = [Standing()]
        self._places: dict[str, int] = {}
        self._count = 1
        self._declared: int | None = None

    def allow(self, connections: int, symbols_each: int | None) -> None:
        """So many connections, and so many symbols on each, if that is limited."""
        self._count, self._declared = max(1, connections), symbols_each
        while len(self._upstreams) < self._count:
            self._upstreams.append(self._make())
            self._standings.append(Standing())

    def look(self) -> None:
        now = clock.monotonic()
        for upstream, standing in zip(self._upstreams, self._standings, strict=True):
            standing.look(
                now,
                is_open=upstream.state == UpstreamState.OPEN,
                is_idle=upstream.is_idle,
                is_barred=_is_barred(upstream),
            )

    # --- for those who route

    @property
    def standing(self) -> Standing:
        """Relied on while any of them is."""
        used = self._standings[: self._count]
        return Standing(
            relied_on=any(one.relied_on for one in used), is_open=any(one.is_open for one in used)
        )

    @property
    def room(self) -> int | None:
        rooms = list(self._rooms().values())
        return None if None in rooms else sum(room for room in rooms if room is not None)

    @property
    def refused(self) -> set[str]:
        """What the provider does not stream at all, or none of its connections takes."""
        used = [self._upstreams[place] for place in self._rooms()]
        hopeless = set[str]().union(*(one.hopeless for one in used))
        return hopeless | set[str].intersection(*(one.refused for one in used))

    def question(self) -> object:
        """All that `want` depends on beside the symbols."""
        return [
            (one.relied_on, one.is_open, upstream.limit, upstream.refused)
            for one, upstream in zip(self._standings, self._upstreams, strict=True)
        ], (self._count, self._declared)

    def want(self, symbols: Sequence[str], *, stand_by: bool) -> None:
        """The most important first."""
        refused = {(place, one) for place, line in enumerate(self._upstreams) for one in line.refused}
        self._places = spread(symbols, self._rooms(), self._places, refused)
        order: list[list[str]] = [[] for _ in self._upstreams]
        for symbol in symbols:
            if symbol in self._places:
                order[self._places[symbol]].append(symbol)
        is_used = stand_by or bool(symbols)
        for place, upstream in enumerate(self._upstreams):
            is_awaited = is_used and not self._standings[place].relied_on
            upstream.want(order[place], stand_by=is_awaited or (stand_by and place == 0))

    def _rooms(self) -> Mapping[int, int | None]:
        """Of those that are relied on; of all, where none is."""
        used = range(self._count)
        relied_on = [place for place in used if self._standings[place].relied_on]
        return {place: self._room(self._upstreams[place]) for place in relied_on or used}

    def _room(self, upstream: Upstream) -> int | None:
        known = [limit for limit in (self._declared, upstream.limit) if limit is not None]
        return min(known) if known else None

    # --- for those who report

    @property
    def subscribed(self) -> set[str]:
        return set[str]().union(*(one.subscribed for one in self._upstreams))

    @property
    def state(self) -> UpstreamState:
        return self._shown.state

    @property
    def since(self) -> datetime:
        return self._shown.since

    @property
    def retry_at(self) -> datetime | None:
        return min((one.retry_at for one in self._upstreams if one.retry_at is not None), default=None)

    @property
    def last_error(self) -> str:
        texts = [
            f"connection {place}: {one.last_error}" if place > 1 else one.last_error
            for place, one in enumerate(self._upstreams, 1)
            if one.last_error
        ]
        return "; ".join(texts)

    @property
    def connections(self) -> int:
        """How many are open."""
        return sum(one.state == UpstreamState.OPEN for one in self._upstreams)

    @property
    def _shown(self) -> Upstream:
        is_open = (one for one in self._upstreams if one.state == UpstreamState.OPEN)
        return next(is_open, self._upstreams[0])


def _is_barred(upstream: Upstream) -> bool:
    """Whether it will not even be tried again before its symbols would go elsewhere."""
    if not upstream.is_barred or upstream.retry_at is None:
        return False
    return (upstream.retry_at - clock.now()).total_seconds() > routing.GONE_AFTER_S
