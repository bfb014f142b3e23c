"""Real servers, Daphne and uvicorn: the same handshakes, the same ends, and a goodbye when they are told to stop."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from accounts.credentials import Login
from accounts.tickets import issue
from core import serving
from core.database import in_thread
from core.redis import client, close_async_client
from subscriptions.connections import key_of
from subscriptions.sockets import MAX_MESSAGE
from tests.core.impatient import NAMES
from tests.factories import make_ticker, make_user
from tests.journeys.served import COMMANDS, Served, served
from tests.subscriptions.conftest import Feed

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]
PATIENCE_S = 30
BOTH = pytest.mark.parametrize("server", ["daphne", "uvicorn"])


@pytest.fixture
async def feed() -> AsyncIterator[Feed]:
    client().flushall()
    for symbol in ("AAPL", "MSFT"):
        await in_thread(make_ticker, symbol)
    yield Feed()
    await close_async_client()


def opened(site: Served, query: str = "", *, origin: str | None = None, **options: Any) -> connect:
    address = f"ws://127.0.0.1:{site.port}/ws/v1/stream{query}"
    return connect(
        address, origin=origin or f"http://127.0.0.1:{site.port}", open_timeout=PATIENCE_S, **options
    )


async def next_of(connection: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while (message := orjson.loads(await connection.recv()))["type"] != kind:
            pass
    return message


async def end_of(connection: ClientConnection) -> tuple[str | None, int]:
    """The last error that was told, and the number with which the server closed."""
    error = None
    async with asyncio.timeout(PATIENCE_S):
        try:
            while True:
                message = orjson.loads(await connection.recv())
                error = message["code"] if message["type"] == "error" else error
        except ConnectionClosed as closed:
            return error, closed.rcvd.code if closed.rcvd else 1006


SUBSCRIBE = '{"type": "subscribe", "id": 1, "symbols": ["AAPL"]}'


@BOTH
async def test_a_socket_is_the_same_on_either_server(feed, server):
    user = await in_thread(make_user, tier="expert")
    await feed.publish(AAPL="1.00")
    async with served(server) as site:
        ticket = await asyncio.to_thread(issue, Login(user.pk, "expert"))
        async with opened(site, f"?ticket={ticket}", origin="https://elsewhere.example") as program:
            await program.send(SUBSCRIBE)
            answer = await next_of(program, "subscribed")
            assert [(quote["symbol"], quote["price"]) for quote in answer["quotes"]] == [("AAPL", "1.00")]
            assert client().scard(key_of(user.pk)) == 1
            await feed.publish(AAPL="2.00")
            assert [one["p"] for one in (await next_of(program, "quotes"))["q"]] == ["2.00"]
            assert program.response.headers.get("Sec-WebSocket-Extensions") is None  # no compression

        async with opened(site, f"?ticket={ticket}") as again:
            assert await end_of(again) == ("not_authenticated", 4001)
        for origin in ("https://elsewhere.example", "null", f"http://127.0.0.1:{site.port + 1}"):
            with pytest.raises(InvalidStatus) as refused:
                await opened(site, origin=origin)
            assert refused.value.response.status_code == 403
        async with opened(site) as big:
            await big.send("x" * (MAX_MESSAGE + 1))
            assert await end_of(big) == ("message_too_big", 4009)
        async with opened(site) as binary:
            await binary.send(b"\x00" * (MAX_MESSAGE + 1))
            assert await end_of(binary) == ("message_too_big", 4009)
        async with opened(site) as talkative:
            with suppress(ConnectionClosed):  # it need not wait for all of them
                for _ in range(121):
                    await talkative.send('{"type": "ack", "t": 1}')
            assert await end_of(talkative) == ("too_many_messages", 4029)
        async with asyncio.timeout(PATIENCE_S):
            while client().exists(key_of(user.pk)):
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(("server", "end"), [("daphne", ("restarting", 4012)), ("uvicorn", (None, 1012))])
async def test_who_is_connected_when_the_server_stops_is_told_to_come_again(feed, server, end):
    async with served(server) as site, opened(site) as one, opened(site) as other:
        for connection in (one, other):
            await connection.send(SUBSCRIBE)
            await next_of(connection, "subscribed")
        site.process.send_signal(signal.SIGTERM)
        assert [await end_of(connection) for connection in (one, other)] == [end, end]
        assert await site.ends() in (0, -signal.SIGTERM)


async def test_under_uvicorn_a_client_that_stops_reading_is_let_go_and_delays_nobody(feed, monkeypatch):
    """Its place is free again although it neither reads its end nor closes."""
    monkeypatch.setitem(COMMANDS, "impatient", ["tests.core.impatient", "{port}"])
    for name in NAMES:
        await in_thread(make_ticker, name)
    user = await in_thread(make_user, tier="expert")
    await feed.publish(**dict.fromkeys(NAMES, "1.00"))
    async with served("impatient") as site, opened(site) as healthy:
        await healthy.send(SUBSCRIBE)
        await next_of(healthy, "subscribed")
        ticket = await asyncio.to_thread(issue, Login(user.pk, "expert"))
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        await asyncio.get_running_loop().sock_connect(deaf, ("127.0.0.1", site.port))
        async with opened(site, f"?ticket={ticket}", sock=deaf, ping_interval=None, max_queue=1) as sleeper:
            ask = orjson.dumps({"type": "subscribe", "id": "x" * 14_000, "symbols": NAMES}).decode()
            await sleeper.send(ask)
            await next_of(sleeper, "subscribed")
            sleeper.transport.pause_reading()
            with suppress(ConnectionClosed):  # on a busy machine it may be let go before all of them are said
                for _ in range(55):
                    await sleeper.send(ask)
            number = 0
            async with asyncio.timeout(PATIENCE_S):
                while not number or client().exists(key_of(user.pk)):
                    number += 1
                    await feed.publish(AAPL=f"{number}.00")
                    while (await next_of(healthy, "quotes"))["q"][0]["p"] != f"{number}.00":
                        pass
            async with asyncio.timeout(PATIENCE_S):
                while connected_to(site.port) > 1:
                    await asyncio.sleep(0.05)
            sleeper.transport.abort()
        await feed.publish(AAPL="0.50")
        assert [one["p"] for one in (await next_of(healthy, "quotes"))["q"]] == ["0.50"]
    assert number > 0


def connected_to(port: int) -> int:
    """How many connections the server holds; the kernel names the address in hexadecimal digits, and 01 is open."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(fields[1].endswith(f":{port:04X}") and fields[3] == "01" for fields in lines)


# --- what a process sets up


def test_the_collector_looks_seldom_and_never_at_what_exists():
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    try:
        serving.relax_collector()
        assert gc.get_threshold() == serving.THRESHOLDS
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def test_as_many_files_may_be_open_as_the_system_grants():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[0], 256), before[1]))
        serving.raise_open_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_without_daphne_there_is_nothing_to_say_before_the_end():
    serving.before_stop(lambda: 1 / 0)
