from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from channels.layers import get_channel_layer

from core import clock, live
from core.redis import async_client, client
from marketdata import attention, staleness
from marketdata.cache import LATEST_KEY, LOST_KEY, STREAMING_KEY, encode
from marketdata.freshness import OPEN_TTL
from marketdata.quotes import Reason
from marketdata.symbols import group_name
from marketdata.tape.sharding import shard_of
from subscriptions import hub as hub_module
from subscriptions import silence, upkeep
from subscriptions.feeds import State
from tests.subscriptions.conftest import PATIENCE_S, Screen

# More than the hub of these tests waits for a sign of life.
SILENT_S = 0.7


async def joined(price_hub, *symbols) -> None:
    """Until Redis has the hub's subscriptions; a message before that would be lost, and healed later."""
    names = [f"asgi__group__{group_name(symbol)}" for symbol in symbols] + [f"asgi__group__{live.TAPE_GROUP}"]
    async with asyncio.timeout(PATIENCE_S):
        while not all(count for _, count in await async_client().pubsub_numsub(*names)):
            await asyncio.sleep(0.01)


async def test_a_client_gets_the_latest_quote_at_once_and_then_the_changes(price_hub, feed, screen):
    await feed.publish(AAPL="100.00", MSFT="50.00")
    await price_hub.add(screen.client)

    snapshot = await price_hub.follow(screen.client, ["AAPL", "MSFT", "NVDA"])
    assert {symbol: str(quote.price) for symbol, quote in snapshot.items()} == {
        "AAPL": "100.00",
        "MSFT": "50.00",
    }

    await joined(price_hub, "AAPL")
    await feed.publish(AAPL="101.00")
    await screen.until(lambda: screen.prices().get("AAPL") == "101.00")


async def test_changes_between_two_beats_become_one_frame_with_the_newest_values(price_hub, screen):
    await price_hub.add(screen.client)
    await price_hub.follow(screen.client, ["AAPL", "MSFT"])
    await joined(price_hub, "AAPL", "MSFT")
    before = len(screen.frames)

    for number in range(1, 8):
        price_hub._take(State("AAPL", (1, number), f'{{"s":"AAPL","p":"{number}","e":1,"n":{number}}}'))
    price_hub._take(State("MSFT", (1, 1), '{"s":"MSFT","p":"5","e":1,"n":1}'))
    await screen.until(lambda: "MSFT" in screen.prices())

    (frame,) = [frame for frame in screen.frames[before:] if frame["type"] == "quotes"]
    assert sorted((q["s"], q["p"]) for q in frame["q"]) == [("AAPL", "7"), ("MSFT", "5")]


async def test_an_older_state_never_replaces_a_newer_one(price_hub, screen):
    await price_hub.add(screen.client)
    await price_hub.follow(screen.client, ["AAPL"])

    for epoch, number in [(2, 1), (1, 99), (2, 1), (2, 3), (2, 2)]:
        price_hub._take(State("AAPL", (epoch, number), f'{{"s":"AAPL","p":"{epoch}.{number}"}}'))

    await screen.until(lambda: bool(screen.prices()))
    assert screen.prices() == {"AAPL": "2.3"}


@pytest.mark.usefixtures("undisturbed")
async def test_a_client_that_does_not_read_is_skipped_and_then_gets_the_newest_state(price_hub, screen):
    reader = Screen()
    for one in (screen, reader):
        await price_hub.add(one.client)
        await price_hub.follow(one.client, ["AAPL"])
    screen.gate.clear()

    for number in range(1, 30):
        price_hub._take(State("AAPL", (1, number), f'{{"s":"AAPL","p":"{number}"}}'))
        await reader.until(lambda n=number: reader.prices().get("AAPL") == str(n))
    assert screen.client.busy
    screen.gate.set()
    await screen.until(lambda: screen.prices().get("AAPL") == "29")

    # The frame it was busy with, and the newest state: no backlog.
    _, newest = [frame["q"][0]["p"] for frame in screen.frames if frame["type"] == "quotes"]
    assert newest == "29"


async def test_a_lost_message_heals_by_itself(price_hub, feed, screen):
    await price_hub.add(screen.client)
    await price_hub.follow(screen.client, ["AAPL"])

    client().hset(LATEST_KEY, "AAPL", encode(feed.quote("AAPL", "123.00")))  # stored, but nobody was told

    await screen.until(lambda: screen.prices() == {"AAPL": "123.00"})


async def test_cut_redis_connections_are_joined_again(price_hub, feed, screen):
    await price_hub.add(screen.client)
    await price_hub.follow(screen.client, ["AAPL"])
    await joined(price_hub, "AAPL")

    for _ in range(3):
        client().client_kill_filter(_type="pubsub", skipme=False)
        await feed.beat()
    await joined(price_hub, "AAPL")
    await feed.publish(AAPL="77.00")

    await screen.until(lambda: screen.prices() == {"AAPL": "77.00"})


