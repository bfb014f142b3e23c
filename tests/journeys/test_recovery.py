"""Old state and events make the fresh state: on WebSocket, Server-Sent Events and polling, whatever happens between.

Nobody is ever shown an older price after a newer one, nobody is told that nothing is missing while something is, and
when the weather calms down all have what a fresh reader gets.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random

import pytest
from channels.layers import get_channel_layer
from django.test import Client as Browser
from redis.exceptions import RedisError

from core import clock, live
from core.database import in_thread
from core.redis import async_client, client, close_async_client
from marketdata import attention, cache
from marketdata.models import Ticker
from marketdata.providers import registry
from marketdata.symbols import group_name
from marketdata.tape.publish import update_of
from subscriptions import watchlist
from subscriptions.hub import hub
from tests.factories import make_quote, make_ticker, make_user
from tests.journeys.recovering import (
    PATIENCE_S,
    EventsPerson,
    PollingPerson,
    SocketPerson,
    SocketReader,
    Weather,
)
from tests.outages import Gate, redis_at, redis_server
from tests.providers import Scripted
from tests.subscriptions.conftest import quick  # noqa: F401 -- a fixture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]

SYMBOLS = ["AAPL", "BRK.B", "^GSPC"]
TWO_DAYS = timedelta(days=2)


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
async def people(cookie):
    """All three and the tape; those who still listen go home at the end."""
    tape = Weather()
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
    async with asyncio.timeout(PATIENCE_S):
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


# --- one kind of weather at a time


async def test_twenty_cut_connections_to_redis_leave_nobody_behind(people):
    tape, by_socket, by_events, _ = people
    await tape.says(*SYMBOLS)
    await by_socket.come()
    await by_events.come()

    for number in range(20):
        client().client_kill_filter(_type="pubsub" if number % 2 else "normal", skipme=True)
        await tape.says(*SYMBOLS)

    await all_agree(*people)


async def test_a_redis_that_comes_back_empty_leaves_nobody_behind(cookie, settings):
    real = settings.REDIS_URL
    with Gate(real) as gate, redis_at(gate.url):
        await close_async_client()
        tape = Weather()
        by_socket = SocketPerson("socket", tape, SYMBOLS, cookie)
        by_events = EventsPerson("events", tape, SYMBOLS, cookie)
        by_polling = PollingPerson("polling", tape, SYMBOLS, cookie)
        await tape.says(*SYMBOLS)
        await by_socket.come()
        await by_events.come()

        gate.close()
        redis_server(real).flushall()
        for one in (by_socket, by_events):  # who comes just then is told that it cannot be said
            await one.come_back()
            assert one.recovered[-1] is True  # nothing was said since, and this process knows it
        gate.open()
        await tape.says(*SYMBOLS)

        await all_agree(tape, by_socket, by_events, by_polling)
        for one in (by_socket, by_events):
            await one.go()
        await hub().close()
        await get_channel_layer().flush()
        await close_async_client()


async def test_while_redis_says_nothing_people_come_and_go_with_what_this_process_knows(people, settings):
    tape, by_socket, by_events, by_polling = people
    await tape.says(*SYMBOLS)
    await by_socket.come()
    await by_events.come()
    await by_polling.asks()

    redis_server(settings.REDIS_URL).client_pause(12_000)  # several times as long as anybody waits for it
    for _ in range(3):
        await by_socket.come_back()
        await by_events.come_back()
        await by_polling.asks()
    assert (by_socket.recovered[1:], by_events.recovered[1:]) == ([True] * 3, [True] * 3)

    await asyncio.to_thread(redis_server(settings.REDIS_URL).ping)  # until it speaks again
    async with asyncio.timeout(PATIENCE_S):
        while not await _speaks():
            await asyncio.sleep(0.05)
    await tape.says(*SYMBOLS)
    await all_agree(*people)


async def _speaks() -> bool:
    """Whether this process asks Redis again."""
    try:
        return bool(await async_client().ping())
    except RedisError:
        return False


@pytest.mark.parametrize("seed", range(3))
async def test_a_tenth_of_all_messages_is_lost_and_nobody_misses_the_end(people, monkeypatch, seed):
    tape, by_socket, by_events, by_polling = people
    random, receive, lost = Random(seed), live.Receiver.receive, []

    async def lossy(self):
        while True:
            event = await receive(self)
            if random.random() >= 0.1:
                return event
            lost.append(event)

    monkeypatch.setattr(live.Receiver, "receive", lossy)
    await by_socket.come()
    await by_events.come()
    for _ in range(100):
        await tape.says(*SYMBOLS)
        await by_polling.asks()
        await random.choice([by_socket, by_events]).come_back()

    await all_agree(*people)
    assert lost


async def test_what_the_former_owner_of_the_tape_says_late_is_shown_to_nobody(people):
    tape, by_socket, by_events, _ = people
    for _ in range(5):
        await tape.says("AAPL")
    await by_socket.come()
    await by_events.come()
    late = [update_of(tape.quote("AAPL", "1.00")).event for _ in range(3)]
    for position in [(1, 6), (1, 7), (1, 8)]:
        tape.published["AAPL"].pop(position)  # stored by nobody, so it never was

    await tape.changes_its_owner("AAPL")
    for event in late:
        await live.publish(group_name("AAPL"), event)
    await tape.says("AAPL")
    for one in (by_socket, by_events):
        await one.until(lambda one=one: one.shown["AAPL"][0] == (2, 2))
        await one.come_back()

    await all_agree(*people)


async def test_a_new_owner_is_a_gap_and_is_told_as_one(people):
    tape, by_socket, by_events, _ = people
    await tape.says(*SYMBOLS)
    for one in (by_socket, by_events):
        await one.come()
        await one.go()
    await tape.changes_its_owner(*SYMBOLS)
    for one in (by_socket, by_events):
        await one.come()

    assert (by_socket.recovered, by_events.recovered) == ([False, False], [False, False])
    await all_agree(*people)


# --- for a long time


async def test_a_connection_that_is_older_than_a_day_still_hears(people, monkeypatch):
    tape, by_socket, by_events, _ = people
    await tape.says(*SYMBOLS)
    await by_socket.come()
    await by_events.come()

    now, now_us, monotonic = clock.now, clock.now_us, clock.monotonic
    monkeypatch.setattr(clock, "now", lambda: now() + TWO_DAYS)
    monkeypatch.setattr(clock, "now_us", lambda: now_us() + TWO_DAYS // timedelta(microseconds=1))
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + TWO_DAYS.total_seconds())
    for key in client().scan_iter():  # what Redis would have forgotten by then
        if client().ttl(key) >= 0:
            client().delete(key)
    await tape.says(*SYMBOLS)

    await all_agree(*people)


# --- what a client may say of where it was


@pytest.mark.parametrize(
    "resume",
    [
        None,
        [],
        "AAPL",
        7,
        {},
        {"": [1, 1]},
        {"AAPL": None},
        {"AAPL": []},
        {"AAPL": [1]},
        {"AAPL": [1, 1, 1]},
        {"AAPL": "11"},
        {"AAPL": ["1", "1"]},
        {"AAPL": [1.0, 1.0]},
        {"AAPL": [True, True]},
        {"AAPL": [None, None]},
        {"AAPL": [[1], [1]]},
        {"AAPL": [-1, -1]},
        {"AAPL": [0, 0]},
        {"AAPL": [1, 99]},
        {"AAPL": [1, -99]},
        {"AAPL": [2, 1]},
        {"AAPL": [0, 3]},
        {"AAPL": [2**62, 2**62]},
        {"А": [1, 1], "\u202e": [1, 1], "A" * 100: [1, 1]},
    ],
    ids=str,
)
async def test_any_other_position_costs_a_snapshot_and_no_error(people, cookie, resume):
    tape, *_ = people
    for _ in range(3):
        await tape.says("AAPL")
    socket = SocketReader(cookie)

    await socket.say({"type": "subscribe", "id": 1, "symbols": ["AAPL"], "resume": resume})

    answer = await socket.answer()
    assert (answer["type"], answer["recovered"], answer["missed"]) == ("subscribed", False, [])
    assert [(quote["e"], quote["n"]) for quote in answer["quotes"]] == [(1, 3)]
    await socket.disconnect()


@pytest.mark.parametrize(
    "resume", [{"MSFT": [1, 3]}, {f"A{number}": [1, 1] for number in range(900)}], ids=len
)
async def test_positions_of_tickers_that_are_not_asked_for_change_nothing(people, cookie, resume):
    tape, *_ = people
    for _ in range(3):
        await tape.says("AAPL")
    socket = SocketReader(cookie)

    await socket.say({"type": "subscribe", "id": 1, "symbols": ["AAPL"], "resume": resume})

    answer = await socket.answer()
    assert (answer["type"], answer["gaps"], answer["missed"]) == ("subscribed", [], [])
    assert [(quote["e"], quote["n"]) for quote in answer["quotes"]] == [(1, 3)]
    await socket.disconnect()


# --- what only the database remembers


async def test_nobody_is_shown_an_older_price_from_the_database_when_redis_has_lost_the_newer(people):
    tape, by_socket, by_events, _ = people
    await tape.says(*SYMBOLS)
    await in_thread(_store, tape.latest())
    for _ in range(3):
        await tape.says(*SYMBOLS)
    other = SocketPerson("other", tape, SYMBOLS, by_socket._headers)
    for one in (other, by_socket, by_events):
        await one.come()
        await one.until(lambda one=one: one.shown == tape.latest())

    client().flushall()
    cache.forget_memory()
    for one in (by_socket, by_events):
        await one.come_back()

    assert (by_socket.faults, by_events.faults) == ([], [])
    await other.go()


def _store(latest) -> None:
    now = clock.now()
    for symbol, ((epoch, number), price) in latest.items():
        make_quote(
            Ticker.objects.get(symbol=symbol), price, as_of=now, received_at=now, epoch=epoch, seq=number
        )
