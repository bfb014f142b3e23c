"""What a hub does for its connections on a timer: heartbeats, who keeps up, who may still be here, who is looked at.

Many connections are gone through in slices, so that none of it holds up the frames of the others.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from accounts.tiers import limits_of
from core import clock, metrics
from core.database import in_thread
from core.outages import OUTAGES
from marketdata import attention, market_hours
from subscriptions import connections, renewal
from subscriptions.cadence import Mode
from subscriptions.client import Client
from subscriptions.errors import Refused
from subscriptions.pace import ASK_EVERY_S

if TYPE_CHECKING:
    from subscriptions.hub import PriceHub

logger = logging.getLogger(__name__)

HEARTBEAT_EVERY_S = 5.0
FAILED_PAUSE_S = 0.5
MIND_EVERY_S = 1.0
LATE_S = 1.0
# People who come one after the other are told of together.
ATTEND_PAUSE_S = 1.0
# Redis may have forgotten which connections there are.
WRITE_DOWN_EVERY_S = 20.0
SLICE, SLICE_PAUSE_S = 200, 0.01

Chore = Callable[[], Awaitable[None]]


def chores(hub: PriceHub) -> list[Chore]:
    """Each is run again and again; a failure of one stops none of the others."""
    people = hub.people
    return [
        *(people.hear, people.keep_joined, people.drain, people.heal),
        _Heartbeats(hub).beat,
        _Chores(hub).mind,
        _Chores(hub).renew,
        _Chores(hub).attend,
        _Leases(hub).keep,
    ]


async def for_ever(work: Chore) -> None:
    """Nothing may end a part of the hub for good: every connection of this process depends on it."""
    name = getattr(work, "__name__", "chore")
    while True:
        try:
            await work()
        except OUTAGES as error:
            metrics.redis_failures.labels(used_by="hub").inc()
            logger.warning("hub: %s failed: %s", name, type(error).__name__)
            await asyncio.sleep(FAILED_PAUSE_S)
        except Exception:  # an unforeseen fault, such as a text of another version: told, and gone on from
            logger.exception("hub: %s failed", name)
            await asyncio.sleep(FAILED_PAUSE_S)


async def _slices(hub: PriceHub) -> AsyncIterator[list[Client]]:
    everybody = list(hub.clients)
    for start in range(0, len(everybody), SLICE):
        yield [client for client in everybody[start : start + SLICE] if client in hub.clients]
        await asyncio.sleep(SLICE_PAUSE_S)


class _Heartbeats:
    """Every five seconds; every second one asks for an answer (`pace`)."""

    def __init__(self, hub: PriceHub) -> None:
        self._hub = hub
        self._asked_at = 0.0

    async def beat(self) -> None:
        await asyncio.sleep(HEARTBEAT_EVERY_S)
        now = clock.monotonic()
        ask = now - self._asked_at > ASK_EVERY_S - HEARTBEAT_EVERY_S / 2
        if ask:
            self._asked_at = now
            self._hub.ours.begin(now)
        async for some in _slices(self._hub):
            now, now_ms = clock.monotonic(), clock.now_us() // 1000
            for client in some:
                if client.waits(now):
                    continue  # it would not read the question
                client.send(client.wire.heartbeat(now_ms, ack=ask))
                if ask:
                    client.pace.asked(now, now_ms)


class _Leases:
    """That this process and its connections are there (`connections`)."""

    def __init__(self, hub: PriceHub) -> None:
        self._hub = hub
        self._written_at = clock.monotonic()

    async def keep(self) -> None:
        await asyncio.sleep(connections.BEAT_EVERY_S)
        await self._hub.connections.beat()
        if clock.monotonic() - self._written_at > WRITE_DOWN_EVERY_S:
            self._written_at = clock.monotonic()
            await self._hub.connections.write_down()


class _Chores:
    def __init__(self, hub: PriceHub) -> None:
        self._hub = hub

    async def mind(self) -> None:
        """Slow connections are given less; those that have stopped reading are ended."""
        before = clock.monotonic()
        await asyncio.sleep(MIND_EVERY_S)
        if clock.monotonic() - before > MIND_EVERY_S + LATE_S:
            return  # it was this process that stood still: their answers still wait to be read
        async for some in _slices(self._hub):
            now = clock.monotonic()
            for client in some:
                client.pace.look(now)
                if client.is_stuck(now):
                    metrics.slow_clients.inc()
                    await end(
                        self._hub, client, Refused("too_slow", "You read more slowly than prices come.")
                    )
                elif client.pace.bearable is not client.cadence.bearable:
                    self._hub.settle(client)

    async def renew(self) -> None:
        """Streamed tickers stay wanted while their connections live; rights that went are taken back."""
        clients = [client for client in self._hub.clients if client.login]
        held = [client.held() for client in clients]
        tiers: dict[uuid.UUID | None, str] = {}
        for client, had, verdict in zip(clients, held, await in_thread(renewal.review, held), strict=True):
            if verdict.ended:
                await end(self._hub, client, verdict.ended)
                continue
            for refused in verdict.lost:
                await self._hub.unfollow(client, client.lose(refused, had))
            self._follow_tier(client, verdict.tier)
            tiers[client.user_id] = verdict.tier
        await self._end_surplus(clients, tiers)
        await asyncio.sleep(renewal.RENEW_EVERY_S)  # after a failure it is tried again at once

    async def _end_surplus(self, clients: list[Client], tiers: Mapping[uuid.UUID | None, str]) -> None:
        """Of a user whose plan has room for fewer connections than there are here, the youngest."""
        theirs: defaultdict[uuid.UUID | None, list[Client]] = defaultdict(list)
        for client in clients:
            if client in self._hub.clients and client.user_id in tiers:
                theirs[client.user_id].append(client)
        for user, connected in theirs.items():
            limit = limits_of(tiers[user]).max_connections
            for client in sorted(connected, key=lambda one: one.since)[limit:]:
                words = f"Your plan has room for {limit} live connections."
                await end(self._hub, client, Refused("connection_limit", words))

    def _follow_tier(self, client: Client, tier: str) -> None:
        fastest = Mode(limits_of(tier).fastest)
        if fastest is not client.cadence.fastest:
            client.cadence.fastest = fastest
            self._hub.settle(client)

    async def attend(self) -> None:
        """Say which tickers somebody looks at: at once when there are new ones, and as long as it lasts."""
        with suppress(TimeoutError):
            async with asyncio.timeout(attention.TELL_EVERY_S):
                await self._hub.newly_followed.wait()
        self._hub.newly_followed.clear()
        await asyncio.to_thread(attention.look, self._hub.symbols)
        await in_thread(market_hours.refresh)
        await asyncio.sleep(ATTEND_PAUSE_S)


async def end(hub: PriceHub, client: Client, refused: Refused) -> None:
    """Tell it why, close it, and keep nothing of it."""
    client.end(refused)
    await hub.remove(client)
