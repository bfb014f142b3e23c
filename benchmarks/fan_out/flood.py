"""The real `runtape` under a flood: `python -m benchmarks.fan_out.flood TICKS_PER_S SECONDS SPREAD FILE`.

Its only provider is in the same process, so that nothing of a vendor's protocol is measured: ticks are due on a fixed
schedule, each carries the moment it was due, and whatever the tape cannot take in time is late. When the flood is
over, FILE tells what was sent, how late, and the last price of each symbol.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import accumulate
from pathlib import Path

import django
import orjson
from django.core.management import call_command

BATCH_EVERY_S = 0.01
SEED = 20_260_105
# So many draws are made in advance and then repeated.
DRAWS = 1 << 18
# A price is this many cents above its base at most: no tick is implausible.
STEPS = 50


if __name__ == "__main__":
    django.setup()

from marketdata.errors import NotFound, ProviderError  # noqa: E402 -- some of them read the settings
from marketdata.providers.base import AssetClass, Capabilities, Limited  # noqa: E402 -- same
from marketdata.providers.registry import override  # noqa: E402 -- same
from marketdata.quotes import Quote, Tick  # noqa: E402 -- same


class Flood(Limited):
    """Covers every symbol and never has a first quote: each price that is published was streamed."""

    name = "flood"
    capabilities = Capabilities(
        label="Flood",
        asset_classes=frozenset(AssetClass),
        max_symbols_per_request=10_000,
        streams=True,
        always_open=True,
    )

    def __init__(self, rate: float, seconds: float, spread: str, file: Path) -> None:
        self._rate, self._seconds, self._spread, self._file = rate, seconds, spread, file

    def covers(self, symbol: str) -> bool:
        return True

    async def fetch_quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote | ProviderError]:
        return {symbol: NotFound() for symbol in symbols}

    async def open_stream(self) -> FloodStream:
        return FloodStream(self._rate, self._seconds, self._spread, self._file)


class FloodStream:
    """Begins when the first symbols are subscribed; the tape asks for all at once."""

    def __init__(self, rate: float, seconds: float, spread: str, file: Path) -> None:
        self._rate, self._seconds, self._spread, self._file = rate, seconds, spread, file
        self._wanted: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._prices = [Decimal(10_000 + step).scaleb(-2) for step in range(STEPS)]

    async def subscribe(self, symbols: Collection[str]) -> None:
        if not self._wanted.done():
            self._wanted.set_result(sorted(symbols))

    async def unsubscribe(self, symbols: Collection[str]) -> None:
        """The flood goes on; the tape leaves out what it does not want."""

    async def close(self) -> None:
        """Nothing is open."""

    async def batches(self) -> AsyncIterator[Sequence[Tick]]:
        symbols = await self._wanted
        draws = drawn(symbols, self._spread)
        last: dict[str, Decimal] = {}
        late_s, sent, began = 0.0, 0, time.monotonic()
        wall_us = time.time_ns() // 1000
        while (elapsed := time.monotonic() - began) < self._seconds:
            due = int(elapsed / BATCH_EVERY_S) * BATCH_EVERY_S
            count = int(due * self._rate) - sent
            if count <= 0:
                await asyncio.sleep(BATCH_EVERY_S - (elapsed - due))
                continue
            ticks = [self._tick(draws, number, wall_us) for number in range(sent, sent + count)]
            late_s = max(late_s, time.monotonic() - began - sent / self._rate)
            sent += count
            for tick in ticks:
                last[tick.symbol] = tick.price
            yield ticks
        self._tell(last, sent, late_s)
        while True:
            await asyncio.sleep(1)
            yield []  # a sign of life

    def _tick(self, draws: Sequence[str], number: int, wall_us: int) -> Tick:
        return Tick(
            symbol=draws[number % DRAWS],
            price=self._prices[number % STEPS],
            size=1,
            volume=number,
            as_of_us=wall_us + int(number / self._rate * 1_000_000),
            provider=Flood.name,
        )

    def _tell(self, last: Mapping[str, Decimal], sent: int, late_s: float) -> None:
        told = {
            "sent": sent,
            "late_ms": late_s * 1000,
            "ended": datetime.now(UTC).isoformat(),
            "last": {symbol: str(price) for symbol, price in last.items()},
        }
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(orjson.dumps(told))
        fresh.replace(self._file)


def drawn(symbols: Sequence[str], spread: str) -> list[str]:
    """Which symbol each tick is of: as a market trades, a few have most of the trades, or all equally often."""
    weights = [1 / (rank + 1) if spread == "market" else 1.0 for rank in range(len(symbols))]
    return random.Random(SEED).choices(symbols, cum_weights=list(accumulate(weights)), k=DRAWS)


if __name__ == "__main__":
    rate, seconds, spread, file = sys.argv[1:]
    with override(Flood(float(rate), float(seconds), spread, Path(file))):
        call_command("runtape")
