"""The socket `/ws/v1/stream`: authenticates and translates, nothing else. The protocol: docs/reference/stream.md."""

from __future__ import annotations

from typing import Any

import orjson
from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer

from accounts.models import User
from core.database import in_thread
from core.outages import OUTAGES
from marketdata.errors import InvalidSymbol
from marketdata.payload import quote_payload
from marketdata.symbols import canonical
from subscriptions import streaming
from subscriptions.client import Client
from subscriptions.errors import Refused, TierLimit
from subscriptions.hub import hub

# More in one message is a mistake or worse; nobody's tier allows it.
MAX_SYMBOLS = 100
# Close code: whoever connected is not logged in any more.
SESSION_ENDED = 4001


class StreamConsumer(AsyncConsumer):
    """One browser or program. It has no channel of its own: the hub hears for everybody in this process."""

    channel_layer_alias = "none"
    client: Client | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """However it ends, also by a mistake of ours: the hub keeps nobody who is gone."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self.client is not None:
                await hub().remove(self.client)

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        user: Any = self.scope["user"]
        session: Any = self.scope.get("session")
        self.client = Client(
            self._send_text,
            user_id=user.pk if user.is_authenticated else None,
            session_key=session.session_key if session is not None and user.is_authenticated else None,
            close=self._close,
        )
        await self._emit({"type": "websocket.accept"})
        await hub().add(self.client)

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        raise StopConsumer

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        assert self.client is not None
        if self.client.ended:
            return
        request: dict[str, Any] = {}
        try:
            request = _parse(message.get("text"))
            await self._do(self.client, request)
        except Refused as refused:
            await self._send_text(refused.frame(request.get("id")))
        except User.DoesNotExist:
            self.client.end(Refused("session_ended", "You are logged out. Log in and connect again."))
            await hub().remove(self.client)

    async def _do(self, client: Client, request: dict[str, Any]) -> None:
        symbols = _symbols(request)
        try:
            if request["type"] == "subscribe":
                await self._subscribe(client, request, symbols)
            else:
                await self._unsubscribe(client, request, symbols)
        except TierLimit as limit:
            raise Refused("tier_limit", str(limit), limit.symbols) from limit
        except OUTAGES as error:
            raise Refused(
                "unavailable", "Not possible right now; try again in a few seconds.", symbols
            ) from error

    async def _subscribe(self, client: Client, request: dict[str, Any], symbols: list[str]) -> None:
        granted = await in_thread(streaming.grant, client.user_id, symbols)
        client.temporary |= granted.temporary
        quotes = await hub().follow(client, granted.symbols)
        answer = {
            "type": "subscribed",
            "id": request.get("id"),
            "symbols": granted.symbols,
            "recovered": False,
        }
        await self._answer({**answer, "quotes": [quote_payload(quote) for quote in quotes.values()]})
        if hub().silent:
            hub().tell_stale(client, granted.symbols)
        if granted.unknown:
            raise Refused("not_found", "No such ticker.", granted.unknown)
        if granted.forbidden:
            raise Refused("login_required", "Log in to stream more than the demo tickers.", granted.forbidden)

    async def _unsubscribe(self, client: Client, request: dict[str, Any], symbols: list[str]) -> None:
        symbols = [symbol for symbol in symbols if symbol in client.symbols]
        given_up = {symbol: client.temporary.pop(symbol) for symbol in symbols if symbol in client.temporary}
        try:
            await in_thread(streaming.give_up, client.user_id, given_up.values())
        except OUTAGES:
            client.temporary |= given_up
            raise
        await hub().unfollow(client, symbols)
        await self._answer({"type": "unsubscribed", "id": request.get("id"), "symbols": symbols})

    async def _answer(self, message: dict[str, Any]) -> None:
        await self._send_text(orjson.dumps(message).decode())

    async def _send_text(self, text: str) -> None:
        await self._emit({"type": "websocket.send", "text": text})

    async def _close(self, last_words: str) -> None:
        await self._send_text(last_words)
        await self._emit({"type": "websocket.close", "code": SESSION_ENDED})

    async def _emit(self, event: dict[str, Any]) -> None:
        await self.base_send(event)  # type: ignore[arg-type]  # the stubs know each event as its own type


class NoSuchSocket(AsyncConsumer):
    """Any other address: refused without a word in the log."""

    channel_layer_alias = "none"

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        await self.base_send({"type": "websocket.close", "code": 1000})  # type: ignore[arg-type]

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        raise StopConsumer


def _parse(text: str | None) -> dict[str, Any]:
    try:
        request = orjson.loads(text or b"")
    except orjson.JSONDecodeError as error:
        raise Refused("bad_message", "Send JSON text frames.") from error
    if not isinstance(request, dict) or request.get("type") not in ("subscribe", "unsubscribe"):
        raise Refused("bad_message", "Send an object with a type: subscribe or unsubscribe.")
    if not isinstance(request.get("id"), str | int | None):
        request["id"] = None
        raise Refused("bad_message", "An id is text or a number.")
    return request


def _symbols(request: dict[str, Any]) -> list[str]:
    asked = request.get("symbols")
    if not isinstance(asked, list) or not 0 < len(asked) <= MAX_SYMBOLS:
        raise Refused("bad_message", f"symbols is a list of 1 to {MAX_SYMBOLS} ticker symbols.")
    try:
        return list(dict.fromkeys(canonical(one) for one in asked))
    except InvalidSymbol as error:
        raise Refused("invalid_symbol", str(error)) from error
