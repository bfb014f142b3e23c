"""A market that never rests: `python -m benchmarks.fan_out.plant SOCKET TICKS_PER_S BASE_US SYMBOLS`.

One line of JSON per request: {"ask": [symbols]} sells prices; {"stream": true} makes the connection a stream, which
then understands {"subscribe": [symbols]} and {"unsubscribe": [symbols]}; {"cut": true} drops every stream;
{"stop": true} ends trading and tells the last price of each symbol, in cents.

It trades whether anybody listens or not, so whoever was away has missed something.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from typing import Any

import orjson

LONGEST_LINE = 1 << 24
BATCH_EVERY_S = 0.02
SEED = 20_260_105
FIRST_CENTS = 10_000

Price = tuple[int, int, int]
"""Cents, when it was traded in microseconds since 1970, and the same on the clock that the load client reads."""


class Plant:
    def __init__(self, rate: float, base_us: int, symbols: Sequence[str]) -> None:
        self._rate, self._base_us, self._symbols = rate, base_us, symbols
        self._rng = random.Random(SEED)
        self._streams: dict[asyncio.StreamWriter, set[str]] = {}
        self.prices: dict[str, Price] = {symbol: self._price(FIRST_CENTS) for symbol in symbols}
        self._trading = asyncio.create_task(self._trade())

    def _price(self, cents: int) -> Price:
        return cents, time.time_ns() // 1000, time.monotonic_ns() // 1000 - self._base_us

    async def _trade(self) -> None:
        began, sent = time.monotonic(), 0
        while True:
            await asyncio.sleep(BATCH_EVERY_S)
            count = int((time.monotonic() - began) * self._rate) - sent
            sent += count
            ticks = [self._tick() for _ in range(count)]
            for writer, symbols in list(self._streams.items()):
                writer.write(orjson.dumps([tick for tick in ticks if tick[0] in symbols]) + b"\n")

    def _tick(self) -> tuple[Any, ...]:
        symbol = self._rng.choice(self._symbols)
        self.prices[symbol] = self._price(self.prices[symbol][0] + self._rng.choice((-2, -1, 1, 2)))
        return symbol, *self.prices[symbol]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                answer = self._answer(orjson.loads(line), writer)
                if answer is not None:
                    writer.write(orjson.dumps(answer) + b"\n")
        except ConnectionError:
            return
        finally:
            self._streams.pop(writer, None)
            writer.close()

    def _answer(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> Any:
        """None where nothing is answered."""
        if "ask" in request:
            return {symbol: self.prices[symbol] for symbol in request["ask"] if symbol in self.prices}
        if "stop" in request:
            self._trading.cancel()
            return {symbol: price[0] for symbol, price in self.prices.items()}
        if "cut" in request:
            for stream in self._streams:
                stream.transport.abort()
            return len(self._streams)
        wanted = self._streams.setdefault(writer, set())
        wanted |= set(request.get("subscribe", ()))
        wanted -= set(request.get("unsubscribe", ()))
        return None


async def main(address: str, rate: str, base_us: str, symbols: str) -> None:
    plant = Plant(float(rate), int(base_us), symbols.split(","))
    server = await asyncio.start_unix_server(plant.serve, address, limit=LONGEST_LINE)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
