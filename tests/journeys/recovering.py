"""Three kinds of clients that go and come back, the tape in bad weather, and who saw what: for tests of recovery."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Protocol

import orjson
from django.test import Client as Browser

from config.asgi import application
from core import live
from core.database import in_thread
from core.redis import client
from marketdata.cache import LATEST_KEY, encode
from marketdata.quotes import Quote
from marketdata.symbols import group_name
from marketdata.tape.publish import update_of
from subscriptions.hub import hub
from tests.subscriptions.conftest import Feed
from tests.subscriptions.event_reader import EventReader
from tests.tapes import Tape

Position = tuple[int, int]
PATIENCE_S = 60
NOWHERE: Position = (-1, -1)


class Witness(Protocol):
    """Who knows what was really said."""

    def was_said(self, symbol: str, position: Position, price: str) -> bool: ...

    def positions_of(self, symbol: str) -> set[Position]:
        """All that have been published so far."""


class Listener:
    """The witness of a real tape, which keeps all that it publishes."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def was_said(self, symbol: str, position: Position, price: str) -> bool:
        return any(tick.symbol == symbol and tick.price == Decimal(price) for tick in self._tape.sent)

    def positions_of(self, symbol: str) -> set[Position]:
        return {(event["e"], event["n"]) for event in self._tape.published(symbol)}


class Weather(Feed):
    """The tape, whose messages may be lost, doubled and swapped; keeps what it has published."""

    def __init__(self) -> None:
        super().__init__()
        self._cents = 0
        self.published: defaultdict[str, dict[Position, str]] = defaultdict(dict)
        self._unheard: set[tuple[str, Position]] = set()

    def latest(self) -> dict[str, tuple[Position, str]]:
        return {symbol: max(states.items()) for symbol, states in self.published.items() if states}

    def was_said(self, symbol: str, position: Position, price: str) -> bool:
        return self.published[symbol].get(position) == price

    def positions_of(self, symbol: str) -> set[Position]:
        return set(self.published[symbol])

    def price(self) -> str:
        self._cents += 1
        return f"{100 + self._cents / 100:.2f}"

    def quote(self, symbol: str, price: str) -> Quote:
        quote = super().quote(symbol, price)
        self.published[symbol][quote.epoch, quote.seq] = price
        return quote

    async def says(self, *symbols: str) -> None:
        await self.publish(**{symbol: self.price() for symbol in symbols})

    async def says_unheard(self, symbol: str) -> None:
        """Stored, but nobody was told."""
        quote = self.quote(symbol, self.price())
        self._unheard.add((symbol, (quote.epoch, quote.seq)))
        client().hset(LATEST_KEY, symbol, encode(quote))

    async def says_twice(self, symbol: str) -> None:
        quote = self.quote(symbol, self.price())
        client().hset(LATEST_KEY, symbol, encode(quote))
        for _ in range(2):
            await live.publish(group_name(symbol), update_of(quote).event)

    async def says_swapped(self, symbol: str) -> None:
        first, second = (self.quote(symbol, self.price()) for _ in range(2))
        client().hset(LATEST_KEY, symbol, encode(second))
        for quote in (second, first):
            await live.publish(group_name(symbol), update_of(quote).event)

    async def changes_its_owner(self, *symbols: str) -> None:
        self.epoch += 1
        self.numbers.clear()
        await self.says(*symbols)

    def forgets(self) -> None:
        """Redis loses everything: what was only stored there has never been."""
        client().flushall()
        for symbol, position in self._unheard:
            if hub().states.position(symbol) < position:
                self.published[symbol].pop(position, None)
        self._unheard.clear()


class Knower:
    """What one person has on the screen; every way in which it may be wrong is noted."""

    def __init__(self, name: str, witness: Witness) -> None:
        self.name = name
        self._witness = witness
        self.shown: dict[str, tuple[Position, str]] = {}
        self.faults: list[str] = []
        self.recovered: list[bool] = []

    def positions(self) -> dict[str, Position]:
        return {symbol: position for symbol, (position, _) in self.shown.items()}

    def sees(self, symbol: str, position: Position, price: str) -> None:
        before = self.shown.get(symbol, (NOWHERE, ""))
        if position < before[0]:
            self.faults.append(f"{self.name}: {symbol} {position} came after {before[0]}")
        if not self._witness.was_said(symbol, position, price):
            self.faults.append(f"{self.name}: {symbol} {position} was never {price}")
        self.shown[symbol] = (position, price)

    def updates(self, states: Iterable[Mapping[str, Any]]) -> None:
        for state in states:
            self.sees(state["s"], (state["e"], state["n"]), state["p"])

    def snapshot(self, quotes: Iterable[Mapping[str, Any]]) -> None:
        for quote in quotes:
            if quote["price"] is not None:
                self.sees(quote["symbol"], (quote["e"], quote["n"]), quote["price"])

    def answered(
        self, answer: Mapping[str, Any], resume: Mapping[str, Position], owed: Mapping[str, set[Position]]
    ) -> None:
        """`owed`: what had been published before the question. Who is told that nothing is missing misses nothing."""
        self.recovered.append(answer["recovered"])
        got = {(state["s"], (state["e"], state["n"])) for state in answer["missed"]}
        got |= {(quote["symbol"], (quote["e"], quote["n"])) for quote in answer["quotes"]}
        for symbol, after in resume.items():
            missing = sorted(one for one in owed[symbol] if one > after and (symbol, one) not in got)
            # What was heard while the answer was being made comes with the next frame.
            if answer["recovered"] and missing and missing != [max(owed[symbol])]:
                self.faults.append(f"{self.name}: recovered from {after}, but never got {symbol} {missing}")
        self.updates(answer["missed"])
        self.snapshot(answer["quotes"])


