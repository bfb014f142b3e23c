"""Limits and rights over the real socket `/ws/v1/stream`: what is counted, what is taken back, and what it costs."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.test import Client as Browser
from django.utils import timezone

from accounts.credentials import Login
from accounts.models import ApiKey, User
from accounts.tickets import issue
from accounts.tiers import LIMITS, Tier
from core import clock
from core.database import in_thread
from core.redis import async_client, client, close_async_client
from marketdata.models import Ticker
from subscriptions import pace, renewal, upkeep, watchlist
from subscriptions.cadence import Mode
from subscriptions.client import Client
from subscriptions.connections import key_of
from subscriptions.feeds import State
from subscriptions.hub import hub
from subscriptions.pace import GIVE_UP_S, SLOW_S
from tests.accounts.keys import make_api_key
from tests.factories import make_ticker, make_user
from tests.subscriptions.sockets import PATIENCE_S, Socket

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
async def fresh_hub(quick) -> AsyncIterator[None]:
    client().flushall()
    yield
    await hub().close()
    await close_async_client()


async def by_ticket(user: User) -> Socket:
    ticket = await in_thread(issue, Login(user.pk, user.tier))
    return Socket(path=f"/ws/v1/stream?ticket={ticket}", headers=[])


def update(symbol: str, number: int) -> State:
    return State(symbol, (1, number), f'{{"s":"{symbol}","e":1,"n":{number}}}')


# --- connections


async def test_of_fifty_who_connect_at_once_exactly_the_limit_stays_and_the_others_are_told():
    user = await in_thread(make_user)
    sockets = [await by_ticket(user) for _ in range(50)]
    assert await asyncio.gather(*(socket.connects() for socket in sockets)) == [True] * 50

    first = await asyncio.gather(*(socket.next("heartbeat", "error") for socket in sockets))

    assert Counter(one.get("code") for one in first) == {None: 10, "connection_limit": 40}
    refused = [socket for socket, one in zip(sockets, first, strict=True) if one["type"] == "error"]
    assert await asyncio.gather(*(socket.closed() for socket in refused)) == [4003] * 40
    assert (len(hub().clients), client().scard(key_of(user.pk))) == (10, 10)
    for socket in sockets:
        await socket.goes()
    assert (hub().clients, client().exists(key_of(user.pk))) == (set(), 0)


async def test_visitors_are_limited_together_and_make_room_when_they_go(settings):
    settings.VISITOR_CONNECTIONS = 2
    async with Socket(), Socket(), Socket(await in_thread(make_user)):
        too_many = Socket()
        await too_many.connects()
        assert (await too_many.next("error"))["code"] == "connection_limit"
        assert await too_many.closed() == 4003
    async with Socket(), Socket():
        assert hub().visitors == 2


async def test_who_needs_a_place_waits_for_nobody_elses_lock():
    busy, other = await in_thread(make_user), await in_thread(make_user)
    tickers = [await in_thread(make_ticker) for _ in range(2)]
    locked, done = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hold() -> bool:
        with transaction.atomic():
            User.objects.select_for_update().get(pk=busy.pk)
            loop.call_soon_threadsafe(locked.set)
            return done.wait(20)

    async with Socket(busy) as waits, Socket(other) as goes_on:
        holding = asyncio.create_task(in_thread(hold))
        try:
            await locked.wait()
            await waits.say({"type": "subscribe", "symbols": [tickers[0].symbol]})
            answer = await goes_on.ask({"type": "subscribe", "symbols": [tickers[1].symbol]})
        finally:
            done.set()
            was_asked_to = await holding
        assert (answer["symbols"], was_asked_to) == ([tickers[1].symbol], True)
        assert (await waits.next())["symbols"] == [tickers[0].symbol]


async def test_each_tier_has_its_own_number_and_a_visitor_has_none():
    for tier, limit in (("free", 10), ("pro", 20), ("expert", 50)):
        user = await in_thread(make_user, tier=tier)
        sockets = [await by_ticket(user) for _ in range(limit + 1)]
        await asyncio.gather(*(socket.connects() for socket in sockets))
        first = await asyncio.gather(*(socket.next("heartbeat", "error") for socket in sockets))
        assert [one["type"] for one in first].count("error") == 1
        for socket in sockets:
            await socket.goes()
    sockets = [Socket() for _ in range(60)]
    assert await asyncio.gather(*(socket.connects() for socket in sockets)) == [True] * 60
    assert await asyncio.gather(*(by_itself(socket) for socket in sockets)) == ["heartbeat"] * 60
    for socket in sockets:
        await socket.goes()


async def by_itself(socket: Socket) -> str:
    return (await socket.next("heartbeat", "error"))["type"]


# --- cadence


async def ask_cadence(socket: Socket, mode: Any, **fields: Any) -> dict[str, Any]:
    await socket.say({"type": "cadence", "mode": mode, **fields})
    return await socket.next("cadence", "error")


async def test_a_cadence_is_answered_with_what_it_is_now_and_why():
    user = await in_thread(make_user, tier="pro")
    async with Socket(user) as socket:
        for mode, reason in (
            ("5s", "chosen"), ("5s", "chosen"), ("paused", "hidden"), ("1s", "save_data"), ("30s", "reduced_motion"),
        ):  # fmt: skip
            answer = await ask_cadence(socket, mode, reason=reason)
            assert answer == {"type": "cadence", "mode": mode, "reason": reason}
        assert await ask_cadence(socket, "live") == {"type": "cadence", "mode": "live", "reason": "chosen"}


async def test_a_free_account_is_told_that_its_tier_sets_the_pace():
    user, ticker = await in_thread(make_user), await in_thread(make_ticker)
    async with Socket(user) as socket:
        await socket.ask({"type": "subscribe", "symbols": [ticker.symbol]})
        assert await socket.next("cadence") == {"type": "cadence", "mode": "1s", "reason": "tier"}
        assert await ask_cadence(socket, "live") == {"type": "cadence", "mode": "1s", "reason": "tier"}
        assert await ask_cadence(socket, "1s") == {"type": "cadence", "mode": "1s", "reason": "chosen"}
        assert (await ask_cadence(socket, "30s"))["mode"] == "30s"


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": "2s"}, {"mode": "LIVE"}, {"mode": ""}, {"mode": None}, {"mode": 1}, {"mode": []}, {"mode": {}}, {},
        {"mode": "live", "reason": "tier"}, {"mode": "live", "reason": "slow_client"}, {"mode": "live", "reason": None},
        {"mode": "live", "reason": []}, {"mode": "live", "reason": {}}, {"mode": "live", "reason": 1},
        {"mode": "live", "reason": "x" * 9_000},
    ],
)  # fmt: skip
async def test_another_cadence_is_refused_and_nothing_changes(fields):
    async with Socket(await in_thread(make_user, tier="pro")) as socket:
        await ask_cadence(socket, "5s")
        await socket.say({"type": "cadence", "id": "x", **fields})
        error = await socket.next("error")
        assert (error["code"], error["id"]) == ("bad_message", "x")
        (one,) = hub().clients
        assert one.cadence.effective == ("5s", "chosen")


async def test_paused_gets_nothing_and_on_resume_the_newest_at_once():
    user, ticker = await in_thread(make_user, tier="pro"), await in_thread(make_ticker, "AAPL")
    async with Socket(user) as socket, Socket(user) as other:
        for one in (socket, other):
            await one.ask({"type": "subscribe", "symbols": [ticker.symbol]})
        await ask_cadence(socket, "paused")
        for number in (1, 2, 3):
            hub()._take(update("AAPL", number))
            while (await other.next("quotes"))["q"][0]["n"] != number:
                pass
        await ask_cadence(socket, "live")
        assert (await socket.next("quotes", "error"))["q"] == [{"s": "AAPL", "e": 1, "n": 3}]


async def test_a_tier_that_changes_while_connected_changes_the_pace_and_says_so(monkeypatch):
    monkeypatch.setattr(renewal, "RENEW_EVERY_S", 0.05)
    user = await in_thread(make_user, tier="pro")
    async with Socket(user) as socket:
        await in_thread(User.objects.update, tier="free")
        assert await socket.next("cadence") == {"type": "cadence", "mode": "1s", "reason": "tier"}
        await in_thread(User.objects.update, tier="expert")
        assert await socket.next("cadence") == {"type": "cadence", "mode": "live", "reason": "chosen"}


# --- whether it keeps up


@pytest.fixture
def hours(monkeypatch) -> list[float]:
    """The hub's clock can be put forward: `hours[0] += …` seconds."""
    ahead = [0.0]
    real = clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: real() + ahead[0])
    monkeypatch.setattr(upkeep, "MIND_EVERY_S", 0.05)
    monkeypatch.setattr(upkeep, "LATE_S", 3600)
    monkeypatch.setattr(upkeep, "HEARTBEAT_EVERY_S", 0.25)
    monkeypatch.setattr(upkeep, "ASK_EVERY_S", 0.5)  # within the allowance of messages
    return ahead


