"""The owner of one shard: keeps open equal to wanted, publishes what is believed, writes what must last.

A term of office begins with a lease and ends with its loss. Every write of a term carries its epoch: Redis and
PostgreSQL refuse a lower one, so an owner that was frozen past its lease can do no harm when it wakes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from redis.exceptions import RedisError

from core import clock, leases, live, metrics
from core.database import in_thread
from core.loops import Tasks
from core.outages import DATABASE_ERRORS, OUTAGES, outage_of
from core.redis import async_client
from core.resilience import Backoff
from marketdata import backfill, demand, lookup, store
from marketdata.acceptance import Acceptance
from marketdata.cache import decode
from marketdata.providers import registry
from marketdata.providers.registry import Purpose
from marketdata.quotes import QUOTE_TTL, NoQuote, Quote, Tick, quote_of, tick_of
from marketdata.tape import history, openset, report
from marketdata.tape.conflation import Conflator
from marketdata.tape.publish import publish_quotes
from marketdata.tape.sharding import shard_of
from marketdata.tape.upstream import Upstream

logger = logging.getLogger(__name__)

LEASE_TTL = timedelta(seconds=10)
RENEW_EVERY_S = 3.0
STANDBY_EVERY_S = 1.0
# Browsers cannot show more than ten changes a second; 100 ms keeps a fifth to two thirds of a busy market.
CONFLATE_EVERY_S = 0.1
RECONCILE_EVERY_S = 1.0
# Woken without a rest it looked at the whole demand all the time, and people could watch half as much per second.
REST_SHARE, LONGEST_REST_S = 4, 0.25
# Somebody who removes and adds a ticker again must not close and open it upstream.
CLOSE_GRACE_S = 0.75
STORE_QUOTES_EVERY_S = 1.0
STORE_BARS_EVERY_S = 10.0
REPORT_EVERY_S = 2.0
BEAT_EVERY_S = 1.0
INBOX_BLOCK_MS = 1_000

# Which of them mean that a server is away, `outage_of` decides.
STEP_ERRORS: tuple[type[Exception], ...] = (*OUTAGES, RedisError)


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
            await _wait(stop, STANDBY_EVERY_S * settings.TIME_FACTOR)
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


async def _wait(event: asyncio.Event, seconds: float) -> None:
    # Not wait_for: before Python 3.12 it swallows a cancellation that comes together with the event.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class Term:
    """One epoch of one shard."""

    def __init__(self, shard: int, shards: int, epoch: int, holder: str) -> None:
        self.shard, self.shards, self.epoch, self.holder = shard, shards, epoch, holder
        self.lease = lease_name(shard, shards)
        self.upstreams: dict[str, Upstream] = {}
        self.open: set[str] = set()
        self.latest: dict[str, Quote] = {}
        self.counts: defaultdict[str, report.Counts] = defaultdict(report.Counts)
        self._ids: dict[str, int] = {}
        self._unwanted_since: dict[str, float] = {}
        self._acceptance = Acceptance()
        self._conflator = Conflator()
        self._history = history.History()
        self._wake = asyncio.Event()
        self._redis_knows = False  # whether Redis holds all that this term has said
        self._tasks = Tasks()

    async def run(self, stop: asyncio.Event) -> bool:
        """True when stopped while still the owner; False when the lease was lost."""
        self._begin()
        try:
            await self._tasks.run_until(stop)
            await self._finish()
        except LeaseLost as lost:
            known = lost.known
            logger.warning("tape %s: epoch %s lost its lease", self.lease, self.epoch)
            await self._try(lambda: in_thread(leases.give_way, self.lease, self.epoch, known))
            return False
        return True

    def _begin(self) -> None:
        """Each of these is part of the term: when one fails, the term fails, and the process with it."""
        self._tasks.start(self._every(BEAT_EVERY_S, self._beat))
        self._tasks.start(self._every(RENEW_EVERY_S * settings.TIME_FACTOR, self._renew))
        self._tasks.start(self._every(RECONCILE_EVERY_S, self._reconcile, self._wake))
        self._tasks.start(self._every(CONFLATE_EVERY_S, self._publish))
        self._tasks.start(self._every(STORE_QUOTES_EVERY_S, self._store_quotes))
        self._tasks.start(self._every(STORE_BARS_EVERY_S, self._store_bars))
        self._tasks.start(self._every(REPORT_EVERY_S, self._report))
        self._tasks.start(self._forever(self._listen))
        self._tasks.start(self._forever(self._read_inbox))

    async def _every(
        self, seconds: float, step: Callable[[], Awaitable[None]], wake: asyncio.Event | None = None
    ) -> None:
        """Run a step on a steady beat; a dead dependency is counted and tried again on the next one.

        A wake-up comes before the beat, but not before the step has rested several times as long as it took.
        """
        while True:
            began = clock.monotonic()
            if wake is not None:
                wake.clear()
            await self._try(step)
            took = clock.monotonic() - began
            pause = max(0.01, seconds - took)
            if wake is not None:
                rest = min(pause, took * REST_SHARE, LONGEST_REST_S)
                await asyncio.sleep(rest)
                await _wait(wake, pause - rest)
            else:
                await asyncio.sleep(pause)

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._try(step, pause_s=0.5)

    async def _try(self, step: Callable[[], Awaitable[None]], *, pause_s: float = 0.0) -> None:
        try:
            await step()
        except STEP_ERRORS as error:
            if outage_of(error) is None:
                raise
            self._redis_knows = self._redis_knows and not isinstance(error, RedisError)
            metrics.tape_step_failures.labels(step=step.__name__.strip("_")).inc()
            logger.warning("tape %s: %s failed: %s", self.lease, step.__name__, type(error).__name__)
            await asyncio.sleep(pause_s)

    # --- the term itself

    async def _renew(self) -> None:
        if not await in_thread(leases.renew, self.lease, self.epoch, LEASE_TTL * settings.TIME_FACTOR):
            raise LeaseLost

    async def _beat(self) -> None:
        """Say that the owner is alive; notice a newer owner, and a Redis that has forgotten everything."""
        redis = async_client()
        known, has_beaten = await openset.heard(redis, self.shard)
        if known > self.epoch:
            raise LeaseLost(known)
        # Publishing raises the epoch again by itself; only a beat writes the beat.
        if known < self.epoch or not has_beaten or not self._redis_knows:
            await self._tell_all()
        await openset.beat(redis, self.shard, self.shards)
        await live.publish(
            live.TAPE_GROUP,
            {
                "type": live.TAPE_BEAT,
                "shard": self.shard,
                "of": self.shards,
                "e": self.epoch,
                "t": clock.now_us() // 1000,
            },
        )

    async def _tell_all(self) -> None:
        """Raise the epoch in Redis, then say again all that is open and the last quote of each."""
        if not await publish_quotes([], shard=self.shard, epoch=self.epoch):
            raise LeaseLost
        redis = async_client()
        left_behind = await openset.said_open(redis, self.shard) - self.open
        await openset.write_open(redis, self.shard, self.open, drop=left_behind)
        for quote in self.latest.values():
            self._conflator.put_missing(tick_of(quote))
        self._redis_knows = True

    # --- upstream: open equal to wanted

    async def _reconcile(self) -> None:
        wanted = await in_thread(demand.wanted)
        mine = {symbol: w for symbol, w in wanted.items() if shard_of(symbol, self.shards) == self.shard}
        self._ids.update({symbol: w.ticker_id for symbol, w in mine.items()})
        routes = {symbol: registry.route(symbol, purpose=Purpose.STREAM) for symbol in mine}
        streamed = {symbol for symbol, provider in routes.items() if provider is not None}
        keep = streamed | self._in_grace(self.open - streamed)
        added, dropped = keep - self.open, self.open - keep
        if added or dropped:
            await self._move(added, dropped)

    def _in_grace(self, unwanted: Collection[str]) -> set[str]:
        now = clock.monotonic()
        self._unwanted_since = {symbol: self._unwanted_since.get(symbol, now) for symbol in unwanted}
        waiting = {symbol for symbol, since in self._unwanted_since.items() if now - since < CLOSE_GRACE_S}
        if waiting:  # without waiting for the beat, which may have passed a moment before the grace ends
            asyncio.get_running_loop().call_later(CLOSE_GRACE_S, self._wake.set)
        return waiting

    async def _move(self, added: set[str], dropped: set[str]) -> None:
        """The servers that can be away are asked first or told last, so that a failure leaves nothing half done."""
        ids = {symbol: self._ids[symbol] for symbol in added}
        resumed = await in_thread(history.stored_running_minute, ids, clock.now())
        self.open = (self.open | added) - dropped
        self._history.open(added, resumed, clock.now_us())
        for symbol in dropped:
            self.latest.pop(symbol, None)
            self._acceptance.forget(symbol)
        self._route_upstream()
        if added:
            self._tasks.start(self._seed(added))
        await openset.write_open(async_client(), self.shard, self.open, drop=dropped)

    def _route_upstream(self) -> None:
        by_provider: dict[str, set[str]] = {name: set() for name in self.upstreams}
        for symbol in self.open:
            provider = registry.route(symbol, purpose=Purpose.STREAM)
            if provider is not None:
                self._upstream(provider.name)
                by_provider.setdefault(provider.name, set()).add(symbol)
        for name, symbols in by_provider.items():
            self.upstreams[name].want(symbols)

    def _upstream(self, name: str) -> Upstream:
        found = self.upstreams.get(name)
        if found is None:
            backoff = Backoff(base_s=settings.TIME_FACTOR, cap_s=60 * settings.TIME_FACTOR)
            found = self.upstreams[name] = Upstream(registry.provider(name), self.on_ticks, backoff)
            self._tasks.start(found.run())
        return found

    async def _seed(self, symbols: Collection[str]) -> None:
        """Newly opened symbols show a price at once, before their next trade: one shared request at most."""
        outcomes = await in_thread(lookup.get_quotes, sorted(symbols))
        self.on_ticks([tick_of(outcome) for outcome in outcomes.values() if not isinstance(outcome, NoQuote)])
        await self._try(lambda: in_thread(backfill.ask_for, sorted(symbols)))

    # --- ticks in, quotes out

    def on_ticks(self, ticks: Sequence[Tick]) -> None:
        """Believe or refuse each tick; the believed ones count for the bars, the newest is published."""
        now_us = clock.now_us()
        for tick in ticks:
            if tick.symbol not in self.open:
                self.counts[tick.provider].refuse(tick, "not_wanted")
                continue
            verdict = self._acceptance.judge(tick, now_us)
            if verdict.refusal is not None:
                self.counts[tick.provider].refuse(tick, verdict.refusal.value)
            for believed in verdict.ticks:
                self._conflator.put(believed)
                self._history.add_tick(believed)
                self.counts[believed.provider].accept(believed, now_us)

    async def _publish(self) -> None:
        numbered = self._conflator.drain()
        if not numbered:
            return
        now = clock.now()
        quotes = [
            quote_of(tick, received_at=now, ttl=QUOTE_TTL, epoch=self.epoch, seq=seq)
            for tick, seq in numbered
        ]
        for quote in quotes:
            self.latest[quote.symbol] = quote
            self._history.add_quote(quote)
        try:
            if not await publish_quotes(quotes, shard=self.shard, epoch=self.epoch):
                raise LeaseLost
        except RedisError:
            self._conflator.put_back(numbered)
            raise
        metrics.quotes_published.inc(len(quotes))

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
        key = openset.inbox_key(self.shard)
        # Where the stream stands now: "$" would skip what comes in between two reads.
        seconds, microseconds = await async_client().time()
        position: bytes | str = f"{seconds}{microseconds // 1000:03}-0"
        while True:
            answer: Any = await async_client().xread({key: position}, block=INBOX_BLOCK_MS)
            for entry_id, fields in openset.entries(answer):
                position = entry_id
                self.take_fetched(decode(fields[b"q"]))

    def take_fetched(self, quote: Quote) -> None:
        """A wanted ticker that does not stream: the same judge, the same numbers."""
        now_us = clock.now_us()
        for believed in self._acceptance.judge(tick_of(quote), now_us).ticks:
            self._conflator.put(believed)
            self._history.open_once(believed.symbol, now_us)
            self._history.add_tick(believed)

    # --- what lasts

    async def _store_quotes(self) -> None:
        quotes = self._history.take_quotes()
        if quotes:
            try:
                await in_thread(self._write, lambda: store.store_ticked(quotes, self._ids))
            except DATABASE_ERRORS:
                self._history.put_back_quotes(quotes)
                raise

    async def _store_bars(self) -> None:
        minutes, days = self._history.take_minute_bars(), self._history.take_daily_bars()
        if minutes or days:
            try:
                await in_thread(self._write, lambda: history.write_bars(minutes, days, self._ids))
            except DATABASE_ERRORS:
                self._history.put_back_bars(minutes, days)
                raise

    async def _report(self) -> None:
        rows = report.rows(self.shard, self.epoch, self.holder, self.upstreams, self.counts)
        if rows:
            await in_thread(self._write, lambda: report.write(rows))

    def _write(self, write: Callable[[], object]) -> None:
        """Write while holding the lease row, so that no new owner can begin before this is done."""
        with transaction.atomic():
            if not leases.hold(self.lease, self.epoch):
                raise LeaseLost
            write()

    # --- the end

    async def _finish(self) -> None:
        """A clean end, upstream being closed: write what is left, say goodbye."""
        for step in (self._publish, self._store_quotes, self._store_bars, self._report):
            try:
                await self._try(step)
            except LeaseLost:
                return
        await self._try(lambda: openset.leave(async_client(), self.shard))
