"""Alpaca's stream on loopback, as Alpaca's own client library demands it.

It greets first, echoes the whole subscription, speaks MessagePack to who asks for it by header, and refuses by
messages with a code.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgpack

from core import clock
from marketdata.quotes import microseconds
from marketdata.standins.stream import Session, StreamFault, StreamStandIn, Trade

CHANNELS = (
    "trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "corrections", "cancelErrors",
)  # fmt: skip
ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    408: "v2 not enabled",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
    500: "internal error",
}
COINS = "/v1beta3/crypto/us"
# Coins are neither halted nor corrected, and their stream refuses to subscribe what it does not have.
SHARES_ONLY = ("statuses", "lulds", "corrections", "cancelErrors")


@dataclass(frozen=True, slots=True)
class At:
    """A time within a message: RFC 3339 in JSON, a timestamp in MessagePack."""

    moment: datetime


def _json_default(value: Any) -> Any:
    if isinstance(value, At):
        return f"{value.moment:%Y-%m-%dT%H:%M:%S}.{value.moment.microsecond:06d}000Z"
    return _number(value)


def _msgpack_default(value: Any) -> Any:
    if isinstance(value, At):
        return msgpack.Timestamp.from_unix_nano(microseconds(value.moment) * 1000)
    return _number(value)


def _number(value: Any) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(value)


def as_json(message: Any) -> str:
    return json.dumps(message, default=_json_default)


def as_msgpack(message: Any) -> bytes:
    packed: bytes = msgpack.packb(message, default=_msgpack_default)
    return packed


class AlpacaStreaming(StreamStandIn):
    """The stream half of the stand-in; `most_symbols` None is no limit."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.feeds = {"iex"}
        self.most_symbols: int | None = None
        self.authenticated: dict[Session, str] = {}
        self.channels: dict[Session, dict[str, set[str]]] = {}

    def trades_message(self, trades: Sequence[Trade]) -> Any:
        return [
            {
                "T": "t", "S": spelled(trade.symbol), "i": trade.id, "x": "V", "p": trade.price,
                "s": trade.size, "c": list(trade.conditions or ("@",)), "z": "C", "t": At(trade.moment),
            }
            for trade in trades
        ]  # fmt: skip

    async def serve(self, session: Session, path: str, params: Mapping[str, str]) -> None:
        request = session.socket.request
        assert request is not None
        if request.headers.get("Content-Type") == "application/msgpack":
            session.encode = as_msgpack
        else:
            session.encode = as_json
        self.channels[session] = {name: set() for name in CHANNELS}
        try:
            await self._converse(session, path)
        finally:
            self.authenticated.pop(session, None)
            del self.channels[session]

    async def _converse(self, session: Session, path: str) -> None:
        if self.takes(StreamFault.GREETING_WITHHELD):
            await session.socket.wait_closed()
            return
        await session.send([{"T": "success", "msg": "connected"}])
        async for data in session.socket:
            message = _unpacked(data)
            self.received.append(message)
            action = message.get("action") if isinstance(message, dict) else None
            if action == "auth":
                if not await self._authenticate(session, path, message):
                    return
            elif action in {"subscribe", "unsubscribe"}:
                await self._follow(session, action, message)
            else:
                await self.refuse(session, 400)
            self.changed()

    async def _authenticate(self, session: Session, path: str, message: Mapping[str, Any]) -> bool:
        """False ends the session, as an error does there."""
        if self.takes(StreamFault.AUTH_UNANSWERED):
            return True
        if code := self._refused(session, path, message):
            await self.refuse(session, code)
            return code == 403
        self.authenticated[session] = path
        await session.send([{"T": "success", "msg": "authenticated"}])
        return not self.takes(StreamFault.CLOSED_AFTER_AUTH)

    def _refused(self, session: Session, path: str, message: Mapping[str, Any]) -> int | None:
        if session in self.authenticated:
            return 403
        if (message.get("key"), message.get("secret")) != (self.key, self.secret):
            return 402
        if path != COINS and path.rpartition("/")[2] not in self.feeds:
            return 409
        return 406 if path in self.authenticated.values() else None

    async def _follow(self, session: Session, action: str, message: Mapping[str, Any]) -> None:
        if session not in self.authenticated:
            await self.refuse(session, 401)
            return
        mine = self.channels[session]
        asked = {name: set(message.get(name) or ()) for name in CHANNELS}
        if self.authenticated[session] == COINS and any(asked[name] for name in SHARES_ONLY):
            await self.refuse(session, 410)
            return
        if action == "subscribe":
            if self._too_many(mine["trades"] | asked["trades"], mine["quotes"] | asked["quotes"]):
                await self.refuse(session, 405)
                return
            # Corrections and cancels come with the trades by themselves.
            asked["corrections"] = asked["cancelErrors"] = asked["trades"]
            mine |= {name: mine[name] | asked[name] for name in CHANNELS}
        else:
            asked["corrections"] = asked["cancelErrors"] = asked["trades"]
            mine |= {name: mine[name] - asked[name] for name in CHANNELS}
        if not self.takes(StreamFault.SUBSCRIBE_UNANSWERED):
            await session.send([{"T": "subscription", **{name: sorted(mine[name]) for name in CHANNELS}}])
        session.symbols = {name.replace("/", "-") for name in mine["trades"]}
        self.changed()

    def _too_many(self, trades: Collection[str], quotes: Collection[str]) -> bool:
        return self.most_symbols is not None and len(trades) + len(quotes) > self.most_symbols

    # --- what a test or a trial makes happen

    async def refuse(self, session: Session, code: int) -> None:
        await session.send([{"T": "error", "code": code, "msg": ERRORS[code]}])

    async def refuse_all(self, code: int) -> None:
        for session in list(self.sessions):
            await self.refuse(session, code)

    async def tell(self, channel: str, *events: Mapping[str, Any]) -> None:
        """Send events (with `T`, `S` and their own fields) to the sessions that have the channel for the symbol."""
        for session in list(self.sessions):
            names = self.channels[session][channel]
            theirs = [event for event in events if event["S"] in names or "*" in names]
            if theirs:
                await session.send(theirs)

    async def quote(self, symbol: str, bid: Decimal, ask: Decimal) -> None:
        await self.tell("quotes", {
            "T": "q", "S": spelled(symbol), "bx": "V", "bp": bid, "bs": 100, "ax": "V", "ap": ask, "as": 200,
            "c": ["R"], "z": "C", "t": At(clock.now()),
        })  # fmt: skip

    async def bar(
        self, symbol: str, at: datetime, prices: Sequence[Decimal], volume: int, kind: str = "b"
    ) -> None:
        """`prices` are open, high, low, close; kind `b` is a minute, `u` the same restated, `d` the day so far."""
        channel = {"b": "bars", "u": "updatedBars", "d": "dailyBars"}[kind]
        figures = dict(zip("ohlc", prices, strict=True))
        await self.tell(channel, {
            "T": kind, "S": spelled(symbol), **figures, "v": volume, "n": 5, "vw": prices[3], "t": At(at),
        })  # fmt: skip

    async def status(self, symbol: str, code: str, at: datetime) -> None:
        """H halts and T resumes on tape C; 2 and 3 on the others."""
        await self.tell("statuses", {
            "T": "s", "S": spelled(symbol), "sc": code, "sm": "", "rc": "T1", "rm": "News", "z": "C", "t": At(at),
        })  # fmt: skip

    async def correct(self, trade: Trade, price: Decimal, at: datetime) -> None:
        await self.tell("corrections", {
            "T": "c", "S": spelled(trade.symbol), "x": "V", "oi": trade.id, "op": trade.price, "os": trade.size,
            "oc": ["@"], "ci": trade.id + 1, "cp": price, "cs": trade.size, "cc": ["@"], "z": "C", "t": At(at),
        })  # fmt: skip

    async def cancel(self, trade: Trade, at: datetime) -> None:
        await self.tell("cancelErrors", {
            "T": "x", "S": spelled(trade.symbol), "i": trade.id, "x": "V", "p": trade.price, "s": trade.size,
            "a": "C", "z": "C", "t": At(at),
        })  # fmt: skip


def spelled(symbol: str) -> str:
    return symbol.replace("-", "/")


def _unpacked(data: str | bytes) -> Any:
    try:
        return json.loads(data) if isinstance(data, str) else msgpack.unpackb(data)
    except ValueError:
        return None
