"""The tick stream as a tape would write it, and a runner that reads it, in the test's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from decimal import Decimal
from functools import wraps
from itertools import count
from typing import Any

from django.db.models.functions import Now

from alerts import runner
from alerts.models import Position, Trigger
from core import clock
from core.database import in_thread
from core.models import Lease
from core.redis import client, close_async_client
from marketdata.accepted import Accepted, encode, fields_of, key_of
from marketdata.quotes import Correction

PATIENCE_S = 50.0
# A machine that stands still for a while takes no office away, and what was sent meanwhile is still kept.
QUICK = {
    "LEASE_TTL": timedelta(seconds=60),
    "KEPT_S": 60.0,
    "STANDBY_EVERY_S": 0.05,
    "READ_BLOCK_MS": 50,
    "SAVE_EVERY_S": 0.05,
    "LOOK_EVERY_S": 0.1,
    "CLOCK_EVERY_S": 0.05,
}


def accepted(symbol: str, price: str, received_us: int, **more: Any) -> Accepted:
    fields: dict[str, Any] = {
        "as_of_us": received_us, "received_us": received_us, "provider": "scripted", "session": "regular",
        "volume": 100, "rebased": False, "halted": False, "replay": False, "delayed_s": 0, "trade_id": "", "size": 1,
    }  # fmt: skip
    return Accepted(symbol=symbol, price=Decimal(price), **{**fields, **more})


class TickStream:
    """Numbers batches as one term of the tape does."""

    def __init__(self, shard: int = 0, epoch: int = 1) -> None:
        self.shard, self.epoch = shard, epoch
        self.numbers = count(1)
        self._number = 0
        self.sent: list[Accepted] = []
        self._last_us = 0

    def send(self, symbol: str, *prices: str, **more: Any) -> list[Accepted]:
        """One batch."""
        ticks = [accepted(symbol, price, self._next_us(), **more) for price in prices]
        self.write(ticks)
        return ticks

    def write(self, ticks: list[Accepted], corrections: list[Correction] | None = None) -> None:
        self.sent += ticks
        body = encode(ticks, corrections or [])
        self._number = next(self.numbers)
        client().xadd(key_of(self.shard), fields_of(self.epoch, self._number, clock.now_us(), body))

    def write_again(self, ticks: list[Accepted]) -> None:
        """The last batch, since its writer could not know whether it was written."""
        client().xadd(key_of(self.shard), fields_of(self.epoch, self._number, clock.now_us(), encode(ticks)))

    def lose(self) -> None:
        """A batch that nobody gets."""
        next(self.numbers)

    def begin_term(self) -> None:
        self.epoch += 1
        self.numbers = count(1)

    def _next_us(self) -> int:
        self._last_us = max(self._last_us + 1, clock.now_us())
        return self._last_us


class Running:
    """Terms that contend for the alerts of shard 0."""

    def __init__(self) -> None:
        self._runs: list[tuple[asyncio.Task[None], asyncio.Event]] = []
        self.looks: list[datetime] = []
        """When one of them had looked for what was edited."""

    def start(self) -> None:
        stop = asyncio.Event()
        self._runs.append((asyncio.create_task(runner.serve(0, 1, stop)), stop))

    async def stop(self) -> None:
        for task, stop in self._runs:
            stop.set()
            await asyncio.wait_for(task, 20)
        self._runs.clear()

    async def kill(self) -> None:
        """Without a last word; the lease runs out."""
        for task, _ in self._runs:
            while not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=1)
        self._runs.clear()

    async def die(self) -> None:
        """Nobody waits for the lease to run out."""
        await self.kill()
        lease = Lease.objects.filter(name=runner.lease_name(0, 1))
        await in_thread(lease.update, expires_at=Now())

    async def until(self, true: Callable[[], Awaitable[bool]], seconds: float = PATIENCE_S) -> None:
        async with asyncio.timeout(seconds):
            while not await true():
                for task, _ in self._runs:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.01)

    async def read_all(self, stream: TickStream, seconds: float = PATIENCE_S) -> None:
        """The runner has committed its way to the end of the stream."""
        (newest,) = client().xrevrange(key_of(stream.shard), count=1)
        wanted = newest[0].decode()

        def there() -> bool:
            return Position.objects.filter(entry=wanted).exists()

        await self.until(lambda: in_thread(there), seconds)

    async def is_ready(self) -> None:
        """It has an office: what is sent from now on is read."""
        await self.until(lambda: in_thread(Position.objects.exclude(at=None).exists))


def fires() -> list[tuple[int, int, Decimal]]:
    """(alert, number of the fire, price), oldest first."""
    return list(Trigger.objects.order_by("pk").values_list("alert_id", "fire_seq", "price"))


@asynccontextmanager
async def running(monkeypatch) -> AsyncIterator[Running]:
    for name, value in QUICK.items():
        monkeypatch.setattr(runner, name, value)
    made, look = Running(), runner.Term._look

    @wraps(look)
    async def look_and_note(term: runner.Term) -> None:
        await look(term)
        made.looks.append(clock.now())

    monkeypatch.setattr(runner.Term, "_look", look_and_note)
    made.start()
    try:
        yield made
    finally:
        with suppress(TimeoutError):
            await made.stop()
        await made.kill()
        await close_async_client()
