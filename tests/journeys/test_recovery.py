"""Old state and events make the fresh state: on WebSocket, Server-Sent Events and polling, whatever happens between.

Nobody is ever shown an older price after a newer one, nobody is told that nothing is missing while something is, and
when the weather calms down all have what a fresh reader gets.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest
from channels.layers import get_channel_layer
from django.test import Client as Browser

from core.database import in_thread
from core.redis import client, close_async_client
from marketdata import attention, cache
from marketdata.providers import registry
from subscriptions import watchlist
from subscriptions.hub import hub
from tests.factories import make_ticker, make_user
from tests.journeys.recovering import EventsPerson, PollingPerson, SocketPerson, Weather
from tests.providers import Scripted
from tests.subscriptions.conftest import quick  # noqa: F401 -- a fixture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]

SYMBOLS = ["AAPL", "BRK.B", "^GSPC"]


@pytest.fixture
async def cookie(quick, settings) -> AsyncIterator[dict[str, str]]:  # noqa: F811 -- the fixture
    """Somebody watches all of them; providers know nothing, so all prices come from the tape."""
    client().flushall()
    cache.forget_memory()
    attention.forget()
    settings.DEMO_SYMBOLS = []
    with registry.override(Scripted("NOTHING")):
        yield await in_thread(_watcher)
    await hub().close()
    await get_channel_layer().flush()
    await close_async_client()


def _watcher() -> dict[str, str]:
    user = make_user(tier="expert")
    watchlist.watch(user, [make_ticker(symbol) for symbol in SYMBOLS])
    browser = Browser()
    browser.force_login(user)
    return {"cookie": "; ".join(f"{name}={morsel.value}" for name, morsel in browser.cookies.items())}


@pytest.fixture
async def people(cookie, request):
    """All three and the tape; those who still listen go home at the end."""
    tape = Weather(Random(getattr(request, "param", 0)))
    by_socket = SocketPerson("socket", tape, SYMBOLS, cookie)
    by_events = EventsPerson("events", tape, SYMBOLS, cookie)
    by_polling = PollingPerson("polling", tape, SYMBOLS, cookie)
    yield tape, by_socket, by_events, by_polling
    for one in (by_socket, by_events):
        await one.go()


async def all_agree(tape, by_socket, by_events, by_polling) -> None:
    """Until all have what the tape said last; and that is what a fresh reader gets."""
    for one in (by_socket, by_events):
        await one.until(lambda one=one: one.shown == tape.latest())
    async with asyncio.timeout(20):
        while by_polling.shown != tape.latest():
            await by_polling.asks()
    assert [fault for one in (by_socket, by_events, by_polling) for fault in one.faults] == []


@pytest.mark.parametrize("seed", range(12))
async def test_in_any_weather_all_have_the_same_in_the_end(people, seed):
    tape, by_socket, by_events, by_polling = people
    random = Random(seed)
    await by_socket.come()
    await by_events.come()

    async def kill() -> None:
        client().client_kill_filter(_type="pubsub", skipme=False)

    async def forget() -> None:
        tape.forgets()
        await tape.says(*SYMBOLS)  # a tape says everything again when Redis has lost it

    async def together() -> None:
        await asyncio.gather(by_socket.come_back(), tape.says(*SYMBOLS), by_events.come_back())

    one = lambda: random.choice(SYMBOLS)  # noqa: E731 -- short, and used in the table below only
    weather = [
        (12, lambda: tape.says(*random.sample(SYMBOLS, random.randint(1, 3)))),
        (4, lambda: tape.says_unheard(one())),
        (3, lambda: tape.says_twice(one())),
        (3, lambda: tape.says_swapped(one())),
        (1, lambda: tape.changes_its_owner(*random.sample(SYMBOLS, random.randint(1, 3)))),
        (1, forget),
        (1, kill),
        (3, by_socket.come_back),
        (3, by_events.come_back),
        (2, together),
        (3, by_polling.asks),
        (1, tape.beat),
        (3, lambda: asyncio.sleep(random.random() * 0.2)),
    ]
    for _ in range(80):
        (happens,) = random.choices([what for _, what in weather], [weight for weight, _ in weather])
        await happens()
    for symbol in SYMBOLS:
        await random.choice([tape.says, tape.says_unheard, tape.says_twice, tape.says_swapped])(symbol)

    await all_agree(*people)
