"""Who comes back with positions gets what it missed, or is told that it cannot be said; and nothing is ever a hole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from channels.layers import get_channel_layer

from core import live
from core.database import in_thread
from core.redis import async_client, client, close_async_client
from marketdata.cache import LATEST_KEY, encode
from marketdata.symbols import group_name
from subscriptions import hub as hub_module
from subscriptions import states as states_module
from subscriptions.feeds import State
from subscriptions.hub import hub
from subscriptions.states import KEPT
from tests.factories import make_ticker
from tests.subscriptions.conftest import Feed, Screen
from tests.subscriptions.sockets import PATIENCE_S, Socket

pytestmark = [pytest.mark.django_db(transaction=True)]
SYMBOLS = ["AAPL", "MSFT"]


@pytest.fixture(autouse=True)
async def demo(quick, settings) -> AsyncIterator[None]:
    settings.DEMO_SYMBOLS = SYMBOLS
    client().flushall()
    for symbol in SYMBOLS:
        await in_thread(make_ticker, symbol)
    yield
    await hub().close()
    await get_channel_layer().flush()
    await close_async_client()


@pytest.fixture
async def watcher() -> AsyncIterator[Socket]:
    """Somebody who stays, so that this process remembers."""
    async with Socket() as socket:
        await socket.ask({"type": "subscribe", "symbols": SYMBOLS})
        yield socket


async def heard(symbol: str, position: tuple[int, int]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while hub().states.position(symbol) < position:
            await asyncio.sleep(0.01)


async def publish(feed: Feed, symbol: str, times: int) -> None:
    """Each of them is heard: the numbers have no hole."""
    for _ in range(times):
        number = feed.numbers.get(symbol, 0) + 1
        await feed.publish(**{symbol: f"{number}.00"})
    await heard(symbol, (feed.epoch, feed.numbers[symbol]))


async def joined(*symbols: str) -> None:
    names = [f"asgi__group__{group_name(symbol)}" for symbol in symbols]
    async with asyncio.timeout(PATIENCE_S):
        while not all(count for _, count in await async_client().pubsub_numsub(*names)):
            await asyncio.sleep(0.01)


async def comes_back(resume: Any, symbols: list[str] | None = None) -> dict[str, Any]:
    async with Socket() as socket:
        message = {"type": "subscribe", "symbols": symbols or ["AAPL"], "resume": resume}
        return await socket.ask(json.dumps(message))  # which knows numbers of any length


def told(answer: dict[str, Any]) -> tuple[bool, list[str], list[int], dict[str, int]]:
    quotes = {quote["symbol"]: quote["n"] for quote in answer["quotes"]}
    return answer["recovered"], answer["gaps"], [one["n"] for one in answer["missed"]], quotes


async def test_nobody_who_comes_for_the_first_time_recovers_anything(feed, watcher):
    await joined(*SYMBOLS)
    await publish(feed, "AAPL", 3)
    async with Socket() as socket:
        answer = await socket.ask({"type": "subscribe", "symbols": ["AAPL"]})
    assert told(answer) == (False, [], [], {"AAPL": 3})


async def test_who_missed_nothing_one_or_many_gets_them_in_order_and_the_newest_as_its_snapshot(
    feed, watcher
):
    await joined(*SYMBOLS)
    await publish(feed, "AAPL", 8)
    assert told(await comes_back({"AAPL": [1, 8]})) == (True, [], [], {"AAPL": 8})
    assert told(await comes_back({"AAPL": [1, 7]})) == (True, [], [], {"AAPL": 8})
    answer = await comes_back({"AAPL": [1, 2]})
    assert told(answer) == (True, [], [3, 4, 5, 6, 7], {"AAPL": 8})
    assert [(one["s"], one["e"], one["p"]) for one in answer["missed"]] == [
        ("AAPL", 1, f"{number}.00") for number in range(3, 8)
    ]
    assert told(await comes_back({"aapl": [1, 6]}, ["aapl"])) == (True, [], [7], {"AAPL": 8})


async def test_a_ticker_without_a_position_is_new_and_no_gap(feed, watcher):
    await joined(*SYMBOLS)
    await publish(feed, "AAPL", 2)
    await publish(feed, "MSFT", 5)
    answer = await comes_back({"AAPL": [1, 1]}, SYMBOLS)
    assert told(answer) == (True, [], [], {"AAPL": 2, "MSFT": 5})


async def test_each_ticker_is_recovered_by_itself_and_the_gaps_are_named(feed, watcher):
    await joined(*SYMBOLS)
    await publish(feed, "AAPL", 4)
    await publish(feed, "MSFT", 4)
    answer = await comes_back({"MSFT": [1, 9], "AAPL": [1, 1], "NVDA": [1, 1]}, SYMBOLS)
    assert told(answer) == (False, ["MSFT"], [2, 3], {"AAPL": 4, "MSFT": 4})


async def test_what_was_never_heard_is_a_gap(feed, watcher):
    await joined(*SYMBOLS)
    await publish(feed, "AAPL", 2)
    feed.quote("AAPL", "3.00")  # numbered, and lost on the way
    await publish(feed, "AAPL", 1)
    assert told(await comes_back({"AAPL": [1, 1]})) == (False, ["AAPL"], [], {"AAPL": 4})
    assert told(await comes_back({"AAPL": [1, 3]})) == (True, [], [], {"AAPL": 4})


async def test_who_was_away_for_too_long_is_told_so(feed, watcher):
    await joined(*SYMBOLS)
    for number in range(1, KEPT + 6):
        hub()._take(State("AAPL", (1, number), f'{{"s":"AAPL","e":1,"n":{number}}}'))
    client().hset(LATEST_KEY, "AAPL", encode(Feed().quote("AAPL", "1")))  # Redis is behind: no matter
    assert told(await comes_back({"AAPL": [1, 4]}))[:3] == (False, ["AAPL"], [])
    recovered, gaps, missed, _ = told(await comes_back({"AAPL": [1, 5]}))
    assert (recovered, gaps, missed) == (True, [], list(range(6, KEPT + 5)))


async def test_another_epoch_and_the_future_are_gaps(feed, watcher):
    await joined(*SYMBOLS)
    await publish(feed, "AAPL", 3)
    feed.epoch = 2
    await publish(feed, "AAPL", 1)
    for position in ([1, 3], [1, 2], [2, 5], [3, 1], [2**53 - 1, 1]):
        assert told(await comes_back({"AAPL": position})) == (False, ["AAPL"], [], {"AAPL": 4})


@pytest.mark.parametrize(
    "position",
    [
        None, True, 7, "1,3", [], [1], [1, 3, 1], [1, "3"], [1, 3.0], [1, None], [True, 3], [1, True], [-1, 3], [1, -3],
        [0, 0], [1, 2**53], [1, 2**64], [2**200, 1], [[1], [3]], {"e": 1, "n": 3}, {}, [1e308, 1], "x" * 9_000,
    ],
)  # fmt: skip
async def test_what_is_no_position_is_a_gap_and_never_a_mistake(feed, watcher, position):
    await joined(*SYMBOLS)
    await publish(feed, "AAPL", 3)
    assert told(await comes_back({"AAPL": position})) == (False, ["AAPL"], [], {"AAPL": 3})


@pytest.mark.parametrize(
    "resume", [None, 7, "x", [], [["AAPL", [1, 1]]], True, {}, {"": [1, 1]}, {"\u0410": [1, 1]}]
)
async def test_what_is_no_resume_recovers_nothing(feed, watcher, resume):
    await joined(*SYMBOLS)
    await publish(feed, "AAPL", 3)
    assert told(await comes_back(resume)) == (False, [], [], {"AAPL": 3})


async def test_positions_beyond_the_hundredth_are_read_too(feed, watcher):
    await joined(*SYMBOLS)
    await publish(feed, "AAPL", 3)
    resume = {**{f"X{number}": [1, 1] for number in range(500)}, "AAPL": [1, 9]}
    assert told(await comes_back(resume)) == (False, ["AAPL"], [], {"AAPL": 3})


async def test_subscribing_again_repeats_nothing_but_the_snapshot(feed, watcher):
    await joined(*SYMBOLS)
    await publish(feed, "AAPL", 1)
    async with Socket() as socket:
        for _ in range(3):
            await socket.ask({"type": "subscribe", "symbols": ["AAPL"]})
        hub()._take(State("AAPL", (1, 2), '{"s":"AAPL","e":1,"n":2}'))
        assert [one["n"] for one in (await socket.next("quotes"))["q"]] == [2]
        await publish_last(feed, socket)


async def publish_last(feed: Feed, socket: Socket) -> None:
    """Nothing came between."""
    hub()._take(State("AAPL", (9, 9), '{"s":"AAPL","e":9,"n":9}'))
    assert [one["n"] for one in (await socket.next("quotes"))["q"]] == [9]


# --- between the snapshot and the first frame


class Listener:
    """One connection of somebody who comes and goes; every position that it is shown, in order."""

    def __init__(self) -> None:
        self.at: dict[str, list[int]] = {}
        self.seen: dict[str, set[int]] = {symbol: set() for symbol in SYMBOLS}
        self.recovered: list[bool] = []

    def shown(self, symbol: str, epoch: int, number: int, *, again: bool = False) -> None:
        last = self.at.get(symbol, [0, 0])
        assert [epoch, number] > last or (again and [epoch, number] == last)
        self.at[symbol] = [epoch, number]
        self.seen[symbol].add(number)

    async def visit(self, frames: int) -> None:
        """Comes, takes that many frames, and goes."""
        async with Socket() as socket:
            await socket.say({"type": "subscribe", "symbols": SYMBOLS, "resume": self.at})
            answer = await socket.next("subscribed", "error")
            if self.at:
                self.recovered.append(answer["recovered"])
            for one in answer["missed"]:
                self.shown(one["s"], one["e"], one["n"])
            for quote in answer["quotes"]:
                self.shown(quote["symbol"], quote["e"], quote["n"], again=True)
            for _ in range(frames):
                for one in (await socket.next("quotes"))["q"]:
                    self.shown(one["s"], one["e"], one["n"])


async def never_stops(feed: Feed, done: asyncio.Event) -> None:
    while not done.is_set():
        await feed.publish(**dict.fromkeys(SYMBOLS, "1.00"))
        await asyncio.sleep(0.003)


async def test_while_the_tape_never_stops_nothing_is_lost_repeated_or_out_of_order(
    feed, watcher, monkeypatch
):
    """With the real Redis: of each that was recovered, every number is there between the first and the last."""
    monkeypatch.setattr(states_module, "KEPT", 100_000)  # a busy machine takes its time between two visits
    await joined(*SYMBOLS)
    done = asyncio.Event()
    tape = asyncio.create_task(never_stops(feed, done))
    await heard("AAPL", (1, 5))
    listeners = [Listener() for _ in range(4)]

    async def comes_and_goes(listener: Listener, frames: int) -> None:
        for _ in range(12):
            await listener.visit(frames)

    await asyncio.gather(*(comes_and_goes(one, number) for number, one in enumerate(listeners)))
    done.set()
    await tape

    assert [one.recovered for one in listeners] == [[True] * 11] * 4
    await heard("MSFT", (1, feed.numbers["MSFT"]))
    for listener in listeners:
        await listener.visit(0)
        assert listener.at == {symbol: [1, feed.numbers[symbol]] for symbol in SYMBOLS}
    # Who took no frames was shown missed ones and snapshots only: all there is.
    for symbol, seen in listeners[0].seen.items():
        assert seen == set(range(min(seen), feed.numbers[symbol] + 1))


async def test_what_is_heard_while_the_snapshot_is_read_comes_after_it(feed, watcher, monkeypatch):
    await joined(*SYMBOLS)
    await publish(feed, "AAPL", 1)
    read = hub_module.read_latest

    async def slow_read(symbols):
        if symbols != ["AAPL"]:  # the hub itself, which reads now and again for the watcher
            return await read(symbols)
        monkeypatch.setattr(hub_module, "read_latest", read)
        look = await read(symbols)
        await publish(feed, "AAPL", 2)
        return look

    monkeypatch.setattr(hub_module, "read_latest", slow_read)
    async with Socket() as socket:
        await socket.say({"type": "subscribe", "symbols": ["AAPL"], "resume": {"AAPL": [1, 0]}})
        answer = await socket.next("subscribed")
        numbers = [quote["n"] for quote in answer["quotes"]]
        while numbers[-1:] != [3]:
            numbers += [one["n"] for one in (await socket.next("quotes"))["q"]]
        assert numbers == sorted(set(numbers))


# --- the hub itself


async def test_who_was_ended_before_it_followed_follows_nothing():
    one = Screen().client
    await hub().add(one)
    await hub().remove(one)
    assert await hub().follow(one, SYMBOLS) == {}
    assert (hub()._followers, one.asked) == ({}, set())


async def listening() -> set[str]:
    """The channels of this process: one for prices, one for people."""
    async with asyncio.timeout(PATIENCE_S):
        while not hub().people._receiver._channel:
            await asyncio.sleep(0.01)
    return {hub()._receiver._channel, hub().people._receiver._channel}


async def test_what_cannot_be_read_leaves_no_queue_behind_and_no_message_is_lost_with_it(
    feed, watcher, caplog
):
    await joined(*SYMBOLS)
    for _ in range(5):
        await live.publish(group_name("AAPL"), {"type": live.QUOTE_TICKED, "of": "another version"})
        await live.publish(group_name("AAPL"), {"no": "type"})
    await publish(feed, "AAPL", 3)
    assert hub().states.since("AAPL", (1, 1)) is not None
    assert await listening() == set(get_channel_layer()._get_layer().channels)
    assert caplog.text.count("failed") == 1


async def test_a_receiver_that_is_opened_again_leaves_no_queue_behind(feed, watcher, monkeypatch):
    monkeypatch.setattr("subscriptions.upkeep.FAILED_PAUSE_S", 0.01)
    await joined(*SYMBOLS)
    for _ in range(3):
        before = hub()._receiver
        get_channel_layer()._get_layer().channels[before._channel].put_nowait(b"\xc1 is no message")
        async with asyncio.timeout(PATIENCE_S):
            while hub()._receiver is before or not hub()._receiver._channel or set(SYMBOLS) - hub()._joined:
                await asyncio.sleep(0.01)
    layer = get_channel_layer()._get_layer()
    assert await listening() == set(layer.channels)
    assert {name for members in layer.groups.values() for name in members} == {hub()._receiver._channel}
    await publish(feed, "AAPL", 1)


async def test_one_text_in_redis_that_cannot_be_read_hides_no_other(feed, watcher):
    await joined(*SYMBOLS)
    client().hset(LATEST_KEY, "AAPL", b'{"not": "a quote"}')
    client().hset(LATEST_KEY, "MSFT", encode(feed.quote("MSFT", "5.00")))
    async with Socket() as socket:
        answer = await socket.ask({"type": "subscribe", "symbols": SYMBOLS})
    assert told(answer) == (False, [], [], {"MSFT": 1})
    await heard("MSFT", (1, 1))


async def test_many_who_follow_the_same_join_it_once(monkeypatch):
    joins = []

    async def join(self, group):
        joins.append(group)
        await asyncio.sleep(0)

    screens = [Screen() for _ in range(200)]
    for screen in screens:
        await hub().add(screen.client)
    async with asyncio.timeout(PATIENCE_S):
        while not hub()._receiver._channel:
            await asyncio.sleep(0.01)
    monkeypatch.setattr(live.Receiver, "join", join)
    names = [f"S{number}" for number in range(50)]
    await asyncio.gather(*(hub().follow(screen.client, names) for screen in screens))
    assert sorted(joins) == sorted(map(group_name, names))


async def test_many_who_ask_for_what_redis_does_not_know_cost_the_database_one_question(monkeypatch):
    asked = []

    def stored(symbols):
        asked.append(sorted(symbols))
        return {}

    monkeypatch.setattr(hub_module, "stored_quotes", stored)
    screens = [Screen() for _ in range(200)]
    for screen in screens:
        await hub().add(screen.client)
    await asyncio.gather(*(hub().follow(screen.client, SYMBOLS) for screen in screens))
    assert asked == [SYMBOLS]


def test_the_answer_is_one_json_object_whatever_was_missed():
    from subscriptions.consumers import subscribed  # noqa: PLC0415 -- the others speak through a socket
    from subscriptions.states import Recovery  # noqa: PLC0415

    states = [State("A", (1, number), f'{{"s":"A","n":{number}}}') for number in (1, 2)]
    for missed in ([], states[:1], states):
        text = subscribed('"}', ["A"], [], Recovery(missed, ["A"]), resumed=True)
        answer = orjson.loads(text)
        assert (answer["id"], answer["gaps"], answer["missed"]) == (
            '"}',
            ["A"],
            [one.fields for one in missed],
        )