async def question(socket: Socket) -> int:
    while "ack" not in (heartbeat := await socket.next("heartbeat")):
        pass
    return heartbeat["t"]


async def answers(socket: Socket, mode: str = "") -> dict[str, Any] | None:
    """Each question as it comes, until one has counted, or until the cadence is this one."""
    while True:
        message = await socket.next("heartbeat", "cadence")
        (one,) = hub().clients
        if "ack" in message:
            await socket.say({"type": "ack", "t": message["t"]})
        elif message.get("mode") == mode:
            return message
        if not mode and one.pace.answers:
            return None


async def owing() -> Client:
    """When the only client owes an answer."""
    (one,) = hub().clients
    async with asyncio.timeout(PATIENCE_S):
        while not one.pace.owes_for(clock.monotonic()):
            await asyncio.sleep(0)
    return one


async def test_who_answered_once_and_then_stops_is_closed_as_too_slow(hours):
    async with Socket(await in_thread(make_user, tier="pro")) as socket:
        await answers(socket)
        await owing()
        hours[0] += GIVE_UP_S + 1
        error = await socket.next("error")
        assert (error["code"], await socket.closed()) == ("too_slow", 4008)
        assert hub().clients == set()


@pytest.mark.parametrize(
    ("sleeps_s", "ended"), [(upkeep.MIND_EVERY_S, True), (upkeep.MIND_EVERY_S + 60, False)]
)
async def test_nobody_is_closed_for_answers_that_a_process_which_stood_still_has_not_read(
    screen, monkeypatch, sleeps_s, ended
):
    now = [1000.0]
    await hub().add(screen.client)
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    screen.client.pace.asked(now[0], 1)
    screen.client.pace.answered(1, now[0])
    screen.client.pace.asked(now[0] - GIVE_UP_S, 2)

    async def sleep(_seconds: float) -> None:
        now[0] += sleeps_s

    with monkeypatch.context() as patch:
        patch.setattr(upkeep.asyncio, "sleep", sleep)
        await upkeep._Chores(hub()).mind()

    assert screen.client.ended is ended


