"""What every socket of ours has in common, on the bare ASGI interface: no server, no protocol in between."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import redis.exceptions
from django.db import OperationalError

from accounts.credentials import Login
from accounts.models import User
from core.redis import client, close_async_client
from subscriptions import sockets
from subscriptions.connections import key_of
from subscriptions.errors import Refused, TierLimit
from subscriptions.feeds import State
from subscriptions.hub import hub
from subscriptions.sockets import (
    CLOSE_CODES,
    MAX_MESSAGE,
    MESSAGES_AT_ONCE,
    MESSAGES_PER_MINUTE,
    Allowance,
    Socket,
)
from tests.subscriptions.conftest import PATIENCE_S

FREE = 10


@pytest.fixture(autouse=True)
async def fresh_hub(undisturbed, monkeypatch) -> AsyncIterator[None]:
    monkeypatch.setattr("subscriptions.hub.stored_quotes", lambda _symbols: {})
    client().flushall()
    yield
    await hub().close()
    await close_async_client()


class Echo(Socket):
    """Says back what it hears; `does` replaces that."""

    login: Login | None = None
    does: Any = None
    admits = True

    async def opened(self) -> None:
        if self.admits:
            await self.admit(self.login)

    async def received(self, text: str | None, data: bytes | None) -> None:
        if self.does is not None:
            await self.does(self)
        self.send(data if text is None else text)


class Line:
    """One connection to a socket, from the side of the server; `gate` closed: the server waits with each send."""

    def __init__(self, kind: type[Socket] = Echo, **attributes: Any) -> None:
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()
        self.socket = kind(
            {"type": "websocket", "path": "/", "headers": [], "query_string": b""}, self.heard.get, self._send
        )
        for name, value in attributes.items():
            setattr(self.socket, name, value)

    async def _send(self, message: dict[str, Any]) -> None:
        await self.gate.wait()
        self.said.put_nowait(message)

    async def __aenter__(self) -> Line:
        self.run = asyncio.create_task(self.socket.run())
        self.heard.put_nowait({"type": "websocket.connect"})
        assert (await self.next())["type"] == "websocket.accept"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        self.heard.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await self.ends()

    async def ends(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait([self.run])

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            return await self.said.get()

    def say(self, text: str) -> None:
        self.heard.put_nowait({"type": "websocket.receive", "text": text})

    async def error(self) -> str:
        return orjson.loads((await self.next())["text"])["code"]

    async def closed(self) -> int:
        message = await self.next()
        assert message["type"] == "websocket.close"
        return message["code"]


def a_login() -> Login:
    return Login(uuid.uuid4(), "free")


# --- coming and going


async def test_text_is_answered_as_text_and_bytes_as_bytes():
    async with Line() as line:
        line.say("hello")
        assert await line.next() == {"type": "websocket.send", "text": "hello"}
        line.heard.put_nowait({"type": "websocket.receive", "bytes": b"\x00\xff", "text": None})
        assert await line.next() == {"type": "websocket.send", "bytes": b"\x00\xff"}


async def test_who_goes_leaves_neither_a_client_nor_a_place(monkeypatch):
    login = a_login()
    async with Line(login=login) as line:
        line.say("x")
        await line.next()
        assert (len(hub().clients), client().scard(key_of(login.user_id))) == (1, 1)
        await hub().follow(line.socket.client, ["AAPL", "MSFT"])
    assert (hub().clients, hub()._followers, hub().connections.count) == (set(), {}, 0)
    assert client().exists(key_of(login.user_id)) == 0


async def test_a_mistake_of_ours_ends_it_and_leaves_nothing():
    login = a_login()

    async def breaks(_socket: Socket) -> None:
        raise ZeroDivisionError

    async with Line(login=login, does=breaks) as line:
        line.say("x")
        await line.ends()
    with pytest.raises(ZeroDivisionError):
        line.run.result()
    assert (hub().clients, client().exists(key_of(login.user_id))) == (set(), 0)


async def test_a_server_that_cancels_it_gets_it_back_with_nothing_left():
    login = a_login()
    async with Line(login=login) as line:
        line.say("x")
        await line.next()
        line.run.cancel()
        await line.ends()
        assert line.run.cancelled()
    assert (hub().clients, hub().connections.count) == (set(), 0)


async def test_redis_going_away_while_somebody_leaves_keeps_nobody_in_the_hub(monkeypatch):
    async def away(*_: object) -> None:
        raise redis.exceptions.ConnectionError

    async with Line(login=a_login()) as line:
        line.say("x")
        await line.next()
        monkeypatch.setattr(sockets.granting, "leave", away)
    assert hub().clients == set()


async def test_a_handshake_that_is_not_let_in_is_refused_before_it_is_accepted():
    class Shut(Echo):
        async def let_in(self) -> bool:
            return False

    line = Line(Shut)
    run = asyncio.create_task(line.socket.run())
    line.heard.put_nowait({"type": "websocket.connect"})
    assert await line.closed() == 1000
    await run


# --- how it ends


@pytest.mark.parametrize(("code", "number"), CLOSE_CODES.items())
async def test_what_ends_a_connection_is_told_and_then_closed_with_its_number(code, number):
    async def refuses(socket: Socket) -> None:
        socket.admitted = code != "unavailable"  # who is in stays, and tries again
        raise Refused(code, "No.")

    async with Line(does=refuses) as line:
        line.say("x")
        assert (await line.error(), await line.closed()) == (code, number)


async def test_the_numbers_are_those_that_are_promised():
    assert CLOSE_CODES == {
        "not_authenticated": 4001,
        "session_ended": 4001,
        "connection_limit": 4003,
        "too_slow": 4008,
        "message_too_big": 4009,
        "too_many_messages": 4029,
        "restarting": 4012,
        "unavailable": 4012,
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("not_found", "No such ticker."), "not_found"),
        (TierLimit("free", 5, ["AAPL"]), "tier_limit"),
        (OperationalError(), "unavailable"),
        (redis.exceptions.ConnectionError(), "unavailable"),
    ],
)
async def test_other_refusals_and_outages_are_told_and_it_goes_on(error, code):
    async def fails(socket: Socket) -> None:
        socket.does = None
        raise error

    async with Line(does=fails) as line:
        line.say("x")
        assert await line.error() == code
        line.say("still here")
        assert (await line.next())["text"] == "still here"


async def test_a_user_who_is_no_more_is_logged_out():
    async def fails(_socket: Socket) -> None:
        raise User.DoesNotExist

    async with Line(does=fails) as line:
        line.say("x")
        assert (await line.error(), await line.closed()) == ("session_ended", 4001)


async def test_after_its_end_nothing_is_heard_and_nothing_is_said():
    heard = []

    async def refuses(socket: Socket) -> None:
        heard.append(1)
        raise Refused("too_slow", "No.")

    async with Line(does=refuses) as line:
        line.say("x")
        line.say("y")
        assert (await line.error(), await line.closed()) == ("too_slow", 4008)
        line.socket.send("more")
        line.socket.refuse(Refused("not_found", "No."))
        line.socket.end(Refused("restarting", "No."))
        line.say("z")
    assert (heard, line.said.empty(), hub().clients) == ([1], True, set())


async def test_who_does_not_say_who_it_is_in_time_is_told_and_closed(monkeypatch):
    monkeypatch.setattr(sockets, "AUTHENTICATE_WITHIN_S", 0.05)
    async with Line(admits=False) as line:
        assert (await line.error(), await line.closed()) == ("not_authenticated", 4001)


async def test_talking_does_not_lengthen_the_time_to_say_who_it_is(monkeypatch):
    monkeypatch.setattr(sockets, "AUTHENTICATE_WITHIN_S", 0.3)
    async with Line(admits=False) as line:
        line.say("x")
        while (message := await line.next())["type"] == "websocket.send" and "error" not in message["text"]:
            line.say("x")
            await asyncio.sleep(0.02)
        line.socket.end(Refused("restarting", ""))
    assert line.socket.client.ended


async def test_who_is_in_may_be_silent(monkeypatch):
    monkeypatch.setattr(sockets, "AUTHENTICATE_WITHIN_S", 0.01)
    async with Line() as line:
        line.say("x")
        await line.next()
        await asyncio.sleep(0.05)
        line.say("y")
        assert (await line.next())["text"] == "y"


async def test_who_does_not_close_is_left_after_a_while(monkeypatch):
    monkeypatch.setattr(sockets, "CLOSE_WITHIN_S", 0.05)
    login = a_login()
    line = await Line(login=login).__aenter__()
    line.say("x")
    await line.next()

    line.socket.end(Refused("too_slow", "No."))

    await line.ends()  # without a disconnect from its side
    assert line.run.exception() is None
    assert (hub().clients, client().exists(key_of(login.user_id))) == (set(), 0)


async def test_who_reads_nothing_not_even_its_end_is_left_too(monkeypatch):
    """Under uvicorn the last words wait behind what the client does not take: nobody may wait for them."""
    monkeypatch.setattr(sockets, "CLOSE_WITHIN_S", 0.05)
    login = a_login()
    line = await Line(login=login).__aenter__()
    line.say("x")
    await line.next()
    line.gate.clear()

    line.socket.end(Refused("too_slow", "No."))

    await line.ends()
    assert line.run.exception() is None
    assert (hub().clients, client().exists(key_of(login.user_id))) == (set(), 0)
    line.gate.set()
    await asyncio.gather(*line.socket.client._sending, line.socket.client._ending)


async def test_the_hub_says_goodbye_to_everybody():
    lines = [await Line().__aenter__() for _ in range(5)]
    async with asyncio.timeout(PATIENCE_S):
        while len(hub().clients) < 5:
            await asyncio.sleep(0)
    hub()._say_goodbye()
    for line in lines:
        assert (await line.error(), await line.closed()) == ("restarting", 4012)
        await line.__aexit__()
    assert hub().clients == set()


# --- how much it may say


def test_an_allowance_is_sixty_at_once_and_two_a_second():
    allowance = Allowance(100.0)
    assert [allowance.take(100.0) for _ in range(MESSAGES_AT_ONCE + 1)] == [True] * MESSAGES_AT_ONCE + [False]
    for second in range(60):
        assert [allowance.take(103.0 + second) for _ in range(2)] == [True] * 2
    allowance = Allowance(0.0)
    assert sum(allowance.take(1e6) for _ in range(1_000)) == MESSAGES_AT_ONCE  # it does not save up for a day


def test_who_asks_steadily_may_ask_so_often_for_ever():
    allowance = Allowance(0.0)
    pause = 60 / MESSAGES_PER_MINUTE
    assert all(allowance.take(number * pause) for number in range(10_000))


async def test_too_many_messages_are_told_and_closed():
    async with Line() as line:
        for number in range(MESSAGES_PER_MINUTE + 1):
            line.say(str(number))
        for number in range(MESSAGES_AT_ONCE):
            assert (await line.next())["text"] == str(number)
        while (message := await line.next())["type"] == "websocket.send" and "error" not in message["text"]:
            assert int(message["text"]) < MESSAGES_PER_MINUTE
        assert orjson.loads(message["text"])["code"] == "too_many_messages"
        assert await line.closed() == 4029


@pytest.mark.parametrize(
    "message",
    [
        {"text": "x" * (MAX_MESSAGE + 1)},
        {"bytes": b"x" * (MAX_MESSAGE + 1)},
        {"text": "€" * (MAX_MESSAGE // 3 + 1)},  # three bytes each
    ],
)
async def test_a_message_that_is_too_big_is_told_and_closed(message):
    async with Line() as line:
        line.heard.put_nowait({"type": "websocket.receive", **message})
        assert (await line.error(), await line.closed()) == ("message_too_big", 4009)


@pytest.mark.parametrize("message", [{"text": "x" * MAX_MESSAGE}, {"bytes": b"x" * MAX_MESSAGE}])
async def test_the_largest_message_is_heard(message):
    async with Line() as line:
        line.heard.put_nowait({"type": "websocket.receive", **message})
        assert await line.next() == {"type": "websocket.send", **message}


async def test_one_connection_too_many_is_told_and_closed():
    login = a_login()
    lines = [await Line(login=login).__aenter__() for _ in range(FREE)]
    for line in lines:
        line.say("x")
        await line.next()
    async with Line(login=login) as line:
        assert (await line.error(), await line.closed()) == ("connection_limit", 4003)
    await lines[0].__aexit__()
    async with Line(login=login) as line:
        line.say("in")
        assert (await line.next())["text"] == "in"
    for line in lines[1:]:
        await line.__aexit__()
    assert hub().connections.count == 0


# --- somebody who does not read


async def test_somebody_who_asks_and_asks_and_reads_no_answer_is_closed_and_keeps_little():
    async with Line() as line:
        line.say("x")
        await line.next()
        line.gate.clear()
        for _ in range(MESSAGES_AT_ONCE - 1):
            line.say("x" * 1_000)
        async with asyncio.timeout(PATIENCE_S):
            while line.socket.client in hub().clients:
                await asyncio.sleep(0.01)
        assert line.socket.client.ended
        line.gate.set()


async def test_a_busy_reader_is_stuck_since_its_first_frame_and_not_since_its_last_answer(monkeypatch):
    moment = 1000.0
    monkeypatch.setattr("core.clock.monotonic", lambda: moment)
    line = Line()
    line.gate.clear()
    one = line.socket.client
    one.send("a frame")
    moment = 1010.0
    one.send("an answer")
    assert not one.is_stuck(1015.0)
    assert one.is_stuck(1015.1)
    line.gate.set()
    await asyncio.gather(*one._sending)
    assert not one.is_stuck(1020.0)


async def test_what_somebody_misses_is_at_most_what_it_follows(monkeypatch):
    async with Line() as line:
        line.say("x")
        await line.next()
        symbols = [f"S{number}" for number in range(8)]
        one = line.socket.client
        await hub().follow(one, symbols)
        line.gate.clear()
        for number in range(1, 200):
            for symbol in symbols:
                hub()._take(State(symbol, (1, number), f'{{"s":"{symbol}","n":{number}}}'))
            if number % 20 == 0:
                await asyncio.sleep(0.01)
        async with asyncio.timeout(PATIENCE_S):
            while len(one.missed) < len(symbols):
                await asyncio.sleep(0.01)
        assert {symbol for symbol, _ in one.missed} == set(symbols)
        assert len(one._sending) == 1
        line.gate.set()
        last: dict[str, int] = {}
        async with asyncio.timeout(PATIENCE_S):
            while last != dict.fromkeys(symbols, 199):
                last |= {q["s"]: q["n"] for q in orjson.loads((await line.next())["text"])["q"]}
