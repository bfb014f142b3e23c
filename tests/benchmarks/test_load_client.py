"""Both load clients against a server that breaks each promise once: what they count is what the oracle judges."""

from __future__ import annotations

import asyncio
import shutil
import time

import orjson
import pytest
from websockets.asyncio.server import serve

from benchmarks.fan_out.audience import Audience, Fan
from benchmarks.fan_out.load import IN_PYTHON, How, config_of, program
from benchmarks.fan_out.values import right_price

SYMBOLS = ["ACME", "BOLT", "CORE"]


@pytest.fixture(params=["C", "Python"])
def client(request, tmp_path):
    if request.param == "C" and shutil.which("cc") is None:
        pytest.skip("no C compiler")
    program.cache_clear()
    yield program(tmp_path) if request.param == "C" else IN_PYTHON
    program.cache_clear()


class Server:
    """Sends what a test says to whoever subscribes, and keeps what it was sent."""

    def __init__(self, *frames: str, snapshot: tuple[dict, ...] = ()):
        self.frames, self.snapshot = frames, snapshot
        self.received: list[dict] = []
        self.headers = None

    async def talk(self, socket) -> None:
        self.headers = socket.request.headers
        wish = orjson.loads(await socket.recv())
        self.received.append(wish)
        answer = {"type": "subscribed", "id": "1", "symbols": wish["symbols"], "recovered": False}
        await socket.send(orjson.dumps(answer | {"quotes": self.snapshot}).decode())
        for frame in self.frames:
            await socket.send(frame)
        async for message in socket:
            self.received.append(orjson.loads(message))


def update(symbol: str, number: int, **other) -> dict:
    price = f"{right_price(SYMBOLS.index(symbol), number):.2f}"
    return {"s": symbol, "p": price, "c": None, "v": 1, "t": 1, "e": 1, "n": number, "pr": "x"} | other


def quotes(*entries: dict) -> str:
    return f'{{"type":"quotes","q":{orjson.dumps(entries).decode()}}}'


class Running:
    def __init__(self, process):
        self._process = process

    async def ask(self, order: str) -> dict:
        self._process.stdin.write(order.encode() + b"\n")
        async with asyncio.timeout(30):
            return orjson.loads(await self._process.stdout.readline())

    async def status_when(self, **expected) -> dict:
        """The status, once it says this much."""
        async with asyncio.timeout(30):
            while True:
                status = await self.ask("status")
                if all(status[name] >= value for name, value in expected.items()):
                    return status
                await asyncio.sleep(0.02)


async def talked(client, server: Server, tmp_path, play, follows=(0, 1)):
    """Connect one client to the server, then `play(running)`."""
    async with serve(server.talk, "127.0.0.1", 0, compression=None) as listening:
        port = listening.sockets[0].getsockname()[1]
        audience = Audience(SYMBOLS, [Fan("sessionid=secret", follows)])
        config = tmp_path / "load.conf"
        base_us = time.monotonic_ns() // 1000
        config.write_text("\n".join(config_of(audience, port, base_us, How())) + "\n")
        process = await asyncio.create_subprocess_exec(
            *client, str(config), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        running = Running(process)
        try:
            assert (await running.ask("connect -1"))["ready"] == 1
            return await play(running)
        finally:
            process.kill()
            await process.wait()


async def test_what_is_right_is_counted_and_nothing_complained_of(client, tmp_path):
    server = Server(quotes(update("ACME", 1), update("BOLT", 5)), quotes(update("ACME", 2)))

    async def play(running):
        await running.status_when(heartbeats=0)
        while (ended := await running.ask("end"))["groups"][0]["deliveries"] < 3:
            await asyncio.sleep(0.02)
        await running.ask(f"finals {tmp_path / 'finals'}")
        return ended["groups"][0], await running.ask("status")

    window, status = await talked(client, server, tmp_path, play)
    assert (window["deliveries"], window["frames"]) == (3, 2)
    assert {status[name] for name in ("falling", "repeated", "changed", "wrong", "foreign", "broken")} == {0}
    assert (tmp_path / "finals").read_text().splitlines() == [
        f"0 0 1 0 ACME 1 1 2 {int(right_price(0, 2) * 1_000_000)}",
        f"0 0 1 0 BOLT 1 1 5 {int(right_price(1, 5) * 1_000_000)}",
    ]
    assert server.headers["Cookie"] == "sessionid=secret"
    assert server.received[0]["symbols"] == ["ACME", "BOLT"]


@pytest.mark.parametrize(
    ("complaint", "entries"),
    [
        ("falling", [update("ACME", 3), update("ACME", 2)]),
        ("falling", [update("ACME", 3, e=2), update("ACME", 4)]),
        ("repeated", [update("ACME", 3), update("ACME", 3)]),
        ("wrong", [update("ACME", 3, p="1.00")]),
        ("foreign", [update("CORE", 1)]),
    ],
)
async def test_a_broken_promise_is_counted(client, tmp_path, complaint, entries):
    server = Server(*(quotes(entry) for entry in entries))

    status = await talked(
        client, server, tmp_path, lambda running: running.status_when(**{complaint: 1}), follows=(0,)
    )

    assert status[complaint] == 1


async def test_a_position_of_the_snapshot_that_is_told_again_is_counted(client, tmp_path):
    told = update("ACME", 3)
    snapshot = ({"symbol": "ACME", "price": told["p"], "e": 1, "n": 3},)
    server = Server(quotes(told), snapshot=snapshot)

    status = await talked(client, server, tmp_path, lambda running: running.status_when(repeated=1))

    assert (status["repeated"], status["snapshots"]) == (1, 1)


async def test_a_heartbeat_that_asks_is_answered(client, tmp_path):
    server = Server('{"type":"heartbeat","t":17}', '{"type":"heartbeat","t":18,"ack":true}')

    async def play(running):
        await running.status_when(heartbeats=2)
        async with asyncio.timeout(30):
            while len(server.received) < 2:
                await asyncio.sleep(0.02)

    await talked(client, server, tmp_path, play)
    assert server.received[1:] == [{"type": "ack", "t": 18}]


async def test_who_was_cut_comes_back_with_his_position(client, tmp_path):
    server = Server(quotes(update("ACME", 3)))

    async def play(running):
        while not (await running.ask("end"))["groups"][0]["deliveries"]:
            await asyncio.sleep(0.02)
        await running.ask("retry 1")
        server.frames = ()
        await running.ask("cut 1")
        return await running.status_when(ready=1, unrecovered=2)

    status = await talked(client, server, tmp_path, play)
    assert [wish.get("resume") for wish in server.received] == [None, {"ACME": [1, 3]}]
    assert status["closes"] == {"1006": 1}
