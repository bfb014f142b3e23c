"""The upstream connections of one term: who streams what, and what really streams at this moment."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from django.conf import settings

from core import clock
from core.resilience import Backoff
from marketdata.providers import registry
from marketdata.providers.base import Provider
from marketdata.providers.registry import Purpose
from marketdata.quotes import StreamEvent
from marketdata.tape.lines import Lines
from marketdata.tape.routing import Routes, routes
from marketdata.tape.upstream import Patience, Upstream

OnEvents = Callable[[Sequence[StreamEvent]], None]


class Streams:
    """`follow` again and again: it looks at the connections, and tells each what it should stream.

    The connections that a provider's key may have are dealt out to the shards; who gets none leaves it to the others.
    """

    def __init__(
        self,
        shard: int,
        shards: int,
        *,
        on_events: OnEvents,
        on_change: Callable[[], None],
        start: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.lines: dict[str, Lines] = {}
        self.routes = Routes()
        self.not_before = 0.0
        """No connection is opened before this time of the monotonic clock."""
        self._shard, self._shards = shard, shards
        self._on_events, self._on_change, self._start = on_events, on_change, start
        self._providers: tuple[Provider, ...] = ()
        self._candidates: dict[str, tuple[str, ...]] = {}
        self._last_asked: object = None

    def candidates(self, symbol: str) -> tuple[str, ...]:
        """The names of those who can stream it to this shard, the preferred one first."""
        found = self._candidates.get(symbol)
        if found is None:
            found = self._candidates[symbol] = tuple(
                provider.name
                for provider in registry.candidates(symbol, purpose=Purpose.STREAM)
                if self._connections(provider)
            )
        return found

    def follow(self, holders: Mapping[str, int]) -> None:
        """Route the symbols that have holders, and tell the connections."""
        if clock.monotonic() < self.not_before:
            return
        self._forget_others()
        for name in {name for symbol in holders for name in self.candidates(symbol)} | self.lines.keys():
            self._look_at(name)
        asked = self._question(holders)
        if asked != self._last_asked:
            self._last_asked = asked
            self._route(holders)

    def streaming(self) -> set[str]:
        """What is subscribed at an open connection."""
        return {symbol for one in self.lines.values() for symbol in one.subscribed}

    def by_provider(self) -> dict[str, set[str]]:
        return {name: one.subscribed for name, one in self.lines.items()}

    def routed_to(self, symbol: str) -> str | None:
        """Whose ticks of the symbol count; None where nobody is to stream it."""
        return self.routes.provider_of.get(symbol)

    def streamed_by(self, symbol: str) -> str | None:
        """The same while it really does."""
        name = self.routes.provider_of.get(symbol)
        return name if name is not None and symbol in self.lines[name].subscribed else None

    # --- routing

    def _route(self, holders: Mapping[str, int]) -> None:
        refused = {(name, symbol) for name, one in self.lines.items() for symbol in one.refused}
        rooms = {name: one.room for name, one in self.lines.items()}
        standings = {name: one.standing for name, one in self.lines.items()}
        before = self.routes.provider_of
        self.routes = routes(holders, self.candidates, standings, rooms, refused, before)
        order: dict[str, list[str]] = {name: [] for name in self.lines}
        for symbol, name in self.routes.provider_of.items():
            order[name].append(symbol)
        losing = {name for symbol, name in before.items() if self.routes.provider_of.get(symbol) != name}
        # Whoever gives a symbol up is told first, so that nobody pays for two streams of it.
        for name in sorted(order, key=lambda name: name not in losing):
            self.lines[name].want(order[name], stand_by=name in self.routes.awaited)

    def _question(self, holders: Mapping[str, int]) -> object:
        """All that the routes depend on."""
        return dict(holders), self._providers, {name: one.question() for name, one in self.lines.items()}

    # --- connections

    def _connections(self, provider: Provider) -> int:
        """How many this shard may have. Nobody counts those of a market that is made up."""
        if provider.capabilities.simulated:
            return 1
        each, left_over = divmod(max(1, provider.capabilities.connections_per_key), self._shards)
        return each + (self._shard < left_over)

    def _look_at(self, name: str) -> None:
        lines = self.lines.get(name)
        if lines is None:
            provider = registry.provider(name)
            lines = self.lines[name] = Lines(lambda: self._upstream(provider))
        lines.allow(self._connections(lines.provider), lines.provider.capabilities.max_streamed_symbols)
        lines.look()

    def _upstream(self, provider: Provider) -> Upstream:
        factor = settings.TIME_FACTOR
        made = Upstream(
            provider,
            self._on_events,
            Backoff(base_s=factor, cap_s=60 * factor),
            on_change=self._on_change,
            patience=Patience().times(factor),
        )
        self._start(made.run())
        return made

    def _forget_others(self) -> None:
        """The providers of a process change in tests only."""
        providers = registry.providers()
        if providers is not self._providers:
            self._providers, self._candidates = providers, {}
