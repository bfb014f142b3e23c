"""Finnhub's stream served by us: the key in the address, one symbol per message, nothing acknowledged.

A trade is the newest price of its beat, conflated, not each trade.
"""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import parse_qs

import orjson

from marketdata.errors import InvalidSymbol
from subscriptions import admission
from subscriptions.compat.finnhub_shapes import meant, symbol_text
from subscriptions.errors import Refused
from subscriptions.feeds import Feed, Source, State, Wire
from subscriptions.hub import hub
from subscriptions.sockets import Socket

TOO_MANY = "Subscribing to too many symbols"
# In Finnhub's words, where it has any.
MESSAGES = {
    "not_authenticated": "Invalid API key",
    "session_ended": "Invalid API key",
    "tier_limit": TOO_MANY,
    "connection_limit": "Too many connections",
}
NOT_IN_PLAN = {"subscribe-news", "unsubscribe-news", "subscribe-pr", "unsubscribe-pr"}
# Finnhub pings about once a minute; the hub beats every few seconds, and twice is better than not at all.
PING_EVERY_MS, PING_WITHIN_MS = 60_000, 10_000
PING = '{"type":"ping"}'
# More in an address is nobody's.
MAX_PARAMETERS = 20
# What is repeated of a symbol that there is not.
LONGEST = 40


class Trades:
    """The conditions are not known."""

    source = Source.QUOTE

    def part(self, state: State) -> str:
        fields = state.fields
        return f'{{"c":null,"p":{fields["p"]},"s":"{symbol_text(state.symbol)}","t":{fields["t"]},"v":{state.size}}}'


class FinnhubWire(Wire):
    """It has no words for a price that may be old."""

    def frame(self, parts: list[str]) -> str:
        return f'{{"data":[{",".join(parts)}],"type":"trade"}}'

    def error(self, refused: Refused, request_id: str | int | None = None) -> str:
        words = MESSAGES.get(refused.code, str(refused))
        return orjson.dumps({"type": "error", "msg": words}).decode()

    def heartbeat(self, now_ms: int, *, ack: bool) -> str | None:
        return PING if now_ms % PING_EVERY_MS < PING_WITHIN_MS else None


TRADES: Feed = Trades()
FINNHUB = FinnhubWire()


class FinnhubSocket(Socket):
    """One program."""

    wire: ClassVar[Wire] = FINNHUB

    async def opened(self) -> None:
        login = await admission.login_of_api_key(key_in(self.scope))
        if login is None:
            raise Refused("not_authenticated", "This API key is not valid, or not any more.")
        await self.admit(login)

    async def received(self, text: str | None, data: bytes | None) -> None:
        if not self.admitted:
            return
        kind, name = read(text if text is not None else data or b"")
        try:
            symbol = meant(name)
        except InvalidSymbol:
            raise invalid(name) from None
        if kind == "subscribe":
            await self._subscribe(symbol, name)
        else:
            await self._unsubscribe(symbol)

    async def _subscribe(self, symbol: str, name: str) -> None:
        if symbol in self.client.symbols:
            return
        granted = await self.grant([symbol])
        if not granted.symbols:
            raise invalid(name)
        await hub().follow(self.client, [symbol], TRADES)

    async def _unsubscribe(self, symbol: str) -> None:
        await self.give_up([symbol])
        await hub().unfollow(self.client, [symbol])


def key_in(scope: dict[str, Any]) -> str:
    """In the address, or in the header of the REST API."""
    header: bytes = dict(scope["headers"]).get(b"x-finnhub-token", b"")
    try:
        query = parse_qs(scope["query_string"].decode("latin1"), max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return ""
    return str(query.get("token", [header.decode("latin1")])[0])


def read(message: str | bytes) -> tuple[str, str]:
    """(type, symbol); raises Refused."""
    try:
        fields = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise Refused("bad_message", "Invalid message: send JSON") from error
    if not isinstance(fields, dict):
        raise Refused("bad_message", "Invalid message: send an object")
    kind, symbol = fields.get("type"), fields.get("symbol")
    if isinstance(kind, str) and kind in NOT_IN_PLAN:
        raise Refused("bad_message", "You don't have access to this resource.")
    if kind not in ("subscribe", "unsubscribe"):
        raise Refused("bad_message", "Invalid message: the types are subscribe and unsubscribe")
    if not isinstance(symbol, str):
        raise invalid("")
    return kind, symbol


def invalid(name: str) -> Refused:
    return Refused("not_found", f"Invalid symbol {name[:LONGEST]}".rstrip())
