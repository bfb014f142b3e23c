"""The real application on a real Daphne, for vendors' client libraries: on the database and Redis of the tests."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.error import URLError

from django.db import connection

from core import clock
from core.processes import bound_to_parent
from marketdata.freshness import OPEN_TTL
from marketdata.models import CorporateAction, Ticker
from marketdata.quotes import ActionKind, Bar, Quote
from marketdata.tape.publish import publish_closed_bars, publish_quotes
from subscriptions.hub import hub

ROOT = Path(__file__).resolve().parents[3]
READY_S = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Daphne:
    """One web process. Prices come from whoever publishes them on the same Redis, such as the fixture `feed`."""

    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def command(self) -> list[str]:
        address = ["-b", "127.0.0.1", "-p", str(self.port)]
        return ["-m", "daphne", "-v", "0", *address, "config.asgi:application"]

    def start(self) -> None:
        base, _, _ = os.environ["DATABASE_URL"].rpartition("/")
        environment = {**os.environ, "DATABASE_URL": f"{base}/{connection.settings_dict['NAME']}"}
        self.process = subprocess.Popen(
            [sys.executable, *self.command],
            cwd=ROOT,
            env={**environment, "ALLOWED_HOSTS": "127.0.0.1"},
            stdout=subprocess.DEVNULL,
            preexec_fn=bound_to_parent(signal.SIGTERM),  # noqa: PLW1509 -- before any thread of ours
        )
        until = time.monotonic() + READY_S
        while not self._answers():
            assert time.monotonic() < until, "the server did not start"
            assert self.process.poll() is None, "the server ended"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=1):
                return True
        except (URLError, ConnectionError, TimeoutError):
            return False

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Uvicorn(Daphne):
    """The same application on the server of the streaming tier."""

    @property
    def command(self) -> list[str]:
        address = ["--host", "127.0.0.1", "--port", str(self.port)]
        quiet = ["--log-level", "error", "--ws-per-message-deflate", "false"]
        return ["-m", "uvicorn", *address, *quiet, "config.asgi:application"]


async def until_heard(
    tell: Callable[[int], Awaitable[None]], heard: Callable[[], Any], within_s: float = 30
) -> Any:
    """Say something again and again, each time with a larger number, until it has arrived.

    A client library does not tell when it has subscribed, and a price from before that is none of its business.
    """
    async with asyncio.timeout(within_s):
        for number in range(1, 10_000):
            await tell(number)
            for _ in range(10):
                await asyncio.sleep(0.05)
                if found := heard():
                    return found
    raise AssertionError("it never arrived")


async def joined(*symbols: str, within_s: float = 30) -> None:
    """Until the hub of this process hears of them: what is told once and kept nowhere is lost before."""
    async with asyncio.timeout(within_s):
        while not hub()._joined >= set(symbols):
            await asyncio.sleep(0.01)


def make_action(ticker: Ticker, kind: ActionKind, ex_date: date, **fields: Any) -> CorporateAction:
    return CorporateAction.objects.create(
        ticker=ticker, kind=kind.value, ex_date=ex_date, provider="scripted", loaded_at=clock.now(), **fields
    )


class Prices:
    """Stands for the tape: publishes numbered prices and minutes that are over, on the real Redis."""

    def __init__(self) -> None:
        self.epoch = 1
        self._numbers: Counter[str] = Counter()

    async def publish(self, **prices: str) -> None:
        await self.tell([self.quote(symbol, price) for symbol, price in prices.items()])

    async def tell(self, quotes: list[Quote]) -> None:
        assert await publish_quotes(quotes, shard=0, epoch=self.epoch)

    async def close_minute(self, bar: Bar) -> None:
        assert await publish_closed_bars([bar], shard=0, epoch=self.epoch)

    def quote(self, symbol: str, price: str, **fields: Any) -> Quote:
        self._numbers[symbol] += 1
        now = clock.now()
        return Quote(
            symbol, Decimal(price), now, now, now + OPEN_TTL, "scripted",
            epoch=self.epoch, seq=self._numbers[symbol], **fields,
        )  # fmt: skip
