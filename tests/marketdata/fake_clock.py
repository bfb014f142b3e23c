"""A clock that stands still until somebody waits."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 4, 15, 35, 20, 700_000, tzinfo=UTC)


class FakeClock:
    def __init__(self, moment: datetime = START) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    async def wait(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        await asyncio.sleep(0)


async def collect(provider, symbols, seconds):
    """What one stream delivers for `symbols` within this much time of the provider's own clock."""
    stream = await provider.open_stream()
    await stream.subscribe(symbols)
    until = provider.now() + timedelta(seconds=seconds)
    ticks = []
    async for batch in stream.batches():
        ticks += batch
        if provider.now() >= until:
            break
    await stream.close()
    return ticks
