"""Our provider of the plant, the only one of every process in the scenario of faults.

    python -m benchmarks.fan_out.plant_provider          the real `runtape` with it
    benchmarks.fan_out.plant_provider:application        what the web server serves, with it

The environment variable PLANT says where the plant is.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import django
import orjson
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from benchmarks.vendor.provider import CountedProvider, CountedStream, price_of  # noqa: E402 -- imports models
from core import clock  # noqa: E402 -- same
from marketdata import metering  # noqa: E402 -- same
from marketdata.errors import Kind, ProviderDown, ProviderError  # noqa: E402 -- same
from marketdata.freshness import OPEN_TTL  # noqa: E402 -- same
from marketdata.metering import Call  # noqa: E402 -- same
from marketdata.providers import registry  # noqa: E402 -- same
from marketdata.quotes import EPOCH, Quote, Tick  # noqa: E402 -- same

ADDRESS = "PLANT"


class PlantProvider(CountedProvider):
    """Dates a bought price as the plant does: it may have been traded again before the answer was read."""

    async def fetch_quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote | ProviderError]:
        metering.note(Call(self.name, "quotes", clock.now(), Kind.OK, symbols=tuple(symbols)))
        reader, writer = await self._connect()
        try:
            writer.write(orjson.dumps({"ask": list(symbols)}) + b"\n")
            sold = orjson.loads(await reader.readline())
        except (OSError, ValueError) as error:
            raise ProviderDown(str(error)) from error
        finally:
            writer.close()
        return {symbol: _quote(symbol, price) for symbol, price in sold.items()}

    async def open_stream(self) -> CountedStream:
        reader, writer = await self._connect()
        return PlantStream(reader, writer)


class PlantStream(CountedStream):
    async def batches(self) -> AsyncIterator[Sequence[Tick]]:
        try:
            while line := await self._reader.readline():
                yield [_tick(*one) for one in orjson.loads(line)]
        except OSError as error:
            raise ProviderDown(str(error)) from error
        raise ProviderDown("the plant closed the stream")


def _quote(symbol: str, price: Sequence[int]) -> Quote:
    cents, traded_us, volume = price
    now = clock.now()
    return Quote(
        symbol=symbol,
        price=price_of(cents),
        volume=volume,
        as_of=EPOCH + timedelta(microseconds=traded_us),
        received_at=now,
        expires_at=now + OPEN_TTL,
        provider=CountedProvider.name,
    )


def _tick(symbol: str, cents: int, traded_us: int, volume: int) -> Tick:
    return Tick(
        symbol=symbol,
        price=price_of(cents),
        size=1,
        volume=volume,
        as_of_us=traded_us,
        provider=CountedProvider.name,
    )


_override = registry.override(PlantProvider(os.environ[ADDRESS], streams=True))
_override.__enter__()  # for the life of the process


def __getattr__(name: str) -> Any:
    if name != "application":
        raise AttributeError(name)
    from config.asgi import application  # noqa: PLC0415 -- the tape needs no web

    return application


if __name__ == "__main__":
    call_command("runtape")
