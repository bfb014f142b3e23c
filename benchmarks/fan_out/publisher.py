"""The publisher, a process of its own: `python -m benchmarks.fan_out.publisher hub|naive BASE_US SYMBOLS`.

Orders, one per line: `rate N` updates per second over all tickers in turn (0: none), `begin` and `end` of a window,
`finals` what was published last. It beats as the owner of a tape does, so that no hub thinks the feed silent.

Updates are due on a fixed schedule and carry the moment they were due: when publishing is late, their age says so.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import gcd
from typing import Any, Protocol

import django
import orjson

django.setup()

from channels_redis.core import RedisChannelLayer  # noqa: E402 -- after Django

from benchmarks.fan_out.values import right_price  # noqa: E402 -- same
from core import clock, live  # noqa: E402 -- same
from core.redis import async_client  # noqa: E402 -- same
from marketdata.freshness import OPEN_TTL  # noqa: E402 -- same
from marketdata.quotes import Quote  # noqa: E402 -- same
from marketdata.symbols import group_name  # noqa: E402 -- same
from marketdata.tape import openset  # noqa: E402 -- same
from marketdata.tape.publish import frame_of, publish_quotes  # noqa: E402 -- same

EPOCH = 1
BATCH_EVERY_S = 0.01
BEAT_EVERY_S = 1.0
CHANGE, PERCENT = Decimal("0.46"), Decimal("0.25")


class Outlet(Protocol):
    async def open(self, symbols: Sequence[str]) -> None: ...

    async def publish(self, quotes: Sequence[Quote]) -> None: ...


class ToHub:
    """As the tape does it."""

    async def open(self, symbols: Sequence[str]) -> None:
        assert await openset.write_open(async_client(), 0, symbols, epoch=EPOCH)
        self._beating = asyncio.create_task(self._beat())

    async def publish(self, quotes: Sequence[Quote]) -> None:
        assert await publish_quotes(quotes, shard=0, epoch=EPOCH)

    async def _beat(self) -> None:
        while True:
            await openset.beat(async_client(), 0, 1)
            beat = {"type": live.TAPE_BEAT, "shard": 0, "of": 1, "e": EPOCH, "t": clock.now_us() // 1000}
            await live.publish(live.TAPE_GROUP, beat)
            await asyncio.sleep(BEAT_EVERY_S)


class ToGroups:
    """As a textbook does it: one `group_send` per update, in turn."""

    async def open(self, symbols: Sequence[str]) -> None:
        hosts = [{"address": os.environ["REDIS_URL"], "socket_timeout": None}]
        self._layer = RedisChannelLayer(hosts=hosts)

    async def publish(self, quotes: Sequence[Quote]) -> None:
        for quote in quotes:
            text = f'{{"type":"quotes","q":[{frame_of(quote)}]}}'
            await self._layer.group_send(group_name(quote.symbol), {"type": "price", "text": text})


class Publisher:
    def __init__(self, outlet: Outlet, base_us: int, symbols: Sequence[str]) -> None:
        self._outlet, self._base_us, self._symbols = outlet, base_us, symbols
        self._numbers = [0] * len(symbols)
        self._turn, self._stride = 0, stride(len(symbols))
        self._rate_changed = asyncio.Event()
        self._rate = 0.0
        self._window: Counter[int] = Counter()
        self._late_s = 0.0
        self._cpu_s = time.process_time()
        self._wall = datetime.now(UTC) - timedelta(seconds=time.monotonic())

    async def run(self) -> None:
        await self._outlet.open(self._symbols)
        print('{"ready":true}', flush=True)
        publishing = asyncio.create_task(self._publish_for_ever())
        obeying = asyncio.create_task(self._obey())
        done, _ = await asyncio.wait({publishing, obeying}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def _publish_for_ever(self) -> None:
        while True:
            self._rate_changed.clear()
            if self._rate:
                await self._publish_at(self._rate)
            else:
                await self._rate_changed.wait()

    async def _publish_at(self, rate: float) -> None:
        """Until the rate changes; what is due is published however late it is."""
        step = max(BATCH_EVERY_S, 1 / rate)
        began, sent, batch = time.monotonic(), 0, 0
        while not self._rate_changed.is_set():
            batch += 1
            due_at = began + batch * step
            await asyncio.sleep(max(0.0, due_at - time.monotonic()))
            if self._rate_changed.is_set():
                return  # who has been told so counts on it
            count = int(batch * step * rate + 1e-6) - sent
            sent += count
            await self._outlet.publish([self._next(due_at) for _ in range(count)])
            self._late_s = max(self._late_s, time.monotonic() - due_at)

    def _next(self, due_at: float) -> Quote:
        ticker = self._turn
        self._turn = (ticker + self._stride) % len(self._symbols)
        self._numbers[ticker] += 1
        self._window[ticker] += 1
        when = self._wall + timedelta(seconds=due_at)
        return Quote(
            symbol=self._symbols[ticker],
            price=right_price(ticker, self._numbers[ticker]),
            change=CHANGE,
            change_percent=PERCENT,
            volume=int(due_at * 1_000_000) - self._base_us,
            as_of=when,
            received_at=when,
            expires_at=when + OPEN_TTL,
            provider="simulator",
            epoch=EPOCH,
            seq=self._numbers[ticker],
        )

    async def _obey(self) -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        while line := await reader.readline():
            print(orjson.dumps(self._answer(*line.decode().split())).decode(), flush=True)

    def _answer(self, order: str, value: str = "") -> dict[str, Any]:
        match order:
            case "rate":
                self._rate = float(value)
                self._rate_changed.set()
                return {}
            case "begin":
                self._window.clear()
                self._late_s, self._cpu_s = 0.0, time.process_time()
                return {}
            case "end":
                updates = [self._window[ticker] for ticker in range(len(self._symbols))]
                return {
                    "updates": updates,
                    "late_s": self._late_s,
                    "cpu_s": time.process_time() - self._cpu_s,
                }
            case _:
                return {"epoch": EPOCH, "numbers": self._numbers}


def stride(count: int) -> int:
    """Through all tickers in turn, but the liked ones not one after the other: each second is like any other."""
    return next(step for step in range(max(1, round(0.618 * count)), count + 1) if gcd(step, count) == 1)


async def main(kind: str, base_us: str, symbols: str) -> None:
    outlet = ToHub() if kind == "hub" else ToGroups()
    await Publisher(outlet, int(base_us), symbols.split(",")).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
