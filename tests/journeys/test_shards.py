"""Two shards of the tape, and what happens when one dies, or when their number changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from core import clock
from core.database import in_thread
from core.models import Lease
from core.redis import client
from marketdata.cache import BEATS_KEY, LOST_KEY, STREAMING_KEY
from marketdata.providers import registry
from marketdata.tape import openset
from marketdata.tape.sharding import shard_of
from subscriptions.hub import PriceHub
from tests.journeys.test_tape import rising
from tests.providers import Scripted, ScriptedStream
from tests.subscriptions.conftest import Screen
from tests.tapes import Tape

pytestmark = pytest.mark.django_db(transaction=True)

SYMBOLS = [f"S{number}" for number in range(12)]
SHARE = [{symbol for symbol in SYMBOLS if shard_of(symbol, 2) == shard} for shard in (0, 1)]


class Logged(Scripted):
    """Knows how many connections were open at once, and where a symbol was open twice."""

    def __init__(self, connections: int) -> None:
        super().__init__()
        self.capabilities = replace(self.capabilities, connections_per_key=connections)
        self.most_at_once = 0
        self.twice: set[str] = set()

    async def open_stream(self) -> ScriptedStream:
        stream = await super().open_stream()
        self.most_at_once = max(self.most_at_once, len(self.streams))
        subscribe = stream.subscribe

        async def logged(symbols) -> None:
            await subscribe(symbols)
            open_now = Counter(symbol for one in self.streams for symbol in one.subscribed)
            self.twice |= {symbol for symbol, times in open_now.items() if times > 1}

        stream.subscribe = logged
        return stream


@pytest.fixture
async def shards(tape: Tape, caplog) -> AsyncIterator[Tape]:
    """A tape whose key may have two connections; nobody serves yet."""
    caplog.set_level("ERROR")
    tape.provider = Logged(connections=2)
    with registry.override(tape.provider):
        await tape.watch(*SYMBOLS)
        yield tape
        await tape.kill()


def stale_on(screen: Screen) -> set[str]:
    """As the screen shows it now. While a busy machine holds up both shards all of them are, for a moment."""
    found: set[str] = set()
    for frame in screen.frames:
        if frame["type"] == "stale":
            found |= set(frame["symbols"])
        elif frame["type"] == "fresh":
            found -= set(frame["symbols"])
    return found


async def said_by(tape: Tape, *shares: set[str]) -> None:
    """Until Redis lists exactly these symbols for shard 0, 1, …"""

    def listed() -> list[set[str]]:
        found = client().hgetall(STREAMING_KEY)
        return [{one.decode() for one, owner in found.items() if int(owner) == i} for i in range(len(shares))]

    await tape.until(
        lambda: listed() == list(shares) and client().hlen(STREAMING_KEY) == sum(map(len, shares))
    )


async def test_two_shards_have_each_symbol_open_once(shards):
    shards.start(0, 2)
    shards.start(1, 2)

    await said_by(shards, *SHARE)
    for number, symbol in enumerate(SYMBOLS):
        shards.send(symbol, f"{number + 10}.00")
    for number, symbol in enumerate(SYMBOLS):
        await shards.publishes(symbol, f"{number + 10}.00")

    assert all(SHARE)
    assert shards.provider.subscribed == dict.fromkeys(SYMBOLS, 1)
    assert sorted(map(sorted, (one.subscribed for one in shards.provider.streams))) == sorted(
        map(sorted, SHARE)
    )
    assert {one.decode() for one in client().hkeys(BEATS_KEY)} == {"0", "1"}
    assert rising(shards)


async def test_from_one_shard_to_two_and_back_no_symbol_is_lost_or_open_twice(shards):
    shards.start(0, 1)
    await said_by(shards, set(SYMBOLS))
    shards.send("S1", "10.00")
    await shards.publishes("S1", "10.00")

    await shards.stop()
    two = [shards.start(0, 2), shards.start(1, 2)]
    await said_by(shards, *SHARE)
    shards.send("S1", "10.10")
    await shards.publishes("S1", "10.10")

    await shards.stop(*two)
    shards.start(0, 1)
    await said_by(shards, set(SYMBOLS))
    shards.send("S1", "10.20")
    await shards.publishes("S1", "10.20")

    assert shards.provider.open == set(SYMBOLS)
    assert (shards.provider.twice, shards.provider.most_at_once) == (set(), 2)
    assert rising(shards)


async def test_what_a_shard_that_is_no_more_left_behind_is_forgotten(shards):
    two = [shards.start(0, 2), shards.start(1, 2)]
    await said_by(shards, *SHARE)
    await shards.kill(*two)
    await in_thread(lambda: Lease.objects.update(expires_at="2000-01-01T00:00Z"))
    unwanted, kept = min(SHARE[1]), sorted(SHARE[1])[1:]
    await shards.unwatch(unwanted)
    # Three seconds are too long for a test.
    client().hset(BEATS_KEY, "1", client().time()[0] - 60)
    client().hset(
        LOST_KEY, mapping={"LONGAGO": clock.now_us() - 2 * 86_400_000_000, "JUSTNOW": clock.now_us()}
    )
    client().xadd(openset.inbox_key(1), {"q": b"left"})

    shards.start(0, 1)

    await said_by(shards, SHARE[0] | set(kept))
    await shards.until(lambda: client().hkeys(BEATS_KEY) == [b"0"])
    await shards.until(lambda: client().hkeys(LOST_KEY) == [b"JUSTNOW"])
    assert not client().exists(openset.inbox_key(1))


async def test_when_one_shard_is_silent_only_its_symbols_are_stale(shards, monkeypatch):
    monkeypatch.setattr("subscriptions.hub.RESYNC_EVERY_S", 0.2)
    first = shards.start(0, 2)
    shards.start(1, 2)
    await said_by(shards, *SHARE)
    hub, screen = PriceHub(), Screen()
    await hub.add(screen.client)
    await hub.follow(screen.client, SYMBOLS)
    for symbol in SYMBOLS:
        shards.send(symbol, "20.00")
    await screen.until(lambda: screen.prices() == dict.fromkeys(SYMBOLS, "20.00"))

    await shards.kill(first)

    await screen.until(lambda: stale_on(screen) == SHARE[0])
    await hub.close()


async def test_a_standby_takes_over_without_a_second_connection(tape, caplog):
    caplog.set_level("ERROR")
    tape.provider = Logged(connections=1)
    with registry.override(tape.provider):
        await tape.watch("AAPL")
        frozen = tape.start()
        await tape.opens("AAPL")
        await tape.until(lambda: client().hexists(BEATS_KEY, "0"))
        tape.send("AAPL", "100.00")
        await tape.publishes("AAPL", "100.00")
        tape.start()

        # The first one has missed its lease, and does not know it yet.
        epoch = (await in_thread(Lease.objects.get)).epoch

        def is_taken() -> bool:
            return not Lease.objects.filter(epoch=epoch).update(expires_at="2000-01-01T00:00Z")

        await tape.until(lambda: in_thread(is_taken))
        await tape.until(lambda: tape.provider.connects == 2)
        await tape.opens("AAPL")
        tape.send("AAPL", "100.50")
        event = await tape.publishes("AAPL", "100.50")

        assert event["e"] == (await in_thread(Lease.objects.get)).epoch
        assert (tape.provider.most_at_once, tape.provider.twice) == (1, set())
        assert rising(tape)
        await tape.kill(frozen)
        await tape.kill()
