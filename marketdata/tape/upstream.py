"""One connection to one provider, kept open for ever: states in the open, reconnect with full jitter, resubscribe.

`want()` says which symbols should stream; the connection follows. It never gives up: an outage ends when it ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from core import clock, metrics
from core.resilience import Backoff
from marketdata.errors import ProviderError
from marketdata.models import UpstreamState
from marketdata.providers.base import Provider, Stream
from marketdata.quotes import Tick

logger = logging.getLogger(__name__)

# A connection that lived this long earned a fresh start of the back-off.
PROVEN_AFTER_S = 60.0


class Upstream:
    """`run` until cancelled; ticks go to `on_ticks` in arrival order, on the loop that runs it."""

    def __init__(
        self, provider: Provider, on_ticks: Callable[[Sequence[Tick]], None], backoff: Backoff
    ) -> None:
        self.provider = provider
        self.state = UpstreamState.IDLE
        self.since: datetime = clock.now()
        self.last_error = ""
        self.wanted: set[str] = set()
        self.subscribed: set[str] = set()
        self._on_ticks = on_ticks
        self._backoff = backoff
        self._changed = asyncio.Event()
        self._stream: Stream | None = None

    def want(self, symbols: Collection[str]) -> None:
        if symbols != self.wanted:
            self.wanted = set(symbols)
            self._changed.set()

    async def run(self) -> None:
        """Follow what is wanted until cancelled; the connection is closed on the way out."""
        try:
            await self._keep_open()
        finally:
            self._become(UpstreamState.CLOSED)

    async def _keep_open(self) -> None:
        while True:
            while not self.wanted:
                self._become(UpstreamState.IDLE)
                await self._next_change()
            opened = clock.monotonic()
            try:
                await self._connected()
                continue
            except (ProviderError, OSError, TimeoutError) as error:  # a network says it in its own words
                self.last_error = f"{type(error).__name__}: {error}"[:300]
            if clock.monotonic() - opened > PROVEN_AFTER_S:
                self._backoff.reset()
            pause = self._backoff.next_s()
            self._become(UpstreamState.WAITING)
            logger.warning(
                "upstream %s lost (%s); next try in %.1f s", self.provider.name, self.last_error, pause
            )
            await asyncio.sleep(pause)

    async def _connected(self) -> None:
        """One connection, until nothing is wanted any more (returns) or it is lost (raises ProviderError)."""
        self._become(UpstreamState.CONNECTING)
        metrics.upstream_connects.labels(provider=self.provider.name).inc()
        self._stream = stream = await self.provider.open_stream()
        self.subscribed = set()
        reader = asyncio.create_task(self._read(stream))
        try:
            self._become(UpstreamState.OPEN)
            while self.wanted:
                await self._follow(stream)
                await self._changed_or_lost(reader)
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            await stream.close()
            self._stream = None
            self.subscribed = set()

    async def _follow(self, stream: Stream) -> None:
        """Make what is subscribed equal to what is wanted."""
        self._changed.clear()
        add, drop = self.wanted - self.subscribed, self.subscribed - self.wanted
        if drop:
            await stream.unsubscribe(sorted(drop))
            self.subscribed -= drop
        if add:
            await stream.subscribe(sorted(add))
            self.subscribed |= add

    async def _changed_or_lost(self, reader: asyncio.Task[None]) -> None:
        change = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait({change, reader}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            change.cancel()
        if reader.done():
            reader.result()

    async def _next_change(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    async def _read(self, stream: Stream) -> None:
        async for events in stream.batches():
            self._on_ticks([event for event in events if isinstance(event, Tick)])
        raise ProviderError("the stream ended")

    def _become(self, state: UpstreamState) -> None:
        if state != self.state:
            self.state, self.since = state, clock.now()
            logger.info("upstream %s is %s", self.provider.name, state.value)
