"""The owner of one shard: keeps open equal to wanted, publishes what is believed, writes what must last.

A term of office begins with a lease and ends with its loss. Every write of a term carries its epoch: Redis and
PostgreSQL refuse a lower one, so an owner that was frozen past its lease can do no harm when it wakes.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction

from core import clock, leases, live
from core.database import in_thread
from core.loops import Tasks
from core.outages import DATABASE_ERRORS
from core.redis import async_client
from marketdata import backfill, demand, ledger, market_hours, store
from marketdata.models import Cause
from marketdata.quotes import Bar, NoQuote, StreamEvent
from marketdata.tape import conflation, history, openset, report, retelling
from marketdata.tape.grace import Grace
from marketdata.tape.intake import Intake
from marketdata.tape.knowledge import Knowledge
from marketdata.tape.out import Out
from marketdata.tape.outlet import Outlet
from marketdata.tape.purchases import Meter, first_quotes
from marketdata.tape.saying import Saying
from marketdata.tape.sharding import shard_of
from marketdata.tape.steps import Steps, wait
from marketdata.tape.streams import Streams

logger = logging.getLogger(__name__)

LEASE_TTL = timedelta(seconds=10)
RENEW_EVERY_S = 3.0
STANDBY_EVERY_S = 1.0
# Browsers cannot show more than ten changes a second; 100 ms keeps a fifth to two thirds of a busy market.
CONFLATE_EVERY_S = 0.1
TURN_S = CONFLATE_EVERY_S / conflation.SLICES
SHORTEST_PAUSE_S = 0.002
RECONCILE_EVERY_S = 1.0
# Somebody who removes and adds a ticker again must not close and open it upstream.
CLOSE_GRACE_S = 0.75
STORE_QUOTES_EVERY_S = 1.0
STORE_BARS_EVERY_S = 10.0
CLOSE_BARS_EVERY_S = 0.5
REPORT_EVERY_S = 2.0
BEAT_EVERY_S = 1.0
SAY_EVERY_S = 0.5
PRUNE_EVERY_S = 60.0
NOTE_PURCHASES_EVERY_S = 60.0
READ_SPLITS_EVERY_S = 60.0
# A former owner notices its successor with its next beat, and closes its connections.
FORMER_BEATS = 2
INBOX_BLOCK_MS = 1_000


class LeaseLost(Exception):
    """Somebody else owns the shard now: stop at once, write nothing more. `known`: the epoch that Redis has seen."""

    def __init__(self, known: int = 0) -> None:
        super().__init__()
        self.known = known


def lease_name(shard: int, shards: int) -> str:
    return f"tape:{shard}/{shards}"


async def serve(shard: int, shards: int, stop: asyncio.Event) -> None:
    """Stand by for the lease, serve a term, and again, until `stop` is set."""
    name, holder = lease_name(shard, shards), leases.holder_name()
    ttl = LEASE_TTL * settings.TIME_FACTOR
    while not stop.is_set():
        try:
            epoch = await in_thread(leases.take, name, holder, ttl)
        except DATABASE_ERRORS:
            logger.warning("tape %s: PostgreSQL is away", name)
            epoch = None
        if epoch is None:
            await wait(stop, STANDBY_EVERY_S * settings.TIME_FACTOR)
            continue
        logger.info("tape %s: epoch %s begins", name, epoch)
        term = Term(shard, shards, epoch, holder)
        if await term.run(stop):
            await _release(name, epoch)
        logger.info("tape %s: epoch %s ends", name, epoch)


async def _release(name: str, epoch: int) -> None:
    try:
        await in_thread(leases.release, name, epoch)
    except DATABASE_ERRORS:
        logger.warning("tape %s: PostgreSQL is away; the lease runs out by itself", name)


class Term:
    """One epoch of one shard."""

    def __init__(self, shard: int, shards: int, epoch: int, holder: str) -> None:
        self.shard, self.shards, self.epoch, self.holder = shard, shards, epoch, holder
        self.lease = lease_name(shard, shards)
        self.open: set[str] = set()
        self._tasks = Tasks()
        self._steps = Steps(self.lease, self._redis_failed)
        self.streams = Streams(
            shard, shards, on_events=self.on_ticks, on_change=self._streams_changed, start=self._tasks.start
        )
        self._out = Out(shard, shards, epoch)
        routes = {"routed_to": self.streams.routed_to, "streamed_by": self.streams.streamed_by}
        self._intake = Intake(self._out, **routes)
        self.counts = self._intake.counts
        self._history = self._intake.history
        self._outlet = Outlet(shard, epoch, self._intake.conflator, self._history, TURN_S)
        self._meter = Meter()
        self._ids: dict[str, int] = {}  # also of what is not wanted any more, and may still be to be written
        self._knowledge = Knowledge(self._intake.acceptance)
        self._saying = Saying(shard, epoch, self._refresh, self._tasks.start)
        self._holders: dict[str, int] = {}
        self._wake, self._writing = asyncio.Event(), threading.Lock()
        self._grace = Grace(lambda: CLOSE_GRACE_S, self._wake)
        self._retold: dict[retelling.Key, Bar] = {}
        self._redis_knows = False  # whether Redis holds all that this term has said

    async def run(self, stop: asyncio.Event) -> bool:
        """True when stopped while still the owner; False when the lease was lost."""
        await self._steps.attempt(self._look_for_former)
        self._begin()
        try:
            await self._tasks.run_until(stop)
            await self._finish()
        except LeaseLost as lost:
            known = lost.known
            logger.warning("tape %s: epoch %s lost its lease", self.lease, self.epoch)
            await self._steps.attempt(lambda: in_thread(leases.give_way, self.lease, self.epoch, known))
            await self._note_purchases()
            return False
        await self._note_purchases()
        return True

    async def _look_for_former(self) -> None:
        """A former owner that still beats may have its connections open, of which a key may have only one.

        What it listed streams no more: our first beat must not bring that to life again.
        """
        if await openset.beats(async_client(), self.shard):
            self.streams.not_before = clock.monotonic() + FORMER_BEATS * BEAT_EVERY_S
        if await self._outlet.say_epoch():  # else the first beat tells how far epochs must rise
            await self._saying.say_all(())
            self._retold = await retelling.retell(self.shard)

    def _begin(self) -> None:
        """Each of these is part of the term: when one fails, the term fails, and the process with it."""
        self._tasks.start(self._steps.every(BEAT_EVERY_S, self._beat))
        self._tasks.start(self._steps.every(RENEW_EVERY_S * settings.TIME_FACTOR, self._renew))
        self._tasks.start(self._steps.every(RECONCILE_EVERY_S, self._reconcile, self._wake))
        self._tasks.start(self._steps.every(SAY_EVERY_S, self._say_streaming, self._saying.changed))
        self._tasks.start(self._steps.every(CONFLATE_EVERY_S, self._take_overdue))
        self._tasks.start(self._in_turns())
        self._tasks.start(self._steps.forever(self._pass_on))
        self._tasks.start(self._steps.every(CLOSE_BARS_EVERY_S, self._close_bars))
        self._tasks.start(self._steps.every(STORE_QUOTES_EVERY_S, self._store_quotes))
        self._tasks.start(self._steps.every(STORE_BARS_EVERY_S, self._store_bars))
        self._tasks.start(self._steps.every(PRUNE_EVERY_S, self._prune))
        self._tasks.start(self._steps.every(REPORT_EVERY_S, self._report))
        self._tasks.start(self._steps.every(READ_SPLITS_EVERY_S, self._read_splits))
        self._tasks.start(self._steps.every(NOTE_PURCHASES_EVERY_S, self._note_purchases))
        self._tasks.start(self._steps.forever(self._listen))
        self._tasks.start(self._steps.forever(self._read_inbox))

    async def _in_turns(self) -> None:
        """When the one before it is done, and everybody else had a moment: under load several turns become one."""
        while True:
            began = clock.monotonic()
            await self._steps.attempt(self._publish, pause_s=CONFLATE_EVERY_S)
            await asyncio.sleep(max(SHORTEST_PAUSE_S, TURN_S - (clock.monotonic() - began)))

    def _redis_failed(self) -> None:
        self._redis_knows = False

    # --- the term itself

    async def _renew(self) -> None:
        if not await in_thread(leases.renew, self.lease, self.epoch, LEASE_TTL * settings.TIME_FACTOR):
            raise LeaseLost

    async def _beat(self) -> None:
        """Say that the owner is alive; notice a newer owner, and a Redis that has forgotten everything."""
        known, had_beaten = await openset.beat(async_client(), self.shard, self.shards, self.epoch)
        if known > self.epoch:
            raise LeaseLost(known)
        # Publishing raises the epoch again by itself; only a beat writes the beat.
        if known < self.epoch or not had_beaten or not self._redis_knows:
            self._redis_knows = False  # until all is told: the next beat finds this one
            await self._tell_all()
        told = {"shard": self.shard, "of": self.shards, "e": self.epoch, "t": clock.now_us() // 1000}
        await live.publish(live.TAPE_GROUP, {"type": live.TAPE_BEAT, **told})

    async def _tell_all(self) -> None:
        """Raise the epoch in Redis, then say again all that streams and the last quote of each."""
        if not await self._outlet.say_epoch() or not await self._saying.say_all(self.streams.streaming()):
            raise LeaseLost
        self._outlet.repeat()
        self._redis_knows = True

    async def _prune(self) -> None:
        await openset.prune(async_client(), self.shards, epoch=self.epoch)

    # --- upstream: open equal to wanted

    async def _reconcile(self) -> None:
        wanted = await in_thread(demand.wanted)
        mine = {symbol: w for symbol, w in wanted.items() if shard_of(symbol, self.shards) == self.shard}
        self._ids.update({symbol: w.ticker_id for symbol, w in mine.items()})
        await self._knowledge.gain(mine.keys(), self._ids)
        streamed = {symbol for symbol in mine if self.streams.candidates(symbol)}
        keep = streamed | self._grace.of(self.open - streamed)
        added, dropped = keep - self.open, self.open - keep
        if added or dropped:
            await self._move(added, dropped)
        self._outlet.forget(self._knowledge.lose(mine.keys() | self.open))
        self._holders = {one: mine[one].holders if one in mine else 0 for one in self.open}
        self.streams.follow(self._holders)

    async def _move(self, added: set[str], dropped: set[str]) -> None:
        """PostgreSQL, which can be away, is asked first, so that a failure leaves nothing half done."""
        ids = {symbol: self._ids[symbol] for symbol in added}
        minute = clock.now().replace(second=0, microsecond=0)
        since = min((start for _, start in self._retold), default=minute)
        stored = await in_thread(history.stored_minutes, ids, since)
        retold = retelling.fuller(self._retold, stored, added)
        self.open, self._retold = (self.open | added) - dropped, {}
        self._history.put_back_bars(retold, [])
        running = {bar.symbol: bar for bar in (*stored, *retold) if bar.start == minute}
        self._history.open(added, list(running.values()), clock.now_us())
        self._history.close(dropped)
        if added:
            self._tasks.start(self._seed(added))

    def _streams_changed(self) -> None:
        self._meter.follow(clock.monotonic(), self.streams.by_provider())
        self._saying.changed.set()

    async def _say_streaming(self) -> None:
        self.streams.follow(self._holders)  # also while PostgreSQL cannot tell what is wanted
        if not await self._saying.say(self.streams.streaming(), self.open):
            raise LeaseLost

    async def _seed(self, symbols: Collection[str]) -> None:
        """Newly opened symbols show a price at once, before their next trade: one shared request at most."""
        await self._refresh(symbols)
        await self._steps.attempt(lambda: in_thread(backfill.ask_for, sorted(symbols)))

    async def _refresh(self, symbols: Collection[str]) -> None:
        outcomes = await in_thread(first_quotes, sorted(symbols))
        for outcome in outcomes.values():
            if not isinstance(outcome, NoQuote) and outcome.symbol in self.open:
                self._intake.take_fetched(outcome, clock.now_us())

    async def _read_splits(self) -> None:
        await in_thread(market_hours.refresh)
        await self._knowledge.renew(self._ids)

    # --- ticks in, quotes out

    def on_ticks(self, events: Sequence[StreamEvent]) -> None:
        self._intake.take(events, self.open, clock.now_us())

    async def _take_overdue(self) -> None:
        self._intake.take_overdue(clock.now_us())

    async def _publish(self) -> None:
        if not await self._outlet.say_next():
            raise LeaseLost

    async def _publish_all(self) -> None:
        if not await self._outlet.say_all():
            raise LeaseLost

    async def _pass_on(self) -> None:
        """To alerts, each tick by itself."""
        if not await self._out.write_next():
            raise LeaseLost

    async def _pass_on_all(self) -> None:
        if not await self._out.write():
            raise LeaseLost

    async def _close_bars(self) -> None:
        if not await self._outlet.say_closed_bars():
            raise LeaseLost

    async def _listen(self) -> None:
        """Wake-ups from whoever changed the demand."""
        async with async_client().pubsub() as pubsub:
            await pubsub.subscribe(demand.WAKE_CHANNEL)
            while True:
                if await pubsub.get_message(ignore_subscribe_messages=True, timeout=1.0):
                    self._wake.set()
                    # Senders keep to themselves what follows within their pause, so look once more after it.
                    asyncio.get_running_loop().call_later(demand.WAKE_PAUSE_S, self._wake.set)

    async def _read_inbox(self) -> None:
        """Quotes that Celery fetched for wanted tickers that do not stream: the same acceptance, the same numbers."""
        async for quote in openset.fetched(async_client(), self.shard, INBOX_BLOCK_MS):
            self._intake.take_fetched(quote, clock.now_us())

    # --- what lasts

    async def _store_quotes(self) -> None:
        said = self._history.take_said()
        if said:
            try:
                await in_thread(
                    self._write, lambda: store.store_ticked(self._outlet.writer.quotes(said), self._ids)
                )
            except BaseException:  # when cancelled as well: the write may not have begun
                self._history.put_back_said(said)
                raise

    async def _store_bars(self) -> None:
        minutes, days = self._history.take_minute_bars(), self._history.take_daily_bars()
        if minutes or days:
            try:
                await in_thread(self._write, lambda: history.write_bars(minutes, days, self._ids))
            except BaseException:  # likewise
                self._history.put_back_bars(minutes, days)
                raise

    async def _report(self) -> None:
        office = report.Office(self.shard, self.epoch, self.holder)
        rows = report.rows(office, self.streams.lines, self.counts, self.streams.routes.over)
        if rows:
            await in_thread(self._write, lambda: report.write(rows))

    async def _note_purchases(self) -> None:
        """The ledger keeps them while PostgreSQL is away; they are owed whoever owns the shard by now."""
        calls = self._meter.take(clock.monotonic(), clock.now())
        if calls:
            await in_thread(ledger.record, calls, Cause.STREAM)

    def _write(self, write: Callable[[], object]) -> None:
        """Write while holding the lease row, so that no new owner can begin before this is done."""

        def once() -> None:
            with transaction.atomic():
                if not leases.hold(self.lease, self.epoch):
                    raise LeaseLost
                write()

        # One after the other: a thread goes on when its task is cancelled, and must not overwrite what comes later.
        with self._writing:
            store.past_deletions(once)

    # --- the end

    async def _finish(self) -> None:
        """A clean end, upstream being closed: write what is left, say goodbye."""
        said, stored = (self._publish_all, self._pass_on_all), (self._store_quotes, self._store_bars)
        for step in (*said, *stored, self._report):
            try:
                await self._steps.attempt(step)
            except LeaseLost:
                return
        await self._steps.attempt(lambda: openset.leave(async_client(), self.shard))
