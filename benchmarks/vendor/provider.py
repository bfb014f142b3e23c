"""Our provider of the counting vendor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from benchmarks.vendor.server import LONGEST_LINE
from core import clock
from marketdata import metering
from marketdata.errors import Kind, ProviderDown, ProviderError
from marketdata.freshness import OPEN_TTL
from marketdata.metering import Call
from marketdata.providers.base import AssetClass, Capabilities, Interval, Limited
from marketdata.quotes import Bar, Quote, Tick

BATCH_SIZE = 50


class CountedProvider(Limited):
    """Covers every symbol; streams or not, as asked."""

    name = "counted"

    def __init__(self, address: str, *, streams: bool) -> None:
        self.address = address
        self.capabilities = Capabilities(
            label="Counted",
            asset_classes=frozenset(AssetClass),
            max_symbols_per_request=BATCH_SIZE,
            streams=streams,
            always_open=True,
        )

    def covers(self, symbol: str) -> bool:
        return True

    async def fetch_quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote | ProviderError]:
        metering.note(Call(self.name, "quotes", clock.now(), Kind.OK, symbols=tuple(symbols)))
        reader, writer = await self._connect()
        try:
            await _send(writer, {"ask": list(symbols)})
            sold = orjson.loads(await reader.readline())
        except (OSError, ValueError) as error:
            raise ProviderDown(str(error)) from error
        finally:
            writer.close()
        now = clock.now()
        return {symbol: _quote(symbol, cents, now) for symbol, cents in sold.items()}

    async def fetch_bars(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> list[Bar]:
        return []

    async def open_stream(self) -> CountedStream:
        reader, writer = await self._connect()
        await _send(writer, {"stream": True})
        return CountedStream(reader, writer)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_unix_connection(self.address, limit=LONGEST_LINE)
        except OSError as error:
            raise ProviderDown(str(error)) from error


class CountedStream:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def subscribe(self, symbols: Collection[str]) -> None:
        await _send(self._writer, {"subscribe": list(symbols)})

    async def unsubscribe(self, symbols: Collection[str]) -> None:
        await _send(self._writer, {"unsubscribe": list(symbols)})

    async def batches(self) -> AsyncIterator[Sequence[Tick]]:
        while line := await self._reader.readline():
            yield [_tick(*one) for one in orjson.loads(line)]
        raise ProviderDown("the vendor closed the stream")

    async def close(self) -> None:
        self._writer.close()


async def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    try:
        writer.write(orjson.dumps(message) + b"\n")
        await writer.drain()
    except OSError as error:
        raise ProviderDown(str(error)) from error


def price_of(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def _quote(symbol: str, cents: int, now: datetime) -> Quote:
    return Quote(
        symbol=symbol,
        price=price_of(cents),
        as_of=now,
        received_at=now,
        expires_at=now + OPEN_TTL,
        provider=CountedProvider.name,
    )


def _tick(symbol: str, cents: int, as_of_us: int) -> Tick:
    return Tick(
        symbol=symbol,
        price=price_of(cents),
        size=1,
        volume=1,
        as_of_us=as_of_us,
        provider=CountedProvider.name,
    )
