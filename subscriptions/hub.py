"""PriceHub: one per server process, between the Channels groups of tickers and the connections of this process.

It is a member of a ticker's group only while a local client wants the ticker. What arrives is text that was
serialised once for the whole installation; a client gets one frame per beat with all its changed tickers
(`phases`). A group message is a doorbell that can be lost, so every two seconds the latest state is read again and
merged by (epoch, seq). See docs/design/live.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from django.conf import settings
from redis.exceptions import RedisError

from core import clock, live, metrics, serving
from core.batching import Batched
from core.database import in_thread
from core.loops import Tasks
from core.outages import OUTAGES
from marketdata.cache import Look, decode_known, read_latest
from marketdata.lookup import stored_quotes
from marketdata.quotes import Quote, Reason
from marketdata.symbols import group_name
from subscriptions import personal, upkeep
from subscriptions.arrivals import Reading, minute_of, state_from, state_of
from subscriptions.client import Client
from subscriptions.connections import Connections
from subscriptions.errors import Refused
from subscriptions.feeds import NATIVE_QUOTES, Feed, Minute, Position, Source, State
from subscriptions.pace import Ours
from subscriptions.phases import Phases
from subscriptions.silence import SILENT_AFTER_S, Silence
from subscriptions.states import NOWHERE, Recovery, States

logger = logging.getLogger(__name__)

RESYNC_EVERY_S = 2.0
RESYNC_CHUNK = 1_000
WATCH_EVERY_S = 0.5
# Whoever was the only one to follow a ticker, and is back so soon, has missed nothing that nobody remembers.
LINGER_S = 30.0


class PriceHub:
    """Every method runs on the loop that serves the connections."""

    def __init__(self) -> None:
        self.clients: set[Client] = set()
        self.visitors = 0  # of them, without a login
        self.states = States()
        self.silence = Silence()
        self.connections = Connections()
        self.ours = Ours()
        self.people = personal.Personal()
        self.newly_followed = asyncio.Event()
        self._followers: dict[str, set[Client]] = defaultdict(set)
        self._lingering: dict[str, float] = {}  # heard, though nobody follows them any more
        self._joined: set[str] = set()
        self._phases = Phases(self.states, self._after_frame)
        self._receiver = live.Receiver()
        self._reads: Batched[tuple[str, ...], Look] = Batched(self._read_many)
        self._stored_reads: Batched[tuple[str, ...], Mapping[str, Quote]] = Batched(self._read_stored)
        self._joins: Batched[None, None] = Batched(self._join_all)
        self._reading = Reading()
        self._tasks = Tasks()
        self._started = False
        self._heal_after = 0.0

    @property
    def symbols(self) -> list[str]:
        """What anybody here follows."""
        return list(self._followers)

    # --- clients come and go

    async def add(self, client: Client) -> None:
        """Raises Refused("connection_limit") for one visitor too many."""
        if not self._started:
            self._start()
        if client.login is None:
            if self.visitors >= settings.VISITOR_CONNECTIONS:
                raise Refused("connection_limit", "Too many visitors are here. Log in, or come again later.")
            self.visitors += 1
        self.clients.add(client)
        client.pace.ours = self.ours
        self._phases.place(client)
        self.people.arrived(client)
        metrics.sockets.set(len(self.clients))

    async def remove(self, client: Client) -> None:
        if client in self.clients and client.login is None:
            self.visitors -= 1
        self.clients.discard(client)
        self._phases.take_out(client)
        self.people.gone(client)
        metrics.sockets.set(len(self.clients))
        await self._let_go(client, client.asked | client.symbols)
        client.following.clear()

    def settle(self, client: Client) -> None:
        """Its cadence has changed, or may have: put it where it belongs, and tell it."""
        if client in self.clients:
            client.cadence.bearable = client.pace.bearable
            self._phases.place(client)
            client.tell_cadence()

    async def follow(
        self, client: Client, symbols: Collection[str], feed: Feed = NATIVE_QUOTES
    ) -> dict[str, Quote]:
        """From now on the client gets these; returns the latest quote of each that has one, for its snapshot.

        What the client is sent afterwards is never older than what is returned: so answer it before you await again.
        """
        if client not in self.clients:  # it was ended meanwhile
            return {}
        client.asked.update(symbols)
        for symbol in symbols:
            self._followers[symbol].add(client)
            self._lingering.pop(symbol, None)
        metrics.hub_symbols.set(len(self._followers))
        self.newly_followed.set()
        await self._join_missing()
        quotes = self._not_older(await self._snapshot(symbols))
        client.asked.difference_update(symbols)
        if client not in self.clients:  # gone meanwhile
            await self._let_go(client, symbols)
        for symbol in symbols:
            if client in self._followers.get(symbol, ()):
                self._follow(client, symbol, feed, quotes.get(symbol))
        return quotes

    def _not_older(self, quotes: dict[str, Quote]) -> dict[str, Quote]:
        """Without what this process knows better, such as from a database behind a Redis that has lost everything."""
        position = self.states.position
        return {s: quote for s, quote in quotes.items() if (quote.epoch, quote.seq) >= position(s)}

    def _follow(self, client: Client, symbol: str, feed: Feed, quote: Quote | None) -> None:
        if feed is not NATIVE_QUOTES:  # it has no snapshot
            self._phases.follow(client, symbol, feed)
            return
        now, again = self.states.position(symbol), feed in client.feeds(symbol)
        told = NOWHERE if quote is None else (quote.epoch, quote.seq)
        # Again, and something newer than this snapshot: sent already, or due anyway.
        if told >= now or not again:
            self._phases.follow(client, symbol, feed, told)
        if now > told and not again:  # heard while Redis answered
            self._phases.catch_up(client, symbol)

    async def unfollow(self, client: Client, symbols: Iterable[str], feed: Feed | None = None) -> None:
        """Without a feed: in every form."""
        for symbol in symbols:
            for one in client.feeds(symbol) if feed is None else (feed,):
                self._phases.unfollow(client, symbol, one)
            if not client.feeds(symbol):
                await self._let_go(client, [symbol])

    async def _let_go(self, client: Client, symbols: Iterable[str]) -> None:
        for symbol in symbols:
            followers = self._followers.get(symbol)
            if followers is None:
                continue
            followers.discard(client)
            if not followers:
                del self._followers[symbol]
                self._lingering[symbol] = clock.monotonic() + LINGER_S
        metrics.hub_symbols.set(len(self._followers))

    async def _drop_lingering(self) -> None:
        now = clock.monotonic()
        for symbol in [symbol for symbol, until in self._lingering.items() if until <= now]:
            del self._lingering[symbol]
            self.states.forget(symbol)
            self.silence.forget([symbol])
            await self._leave(symbol)

    async def _leave(self, symbol: str) -> None:
        if symbol in self._joined:
            self._joined.discard(symbol)
            try:
                await self._receiver.leave(group_name(symbol))
            except (RedisError, RuntimeError):  # RuntimeError: the receiver is being opened again
                metrics.redis_failures.labels(used_by="hub").inc()

    def _say_goodbye(self) -> None:
        """This process is told to stop: everybody is to come again, and not all at once."""
        for client in list(self.clients):
            client.end(Refused("restarting", "The server restarts; connect again in a few seconds."))

    async def close(self) -> None:
        """End the hub's own tasks; connections are the server's to close."""
        await self._tasks.cancel()

    # --- who was away

    def recovery(
        self, symbols: Iterable[str], resume: Mapping[str, Position], quotes: Mapping[str, Quote]
    ) -> Recovery:
        """What was missed between the positions and the snapshot, as far as this process remembers it."""
        told = {symbol: (quote.epoch, quote.seq) for symbol, quote in quotes.items()}
        return self.states.recovery([symbol for symbol in symbols if symbol in resume], resume, told)

    # --- what arrives

    def _start(self) -> None:
        self._started = True
        self.silence.since = clock.monotonic()
        serving.relax_collector()
        serving.raise_open_files()
        serving.before_stop(self._say_goodbye)
        self._hearing = self._tasks.start(upkeep.for_ever(self._hear))
        own = (self._phases.flush_live, self._phases.flush_slow, self._resync, self._watch)
        for work in (*own, *upkeep.chores(self)):
            self._tasks.start(upkeep.for_ever(work))

    async def _hear(self) -> None:
        """Open the one receiver of this process, join what is followed, and take what arrives."""
        receiver = self._receiver = live.Receiver()
        self._joined.clear()
        try:
            await receiver.open()
            await receiver.join(live.TAPE_GROUP)
            await self._join_missing()
            while True:
                event = await receiver.receive()
                with self._reading.tolerant("an event"):
                    self._heard(event)
        finally:
            await receiver.close()

    def _heard(self, event: Mapping[str, Any]) -> None:
        if event["type"] == live.QUOTE_TICKED:
            self._take(state_of(event))
        elif event["type"] == live.TAPE_BEAT:
            self.silence.heard(event["shard"], event["of"])
        elif event["type"] == live.BAR_CLOSED:
            self._take_minute(minute_of(event))

    async def _hear_again(self) -> None:
        """Replace a deaf receiver. Its layer believes that it is subscribed, so its connection goes too."""
        self._heal_after = clock.monotonic() + 2 * SILENT_AFTER_S
        self._hearing.cancel()
        await asyncio.wait({self._hearing}, timeout=1)
        try:
            await live.reset()
        finally:
            self._hearing = self._tasks.start(upkeep.for_ever(self._hear))

    def _take(self, state: State) -> None:
        """Merge one state of a symbol; an older or equal one changes nothing."""
        if self._hears(state.symbol) and self.states.take(state):
            self.silence.lost.discard(state.symbol)  # as the client takes it; the next look says if it is
            self._phases.mark(state.symbol)

    def _hears(self, symbol: str) -> bool:
        return symbol in self._followers or symbol in self._lingering

    def _take_minute(self, minute: Minute) -> None:
        if self._hears(minute.symbol) and self.states.take_minute(minute):
            self._phases.mark(minute.symbol, Source.MINUTE)

    async def _join_missing(self) -> None:
        """Join the group of each followed ticker; all who ask at the same moment wait for the same joining."""
        await self._joins.ask(None)

    async def _join_all(self, asked: Sequence[None]) -> Sequence[None]:
        """Redis away: the resync joins as soon as it is back."""
        for symbol in [symbol for symbol in self._followers if symbol not in self._joined]:
            receiver = self._receiver
            try:
                await receiver.join(group_name(symbol))
            except (RedisError, RuntimeError):  # RuntimeError: the receiver is being opened again
                metrics.redis_failures.labels(used_by="hub").inc()
                break
            if receiver is not self._receiver:  # which has joined nothing so far
                continue
            self._joined.add(symbol)
            if not self._hears(symbol):  # its last follower left meanwhile
                await self._leave(symbol)
        return asked

    # --- what is read

    async def _snapshot(self, symbols: Collection[str]) -> dict[str, Quote]:
        """Redis knows them all, as a rule; the database fills its holes."""
        quotes: dict[str, Quote] = {}
        try:
            look = await self._reads.ask(tuple(symbols))
        except RedisError:
            metrics.redis_failures.labels(used_by="hub").inc()
        else:
            for symbol in filter(look.latest.__contains__, symbols):
                with self._reading.tolerant("a stored quote"):
                    quotes[symbol] = decode_known(look.latest[symbol])
        if missing := tuple(symbol for symbol in symbols if symbol not in quotes):
            found = await self._stored_reads.ask(missing)
            quotes |= {symbol: found[symbol] for symbol in missing if symbol in found}
        return {symbol: self._marked(quote) for symbol, quote in quotes.items()}

    async def _read_stored(self, asked: Sequence[tuple[str, ...]]) -> list[Mapping[str, Quote]]:
        """One query for all who ask at the same moment; nothing of a database that is away."""
        try:
            answers = await in_thread(
                stored_quotes, list(dict.fromkeys(symbol for symbols in asked for symbol in symbols))
            )
        except OUTAGES:
            answers = {}
        found = {symbol: quote for symbol, quote in answers.items() if isinstance(quote, Quote)}
        return [found] * len(asked)

    async def _read_many(self, asked: Sequence[tuple[str, ...]]) -> list[Look]:
        """One round trip for all who ask at the same moment."""
        look = await read_latest(list(dict.fromkeys(symbol for symbols in asked for symbol in symbols)))
        self._merge(look)
        return [look] * len(asked)

    def _marked(self, quote: Quote) -> Quote:
        return quote.marked_stale(Reason.PROVIDER_DOWN) if self.silence.is_stale(quote.symbol) else quote

    def _merge(self, look: Look) -> None:
        """Take what is newer than what was heard, and tell what has become stale or is so no more."""
        now, before = clock.now(), set(filter(self.silence.is_stale, look.latest))
        for symbol in look.latest.keys() & self._followers.keys():
            with self._reading.tolerant("a stored quote"):
                self._merge_one(symbol, look, now)
        self._tell_changed(before, look.latest)

    def _merge_one(self, symbol: str, look: Look, now: datetime) -> None:
        raw = look.latest[symbol]
        fields = orjson.loads(raw)
        position = (fields["epoch"], fields["seq"])
        known = self.states.position(symbol)
        if position < known:
            return  # something newer was heard while Redis answered
        if position > known:
            self._take(state_from(decode_known(raw)))
        self.silence.judge(symbol, look, now, fields["expires"])

    async def _resync(self) -> None:
        """Every two seconds: heal what a lost message left behind, and a receiver that has gone deaf."""
        await asyncio.sleep(RESYNC_EVERY_S)
        await self._drop_lingering()
        await self._join_missing()
        symbols = self.symbols
        alive = False
        for start in range(0, max(1, len(symbols)), RESYNC_CHUNK):
            look = await read_latest(symbols[start : start + RESYNC_CHUNK])
            alive = look.alive
            self._merge(look)
        if alive and self.silence.is_deaf and clock.monotonic() > self._heal_after:
            logger.warning("hub: the tape is alive but nothing arrives; listening anew")
            await self._hear_again()

    # --- what may be old

    async def _watch(self) -> None:
        """Tell clients when the tape falls silent, and when it is back."""
        await asyncio.sleep(WATCH_EVERY_S)
        before = set(filter(self.silence.is_stale, self._followers))
        if not self.silence.look():
            return
        logger.warning("hub: silent shards of the tape: %s", sorted(self.silence.silent_shards) or "none")
        self._tell_changed(before, self._followers)

    def _after_frame(self, client: Client, symbols: set[str]) -> None:
        """For the client a new entry has ended it."""
        if self.silence.lost or self.silence.silent_shards:
            self.tell_stale(client, symbols & client.symbols)

    def _tell_changed(self, before: set[str], symbols: Iterable[str]) -> None:
        """Once per change, of these: what is stale now is named, and so is what is so no more."""
        now = set(filter(self.silence.is_stale, symbols))
        fresh, stale = before - now, now - before
        for client in self.clients if fresh or stale else ():
            if ended := sorted(client.native(fresh & client.symbols)):
                client.send(client.wire.fresh(ended))
            self.tell_stale(client, stale & client.symbols)

    def tell_stale(self, client: Client, symbols: Iterable[str]) -> None:
        """Name those of the symbols that are stale; says nothing where there are none."""
        if stale := self.silence.stale_of(client.native(symbols)):
            client.send(client.wire.stale(stale, Reason.PROVIDER_DOWN.value))


_hub: tuple[asyncio.AbstractEventLoop, PriceHub] | None = None


def hub() -> PriceHub:
    """The hub of the running loop; Daphne has no start-up event, so the first client makes it."""
    global _hub  # noqa: PLW0603 -- one per process by design
    loop = asyncio.get_running_loop()
    if _hub is None or _hub[0] is not loop:
        _hub = (loop, PriceHub())
    return _hub[1]
