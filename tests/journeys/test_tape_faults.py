"""The tape's own edge: a Redis that is really killed while prices come, and an owner that was frozen for too long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from channels.layers import get_channel_layer

from core.database import in_thread
from core.embedded.throwaway import Throwaway
from core.models import Lease
from core.redis import client, close_async_client
from marketdata.cache import BEATS_KEY
from marketdata.tape import owner
from subscriptions.hub import PriceHub
from tests.journeys.test_tape import rising
from tests.outages import redis_at
from tests.subscriptions.conftest import Screen, quick  # noqa: F401 -- a fixture
from tests.tapes import Tape, running_tape

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]

SYMBOLS = ["AAPL", "MSFT"]


@pytest.fixture
async def mortal(unconnected, monkeypatch, quick, caplog) -> AsyncIterator[tuple[Tape, Throwaway]]:  # noqa: F811
    """A tape on a Redis of its own."""
    caplog.set_level("CRITICAL")
    with Throwaway(postgres=False) as server, redis_at(server.bundle.redis_url):
        await close_async_client()
        async with running_tape(monkeypatch, server.bundle.redis_url) as tape:
            yield tape, server


async def test_a_redis_that_is_killed_and_comes_back_empty_while_prices_come(mortal):
    tape, server = mortal
    await tape.watch(*SYMBOLS)
    tape.start()
    await tape.opens(*SYMBOLS)
    hub, screen = PriceHub(), Screen()
    await hub.add(screen.client)
    await hub.follow(screen.client, SYMBOLS)
    tape.send("AAPL", "100.00")
    tape.send("MSFT", "50.00")
    await tape.until(lambda: screen.prices() == {"AAPL": "100.00", "MSFT": "50.00"})

    for round_ in range(2):
        for child in server._children:
            child.kill()
            child.wait()
        tape.send("AAPL", f"10{round_}.10", f"10{round_}.20")
        await tape.stores("AAPL", f"10{round_}.20")
        server.start()
        tape.send("AAPL", f"10{round_}.30")

        await tape.until(lambda now=f"10{round_}.30": screen.prices() == {"AAPL": now, "MSFT": "50.00"})
        await tape.until(lambda now=f"10{round_}.30": str(tape.latest()["AAPL"].price) == now)
        await tape.until(lambda: tape.said_open() == set(SYMBOLS))

    # What was said before Redis forgot is said again by a later beat than the one that tells what streams.
    await tape.until(lambda: {"AAPL", "MSFT"} <= tape.latest().keys())
    assert str(tape.latest()["MSFT"].price) == "50.00"
    await tape.stores_every_tick()
    assert tape.provider.connects == 1
    await hub.close()


class Freezable:
    """An owner on a loop of its own, in a thread that can be stopped in the midst of its work, as SIGSTOP does."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        try:
            await owner.serve(0, 1, self._ended)
        finally:
            await get_channel_layer().flush()
            await close_async_client()

    def freeze(self) -> threading.Event:
        """Until the event is set."""
        frozen, thaw = threading.Event(), threading.Event()

        def stand_still() -> None:
            frozen.set()
            thaw.wait(60)

        self._loop.call_soon_threadsafe(stand_still)
        assert frozen.wait(20)
        return thaw

    def tell(self, stream, ticks) -> None:
        """What comes in through a connection of this one."""
        self._loop.call_soon_threadsafe(stream.send, ticks)

    def end(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(30)


@pytest.fixture
def freezable(tape, caplog) -> Iterator[Freezable]:
    caplog.set_level("CRITICAL")
    made = Freezable()
    yield made
    made.end()


async def test_what_a_frozen_owner_says_when_it_wakes_is_believed_by_nobody(tape, freezable, quick):  # noqa: F811
    await tape.watch("AAPL")
    await tape.opens("AAPL")
    (old_stream,) = tape.provider.streams
    await tape.until(lambda: client().hexists(BEATS_KEY, "0"))
    hub, screen = PriceHub(), Screen()
    await hub.add(screen.client)
    await hub.follow(screen.client, ["AAPL"])
    (first,) = tape.send("AAPL", "100.00")
    await tape.until(lambda: screen.prices() == {"AAPL": "100.00"})

    thaw = freezable.freeze()
    await in_thread(lambda: Lease.objects.update(expires_at="2000-01-01T00:00Z"))
    tape.start()
    await tape.until(lambda: len(tape.provider.streams) == 2)
    (new_stream,) = [one for one in tape.provider.streams if one is not old_stream]
    await tape.until(lambda: new_stream.subscribed == {"AAPL"})
    new_stream.send([replace(first, price=first.price + 1, as_of_us=first.as_of_us + 1_000)])
    event = await tape.publishes("AAPL", "101.00")
    # The former owner hears something newer than anybody, while it does not know that it is none.
    freezable.tell(old_stream, [replace(first, price=first.price + 2, as_of_us=first.as_of_us + 500_000)])
    thaw.set()

    await tape.until(lambda: tape.provider.streams == [new_stream])
    await tape.until(lambda: screen.prices() == {"AAPL": "101.00"})
    assert tape.published("AAPL")[-1] == event
    assert event["e"] == (await in_thread(Lease.objects.get)).epoch
    assert str(tape.latest()["AAPL"].price) == "101.00"
    await tape.stores("AAPL", "101.00")
    assert rising(tape)
    await hub.close()