async def test_who_never_answers_is_not_closed(hours):
    async with Socket(await in_thread(make_user, tier="pro")) as socket:
        for _ in range(3):
            await question(socket)
            hours[0] += 60
        assert len(hub().clients) == 1
        assert (await ask_cadence(socket, "live"))["mode"] == "live"


async def test_a_slow_answer_makes_it_slower_and_two_quick_ones_faster_again(hours, monkeypatch):
    monkeypatch.setattr(pace, "GIVE_UP_S", 3600.0)  # nobody is closed where this machine itself is slow
    async with Socket(await in_thread(make_user, tier="pro")) as socket:
        await answers(socket)
        one = await owing()
        hours[0] += SLOW_S + 0.5
        await socket.say({"type": "ack", "t": one.pace._asked_ms})
        assert await socket.next("cadence") == {"type": "cadence", "mode": "1s", "reason": "slow_client"}
        assert await answers(socket, "live") == {"type": "cadence", "mode": "live", "reason": "chosen"}


async def test_an_answer_to_what_was_never_asked_counts_for_nothing():
    async with Socket(await in_thread(make_user)) as socket:
        for told in (0, 1, 2**53, -1, True):
            await socket.say({"type": "ack", "t": told})
        for told in (None, "1", 1.5, [], {}):
            error = await socket.ask({"type": "ack", "t": told})
            assert error["code"] == "bad_message"
        (one,) = hub().clients
        assert not one.pace.answers


