"""The real application on a real server, Daphne or uvicorn, on the database and Redis of the tests."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

from django.db import connection

from core.processes import bound_to_parent
from core.roles import DAPHNE
from tests.subscriptions.event_reader import PATIENCE_S, EventParser

ROOT = Path(__file__).resolve().parents[2]
APPLICATION = "config.asgi:application"
COMMANDS = {
    "daphne": ["core.web", *DAPHNE, "-b", "127.0.0.1", "-p", "{port}", APPLICATION],
    "uvicorn": [
        *("uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--no-access-log", "--log-level", "warning"),
        *("--timeout-graceful-shutdown", "2", "--ws-per-message-deflate", "false", APPLICATION),
    ],
}


def free_port() -> int:
    """None of those that the system gives to whoever asks for any: so nobody has it when the server binds it."""
    while True:
        port = SystemRandom().randrange(
            10_000, 30_000
        )  # the tests' own generator says the same in each process
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class Served:
    port: int
    process: subprocess.Popen[bytes]

    @property
    def threads(self) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^Threads:\s+(\d+)", text, re.MULTILINE)[1])

    @property
    def rss_mb(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE)[1]) / 1024

    async def ends(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            while (code := self.process.poll()) is None:
                await asyncio.sleep(0.05)
        return code


@asynccontextmanager
async def served(server: str) -> AsyncIterator[Served]:
    site = _start(server)
    try:
        await _answers(site)
        yield site
    finally:
        site.process.kill()
        site.process.wait()


def _start(server: str) -> Served:
    base, _, _ = os.environ["DATABASE_URL"].rpartition("/")
    environment = {
        **os.environ,
        "DATABASE_URL": f"{base}/{connection.settings_dict['NAME']}",
        "ALLOWED_HOSTS": "127.0.0.1",
        "DEMO_SYMBOLS": "AAPL,MSFT",
    }
    port = free_port()
    command = [part.format(port=port) for part in COMMANDS[server]]
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        preexec_fn=bound_to_parent(signal.SIGTERM),  # noqa: PLW1509 -- before any thread of ours
    )
    return Served(port, process)


async def _answers(site: Served) -> None:
    async with asyncio.timeout(180):
        while True:
            assert site.process.poll() is None, "the server ended"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", site.port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


class WireReader(EventParser):
    """An `EventSource` on a plain connection; what is not asked for stays unread."""

    def __init__(self, port: int, address: str, headers: dict[str, str] | None = None) -> None:
        super().__init__()
        self._port, self._address, self._extra = port, address, headers or {}
        self.status = 0
        self.headers: dict[str, str] = {}
        self.ended = False

    async def __aenter__(self) -> WireReader:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**12)
        names = {"Host": "127.0.0.1", "Accept": "text/event-stream", **self._extra}
        lines = [f"GET {self._address} HTTP/1.1", *(f"{name}: {value}" for name, value in names.items())]
        self._writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        async with asyncio.timeout(PATIENCE_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {
            name.lower(): value for line in rest if line for name, _, value in [line.partition(": ")]
        }
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def read(self) -> None:
        """One chunk of the answer, as the server wrote it."""
        size = int((await self._reader.readline()).strip() or b"0", 16)
        chunk = await self._reader.readexactly(size)
        await self._reader.readline()
        self.ended = size == 0
        self.feed(chunk.decode())

    async def next(self, *types: str):
        """The next event; of one of these types, where given."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                while not self.events:
                    assert not self.ended, "the stream ended"
                    await self.read()
                event = self.events.pop(0)
                if not types or event.type in types:
                    return event
