"""What the server tells one user by itself: each notification, at once, to every connection of theirs in this process.

It does not go by the phases of prices, where only the newest counts: nothing of it is left out. While a client does
not read, a bounded number waits for it; beyond that it is ended, and asks for what it missed when it is back.

A group message can be lost, so the inbox is read again after each reconnect and every half minute, in one query for
all. What a client has had already is known by id. See docs/design/live.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import orjson
from django.conf import settings
from redis.exceptions import RedisError

from core import clock, live, metrics
from core.batching import Batched
from core.database import in_thread
from subscriptions.arrivals import Reading
from subscriptions.client import Client
from subscriptions.errors import Refused

# How often it is looked whether the connection to Redis is still the same one.
LOOK_EVERY_S = 1.0
HEAL_EVERY_S = 30.0
JOIN_AGAIN_S = 0.5
JOIN_AT_ONCE = 500
# Who was busy is looked at again so soon.
DRAIN_EVERY_S = 0.05
# A notification becomes visible with its commit, which comes later than its time and its id.
OVERLAP = timedelta(seconds=60)
PAGE = 500
MOST_WAITING = 2_000
MOST_KNOWN = 2_000


class Asked(NamedTuple):
    """What a client that comes back says of itself."""

    user: UUID
    since: int | None
    """The last one that it has had; None: it only wants to know which one is the newest."""
    again: bool = False
    """Also what is not much older than that one: it says itself which of those it has had."""


class Missed(Protocol):
    @property
    def payloads(self) -> Sequence[dict[str, Any]]:
        """Oldest first."""

    @property
    def more(self) -> bool: ...

    @property
    def last(self) -> int:
        """Id of the user's newest notification; 0: none."""

    @property
    def unread(self) -> int: ...


class Inbox(Protocol):
    """Where notifications are kept; an app that has one registers it. Both run in a thread."""

    def missed(self, asked: Sequence[Asked]) -> Sequence[Missed]: ...

    def lately(
        self, users: Collection[UUID], since: datetime, after: int, limit: int
    ) -> Sequence[tuple[UUID, datetime, dict[str, Any]]]:
        """Of these users, made since then, with an id above `after`, in the order of ids."""


class _Nothing:
    payloads: Sequence[dict[str, Any]] = ()
    more = False
    last = 0
    unread = 0


class _NoInbox:
    def missed(self, asked: Sequence[Asked]) -> Sequence[Missed]:
        return [_Nothing()] * len(asked)

    def lately(
        self, users: Collection[UUID], since: datetime, after: int, limit: int
    ) -> Sequence[tuple[UUID, datetime, dict[str, Any]]]:
        return ()


_inbox: Inbox = _NoInbox()


def register(inbox: Inbox) -> None:
    global _inbox  # noqa: PLW0603 -- one per installation
    _inbox = inbox