# --- rights that go


@pytest.fixture
def often(monkeypatch) -> None:
    monkeypatch.setattr(renewal, "RENEW_EVERY_S", 0.1)


def with_key(text: str) -> Socket:
    return Socket(headers=[(b"authorization", f"Api-Key {text}".encode())])


async def ended(socket: Socket) -> tuple[str, int]:
    return (await socket.next("error"))["code"], await socket.closed()


async def test_a_revoked_key_ends_its_connections_and_not_those_of_the_page(often):
    user = await in_thread(make_user)
    key, text = await in_thread(make_api_key, user)
    async with Socket(user) as page:
        program = with_key(text)
        assert await program.connects()
        await program.next("heartbeat")
        await in_thread(ApiKey.objects.filter(pk=key.pk).update, revoked_at=timezone.now())
        assert await ended(program) == ("session_ended", 4001)
        await page.next("heartbeat")
        assert len(hub().clients) == 1


async def test_a_new_password_ends_the_other_browsers_and_not_the_keys(often):
    user = await in_thread(make_user)
    _, text = await in_thread(make_api_key, user)
    browser = Browser()
    page = await Socket(user, browser=browser).__aenter__()
    async with with_key(text) as program:
        await program.next("heartbeat")
        user.set_password("another-horse-8")
        await in_thread(user.save)
        assert await ended(page) == ("session_ended", 4001)
        await program.next("heartbeat")
        assert len(hub().clients) == 1


async def test_who_is_switched_off_loses_all_connections(often):
    user = await in_thread(make_user)
    _, text = await in_thread(make_api_key, user)
    sockets = [Socket(user), with_key(text), await by_ticket(user)]
    for socket in sockets:
        assert await socket.connects()
        await socket.next("heartbeat")
    await in_thread(User.objects.update, is_active=False)
    assert [await ended(socket) for socket in sockets] == [("session_ended", 4001)] * 3
    for socket in sockets:
        await socket.goes()
    assert (hub().clients, client().exists(key_of(user.pk))) == (set(), 0)


async def test_a_smaller_plan_takes_back_what_it_has_no_room_for(often):
    user = await in_thread(make_user, tier="pro")
    tickers = [await in_thread(make_ticker) for _ in range(7)]
    for ticker in tickers:
        await in_thread(watchlist.watch, user, [ticker])
    symbols = [ticker.symbol for ticker in tickers]
    async with Socket(user) as socket:
        await socket.ask({"type": "subscribe", "symbols": symbols})
        await in_thread(User.objects.update, tier="free")
        await in_thread(watchlist.trim_all)
        error = await socket.next("error")
        assert (error["code"], error["symbols"]) == ("tier_limit", sorted(symbols[5:]))
        assert set(hub()._followers) == set(symbols[:5])


async def test_a_smaller_plan_closes_the_youngest_connections_beyond_its_number(often, monkeypatch):
    user = await in_thread(make_user, tier="pro")
    less = replace(LIMITS[Tier.FREE], max_connections=1)
    monkeypatch.setitem(LIMITS, Tier.FREE, less)
    async with Socket(user) as older:
        younger = await Socket(user).__aenter__()
        await in_thread(User.objects.update, tier="free")
        assert (await younger.next("error"))["code"] == "connection_limit"
        assert await younger.closed() == 4003
        await older.next("heartbeat")
        assert len(hub().clients) == 1


