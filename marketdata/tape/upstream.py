"""One connection to one provider, kept open for ever: every step has its time, reconnect with full jitter, resubscribe.

`want()` says which symbols should stream, the most important first; the connection follows. It never gives up: an
outage ends when it ends. Only what `subscribed` names really streams: it is empty while the connection is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from core import clock, metrics
from core.resilience import Backoff
from marketdata.errors import (
    BadRequest,
    NotFound,
    PlanLocked,
    ProviderDown,
    ProviderError,
    RateLimited,
    Unauthorized,
)
from marketdata.models import UpstreamState
from marketdata.providers.base import Provider, Stream
from marketdata.quotes import StreamEvent
from marketdata.tape.silence import Silence

logger = logging.getLogger(__name__)

T = TypeVar("T")

# A connection that brought data for this long earned a fresh start of the back-off.
PROVEN_AFTER_S = 60.0
# A burst, be it of one batch or of many, is judged in slices, between which everything else has its turn.
SLICE = 500
# A provider that refuses this often in a row has reached its limit.
REFUSALS_OF_A_LIMIT = 2
# A sleep may end a clock's grain early, and no call may come before the time that was named.
GRAIN_S = 0.05
# What concerns single symbols, while the connection is fine.
PARTIAL = (BadRequest, NotFound, PlanLocked, RateLimited)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each step may take, and how long to wait where only an operator can help."""

    open_s: float = 30.0
    step_s: float = 15.0
    close_s: float = 5.0
    locked_s: float = 600.0
    look_every_s: float = 5.0

    def times(self, factor: float) -> Patience:
        """For fault tests: what is waited between attempts, not what a step may take."""
        return replace(self, locked_s=self.locked_s * factor)


