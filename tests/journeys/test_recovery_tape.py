"""A real tape, a real Redis and three kinds of clients, while one after the other goes away and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random

import pytest
from channels.layers import get_channel_layer
from django.test import Client as Browser

from core.database import in_thread
from core.redis import close_async_client
from marketdata import attention
from marketdata.models import Ticker
from subscriptions import watchlist
from subscriptions.hub import hub
from tests.factories import make_user
from tests.journeys.recovering import EventsPerson, Listener, PollingPerson, SocketPerson
from tests.outages import Gate, redis_at, redis_server
from tests.subscriptions.conftest import quick  # noqa: F401 -- a fixture
from tests.tapes import Tape

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

SYMBOLS = ["AAPL", "BRK.B"]
Happening = Callable[[], Awaitable[None]]


class World:
    """All of it, behind a door before Redis."""

    def __init__(self, tape: Tape, gate: Gate, redis_url: str, headers: dict[str, str]) -> None:
        self.tape, self._gate, self._redis = tape, gate, redis_server(redis_url)
        witness = Listener(tape)
        self.by_socket = SocketPerson("socket", witness, SYMBOLS, headers)
        self.by_events = EventsPerson("events", witness, SYMBOLS, headers)
        self.by_polling = PollingPerson("polling", witness, SYMBOLS, headers)
        self._cents = 0

    async def trade(self) -> None:
        for symbol in SYMBOLS:
            self._cents += 1
            self.tape.send(symbol, f"{100 + self._cents / 100:.2f}")

    # --- what happens

    async def redis_goes_and_comes(self) -> None:
        self._gate.close()
        await self.trade()
        await self.by_socket.come_back()
        self._gate.open()

    async def redis_comes_back_empty(self) -> None:
        self._gate.close()
        self._redis.flushall()
        self._gate.open()

    async def redis_forgets(self) -> None:
        self._redis.flushall()

    async def connections_are_cut(self) -> None:
        for kind in ("pubsub", "normal"):
            self._redis.client_kill_filter(_type=kind, skipme=True)

    async def the_owner_dies(self) -> None:
        await self.tape.kill()
        await self.tape.run_out()
        await asyncio.gather(self.by_socket.come_back(), self.by_events.come_back())
        self.tape.start()
        await self.tape.opens(*SYMBOLS)

    async def upstream_is_cut(self) -> None:
        before = self.tape.provider.connects
        self.tape.provider.cut()
        await self.tape.until(lambda: self.tape.provider.connects > before)
        await self.tape.opens(*SYMBOLS)

    async def somebody_comes_back(self) -> None:
        await self.by_socket.come_back()
        await self.by_events.come_back()

    # --- and in the end

    def last(self) -> dict[str, str]:
        """What the provider said last."""
        return {tick.symbol: f"{tick.price:.2f}" for tick in self.tape.sent}

    def shown_by(self, one) -> dict[str, str]:
        return {symbol: price for symbol, (_, price) in one.shown.items()}

    async def all_agree(self) -> None:
        for one in (self.by_socket, self.by_events):
            await self.tape.until(lambda one=one: self.shown_by(one) == self.last(), 60)
        async with asyncio.timeout(60):
            while self.shown_by(self.by_polling) != self.last():
                await self.by_polling.asks()


@pytest.fixture
async def world(tape, quick, settings) -> AsyncIterator[World]:  # noqa: F811 -- the fixture
    attention.forget()
    url = settings.REDIS_URL
    with Gate(url) as gate, redis_at(gate.url):
        await close_async_client()
        await tape.watch(*SYMBOLS)
        made = World(tape, gate, url, await in_thread(_watcher))
        tape.start()
        await tape.opens(*SYMBOLS)
        await made.trade()
        yield made
        for one in (made.by_socket, made.by_events):
            await one.go()
        await hub().close()
        await tape.close()
        await get_channel_layer().flush()
        await close_async_client()


def _watcher() -> dict[str, str]:
    user = make_user(tier="expert")
    watchlist.watch(user, list(Ticker.objects.all()))
    browser = Browser()
    browser.force_login(user)
    return {"cookie": "; ".join(f"{name}={morsel.value}" for name, morsel in browser.cookies.items())}


@pytest.mark.parametrize("seed", range(2))
async def test_whoever_goes_away_everybody_ends_at_what_the_provider_said_last(world, caplog, seed):
    caplog.set_level("CRITICAL")
    random = Random(seed)
    await world.somebody_comes_back()
    happenings: list[Happening] = [
        world.redis_goes_and_comes,
        world.redis_comes_back_empty,
        world.redis_forgets,
        world.connections_are_cut,
        world.the_owner_dies,
        world.upstream_is_cut,
        world.somebody_comes_back,
    ]
    random.shuffle(happenings)
    for happens in happenings:
        await happens()
        await world.trade()
        await world.by_polling.asks()
        if random.random() < 0.5:
            await world.all_agree()

    await world.trade()
    await world.all_agree()
    assert world.by_socket.faults + world.by_events.faults == []
