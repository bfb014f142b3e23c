"""Those to whom no WebSocket gets: `python -m benchmarks.fan_out.readers CONFIG`.

CONFIG is JSON: port, and per reader its kind ("events" or "polling"), cookie and symbols. The order `finals` tells what
everybody holds. Readers of events come back with the position that the stream told them last; pollers ask with the
ETag of their last answer every few seconds, and once more with the order `poll`. `cut` breaks a third of the streams.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson

POLL_EVERY_S = 4.0
PATIENCE_S = 20.0
LONGEST_PAUSE_S = 2.0
CHUNK_LIMIT = 1 << 22
CUT_SHARE = 1 / 3

BROKEN = (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError)


class Broken(OSError):
    """The answer is not what was asked for."""


def _what(error: Exception) -> str:
    return str(error) if isinstance(error, Broken) else type(error).__name__


class Answer:
    """The head of an answer has been read."""

    def __init__(self, reader: asyncio.StreamReader, status: int, headers: dict[str, str]) -> None:
        self._reader, self.status, self.headers = reader, status, headers

    async def refusal(self) -> str:
        """The status, and the code of the problem."""
        body = b"".join([piece async for piece in self.pieces()])
        try:
            return f"{self.status} {orjson.loads(body)['code']}"
        except (ValueError, KeyError, TypeError):
            return str(self.status)

    async def pieces(self) -> AsyncIterator[bytes]:
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(await self._reader.readline(), 16):
                yield (await self._reader.readexactly(size + 2))[:-2]
        elif "content-length" in self.headers:
            yield await self._reader.readexactly(int(self.headers["content-length"]))
        else:
            while piece := await self._reader.read(1 << 16):
                yield piece


class Reader:
    def __init__(self, port: int, cookie: str, symbols: list[str]) -> None:
        self._port, self._cookie, self._symbols = port, cookie, symbols
        self.prices: dict[str, str] = {}
        self.positions: dict[str, tuple[int, int]] = {}
        self.violations = 0
        self.connects = 0
        self.failures: Counter[str] = Counter()

    async def _ask(self, path: str, more: dict[str, str]) -> tuple[Answer, asyncio.StreamWriter]:
        self.connects += 1
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=CHUNK_LIMIT)
        host = f"localhost:{self._port}"
        headers = {"Host": host, "Origin": f"http://{host}", "Cookie": self._cookie, **more}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET {path}?symbols={','.join(self._symbols)} HTTP/1.1\r\n{head}\r\n".encode())
        status = int((await reader.readline()).split()[1])
        answered: dict[str, str] = {}
        while (line := (await reader.readline()).decode().strip()) != "":
            name, _, value = line.partition(":")
            answered[name.lower()] = value.strip()
        return Answer(reader, status, answered), writer


class Events(Reader):
    """Follows the stream for ever."""

    def __init__(self, port: int, cookie: str, symbols: list[str]) -> None:
        super().__init__(port, cookie, symbols)
        self._position = ""
        self._pause_s = 1.0
        self._writer: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        while True:
            try:
                await self._follow()
            except BROKEN as error:
                self.failures[_what(error)] += 1
            await asyncio.sleep(random.uniform(0, min(self._pause_s, LONGEST_PAUSE_S)))

    async def _follow(self) -> None:
        more = {"Last-Event-ID": self._position} if self._position else {}
        async with asyncio.timeout(PATIENCE_S):
            answer, writer = await self._ask("/api/v1/stream/", more)
        self._writer = writer
        try:
            if answer.status != 200:
                raise Broken(await answer.refusal())
            text = ""
            async for piece in answer.pieces():
                *events, text = (text + piece.decode()).split("\n\n")
                for event in events:
                    self._take(event)
        finally:
            writer.close()

    def cut(self) -> None:
        """The connection breaks without a word."""
        if self._writer is not None:
            self._writer.transport.abort()

    def _take(self, event: str) -> None:
        fields = dict(line.split(": ", 1) for line in event.splitlines() if ": " in line)
        if "retry" in fields:
            self._pause_s = int(fields["retry"]) / 1000
        self._position = fields.get("id", self._position)
        if fields.get("event") == "subscribed":
            for quote in orjson.loads(fields["data"])["quotes"]:
                self._keep(quote["symbol"], quote["price"], (quote["e"], quote["n"]))
        elif fields.get("event") == "quotes":
            for quote in orjson.loads(fields["data"])["q"]:
                position = (quote["e"], quote["n"])
                self.violations += position <= self.positions.get(quote["s"], (-1, -1))
                self._keep(quote["s"], quote["p"], position)

    def _keep(self, symbol: str, price: str | None, position: tuple[int, int]) -> None:
        if price is not None and position >= self.positions.get(symbol, (-1, -1)):
            self.positions[symbol], self.prices[symbol] = position, price


class Polling(Reader):
    """Asks now and then; an answer that says nothing has changed has to be right as well."""

    def __init__(self, port: int, cookie: str, symbols: list[str]) -> None:
        super().__init__(port, cookie, symbols)
        self._etag = ""

    async def run(self) -> None:
        await asyncio.sleep(random.uniform(0, POLL_EVERY_S))
        while True:
            await self.poll()
            await asyncio.sleep(POLL_EVERY_S)

    async def poll(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._poll()
        except BROKEN as error:
            self.failures[_what(error)] += 1

    async def _poll(self) -> None:
        more = {"Connection": "close"} | ({"If-None-Match": self._etag} if self._etag else {})
        answer, writer = await self._ask("/api/v1/quotes/", more)
        try:
            if answer.status == 304:
                return
            if answer.status != 200:
                raise Broken(await answer.refusal())
            body = b"".join([piece async for piece in answer.pieces()])
            self._etag = answer.headers.get("etag", "")
            found: Any = orjson.loads(body)
            for quote in found["results"] if isinstance(found, dict) else found:
                if quote["price"] is not None:
                    self.prices[quote["symbol"]] = quote["price"]
        finally:
            writer.close()


KINDS: dict[str, type[Events | Polling]] = {"events": Events, "polling": Polling}


async def main(told: dict[str, Any]) -> None:
    readers = [KINDS[one["kind"]](told["port"], one["cookie"], one["symbols"]) for one in told["readers"]]
    running = [asyncio.create_task(reader.run()) for reader in readers]
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    while order := (await orders.readline()).decode().strip():
        if order == "cut":
            for reader in readers:
                if isinstance(reader, Events) and random.random() < CUT_SHARE:
                    reader.cut()
        if order == "poll":
            await asyncio.gather(*(reader.poll() for reader in readers if isinstance(reader, Polling)))
        print(orjson.dumps([_told(reader) for reader in readers]).decode(), flush=True)
    for task in running:
        task.cancel()


def _told(reader: Events | Polling) -> dict[str, Any]:
    return {
        "kind": "events" if isinstance(reader, Events) else "polling",
        "prices": reader.prices,
        "violations": reader.violations,
        "connects": reader.connects,
        "failures": reader.failures,
    }


if __name__ == "__main__":
    asyncio.run(main(orjson.loads(Path(sys.argv[1]).read_bytes())))