async def heard(price_hub, feed, shard: int = 0, of: int = 1) -> None:
    """Until the hub has heard the owner of the shard in this moment of a clock that stands."""
    async with asyncio.timeout(PATIENCE_S):
        await feed.beat(shard, of)
        while price_hub.silence.lasts(shard):
            await asyncio.sleep(0.01)


async def one_channel_for_prices_and_one_for_people() -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(get_channel_layer()._get_layer().channels) != 2:
            await asyncio.sleep(0.01)


async def test_silence_of_the_tape_is_told_and_so_is_its_return(price_hub, feed, screen, passing):
    await price_hub.add(screen.client)
    await price_hub.follow(screen.client, ["AAPL"])
    await joined(price_hub, "AAPL")
    await feed.publish(AAPL="100.00")
    await screen.until(lambda: screen.prices() == {"AAPL": "100.00"})

    passing(SILENT_S)
    await screen.until(lambda: any(frame["type"] == "stale" for frame in screen.frames))
    (stale,) = [frame for frame in screen.frames if frame["type"] == "stale"]
    assert stale == {"type": "stale", "symbols": ["AAPL"], "reason": "provider_down"}

    # Nothing was traded meanwhile: no price is sent twice, the end of the silence is said.
    screen.frames.clear()
    async with asyncio.timeout(PATIENCE_S):
        while not told_fresh(screen):
            await feed.beat()
            await asyncio.sleep(0.05)
    assert (told_fresh(screen), screen.prices()) == ([["AAPL"]], {})


async def redis_forgets_its_subscriptions() -> None:
    """What channels_redis believes to be subscribed is not: nothing arrives, and nothing fails."""
    (shard,) = get_channel_layer()._get_layer()._shards
    await shard._pubsub.unsubscribe()


async def test_a_receiver_that_went_deaf_is_replaced_once_while_the_tape_is_alive(
    price_hub, feed, screen, passing
):
    await price_hub.add(screen.client)
    await price_hub.follow(screen.client, ["AAPL"])
    await joined(price_hub, "AAPL")
    deaf = price_hub._receiver
    await redis_forgets_its_subscriptions()

    passing(SILENT_S)
    async with asyncio.timeout(PATIENCE_S):
        while price_hub._receiver is deaf or price_hub.silence.lasts(0):
            await feed.beat()
            await asyncio.sleep(0.05)
    healed = price_hub._receiver
    await joined(price_hub, "AAPL")
    await feed.publish(AAPL="55.00")
    await screen.until(lambda: screen.prices().get("AAPL") == "55.00")

    for _ in range(4):  # two seconds more: healed is healed
        passing(0.5)
        await heard(price_hub, feed)
        await looks_twice(price_hub)
    assert price_hub._receiver is healed
    await one_channel_for_prices_and_one_for_people()


async def test_a_gap_in_the_beats_leaves_one_receiver(price_hub, feed, screen, passing):
    await price_hub.add(screen.client)
    await price_hub.follow(screen.client, ["AAPL"])
    await joined(price_hub, "AAPL")
    passing(SILENT_S)
    await screen.until(lambda: any(frame["type"] == "stale" for frame in screen.frames))

    async with asyncio.timeout(PATIENCE_S):
        while not told_fresh(screen):
            await feed.beat()
            await asyncio.sleep(0.05)
    for _ in range(4):
        passing(0.5)
        await heard(price_hub, feed)
        await looks_twice(price_hub)

    await one_channel_for_prices_and_one_for_people()
    assert not price_hub.silence.silent_shards


async def test_only_the_tickers_of_a_silent_shard_are_stale(price_hub, feed, screen, passing):
    by_shard = {shard_of(symbol, 2): symbol for symbol in ("AAPL", "MSFT", "IBM", "GOOG", "SPY")}
    await price_hub.add(screen.client)
    await price_hub.follow(screen.client, [by_shard[0], by_shard[1]])
    await joined(price_hub)

    passing(0.5)
    await heard(price_hub, feed, shard=1, of=2)
    passing(SILENT_S - 0.5)
    await screen.until(lambda: any(frame["type"] == "stale" for frame in screen.frames))

    (stale,) = [frame for frame in screen.frames if frame["type"] == "stale"]
    assert stale["symbols"] == [by_shard[0]]


def told_stale(screen) -> list[list[str]]:
    return [frame["symbols"] for frame in screen.frames if frame["type"] == "stale"]


