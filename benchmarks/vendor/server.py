"""The counting vendor: `python -m benchmarks.vendor.server SOCKET`.

One line of JSON per request: {"ask": [symbols]} sells quotes; {"stream": true} makes the connection a stream, which
then understands {"subscribe": [symbols]} and {"unsubscribe": [symbols]} and sends ticks; {"bill": true} tells what
was counted; {"reset": true} starts the counts anew.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from itertools import count
from typing import Any

import orjson

# As long as a near vendor takes: without it no two requests would ever meet.
LATENCY_S = 0.05
# Each second a part of the streamed symbols trades, so that each does every ten seconds.
TICK_EVERY_S = 1.0
TICK_PARTS = 10
LONGEST_LINE = 1 << 24

Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Vendor:
    def __init__(self) -> None:
        self.streams: dict[int, set[str]] = {}
        self.sold: Counter[str] = Counter()
        self._numbers = count(1)
        self.reset()

    def reset(self) -> None:
        """Forget what was counted; open streams, and prices, stay."""
        self.requests: list[int] = []
        self.asked: Counter[str] = Counter()
        self.connections = 0
        self.most_streams = len(self.streams)
        self.subscribed: Counter[str] = Counter()

    def bill(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "asked": self.asked,
            "connections": self.connections,
            "most_streams": self.most_streams,
            "subscribed": self.subscribed,
            "prices": {symbol: self.price(symbol) for symbol in self.asked},
            "streams": {str(number): sorted(symbols) for number, symbols in self.streams.items()},
        }

    def sell(self, symbols: list[str]) -> dict[str, int]:
        """Each sale of a symbol has a price of its own, in cents: who has it bought nothing else since."""
        self.requests.append(len(symbols))
        self.asked.update(symbols)
        self.sold.update(symbols)
        return {symbol: self.price(symbol) for symbol in symbols}

    def price(self, symbol: str) -> int:
        return 10_000 + self.sold[symbol]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                request = orjson.loads(line)
                if "stream" in request:
                    await self._stream(reader, writer)
                    return
                await _send(writer, await self._answer(request))
        except ConnectionError:
            return
        finally:
            writer.close()

    async def _answer(self, request: dict[str, Any]) -> Any:
        if "ask" in request:
            answer = self.sell(request["ask"])
            await asyncio.sleep(LATENCY_S)
            return answer
        if "reset" in request:
            self.reset()
        return self.bill()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, symbols = next(self._numbers), set[str]()
        self.connections += 1
        self.streams[number] = symbols
        self.most_streams = max(self.most_streams, len(self.streams))
        ticking = asyncio.create_task(self._tick(symbols, writer))
        try:
            while line := await reader.readline():
                wish = orjson.loads(line)
                self.subscribed.update(set(wish.get("subscribe", ())) - symbols)
                symbols |= set(wish.get("subscribe", ()))
                symbols -= set(wish.get("unsubscribe", ()))
        finally:
            ticking.cancel()
            del self.streams[number]

    async def _tick(self, symbols: set[str], writer: asyncio.StreamWriter) -> None:
        for turn in count():
            await asyncio.sleep(TICK_EVERY_S)
            now_us = time.time_ns() // 1000
            due = sorted(symbols)[turn % TICK_PARTS :: TICK_PARTS]
            await _send(writer, [[symbol, self.price(symbol), now_us] for symbol in due])


async def _send(writer: asyncio.StreamWriter, answer: Any) -> None:
    writer.write(orjson.dumps(answer) + b"\n")
    await writer.drain()


async def main(address: str) -> None:
    vendor = Vendor()
    server = await asyncio.start_unix_server(vendor.serve, address, limit=LONGEST_LINE)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
