"""PriceHub: one per server process, between the Channels groups of tickers and the connections of this process.

It is a member of a ticker's group only while a local client wants the ticker. What arrives is text that was
serialised once for the whole installation; a client gets one frame per beat with all its changed tickers. A client
that is still busy with its last frame is skipped, never queued, and gets the newest state afterwards. A group
message is a doorbell that can be lost, so every two seconds the latest state is read again and merged by
(epoch, seq). See docs/design/live.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from datetime import datetime

import orjson
from redis.exceptions import RedisError

from core import clock, live, metrics
from core.database import in_thread
from core.loops import Tasks
from core.outages import OUTAGES
from marketdata import attention, market_hours, staleness
from marketdata.cache import Look, decode, read_latest
from marketdata.quotes import Quote, Reason, microseconds
from marketdata.symbols import group_name
from marketdata.tape.publish import frame_of
from marketdata.tape.sharding import shard_of
from subscriptions import cadence, renewal
from subscriptions.client import Client

logger = logging.getLogger(__name__)

RESYNC_EVERY_S = 2.0
RESYNC_CHUNK = 1_000
# The owner of the tape says each second that it is alive; three missed mean that prices may be old.
SILENT_AFTER_S = 3.0
HEARTBEAT_EVERY_S = 5.0
WATCH_EVERY_S = 0.5
FAILED_PAUSE_S = 0.5
# People who come one after the other are told of together.
ATTEND_PAUSE_S = 1.0

Position = tuple[int, int]


class PriceHub:
    """Every method runs on the loop that serves the connections."""

    def __init__(self) -> None:
        self.clients: set[Client] = set()
        self._followers: dict[str, set[Client]] = defaultdict(set)
        self._texts: dict[str, str] = {}
        self._positions: dict[str, Position] = {}
        self._joined: set[str] = set()
        self._dirty: list[set[str]] = [set() for _ in range(cadence.PHASES)]
        self._phases = cadence.Phases()
        self._receiver = live.Receiver()
        self._tasks = Tasks()
        self._something_changed = asyncio.Event()
        self._newly_followed = asyncio.Event()
        self._silent_shards: set[int] = set()
        self._stale: set[str] = set()  # for another reason than the silence of their shard
        self._shards = 1
        self._beats: dict[int, float] = {}
        self._started_at = 0.0
        self._heal_after = 0.0

    # --- clients come and go

    async def add(self, client: Client) -> None:
        if not self._started_at:
            self._start()
        client.phase = self._phases.next()
        self.clients.add(client)
        metrics.sockets.set(len(self.clients))

    async def remove(self, client: Client) -> None:
        self.clients.discard(client)
        metrics.sockets.set(len(self.clients))
        await self.unfollow(client, list(client.symbols))

    async def follow(self, client: Client, symbols: Collection[str]) -> dict[str, Quote]:
        """From now on the client gets these; returns the latest quote of each that has one, for its snapshot."""
        for symbol in symbols:
            self._followers[symbol].add(client)
            client.symbols.add(symbol)
        metrics.hub_symbols.set(len(self._followers))
        self._newly_followed.set()
        await self._join_missing()
        return await self._read(symbols)

    async def unfollow(self, client: Client, symbols: Iterable[str]) -> None:
        for symbol in symbols:
            client.symbols.discard(symbol)
            client.missed.discard(symbol)
            followers = self._followers.get(symbol)
            if followers is not None:
                followers.discard(client)
                if not followers:
                    await self._drop(symbol)
        metrics.hub_symbols.set(len(self._followers))

    async def _drop(self, symbol: str) -> None:
        del self._followers[symbol]
        self._texts.pop(symbol, None)
        self._positions.pop(symbol, None)
        self._stale.discard(symbol)
        await self._leave(symbol)

    async def _leave(self, symbol: str) -> None:
        if symbol in self._joined:
            self._joined.discard(symbol)
            try:
                await self._receiver.leave(group_name(symbol))
            except RedisError:
                metrics.redis_failures.labels(used_by="hub").inc()

    async def close(self) -> None:
        """End the hub's own tasks; connections are the server's to close."""
        await self._tasks.cancel()

    # --- what arrives

    def _start(self) -> None:
        self._started_at = clock.monotonic()
        self._hearing = self._tasks.start(self._for_ever(self._hear))
        for work in (self._flush, self._resync, self._watch, self._heartbeat, self._renew, self._attend):
            self._tasks.start(self._for_ever(work))

    async def _for_ever(self, work: Callable[[], Awaitable[None]]) -> None:
        """Nothing may end a part of the hub for good: every connection of this process depends on it."""
        while True:
            try:
                await work()
            except OUTAGES as error:
                metrics.redis_failures.labels(used_by="hub").inc()
                logger.warning("hub: %s failed: %s", work.__name__, type(error).__name__)
                await asyncio.sleep(FAILED_PAUSE_S)
            except (
                Exception
            ):  # an unforeseen fault, such as a text of another version: told, and gone on from
                logger.exception("hub: %s failed", work.__name__)
                await asyncio.sleep(FAILED_PAUSE_S)

    async def _hear(self) -> None:
        """Open the one receiver of this process, join what is followed, and take what arrives."""
        receiver = self._receiver = live.Receiver()
        await receiver.open()
        self._joined.clear()
        await receiver.join(live.TAPE_GROUP)
        await self._join_missing()
        while True:
            event = await receiver.receive()
            if event["type"] == live.QUOTE_TICKED:
                self._take(event["s"], (event["e"], event["n"]), event["d"])
            elif event["type"] == live.TAPE_BEAT:
                self._shards = event["of"]
                self._beats[event["shard"]] = clock.monotonic()

    async def _hear_again(self) -> None:
        """Replace a deaf receiver. Its layer believes that it is subscribed, so its connection goes too."""
        self._heal_after = clock.monotonic() + 2 * SILENT_AFTER_S
        self._hearing.cancel()
        await asyncio.wait({self._hearing}, timeout=1)
        await live.reset()
        self._hearing = self._tasks.start(self._for_ever(self._hear))

    def _take(self, symbol: str, position: Position, text: str) -> None:
        """Merge one state of a symbol; an older or equal one changes nothing."""
        if symbol not in self._followers or position <= self._positions.get(symbol, (-1, -1)):
            return
        self._positions[symbol] = position
        self._stale.discard(symbol)  # as the client takes it; the next look says if it is
        self._texts[symbol] = text
        self._mark(symbol)

    def _mark(self, symbol: str) -> None:
        for phase in self._dirty:
            phase.add(symbol)
        self._something_changed.set()

    async def _join_missing(self) -> None:
        """Join the group of each followed ticker. Redis away: the resync joins as soon as it is back."""
        for symbol in [symbol for symbol in self._followers if symbol not in self._joined]:
            try:
                await self._receiver.join(group_name(symbol))
            except (RedisError, RuntimeError):  # RuntimeError: the receiver is being opened again
                metrics.redis_failures.labels(used_by="hub").inc()
                return
            self._joined.add(symbol)
            if symbol not in self._followers:  # its last follower left meanwhile
                await self._leave(symbol)

    async def _read(self, symbols: Collection[str]) -> dict[str, Quote]:
        try:
            look = await read_latest(list(symbols))
        except RedisError:
            metrics.redis_failures.labels(used_by="hub").inc()
            return {}
        self._merge(look)
        return {symbol: self._marked(decode(one)) for symbol, one in look.latest.items()}

    def _marked(self, quote: Quote) -> Quote:
        return quote.marked_stale(Reason.PROVIDER_DOWN) if self.is_stale(quote.symbol) else quote

    def _merge(self, look: Look) -> None:
        """Take what is newer than what was heard, and tell what has become stale or is so no more."""
        now, before = clock.now(), set(self._stale)
        for symbol in look.latest.keys() & self._followers.keys():
            raw = look.latest[symbol]
            fields = orjson.loads(raw)
            position = (fields["epoch"], fields["seq"])
            known = self._positions.get(symbol, (-1, -1))
            if position < known:
                continue  # something newer was heard while Redis answered
            if position > known:
                self._take(symbol, position, frame_of(decode(raw)))
            if _is_stale(symbol, look, now, fields["expires"]):
                self._stale.add(symbol)
            else:
                self._stale.discard(symbol)
        self._tell_changed(before)

    async def _resync(self) -> None:
        """Every two seconds: heal what a lost message left behind, and a receiver that has gone deaf."""
        await asyncio.sleep(RESYNC_EVERY_S)
        await self._join_missing()
        symbols = list(self._followers)
        alive = False
        for start in range(0, max(1, len(symbols)), RESYNC_CHUNK):
            look = await read_latest(symbols[start : start + RESYNC_CHUNK])
            alive = look.alive
            self._merge(look)
        deaf = min(map(self._silence, range(self._shards))) > SILENT_AFTER_S
        if alive and deaf and clock.monotonic() > self._heal_after:
            logger.warning("hub: the tape is alive but nothing arrives; listening anew")
            await self._hear_again()

    # --- what is sent

    async def _flush(self) -> None:
        for phase in range(cadence.PHASES):
            began = clock.monotonic()
            self._flush_phase(phase)
            await asyncio.sleep(cadence.pause_after(clock.monotonic() - began))
        if not any(self._dirty) and not any(client.missed for client in self.clients):
            self._something_changed.clear()
            await self._something_changed.wait()

    def _flush_phase(self, phase: int) -> None:
        changed, self._dirty[phase] = self._dirty[phase], set()
        parts: dict[Client, list[str]] = defaultdict(list)
        for symbol in changed:
            text = self._texts.get(symbol)
            if text is not None:
                for client in self._followers.get(symbol, ()):
                    if client.phase == phase:
                        parts[client].append(text)
                        client.missed.discard(symbol)
        for client, texts in parts.items():
            self._send(client, changed, texts)
        self._catch_up(phase)

    def _send(self, client: Client, changed: set[str], texts: list[str]) -> None:
        if client.busy:
            client.missed |= changed & client.symbols
            metrics.frames_skipped.inc()
        else:
            client.send(f'{{"type":"quotes","q":[{",".join(texts)}]}}')
            if self._stale or self._silent_shards:  # for the client a new entry has ended it
                self.tell_stale(client, changed & client.symbols)

    def _catch_up(self, phase: int) -> None:
        """Clients that were busy get the newest state of what they missed, not the backlog."""
        for client in [c for c in self.clients if c.missed and c.phase == phase and not c.busy]:
            missed, client.missed = client.missed, set()
            texts = [self._texts[symbol] for symbol in missed if symbol in self._texts]
            if texts:
                self._send(client, missed, texts)

    # --- silence

    @property
    def silent(self) -> bool:
        return bool(self._silent_shards)

    def _silence(self, shard: int) -> float:
        """Seconds since the owner of the shard was last heard of."""
        return clock.monotonic() - self._beats.get(shard, self._started_at)

    def _is_silent(self, symbol: str) -> bool:
        return shard_of(symbol, self._shards) in self._silent_shards

    async def _watch(self) -> None:
        """Tell clients when the tape falls silent, and send everything again when it is back."""
        await asyncio.sleep(WATCH_EVERY_S)
        silent = {shard for shard in range(self._shards) if self._silence(shard) > SILENT_AFTER_S}
        if silent == self._silent_shards:
            return
        logger.warning("hub: silent shards of the tape: %s", sorted(silent) or "none")
        back = {symbol for symbol in self._followers if self._is_silent(symbol)}
        self._silent_shards = silent
        for client in self.clients:
            self.tell_stale(client, client.symbols)
        for symbol in back:
            if not self._is_silent(symbol):
                self._mark(symbol)

    def is_stale(self, symbol: str) -> bool:
        return symbol in self._stale or self._is_silent(symbol)

    def _tell_changed(self, before: set[str]) -> None:
        """Once per change: what is stale now is named, what was so is sent again, which ends it."""
        for symbol in before - self._stale:
            self._mark(symbol)
        if stale := {symbol for symbol in self._stale - before if not self._is_silent(symbol)}:
            for client in self.clients:
                self.tell_stale(client, stale & client.symbols)

    def tell_stale(self, client: Client, symbols: Collection[str]) -> None:
        """Name those of the symbols that are stale; says nothing where there are none."""
        stale = sorted(filter(self.is_stale, symbols))
        if stale:
            message = {"type": "stale", "symbols": stale, "reason": Reason.PROVIDER_DOWN.value}
            client.send(orjson.dumps(message).decode())

    async def _heartbeat(self) -> None:
        await asyncio.sleep(HEARTBEAT_EVERY_S)
        text = f'{{"type":"heartbeat","t":{clock.now_us() // 1000}}}'
        for client in [client for client in self.clients if not client.busy]:
            client.send(text)

    async def _renew(self) -> None:
        """Streamed tickers stay wanted while their connections live; rights that went are taken back."""
        await asyncio.sleep(renewal.RENEW_EVERY_S)
        clients = [client for client in self.clients if client.user_id]
        held = [client.held() for client in clients]
        for client, had, verdict in zip(clients, held, await in_thread(renewal.review, held), strict=True):
            if verdict.ended:
                client.end(verdict.ended)
                await self.remove(client)
            for refused in verdict.lost:
                await self.unfollow(client, client.lose(refused, had))

    async def _attend(self) -> None:
        """Say which tickers somebody looks at: at once when there are new ones, and as long as it lasts."""
        with suppress(TimeoutError):
            async with asyncio.timeout(attention.TELL_EVERY_S):
                await self._newly_followed.wait()
        self._newly_followed.clear()
        await asyncio.to_thread(attention.look, list(self._followers))
        await in_thread(market_hours.refresh)
        await asyncio.sleep(ATTEND_PAUSE_S)


def _is_stale(symbol: str, look: Look, now: datetime, expires_us: int) -> bool:
    """The quote is read only where it may be: most stream, or are younger than that."""
    lost_at = look.lost.get(symbol)
    if symbol in look.listed or (lost_at is None and microseconds(now) < expires_us):
        return False
    return staleness.is_stale(decode(look.latest[symbol]), now, lost_at)


_hub: tuple[asyncio.AbstractEventLoop, PriceHub] | None = None


def hub() -> PriceHub:
    """The hub of the running loop; Daphne has no start-up event, so the first client makes it."""
    global _hub  # noqa: PLW0603 -- one per process by design
    loop = asyncio.get_running_loop()
    if _hub is None or _hub[0] is not loop:
        _hub = (loop, PriceHub())
    return _hub[1]