class Upstream:
    """`run` until cancelled; events go to `on_events` in arrival order, on the loop that runs it.

    `on_change` is called whenever what is subscribed, or the state, has changed.
    """

    def __init__(
        self,
        provider: Provider,
        on_events: Callable[[Sequence[StreamEvent]], None],
        backoff: Backoff,
        *,
        on_change: Callable[[], None] = lambda: None,
        patience: Patience | None = None,
    ) -> None:
        self.provider = provider
        self.state = UpstreamState.IDLE
        self.since: datetime = clock.now()
        self.last_error = ""
        self.retry_at: datetime | None = None
        self.is_barred = False
        self.wanted: set[str] = set()
        self.subscribed: set[str] = set()
        self._order: list[str] = []
        self._stand_by = False
        self._refused: dict[str, float] = {}
        self._hopeless: set[str] = set()
        self._refusals = 0
        self._limit: int | None = None
        self._limit_until = 0.0
        self._carried = 0
        self._alarm = ""
        self._data_since: float | None = None
        self._silence = Silence(provider.capabilities)
        self._on_events = on_events
        self._on_change = on_change
        self._backoff = backoff
        self._patience = patience or Patience()
        self._changed = asyncio.Event()

    # --- what should stream, and what cannot

    def want(self, symbols: Collection[str], *, stand_by: bool = False) -> None:
        """A sequence names the most important first. `stand_by` keeps the connection although nothing is wanted."""
        order = sorted(symbols) if isinstance(symbols, set | frozenset) else list(symbols)
        if (stand_by, set(order)) != (self._stand_by, self.wanted):
            self._changed.set()
        self._order, self.wanted, self._stand_by = order, set(order), stand_by

    @property
    def limit(self) -> int | None:
        """How many symbols it streams at most, as far as it has said lately."""
        return self._limit if clock.monotonic() < self._limit_until else None

    @property
    def refused(self) -> set[str]:
        """What it will not stream; asked again after a while."""
        now = clock.monotonic()
        self._refused = {symbol: until for symbol, until in self._refused.items() if now < until}
        return set(self._refused)

    @property
    def hopeless(self) -> set[str]:
        """Those of them that no other connection of the provider would stream either."""
        return self.refused & self._hopeless

    @property
    def is_idle(self) -> bool:
        return not self.wanted and not self._stand_by

    # --- the connection

    async def run(self) -> None:
        """Follow what is wanted until cancelled; the connection is closed on the way out."""
        try:
            await self._keep_open()
        finally:
            self._become(UpstreamState.CLOSED)

    async def _keep_open(self) -> None:
        while True:
            while self.is_idle:
                self._become(UpstreamState.IDLE)
                await self._next_change()
            try:
                await self._connected()
            except (ProviderError, OSError, TimeoutError) as error:  # a network says it in its own words
                await self._wait_after(error)

    async def _connected(self) -> None:
        """One connection, until nothing is wanted any more (returns) or it is lost (raises ProviderError)."""
        self._become(UpstreamState.CONNECTING)
        metrics.upstream_connects.labels(provider=self.provider.name).inc()
        stream = await self._in_time(self._patience.open_s, self.provider.open_stream(), "to open")
        self._silence.begin()
        self._data_since = None
        reader = asyncio.create_task(self._read(stream))
        try:
            self._opened()
            while not self.is_idle:
                await self._follow(stream)
                await self._changed_or_lost(reader)
                self._check_silence()
        finally:
            self._carried, self.subscribed = len(self.subscribed), set()
            self._on_change()
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            await self._close(stream)

    def _opened(self) -> None:
        self._alarm, self.is_barred, self.retry_at = "", False, None
        self._become(UpstreamState.OPEN)

    async def _close(self, stream: Stream) -> None:
        """The next connection is opened when this one is gone, or does not answer any more."""
        try:
            async with asyncio.timeout(self._patience.close_s):
                await stream.close()
        except (ProviderError, OSError, TimeoutError) as error:
            logger.warning("upstream %s: closing failed: %s", self.provider.name, type(error).__name__)

    async def _in_time(self, seconds: float, step: Coroutine[Any, Any, T], what: str) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await step
        except TimeoutError:
            raise ProviderDown(f"no time left {what} after {seconds:g} s") from None

    async def _follow(self, stream: Stream) -> None:
        """Make what is subscribed equal to what is wanted, the most important first."""
        self._changed.clear()
        drop = self.subscribed - self.wanted
        if drop:
            self.subscribed -= drop
            await self._in_time(self._patience.step_s, stream.unsubscribe(sorted(drop)), "to unsubscribe")
        out = self.subscribed | self.refused
        add = [symbol for symbol in self._order if symbol not in out][: self._room()]
        if add:
            await self._subscribe(stream, add)
        if add or drop:
            self._on_change()

    async def _subscribe(self, stream: Stream, symbols: Sequence[str]) -> None:
        """All at once; where that is refused, in halves, until the refused ones are found."""
        if self._room() == 0:
            return
        try:
            await self._in_time(self._patience.step_s, stream.subscribe(symbols), "to subscribe")
        except PARTIAL as error:
            self.last_error = text_of(error)
            if len(symbols) > 1:
                middle = len(symbols) // 2
                await self._subscribe(stream, symbols[:middle])
                await self._subscribe(stream, symbols[middle:])
            else:
                self._refused[symbols[0]] = clock.monotonic() + self._patience.locked_s
                self._count_refusal(error)
                if isinstance(error, BadRequest | NotFound):
                    self._hopeless.add(symbols[0])
        else:
            self._refusals = 0
            self.subscribed |= set(symbols)

    def _room(self) -> int | None:
        limit = self.limit
        return None if limit is None else max(0, limit - len(self.subscribed))

    def _count_refusal(self, error: ProviderError) -> None:
        self._refusals += 1
        if self._refusals >= REFUSALS_OF_A_LIMIT and isinstance(error, PlanLocked | RateLimited):
            self._learn_limit(len(self.subscribed))

    def _learn_limit(self, limit: int) -> None:
        self._limit, self._limit_until = limit, clock.monotonic() + self._patience.locked_s
        logger.warning("upstream %s: streams %s symbols at most", self.provider.name, limit)

    async def _changed_or_lost(self, reader: asyncio.Task[None]) -> None:
        change = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait(
                {change, reader},
                timeout=min(self._patience.look_every_s, self._silence.allowed_s / 4),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            change.cancel()
        if reader.done():
            reader.result()

    async def _next_change(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    def _check_silence(self) -> None:
        if self._silence.is_too_long(self.subscribed):
            raise ProviderDown("nothing came for too long while the market is open")

    # --- what comes in

    async def _read(self, stream: Stream) -> None:
        taken = 0  # since others had their turn: a batch that waits already is read without a pause
        async for events in stream.batches():
            self._heard(bool(events))
            for start in range(0, max(1, len(events)), SLICE):
                if taken >= SLICE:
                    await asyncio.sleep(0)
                    taken = 0
                part = events[start : start + SLICE]
                self._on_events(part)
                taken += max(1, len(part))
        raise ProviderError("the stream ended")

    def _heard(self, is_data: bool) -> None:
        self._silence.heard(is_data)
        if not is_data:
            return
        now = clock.monotonic()
        if self._data_since is None:
            self._data_since = now
        elif now - self._data_since > PROVEN_AFTER_S:
            self._backoff.reset()

    # --- between two connections

    async def _wait_after(self, error: Exception) -> None:
        """Wait as long as the provider asks for, or as only an operator can help, or with full jitter."""
        self.last_error = text_of(error)
        pause_s = self._pause_s(error)
        self.retry_at = clock.now() + timedelta(seconds=pause_s)
        self._become(UpstreamState.WAITING)
        self._tell(error, pause_s)
        self._on_change()
        await asyncio.sleep(pause_s)

    def _pause_s(self, error: Exception) -> float:
        carried, self._carried = self._carried, 0
        self.is_barred = False
        if isinstance(error, RateLimited) and error.retry_at is not None:
            self.is_barred = True
            return max(0.0, (error.retry_at - clock.now()).total_seconds()) + GRAIN_S
        if isinstance(error, PlanLocked | RateLimited) and carried > 1:
            self._learn_limit(carried // 2)  # it worked until there were too many
        elif isinstance(error, PlanLocked | Unauthorized):
            self.is_barred = True
            return self._patience.locked_s
        return self._backoff.next_s()

    def _tell(self, error: Exception, pause_s: float) -> None:
        """An operator must act where waiting does not help: said loudly, once for each reason."""
        needs_operator = self.is_barred and isinstance(error, PlanLocked | Unauthorized)
        loudly = needs_operator and self.last_error != self._alarm
        if needs_operator:
            self._alarm = self.last_error
        logger.log(
            logging.ERROR if loudly else logging.WARNING,
            "upstream %s lost (%s); next try in %.1f s", self.provider.name, self.last_error, pause_s,
        )  # fmt: skip

    def _become(self, state: UpstreamState) -> None:
        if state != self.state:
            self.state, self.since = state, clock.now()
            logger.info("upstream %s is %s", self.provider.name, state.value)
            self._on_change()


def text_of(error: Exception) -> str:
    """What is shown of an error; those of providers hold no secret."""
    return f"{type(error).__name__}: {error}"[:200]