class Reach:
    """What one client has been told, and what still waits for it."""

    __slots__ = ("held", "since", "told", "waiting")

    def __init__(self, since: datetime) -> None:
        self.since = since
        """What is older than this it has not missed here."""
        self.told: dict[int, None] = {}
        self.waiting: dict[int, str] = {}
        self.held: dict[int, str] | None = None
        """What arrives while the inbox is read for it."""

    def knows(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.told[number] = None
        while len(self.told) > MOST_KNOWN:
            del self.told[next(iter(self.told))]

    def take(self, most: int) -> list[str]:
        return [self.waiting.pop(number) for number in list(islice(self.waiting, most))]


class Personal:
    """Every method runs on the loop of the hub, which starts the chores."""

    def __init__(self) -> None:
        self._of: dict[UUID, dict[Client, Reach]] = {}
        self._joined: set[UUID] = set()
        self._behind: dict[Client, Reach] = {}
        self._receiver = live.Receiver()
        self._joins: Batched[None, None] = Batched(self._join_all)
        self._reads: Batched[Asked, Missed] = Batched(self._read_all)
        self._reading = Reading()
        self._moved = asyncio.Event()  # somebody came or went
        self._backlog = asyncio.Event()
        self._lost_some = asyncio.Event()
        self._healed = clock.now()

    # --- who is here

    def arrived(self, client: Client) -> None:
        if client.user_id is not None and client.wire.notifications_at_once:
            self._of.setdefault(client.user_id, {})[client] = Reach(clock.now())
            self._moved.set()

    def gone(self, client: Client) -> None:
        self._behind.pop(client, None)
        user = client.user_id
        theirs = self._of.get(user, {}) if user is not None else {}
        if user is not None and client in theirs:
            del theirs[client]
            if not theirs:
                del self._of[user]
                self._moved.set()

    async def follow(
        self, client: Client, since: int | None, seen: Collection[int], request_id: str | int | None
    ) -> None:
        """Answer, then what it missed, oldest first; what arrives meanwhile comes after that."""
        user = client.user_id
        reach = self._of.get(user, {}).get(client) if user is not None else None
        if user is None or reach is None:  # it was ended meanwhile
            return
        if seen:
            reach.knows(seen if since is None else [since, *seen])
            reach.since -= OVERLAP
        reach.held = {}
        try:
            await self._join_soon()
            missed = await self._reads.ask(Asked(user, since, again=bool(seen)))
            news = {one["id"]: one for one in missed.payloads if one["id"] not in reach.told}
            client.send(_following(request_id, missed, len(news)))
            for number, payload in news.items():
                reach.waiting[number] = live.notification_text(payload)
            reach.knows(news)
        finally:
            held, reach.held = reach.held, None
            for number, text in held.items():
                self._tell(client, reach, number, text)
            self._hand_over(client, reach)

    async def _join_soon(self) -> None:
        """A layer that is silent holds nobody up: it is healed afterwards."""
        with suppress(TimeoutError):
            async with asyncio.timeout(settings.REDIS_TIMEOUT_S):
                await self._joins.ask(None)

    async def _read_all(self, asked: Sequence[Asked]) -> Sequence[Missed]:
        """One look for all who ask at the same moment."""
        return await in_thread(_inbox.missed, asked)

    # --- chores

    async def hear(self) -> None:
        """Take what arrives, until the connection to Redis is another one; the next call then listens anew."""
        receiver = self._receiver = live.Receiver()
        self._joined.clear()
        await receiver.open()
        listening, line = asyncio.ensure_future(self._listen(receiver)), receiver.line
        self._moved.set()
        self._lost_some.set()
        try:
            while receiver.line in (None, line) and not listening.done():
                await asyncio.wait({listening}, timeout=LOOK_EVERY_S)
            if listening.done():
                listening.result()
        finally:
            listening.cancel()
            await asyncio.wait({listening}, timeout=1)
            await receiver.close()

    async def _listen(self, receiver: live.Receiver) -> None:
        while True:
            event = await receiver.receive()
            with self._reading.tolerant("an event"):
                self._heard(event)
            await asyncio.sleep(0)  # a thousand at once lie ready: others have their turn in between

    async def keep_joined(self) -> None:
        """A member of the groups of those who are here, and of nobody else's."""
        await self._moved.wait()
        self._moved.clear()
        await self._joins.ask(None)
        for user in self._joined - self._of.keys():
            self._joined.discard(user)
            with suppress(RedisError, RuntimeError):  # RuntimeError: the receiver is being opened again
                await self._receiver.leave(live.user_group(user))
        if self._of.keys() - self._joined:
            self._moved.set()
            await asyncio.sleep(JOIN_AGAIN_S)

    async def _join_all(self, asked: Sequence[None]) -> Sequence[None]:
        missing = [user for user in self._of if user not in self._joined]
        for start in range(0, len(missing), JOIN_AT_ONCE):
            some, receiver = missing[start : start + JOIN_AT_ONCE], self._receiver
            try:
                await receiver.join_many([live.user_group(user) for user in some])
            except (RedisError, RuntimeError):  # likewise
                metrics.redis_failures.labels(used_by="hub").inc()
                break
            if receiver is self._receiver:  # another one has joined nothing so far
                self._joined.update(some)
        return asked

    async def drain(self) -> None:
        """Who was busy gets what waits for it."""
        await self._backlog.wait()
        for client, reach in list(self._behind.items()):
            self._hand_over(client, reach)
        if not self._behind:
            self._backlog.clear()
        await asyncio.sleep(DRAIN_EVERY_S)

    async def heal(self) -> None:
        """Tell what was told to nobody: a message got lost, or Redis was away."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HEAL_EVERY_S):
                await self._lost_some.wait()
        self._lost_some.clear()
        await self._join_soon()
        now = clock.now()
        try:
            await self._read_again(self._healed - OVERLAP)
        except BaseException:
            self._lost_some.set()  # once more, soon
            raise
        self._healed = now

    async def _read_again(self, since: datetime) -> None:
        users, after = list(self._of), 0
        while users:
            page = await in_thread(_inbox.lately, users, since, after, PAGE)
            for user, at, payload in page:
                text, after = live.notification_text(payload), payload["id"]
                for client, reach in list(self._of.get(user, {}).items()):
                    if at >= reach.since:
                        self._tell(client, reach, payload["id"], text)
            if len(page) < PAGE:
                return

    # --- what arrives

    def _heard(self, event: Mapping[str, Any]) -> None:
        if event["type"] == live.USER_TOLD:
            for client, reach in list(self._of.get(UUID(event["u"]), {}).items()):
                self._tell(client, reach, event["i"], event["d"])

    def _tell(self, client: Client, reach: Reach, number: int, text: str) -> None:
        if number in reach.told or client.ended:
            return
        if reach.held is not None:
            if len(reach.held) < MOST_WAITING:  # the others are read again
                reach.held[number] = text
            return
        reach.knows([number])
        reach.waiting[number] = text
        if len(reach.waiting) > MOST_WAITING:
            metrics.slow_clients.inc()
            self.gone(client)
            client.end(Refused("too_slow", "You read more slowly than notifications come."))
            return
        self._hand_over(client, reach)

    def _hand_over(self, client: Client, reach: Reach) -> None:
        now = clock.monotonic()
        while reach.waiting and not client.ended:
            if client.waits(now):
                self._behind[client] = reach
                self._backlog.set()
                return
            client.send(client.wire.notifications(reach.take(client.wire.notifications_at_once)))
        self._behind.pop(client, None)


def _following(request_id: str | int | None, missed: Missed, number: int) -> str:
    fields = {
        "type": "following",
        "id": request_id,
        "notifications": True,
        "last": missed.last,
        "unread": missed.unread,
        "missed": number,
        "more": missed.more,
    }
    return orjson.dumps(fields).decode()