async def test_after_a_failure_rights_are_looked_at_again_at_once(monkeypatch):
    """Not another twenty seconds later: thirty is the promise."""
    monkeypatch.setattr(upkeep, "FAILED_PAUSE_S", 0.01)
    user, browser = await in_thread(make_user), Browser()
    logged_out = threading.Event()
    failed, loop = asyncio.Event(), asyncio.get_running_loop()
    review = renewal.review

    def fails_first(held):
        if held and not logged_out.is_set():
            # Whoever waits for the next turn waits until the test has given up.
            monkeypatch.setattr(renewal, "RENEW_EVERY_S", 3600)
            loop.call_soon_threadsafe(failed.set)
            raise ZeroDivisionError
        return review(held)

    monkeypatch.setattr(renewal, "RENEW_EVERY_S", 0.05)
    monkeypatch.setattr(renewal, "review", fails_first)
    async with Socket(user, browser=browser) as socket:
        await asyncio.wait_for(failed.wait(), PATIENCE_S)
        await in_thread(browser.logout)
        logged_out.set()
        assert await ended(socket) == ("session_ended", 4001)


# --- what it costs


@pytest.fixture
def queries(monkeypatch) -> list[str]:
    """All that any thread asks the database."""
    seen: list[str] = []
    for name in ("execute", "executemany"):
        real = getattr(CursorWrapper, name)

        def counted(self, sql, params=None, real=real):
            seen.append(str(sql))
            return real(self, sql, params)

        monkeypatch.setattr(CursorWrapper, name, counted)
    return seen


@pytest.fixture
def crowd() -> list[str]:
    """Two hundred browsers of twenty people who each watch two of ten tickers."""
    tickers = [make_ticker(f"C{number}") for number in range(10)]
    cookies = []
    for number in range(20):
        user = make_user(tier="expert")
        watchlist.watch(user, [tickers[number % 10], tickers[(number + 1) % 10]])
        for _ in range(10):
            browser = Browser()
            browser.force_login(user)
            cookies.append((browser.cookies["sessionid"].value, [f"C{number % 10}", f"C{(number + 1) % 10}"]))
    return cookies


async def test_two_hundred_who_come_at_once_cost_a_bounded_number_of_queries_and_none_for_quotes(
    crowd, feed, queries
):
    await feed.publish(**{ticker.symbol: "5.00" for ticker in await in_thread(list, Ticker.objects.all())})
    origin = [(b"host", b"localhost"), (b"origin", b"http://localhost")]
    sockets = [Socket(headers=[*origin, (b"cookie", f"sessionid={key}".encode())]) for key, _ in crowd]
    queries.clear()

    assert await asyncio.gather(*(socket.connects() for socket in sockets)) == [True] * 200
    answers = await asyncio.gather(
        *(
            socket.ask({"type": "subscribe", "symbols": symbols})
            for socket, (_, symbols) in zip(sockets, crowd, strict=True)
        )
    )

    asked = list(queries)
    assert [[quote["price"] for quote in answer["quotes"]] for answer in answers] == [["5.00", "5.00"]] * 200
    assert [sql for sql in asked if "marketdata_quote" in sql] == []
    # One by one it would be a thousand.
    assert 0 < len(asked) < 100
    assert await async_client().ping()
    for socket in sockets:
        await socket.goes()
    assert hub().connections.count == 0


def test_the_count_of_queries_can_fail(queries):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    list(Ticker.objects.all())
    assert len(queries) == 2


async def test_a_new_client_is_live_where_the_tier_gives_it():
    async with Socket(await in_thread(make_user, tier="pro")) as socket:
        await socket.next("heartbeat")
        (one,) = hub().clients
        assert one.cadence.effective[0] is Mode.LIVE