def told_fresh(screen) -> list[list[str]]:
    return [frame["symbols"] for frame in screen.frames if frame["type"] == "fresh"]


def named_last(screen) -> str:
    """What was said last of a ticker."""
    return [frame["type"] for frame in screen.frames if frame["type"] in ("quotes", "stale", "fresh")][-1]


def say_lost(symbol: str) -> None:
    """As the tape does: its stream ended a while ago."""
    client().hdel(STREAMING_KEY, symbol)
    client().hset(LOST_KEY, symbol, clock.now_us())


async def looks_twice(price_hub) -> None:
    """Until the hub has read again, as a whole, what was written before."""
    looks, merge = asyncio.Queue(), price_hub._merge

    def noted(look) -> None:
        merge(look)
        looks.put_nowait(look)

    price_hub._merge = noted
    async with asyncio.timeout(PATIENCE_S):
        for _ in range(2):
            await looks.get()
    price_hub._merge = merge


@pytest.fixture
async def beating(feed, quick, monkeypatch):
    """The owner of the tape is alive all the while, and on a busy machine too."""
    monkeypatch.setattr(hub_module, "SILENT_AFTER_S", 30.0)
    monkeypatch.setattr(silence, "SILENT_AFTER_S", 30.0)

    async def beat() -> None:
        while True:
            await feed.beat()
            await asyncio.sleep(0.1)

    task = asyncio.create_task(beat())
    yield
    task.cancel()


@pytest.fixture
def at_once(monkeypatch) -> None:
    """What is lost is stale without a moment's grace, or the test would have to wait for it."""
    monkeypatch.setattr(staleness, "BACK_WITHIN", timedelta(0))


@pytest.mark.usefixtures("beating", "at_once")
async def test_a_ticker_whose_stream_is_lost_is_told_once_and_so_is_its_return(price_hub, feed, screen):
    client().hset(STREAMING_KEY, mapping={"AAPL": "0", "MSFT": "0"})
    await feed.publish(AAPL="100.00", MSFT="50.00")
    await price_hub.add(screen.client)
    await price_hub.follow(screen.client, ["AAPL", "MSFT"])

    say_lost("AAPL")
    await screen.until(lambda: told_stale(screen))
    await looks_twice(price_hub)
    assert told_stale(screen) == [["AAPL"]]

    screen.frames.clear()
    client().hset(STREAMING_KEY, "AAPL", "0")
    await screen.until(lambda: told_fresh(screen))
    await looks_twice(price_hub)
    assert (told_fresh(screen), screen.prices(), told_stale(screen)) == ([["AAPL"]], {}, [])


@pytest.mark.usefixtures("beating", "at_once")
async def test_who_comes_later_is_told_in_the_snapshot_and_after_each_frame(price_hub, feed, screen):
    await feed.publish(AAPL="100.00", MSFT="50.00")
    say_lost("AAPL")
    await price_hub.add(screen.client)

    quotes = await price_hub.follow(screen.client, ["AAPL", "MSFT"])

    assert {symbol: quote.reason for symbol, quote in quotes.items()} == {
        "AAPL": Reason.PROVIDER_DOWN,
        "MSFT": None,
    }

    # For the client a frame is the end of it; this one is stale all the same.
    await joined(price_hub, "AAPL")
    await feed.publish(AAPL="101.00")
    say_lost("AAPL")
    await screen.until(lambda: screen.prices() == {"AAPL": "101.00"} and named_last(screen) == "stale")
    assert told_stale(screen)[-1] == ["AAPL"]


@pytest.mark.usefixtures("beating")
async def test_a_polled_ticker_is_stale_when_its_polls_stop_and_not_before(
    price_hub, feed, screen, monkeypatch
):
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)

    def store(symbol: str, seconds_ago: float) -> None:
        then = now - timedelta(seconds=seconds_ago)
        quote = replace(feed.quote(symbol, "1.00"), received_at=then, expires_at=then + OPEN_TTL)
        client().hset(LATEST_KEY, symbol, encode(replace(quote, seq=1)))

    store("POLLED", 2)
    store("LATE", 17)
    store("OLD", 40)
    await price_hub.add(screen.client)
    quotes = await price_hub.follow(screen.client, ["POLLED", "LATE", "OLD"])
    assert {symbol for symbol, quote in quotes.items() if quote.stale} == {"OLD"}

    store("OLD", 0)  # the same price, checked now
    store("POLLED", 40)
    await screen.until(lambda: told_fresh(screen) and told_stale(screen))
    assert (told_fresh(screen), told_stale(screen), screen.prices()) == ([["OLD"]], [["POLLED"]], {})


