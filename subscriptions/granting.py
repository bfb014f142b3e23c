"""Grants and places for connections of this process, asked together by all who come at the same moment."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from accounts.credentials import Login
from accounts.tiers import limits_of
from core.batching import Batched
from core.database import in_thread
from core.loops import Tasks
from subscriptions import streaming
from subscriptions.errors import Refused
from subscriptions.hub import PriceHub, hub
from subscriptions.streaming import Grant

Asked = tuple[uuid.UUID | None, tuple[str, ...]]


class _Desk:
    """Of one hub."""

    def __init__(self, of: PriceHub) -> None:
        self.grants: Batched[Asked, Grant] = Batched(self._grant)
        self.places: Batched[tuple[uuid.UUID, int], str | None] = Batched(of.connections.enter)
        self.leavers: Batched[str, None] = Batched(self._leave)
        self.tasks = Tasks()
        self._connections = of.connections  # and not the hub: nobody would ever forget it

    async def _grant(self, asked: Sequence[Asked]) -> Sequence[Grant | BaseException]:
        return await in_thread(streaming.grant_many, asked)

    async def _leave(self, members: Sequence[str]) -> list[None]:
        await self._connections.leave(members)
        return [None] * len(members)


_desks: WeakKeyDictionary[PriceHub, _Desk] = WeakKeyDictionary()


def _desk() -> _Desk:
    of = hub()
    if of not in _desks:
        _desks[of] = _Desk(of)
    return _desks[of]


async def grant(user_id: uuid.UUID | None, symbols: Sequence[str]) -> Grant:
    """All or nothing: raises TierLimit or User.DoesNotExist. Who needs places waits for nobody else's lock."""
    granted = await _desk().grants.ask((user_id, tuple(symbols)))
    if granted.temporary:
        await in_thread(streaming.take_places, user_id, granted)
    return granted


async def enter(login: Login) -> str:
    """A place among the user's connections; give it back with `leave`. Raises Refused("connection_limit")."""
    limit = limits_of(login.tier).max_connections
    asking = _desk().tasks.start(_desk().places.ask((login.user_id, limit)))
    try:
        place: str | None = await asyncio.shield(asking)
    except asyncio.CancelledError:
        asking.add_done_callback(_give_back)  # a place that nobody waits for any more
        raise
    if place is None:
        raise Refused("connection_limit", f"Your plan has room for {limit} live connections; all are in use.")
    return place


def _give_back(asking: asyncio.Task[str | None]) -> None:
    if not asking.cancelled() and asking.exception() is None and (place := asking.result()):
        _desk().tasks.start(leave(place))


async def leave(place: str) -> None:
    await _desk().leavers.ask(place)