class SocketReader:
    """One WebSocket in the words of an ASGI server."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        names = {"host": "localhost", "origin": "http://localhost", **headers}
        self._scope = {
            "type": "websocket",
            "path": "/ws/v1/stream",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in names.items()],
            "subprotocols": [],
        }
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._out: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._in.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.create_task(application(self._scope, self._in.get, self._out.put))

    async def say(self, message: Mapping[str, Any]) -> None:
        await self._in.put({"type": "websocket.receive", "text": orjson.dumps(message).decode()})

    async def next(self) -> dict[str, Any]:
        while True:
            event = await self._out.get()
            if event["type"] == "websocket.send":
                return orjson.loads(event["text"])
            if event["type"] == "websocket.close":
                return {"type": "closed", "code": event["code"]}

    async def answer(self) -> dict[str, Any]:
        """What comes next, but for the server's heartbeat."""
        while (message := await asyncio.wait_for(self.next(), PATIENCE_S))["type"] == "heartbeat":
            pass
        return message

    async def disconnect(self) -> None:
        await self._in.put({"type": "websocket.disconnect", "code": 1006})
        await asyncio.wait_for(self._task, PATIENCE_S)


class _Streaming(Knower):
    """Listens in the background, so that what is sent is seen when it is sent."""

    def __init__(self, name: str, witness: Witness, symbols: list[str], headers: dict[str, str]) -> None:
        super().__init__(name, witness)
        self.symbols, self._headers = symbols, headers
        self._listening: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._subscribed = asyncio.Event()
        self._resume: dict[str, Position] = {}
        self._owed: dict[str, set[Position]] = {}

    async def come(self) -> None:
        """Connect from where it was, and wait for the answer."""
        self._resume = self.positions()
        self._owed = {symbol: self._witness.positions_of(symbol) for symbol in self.symbols}
        self._subscribed.clear()
        await self._connect()
        self._listening = asyncio.create_task(self._listen())
        await asyncio.wait_for(self._subscribed.wait(), PATIENCE_S)

    async def go(self) -> None:
        """Whatever is on the way to it is lost."""
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
            await self._disconnect()
        self._listening = None

    async def come_back(self) -> None:
        await self.go()
        await self.come()

    def received(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "subscribed":
            self.answered(message, self._resume, self._owed)
            self._subscribed.set()
        elif message["type"] == "quotes":
            self.updates(message["q"])
        elif message["type"] in ("error", "closed"):
            self.faults.append(f"{self.name}: {message}")
        self._news.set()

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not met():
                self._news.clear()
                await self._news.wait()

    async def _connect(self) -> None:
        raise NotImplementedError

    async def _listen(self) -> None:
        raise NotImplementedError

    async def _disconnect(self) -> None:
        raise NotImplementedError


class SocketPerson(_Streaming):
    async def _connect(self) -> None:
        self._socket = SocketReader(self._headers)
        resume = {symbol: list(position) for symbol, position in self._resume.items()}
        await self._socket.say({"type": "subscribe", "id": 1, "symbols": self.symbols, "resume": resume})

    async def _listen(self) -> None:
        while True:
            self.received(await self._socket.next())

    async def _disconnect(self) -> None:
        await self._socket.disconnect()


class EventsPerson(_Streaming):
    """Knows of positions only what `id:` said."""

    last_id = ""

    async def _connect(self) -> None:
        headers = {**self._headers, **({"last-event-id": self.last_id} if self.last_id else {})}
        self._reader = EventReader(f"/api/v1/stream/?symbols={','.join(self.symbols)}", headers)
        await self._reader.__aenter__()

    async def _listen(self) -> None:
        while True:
            await self._reader.until(lambda: self._reader.events)
            event = self._reader.events.pop(0)
            self.received(event.data)
            self.last_id = event.id

    async def _disconnect(self) -> None:
        await self._reader.disconnect()


class PollingPerson(Knower):
    def __init__(self, name: str, witness: Witness, symbols: list[str], headers: dict[str, str]) -> None:
        super().__init__(name, witness)
        self._address = f"/api/v1/quotes/?symbols={','.join(symbols)}"
        self._browser = Browser()
        self._browser.cookies.load(headers["cookie"])
        self._etag = ""
        self.told_nothing_new = 0

    async def asks(self) -> None:
        headers = {"If-None-Match": self._etag} if self._etag else {}
        response = await in_thread(self._browser.get, self._address, headers=headers)
        if response.status_code == 304:
            self.told_nothing_new += 1
            return
        assert response.status_code == 200, response.content
        self._etag = response["ETag"]
        self.snapshot(response.json()["results"])
