"""The owner of one shard's alerts: reads the tick stream, lets the engine decide, commits what it decided.

A term begins with a lease, its epoch and the position that its predecessor committed, and goes on from there: what was
decided but not committed is decided again. What is committed together is never apart: alert, trigger, notification,
outbox row and position. While PostgreSQL is away the decisions wait and nothing more is read; the stream keeps about a
minute, and what is lost beyond that shows in the numbers of its batches, and is left to the sweep.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import ParamSpec, TypeVar

from django.conf import settings
from redis.exceptions import RedisError

from alerts import committing, knowledge, loading, telling
from alerts.committing import LeaseLost, Reached, Written
from alerts.conditions import moment
from alerts.engine import Effect, Engine, Watched
from alerts.kinds import Kind
from alerts.past_minutes import MINUTE, PastMinutes
from alerts.recent import Recent
from core import clock, leases, metrics
from core.database import in_thread
from core.loops import Tasks
from core.outages import DATABASE_ERRORS, OUTAGES
from core.redis import async_client
from marketdata import accepted
from marketdata.accepted import Batch, Follower
from marketdata.quotes import Correction, microseconds

logger = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")

LEASE_TTL = timedelta(seconds=10)
RENEW_EVERY_S = 3.0
STANDBY_EVERY_S = 1.0
READ_BLOCK_MS = 500
# At most so many batches are decided in one go: then the lease is renewed and edits are heard.
READ_BATCHES = 64
SAVE_EVERY_S = 1.0
LOOK_EVERY_S = 1.0
# An edit carries the time at which it was made, and is seen when it is committed. Nearly all take milliseconds; now
# and then it is looked further back, while the ticks since are still kept (KEPT_S).
USUAL_COMMIT_S, LONGEST_COMMIT_S, LOOK_BACK_EVERY = 1.0, 30.0, 3
CLOCK_EVERY_S = 1.0
LEARN_EVERY_S = 60.0
MEND_EVERY_S = 5.0
REMEMBER_EVERY_S = 1.0
KEPT_S = 5.0
RETRY_S = 0.3
STEP_ERRORS: tuple[type[Exception], ...] = (*OUTAGES, RedisError)


def lease_name(shard: int, shards: int) -> str:
    return f"alerts:{shard}/{shards}"


async def serve(shard: int, shards: int, stop: asyncio.Event) -> None:
    """Stand by for the lease, serve a term, and again, until `stop` is set."""
    name, holder = lease_name(shard, shards), leases.holder_name()
    while not stop.is_set():
        epoch = None
        with suppress(*DATABASE_ERRORS):
            epoch = await in_thread(leases.take, name, holder, LEASE_TTL * settings.TIME_FACTOR)
        if epoch is None:
            await _wait(stop, STANDBY_EVERY_S * settings.TIME_FACTOR)
            continue
        logger.info("%s: epoch %s begins", name, epoch)
        if await Term(shard, shards, epoch).run(stop):
            with suppress(*DATABASE_ERRORS):  # it runs out by itself
                await in_thread(leases.release, name, epoch)
        logger.info("%s: epoch %s ends", name, epoch)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class Term:
    """One epoch of one shard's alerts."""

    def __init__(self, shard: int, shards: int, epoch: int) -> None:
        self.shard, self.shards, self.epoch = shard, shards, epoch
        self.lease, self.name = lease_name(shard, shards), f"{shard}/{shards}"
        self.engine = Engine()
        self.reached = Reached()
        """Committed."""
        self.ready = asyncio.Event()
        self._recent = Recent(KEPT_S)
        self._follower = Follower()
        self._known = knowledge.Knowledge(self.engine)
        self._past = PastMinutes(self.engine)
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._tasks = Tasks()
        self._looked_at = clock.now()
        self._looks = 0
        self._saved_at = 0.0

    async def run(self, stop: asyncio.Event) -> bool:
        """True when stopped while still the owner; False when the lease was lost."""
        try:
            self._tasks.start(self._every(RENEW_EVERY_S * settings.TIME_FACTOR, self._renew))
            self._tasks.start(self._serve())
            await self._tasks.run_until(stop)
        except LeaseLost:
            logger.warning("%s: epoch %s lost its lease", self.lease, self.epoch)
            return False
        return True

    async def _serve(self) -> None:
        await self._insist(self._begin)
        self.ready.set()
        self._tasks.start(self._every(LOOK_EVERY_S, self._look, self._wake))
        self._tasks.start(self._every(CLOCK_EVERY_S, self._hear_silence))
        self._tasks.start(self._every(LEARN_EVERY_S, self._learn))
        self._tasks.start(self._every(MEND_EVERY_S, self._known.mend))
        self._tasks.start(self._every(REMEMBER_EVERY_S, self._past.remember_again))
        self._tasks.start(self._forever(self._listen))
        await self._forever(self._read)

    # --- how steps are taken

    async def _every(
        self, seconds: float, step: Callable[[], Awaitable[None]], wake: asyncio.Event | None = None
    ) -> None:
        while True:
            if wake is not None:
                wake.clear()
            await self._try(step)
            await _wait(wake or asyncio.Event(), seconds)

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            if not await self._try(step):
                await asyncio.sleep(RETRY_S)

    async def _insist(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            if await self._try(step):
                return
            await asyncio.sleep(RETRY_S)

    async def _try(self, step: Callable[[], Awaitable[None]]) -> bool:
        try:
            await step()
        except STEP_ERRORS as error:
            metrics.alerts_step_failures.labels(step=step.__name__.strip("_")).inc()
            logger.warning("%s: %s failed: %s", self.lease, step.__name__, type(error).__name__)
            return False
        return True

    # --- the term itself

    async def _renew(self) -> None:
        if not await in_thread(leases.renew, self.lease, self.epoch, LEASE_TTL * settings.TIME_FACTOR):
            raise LeaseLost

    async def _begin(self) -> None:
        """Where the last one ended, with the alerts as they are now: older ticks do not count for newer ones."""
        self.reached = await in_thread(committing.take_office, self.name, self.epoch)
        self._follower = Follower(self.reached.tape_epoch, self.reached.batch)
        self._looked_at = clock.now()
        if self.reached.at is None:  # the first term ever: from now on
            self.reached = Reached(entry=await accepted.newest(self.shard), at=clock.now())
        else:
            await self._remember(self.reached.at)
            self._known.read_until(microseconds(self.reached.at))
        await in_thread(self._load)
        await self._learn()
        await self._past.remember(self.reached.at or clock.now())
        await self._commit(self.reached, ())
        await self._catch_up()
        logger.info("%s: %s alerts armed", self.lease, len(self.engine))

    async def _remember(self, at: datetime) -> None:
        """The last seconds before, which an edit just before the end may still need."""
        since = int((at - timedelta(seconds=KEPT_S)).timestamp() * 1_000_000)
        for batch in await accepted.read_between(self.shard, since, self.reached.entry):
            for tick in filter(self._known.counts, batch.ticks):
                self._recent.add(tick)

    async def _catch_up(self) -> None:
        """What was edited just before the last term ended, it may not have heard of. For what it has heard of, this
        changes nothing: the same ticks lead from the same phase to the same one."""
        since = (self.reached.at or clock.now()) - timedelta(seconds=LONGEST_COMMIT_S)
        found = await in_thread(loading.edited_since, since)
        await self._admit({pk: one for pk, one in found.items() if pk in self.engine.alerts})

    def _load(self) -> None:
        for alerts in loading.load(self.shard, self.shards):
            self.engine.load(alerts)

    async def _learn(self) -> None:
        await self._known.renew()

    # --- ticks

    async def _read(self) -> None:
        asked_us = clock.now_us()
        batches = await accepted.read(
            self.shard, self.reached.entry, block_ms=READ_BLOCK_MS, count=READ_BATCHES
        )
        async with self._writing:
            effects = [effect for batch in batches for effect in self._take(batch)]
            if len(batches) < READ_BATCHES:
                self._known.heard_all(asked_us)
            corrections = [one for batch in batches for one in batch.corrections]
            reached = self._reached(batches[-1]) if batches else self.reached
            if effects or corrections or clock.monotonic() - self._saved_at >= SAVE_EVERY_S:
                await self._commit(reached, effects, corrections)
            self.reached = reached

    def _reached(self, batch: Batch) -> Reached:
        return Reached(batch.entry, self._follower.epoch, self._follower.number, moment(batch.at_us))

    def _take(self, batch: Batch) -> list[Effect]:
        if not self._follower.is_new(batch):
            return []
        if not self._follower.follow(batch):
            self.engine.skip()
            self._known.missed(batch.at_us)
        effects: list[Effect] = []
        for tick in batch.ticks:
            if self._known.counts(tick):
                effects += self.engine.on_tick(tick)
                self._recent.add(tick)
        self._known.read_until(batch.at_us)
        return effects

    async def _hear_silence(self) -> None:
        """As of when all was read: during an outage the clock goes on, and what is not read yet is no silence."""
        async with self._writing:
            effects = self.engine.on_clock(self._known.heard_until_us, self._known.silent_since)
            if effects:
                await self._commit(self.reached, effects)

    # --- what people do meanwhile

    async def _listen(self) -> None:
        async with async_client().pubsub() as pubsub:
            await pubsub.subscribe(loading.CHANGED_CHANNEL)
            while True:
                if await pubsub.get_message(ignore_subscribe_messages=True, timeout=1.0):
                    self._wake.set()

    async def _look(self) -> None:
        """What was made or edited since the last look; each look overlaps with those before it."""
        self._looks += 1
        back = LONGEST_COMMIT_S if self._looks % LOOK_BACK_EVERY == 1 else USUAL_COMMIT_S
        began = clock.now()
        found = await in_thread(loading.edited_since, self._looked_at - timedelta(seconds=back))
        mine = {pk: one for pk, one in found.items() if self._is_news(pk, one)}
        if mine:
            await self._known.of_symbols({one.symbol for one in mine.values() if one is not None})
            async with self._writing:
                # Meanwhile a commit may have gone beyond what was read.
                await self._admit({pk: one for pk, one in mine.items() if self._is_news(pk, one)})
        self._looked_at = began

    def _is_news(self, alert_id: int, alert: Watched | None) -> bool:
        known = self.engine.alerts.get(alert_id)
        if alert is None or known is None:
            return alert is not known and (
                alert is None or self._known.is_mine(alert, self.shard, self.shards)
            )
        # The sweep decides without a new version; what it has decided is later than what is known here.
        is_later = alert.armed_us > known.armed_us
        return is_later or known.version != alert.version or known.rule != alert.rule

    async def _admit(self, alerts: dict[int, Watched | None]) -> None:
        """Take them as PostgreSQL has them, and decide what was missed."""
        effects: list[Effect] = []
        for alert_id, alert in alerts.items():
            missed = self._recent.catch_up(alert, self.engine) if alert is not None else []
            if alert is None or any(effect.is_last or effect.refusal == "expired" for effect in missed):
                self.engine.remove(alert_id)
            else:
                self.engine.add(alert)
            effects += missed
        moving = {one.symbol for one in alerts.values() if one is not None and one.rule.kind is Kind.MOVES}
        with suppress(*DATABASE_ERRORS):  # without them moves are measured from now on
            await self._past.remember(clock.now() + MINUTE, moving)
        if effects:
            await self._commit(self.reached, effects)

    # --- what lasts

    async def _commit(
        self, reached: Reached, effects: Sequence[Effect], corrections: Collection[Correction] = ()
    ) -> None:
        """Until it is done or somebody else owns the shard; whoever calls holds the lock."""
        written = await self._patiently(
            committing.commit, self.name, self.epoch, reached, effects, corrections
        )
        self._saved_at, self.reached = clock.monotonic(), reached
        if effects or corrections:
            await self._committed(effects, written)

    async def _committed(self, effects: Sequence[Effect], written: Written) -> None:
        self._tasks.start(telling.tell(effects, written))
        lost = {effect.alert_id for effect in effects} - written.claimed
        if lost:  # an edit or the sweep came first
            await self._admit(await self._patiently(loading.again, lost))

    async def _patiently(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What must be done before anything else is decided."""
        while True:
            try:
                return await in_thread(function, *args, **kwargs)
            except DATABASE_ERRORS as error:
                metrics.alerts_step_failures.labels(step=function.__name__).inc()
                logger.warning("%s: %s failed: %s", self.lease, function.__name__, type(error).__name__)
                await asyncio.sleep(RETRY_S)