async def test_a_fault_in_one_event_does_not_end_the_hub(price_hub, feed, screen, monkeypatch, caplog):
    monkeypatch.setattr(upkeep, "FAILED_PAUSE_S", 0.05)
    await price_hub.add(screen.client)
    await price_hub.follow(screen.client, ["AAPL"])
    await joined(price_hub, "AAPL")

    await live.publish(group_name("AAPL"), {"type": live.QUOTE_TICKED, "of": "another version"})
    client().hset(LATEST_KEY, "AAPL", b"not what this version writes")
    await looks_twice(price_hub)
    await feed.publish(AAPL="42.00")

    await screen.until(lambda: screen.prices() == {"AAPL": "42.00"})
    assert "failed" in caplog.text


async def test_the_last_follower_leaves_the_group_and_the_first_joins_it_again(
    price_hub, feed, screen, monkeypatch
):
    monkeypatch.setattr(hub_module, "LINGER_S", 0.0)
    other = Screen()
    for one in (screen, other):
        await price_hub.add(one.client)
        await price_hub.follow(one.client, ["AAPL"])
    await joined(price_hub, "AAPL")
    group = f"asgi__group__{group_name('AAPL')}"

    await price_hub.unfollow(screen.client, ["AAPL"])
    assert (await async_client().pubsub_numsub(group))[0][1] == 1
    await price_hub.remove(other.client)
    async with asyncio.timeout(PATIENCE_S):
        while (await async_client().pubsub_numsub(group))[0][1]:
            await asyncio.sleep(0.01)
    assert price_hub._followers == {}

    await price_hub.follow(screen.client, ["AAPL"])
    await joined(price_hub, "AAPL")
    await feed.publish(AAPL="9.00")
    await screen.until(lambda: screen.prices() == {"AAPL": "9.00"})


async def test_the_only_follower_who_is_back_soon_has_missed_nothing_that_is_not_told(
    price_hub, feed, screen
):
    await price_hub.add(screen.client)
    await price_hub.follow(screen.client, ["AAPL"])
    await joined(price_hub, "AAPL")
    await feed.publish(AAPL="1.00")
    await screen.until(lambda: screen.prices() == {"AAPL": "1.00"})
    await price_hub.remove(screen.client)
    for number, price in enumerate(("2.00", "3.00", "4.00"), start=2):
        await feed.publish(AAPL=price)
        async with asyncio.timeout(PATIENCE_S):
            while price_hub.states.position("AAPL") < (1, number):
                await asyncio.sleep(0.01)

    again = Screen()
    await price_hub.add(again.client)
    quotes = await price_hub.follow(again.client, ["AAPL"])
    recovery = price_hub.recovery(["AAPL"], {"AAPL": (1, 1)}, quotes)

    assert recovery.gaps == []
    assert [state.position for state in recovery.missed] == [(1, 2), (1, 3)]


async def test_one_process_joins_a_group_once_for_any_number_of_clients(price_hub, feed):
    screens = [Screen() for _ in range(20)]
    for one in screens:
        await price_hub.add(one.client)
        await price_hub.follow(one.client, ["AAPL"])
    await joined(price_hub, "AAPL")
    assert (await async_client().pubsub_numsub(f"asgi__group__{group_name('AAPL')}"))[0][1] == 1

    await feed.publish(AAPL="3.00")
    for one in screens:
        await one.until(lambda one=one: one.prices() == {"AAPL": "3.00"})


async def test_heartbeats_go_to_everybody(price_hub, screen):
    await price_hub.add(screen.client)
    await screen.until(lambda: any(frame["type"] == "heartbeat" for frame in screen.frames))


async def test_what_its_clients_follow_is_said_to_be_looked_at_at_once_and_as_long_as_they_do(
    price_hub, screen, monkeypatch
):
    async def looked_at(*symbols: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while await asyncio.to_thread(attention.looked_at) != set(symbols):
                await asyncio.sleep(0.01)

    for name, seconds in {"TELL_EVERY_S": 0.05, "TOLD_FOR_S": 0.0}.items():
        monkeypatch.setattr(attention, name, seconds)
    monkeypatch.setattr(upkeep, "ATTEND_PAUSE_S", 0.01)
    attention.forget()
    client().delete(attention.LOOKED_KEY)
    await price_hub.add(screen.client)

    await price_hub.follow(screen.client, ["AAPL", "MSFT"])
    await looked_at("AAPL", "MSFT")

    await price_hub.unfollow(screen.client, ["AAPL"])
    async with asyncio.timeout(PATIENCE_S):
        while (found := await asyncio.to_thread(attention.looked_at)) != {"MSFT"}:
            if "AAPL" in found:  # told before, or on its way to be told
                client().delete(attention.LOOKED_KEY)
            await asyncio.sleep(0.01)
