"""The upstream connections of one term: who streams what, and what really streams at this moment."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from django.conf import settings

from core import clock
from core.resilience import Backoff
from marketdata.models import UpstreamState
from marketdata.providers import registry
from marketdata.providers.base import Provider
from marketdata.providers.registry import Purpose
from marketdata.quotes import StreamEvent
from marketdata.tape import routing
from marketdata.tape.routing import Routes, Standing, routes
from marketdata.tape.upstream import Patience, Upstream

OnEvents = Callable[[Sequence[StreamEvent]], None]


class Streams:
    """`follow` again and again: it looks at the connections, and tells each what it should stream.

    One provider has one connection in each shard, and as many shards stream from it as its key may have connections.
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
        self.upstreams: dict[str, Upstream] = {}
        self.routes = Routes()
        self.not_before = 0.0
        """No connection is opened before this time of the monotonic clock."""
        self._shard, self._shards = shard, shards
        self._on_events, self._on_change, self._start = on_events, on_change, start
        self._standings: dict[str, Standing] = {}
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
                if self._may_connect(provider)
            )
        return found

    def follow(self, holders: Mapping[str, int]) -> None:
        """Route the symbols that have holders, and tell the connections."""
        if clock.monotonic() < self.not_before:
            return
        self._forget_others()
        for name in {name for symbol in holders for name in self.candidates(symbol)}:
            self._upstream(name)
        self._look()
        asked = self._question(holders)
        if asked != self._last_asked:
            self._last_asked = asked
            self._route(holders)

    def streaming(self) -> set[str]:
        """What is subscribed at an open connection."""
        return {symbol for upstream in self.upstreams.values() for symbol in upstream.subscribed}

    def by_provider(self) -> dict[str, set[str]]:
        return {name: upstream.subscribed for name, upstream in self.upstreams.items()}

    def routed_to(self, symbol: str) -> str | None:
        """Whose ticks of the symbol count; None where nobody is to stream it."""
        return self.routes.provider_of.get(symbol)

    def streamed_by(self, symbol: str) -> str | None:
        """The same while it really does."""
        name = self.routes.provider_of.get(symbol)
        return name if name is not None and symbol in self.upstreams[name].subscribed else None

    # --- routing

    def _route(self, holders: Mapping[str, int]) -> None:
        refused = {(name, symbol) for name, one in self.upstreams.items() for symbol in one.refused}
        rooms = {name: self._room(upstream) for name, upstream in self.upstreams.items()}
        self.routes = routes(
            holders, self.candidates, self._standings, rooms, refused, self.routes.provider_of
        )
        order: dict[str, list[str]] = {name: [] for name in self.upstreams}
        for symbol, name in self.routes.provider_of.items():
            order[name].append(symbol)
        for name, symbols in order.items():
            self.upstreams[name].want(symbols, stand_by=name in self.routes.awaited)

    def _question(self, holders: Mapping[str, int]) -> object:
        """All that the routes depend on."""
        return (
            dict(holders),
            self._providers,
            {name: (one.relied_on, one.is_open) for name, one in self._standings.items()},
            {name: (self._room(one), one.refused) for name, one in self.upstreams.items()},
        )

    def _room(self, upstream: Upstream) -> int | None:
        capabilities = upstream.provider.capabilities
        declared = capabilities.max_streamed_symbols
        if declared is not None and not capabilities.simulated:
            declared //= min(self._shards, capabilities.connections_per_key)
        known = [limit for limit in (declared, upstream.limit) if limit is not None]
        return min(known) if known else None

    def _may_connect(self, provider: Provider) -> bool:
        capabilities = provider.capabilities
        return capabilities.simulated or self._shard < max(1, capabilities.connections_per_key)

    # --- connections

    def _look(self) -> None:
        now = clock.monotonic()
        for name, upstream in self.upstreams.items():
            self._standings[name].look(
                now,
                is_open=upstream.state == UpstreamState.OPEN,
                is_idle=upstream.is_idle,
                is_barred=_is_barred(upstream),
            )

    def _upstream(self, name: str) -> Upstream:
        found = self.upstreams.get(name)
        if found is None:
            factor = settings.TIME_FACTOR
            found = self.upstreams[name] = Upstream(
                registry.provider(name),
                self._on_events,
                Backoff(base_s=factor, cap_s=60 * factor),
                on_change=self._on_change,
                patience=Patience().times(factor),
            )
            self._standings[name] = Standing()
            self._start(found.run())
        return found

    def _forget_others(self) -> None:
        """The providers of a process change in tests only."""
        providers = registry.providers()
        if providers is not self._providers:
            self._providers, self._candidates = providers, {}


def _is_barred(upstream: Upstream) -> bool:
    """Whether it will not even be tried again before its symbols would go elsewhere."""
    if not upstream.is_barred or upstream.retry_at is None:
        return False
    return (upstream.retry_at - clock.now()).total_seconds() > routing.GONE_AFTER_S
