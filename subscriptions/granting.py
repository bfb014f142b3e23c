"""Grants and places for connections of this process, asked together by all who come at the same moment."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from accounts.credentials import Login
from accounts.tiers import limits_of
from core.batching import Batched
from core.database import in_thread
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
        self._hub = of

    async def _grant(self, asked: Sequence[Asked]) -> Sequence[Grant | BaseException]:
        return await in_thread(streaming.grant_many, asked)

    async def _leave(self, members: Sequence[str]) -> list[None]:
        await self._hub.connections.leave(members)
        return [None] * len(members)


_desks: WeakKeyDictionary[PriceHub, _Desk] = WeakKeyDictionary()


def _desk() -> _Desk:
    return _desks.setdefault(hub(), _Desk(hub()))


async def grant(user_id: uuid.UUID | None, symbols: Sequence[str]) -> Grant:
    """As `streaming.grant`."""
    return await _desk().grants.ask((user_id, tuple(symbols)))


async def enter(login: Login) -> str:
    """A place among the user's connections; give it back with `leave`. Raises Refused("connection_limit")."""
    limit = limits_of(login.tier).max_connections
    place = await _desk().places.ask((login.user_id, limit))
    if place is None:
        raise Refused("connection_limit", f"Your plan has room for {limit} live connections; all are in use.")
    return place


async def leave(place: str) -> None:
    await _desk().leavers.ask(place)
