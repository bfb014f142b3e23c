"""Massive's streams on loopback: one WebSocket for each market, one connection for each of them and account."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from core import clock
from marketdata.instruments import asset_class_of
from marketdata.providers.base import AssetClass
from marketdata.providers.massive_symbols import symbol_of, ticker_of
from marketdata.quotes import EPOCH
from marketdata.standins.stream import Session, StreamFault, StreamStandIn, Trade

POLICY = 1008
TOO_MANY = (
    "Maximum number of websocket connections exceeded. You have reached the connection limit for your account. "
    "Please contact support at https://massive.com/contact to increase your limit."
)
# The channel whose events carry a price as it happens, of each market.
TRADES = {
    AssetClass.CRYPTO: "XT",
    AssetClass.FOREX: "C",
    AssetClass.INDEX: "V",
}


class MassiveStreams(StreamStandIn):
    """`partial` in `stream_faults` leaves out every second acknowledgement of so many subscriptions.

    `locked` names channels that the plan lacks, such as T.
    """

    connections_allowed = 1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.locked: set[str] = set()
        self.channels: dict[Session, set[str]] = {}
        self._paths: dict[Session, str] = {}
        self._numbers = 0

    async def serve(self, session: Session, path: str, params: Mapping[str, str]) -> None:
        if self.takes(StreamFault.GREETING_WITHHELD):
            await session.socket.wait_closed()
            return
        await session.send([_status("connected", "Connected Successfully")])
        self._paths[session], self.channels[session] = path.rstrip("/").rsplit("/", 1)[-1], set()
        try:
            if await self._authenticated(session):
                await self._serve_commands(session)
        finally:
            del self._paths[session], self.channels[session]

    async def _authenticated(self, session: Session) -> bool:
        asked = await self._next(session)
        if self.takes(StreamFault.AUTH_UNANSWERED):
            await session.socket.wait_closed()
            return False
        if asked.get("action") != "auth" or asked.get("params") != self.key:
            await session.send([_status("auth_failed", "authentication failed")])
            await session.socket.close(POLICY, "")
            return False
        await session.send([_status("auth_success", "authenticated")])
        if self.takes(StreamFault.CLOSED_AFTER_AUTH):
            await session.socket.close(1000, "")
            return False
        await self._evict_older(session)
        return True

    async def _evict_older(self, newest: Session) -> None:
        """The new connection stays, whoever was there before goes."""
        same = [one for one in self.sessions if self._paths.get(one) == self._paths[newest]]
        for session in same[: max(0, len(same) - self.connections_allowed)]:
            await session.send([_status("max_connections", TOO_MANY)])
            await session.socket.close(POLICY, "")

    async def _serve_commands(self, session: Session) -> None:
        while True:
            asked = await self._next(session)
            channels = [name for name in str(asked.get("params", "")).split(",") if name]
            if asked.get("action") == "subscribe":
                await self._subscribe(session, channels)
            elif asked.get("action") == "unsubscribe":
                self._set(session, self.channels[session] - set(channels))
                await session.send([_status("success", f"unsubscribed to: {name}") for name in channels])

    async def _subscribe(self, session: Session, channels: list[str]) -> None:
        if self.takes(StreamFault.SUBSCRIBE_UNANSWERED):
            return
        if self.stream_faults["partial"] > 0:
            self.stream_faults["partial"] -= 1
            channels = channels[::2]
        refused = [name for name in channels if name.split(".", 1)[0] in self.locked]
        taken = [name for name in channels if name not in refused]
        words = "You are not authorized to subscribe to: "
        answers = [_status("success", f"subscribed to: {name}") for name in taken]
        answers += [_status("error", words + name) for name in refused]
        # In frames of a few, as the real one sends them.
        for begin in range(0, len(answers), 100):
            await session.send(answers[begin : begin + 100])
        # Only what the other side has received is said to be subscribed.
        await (await session.socket.ping())
        self._set(session, self.channels[session] | set(taken))

    def _set(self, session: Session, channels: set[str]) -> None:
        self.channels[session] = channels
        session.symbols = {
            symbol
            for channel in channels
            if (symbol := _symbol_of(channel)) and channel.split(".", 1)[0] == _trades_of(symbol)
        }
        self.changed()

    async def _next(self, session: Session) -> dict[str, Any]:
        self.received.append(asked := json.loads(await session.socket.recv()))
        found: dict[str, Any] = asked
        return found

    # --- what a test or a trial makes happen

    def trades_message(self, trades: Sequence[Trade]) -> list[dict[str, Any]]:
        return [self._event(trade) for trade in trades]

    def _event(self, trade: Trade) -> dict[str, Any]:
        self._numbers += 1
        ticker, at = ticker_of(trade.symbol) or trade.symbol, _ms(trade)
        price = float(trade.price)
        match asset_class_of(trade.symbol):
            case AssetClass.CRYPTO:
                return {
                    "ev": "XT", "pair": trade.symbol, "p": price, "t": at, "s": trade.size, "c": [2],
                    "i": str(trade.id or self._numbers), "x": 1, "r": at,
                }  # fmt: skip
            case AssetClass.FOREX:
                pair = trade.symbol.removesuffix("=X")
                return {"ev": "C", "p": f"{pair[:3]}/{pair[3:]}", "x": 48, "a": price, "b": price, "t": at}
            case AssetClass.INDEX:
                return {"ev": "V", "val": price, "T": ticker, "t": at}
        return {
            "ev": "T", "sym": ticker, "x": 4, "i": str(trade.id or self._numbers), "z": 3, "p": price,
            "s": trade.size, "c": list(trade.conditions), "t": at, "q": self._numbers,
        }  # fmt: skip

    def second(
        self, symbol: str, price: str, *, day_volume: int, day_open: str, volume: int = 100
    ) -> dict[str, Any]:
        """A bar of the second that ends now."""
        end = (clock.now() - EPOCH) // timedelta(milliseconds=1)
        value = float(Decimal(price))
        return {
            "ev": "A", "sym": ticker_of(symbol), "v": volume, "av": day_volume, "op": float(Decimal(day_open)),
            "vw": value, "o": value, "c": value, "h": value, "l": value, "a": value, "z": 50,
            "s": end - 1_000, "e": end,
        }  # fmt: skip

    async def tell(self, *events: Mapping[str, Any]) -> None:
        """Send these events to every session in one frame, subscribed or not."""
        for session in list(self.sessions):
            await session.send(list(events))

    async def tell_status(self, status: str, *, code: int | None = POLICY) -> None:
        """A status of the connection, such as slow_consumer, after which it is closed."""
        for session in list(self.sessions):
            await session.send([_status(status, f"{status}: {self.key}")])
            if code is not None:
                await session.socket.close(code, "")

    def evict(self) -> asyncio.Task[None]:
        """As if somebody else had connected with our key."""
        return asyncio.create_task(self.tell_status("max_connections"))


def _status(status: str, message: str) -> dict[str, str]:
    return {"ev": "status", "status": status, "message": message}


def _symbol_of(channel: str) -> str | None:
    kind, _, name = channel.partition(".")
    match kind:
        case "XT" | "XA" | "XAS":
            return name
        case "C" | "CA" | "CAS":
            return f"{name.replace('/', '').replace('-', '')}=X"
    return symbol_of(name)


def _trades_of(symbol: str) -> str:
    return TRADES.get(asset_class_of(symbol), "T")


def _ms(trade: Trade) -> int:
    return (trade.moment - EPOCH) // timedelta(milliseconds=1)
