"""Alpaca's stream, `/compat/alpaca/v2/…`: greeting, key, subscriptions per channel, errors by number.

Every feed of theirs is the same one here, ours. What a client follows is known to the hub alone, so that whatever it
loses there is missing in the next answer too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from core.database import in_thread
from marketdata.errors import InvalidSymbol
from marketdata.symbols import canonical
from subscriptions import admission
from subscriptions.compat.alpaca import CHANNELS, JSON_WIRE, MSGPACK_WIRE, AlpacaWire, unpacked
from subscriptions.compat.alpaca_rest import key_in
from subscriptions.compat.granting import watched_symbols
from subscriptions.errors import Refused
from subscriptions.hub import hub
from subscriptions.sockets import CLOSE_CODES, Socket

KEY_ID, SECRET = b"apca-api-key-id", b"apca-api-secret-key"
EVERYTHING = "*"
# Nobody's plan has room for more, so nobody is asked.
MAX_SYMBOLS = 100

Wanted = dict[str, list[str]]
"""Canonical symbols by channel."""


class AlpacaSocket(Socket):
    """One program. What its words mean: `subscriptions.compat.alpaca`."""

    def wire_of(self, scope: dict[str, Any]) -> AlpacaWire:
        binary = (b"content-type", b"application/msgpack") in scope["headers"]
        return MSGPACK_WIRE if binary else JSON_WIRE

    @property
    def words(self) -> AlpacaWire:
        assert isinstance(self.client.wire, AlpacaWire)
        return self.client.wire

    async def opened(self) -> None:
        self.send(self.words.success("connected"))
        headers = dict(self.scope["headers"])
        if KEY_ID in headers or SECRET in headers:
            await self._authenticate(*(headers.get(name, b"").decode("latin1") for name in (KEY_ID, SECRET)))

    def too_late(self) -> Refused:
        return Refused("auth_timeout", "No key within ten seconds.")

    def close_code(self, refused: Refused) -> int:
        return (
            CLOSE_CODES["not_authenticated"]
            if refused.code == "auth_timeout"
            else super().close_code(refused)
        )

    async def received(self, text: str | None, data: bytes | None) -> None:
        message = unpacked(text if text is not None else data or b"")
        if not isinstance(message, dict):
            raise Refused("bad_message", "Send an object.")
        action = message.get("action")
        if action == "auth":
            await self._authenticate(message.get("key"), message.get("secret"))
        elif action not in ("subscribe", "unsubscribe"):
            raise Refused("bad_message", "The actions are auth, subscribe and unsubscribe.")
        elif not self.admitted:
            raise Refused("no_login", "Say who you are first.")
        elif action == "subscribe":
            await self._subscribe(message)
        else:
            await self._unsubscribe(message)

    async def _authenticate(self, key_id: object, secret: object) -> None:
        if self.admitted:
            raise Refused("logged_in", "You have said who you are.")
        key = key_in(*(half if isinstance(half, str) else "" for half in (key_id, secret)))
        login = await admission.login_of_api_key(key) if key else None
        if login is None:
            raise Refused("not_authenticated", "This API key is not valid, or not any more.")
        await self.admit(login)
        self.send(self.words.success("authenticated"))

    # --- what is followed

    async def _subscribe(self, message: Mapping[str, Any]) -> None:
        """All of it or, over the limit, nothing. A ticker that there is not is left out of the answer."""
        wanted = self._wanted(message)
        if any(EVERYTHING in symbols for symbols in wanted.values()):
            wanted = _instead_of_everything(wanted, await self._watched())
        symbols = _all(wanted)
        if len(symbols) > MAX_SYMBOLS:
            raise Refused("tier_limit", "No plan has room for so many.", symbols)
        new = [symbol for symbol in symbols if symbol not in self.client.symbols]
        if new:
            granted = set((await self.grant(new)).symbols)
            wanted = {
                name: [one for one in those if one in granted or one not in new]
                for name, those in wanted.items()
            }
        for name, those in wanted.items():
            await hub().follow(self.client, those, self.words.feeds[name])
        self._tell_followed()

    async def _watched(self) -> list[str]:
        assert self.client.user_id is not None
        return await in_thread(watched_symbols, self.client.user_id)

    async def _unsubscribe(self, message: Mapping[str, Any]) -> None:
        wanted = self._wanted(message)
        followed = self._followed()
        gone = {
            name: [one for one in followed[name] if EVERYTHING in those or one in those]
            for name, those in wanted.items()
        }
        kept = {one for name, those in followed.items() for one in those if one not in gone.get(name, ())}
        await self.give_up([symbol for symbol in _all(gone) if symbol not in kept])
        for name, those in gone.items():
            await hub().unfollow(self.client, those, self.words.feeds[name])
        self._tell_followed()

    def _wanted(self, message: Mapping[str, Any]) -> Wanted:
        """By channel; without those that we do not have, unless there is nothing else."""
        asked = {name: those for name, those in message.items() if name != "action" and those}
        if any(name not in CHANNELS for name in asked):
            raise Refused("no_action", "A stream of shares has no such channel.")
        ours = {name: _symbols(those) for name, those in asked.items() if name in self.words.feeds}
        if asked and not ours:
            raise Refused("no_channel", f"The channels are {', '.join(self.words.feeds)}.")
        return ours

    def _followed(self) -> Wanted:
        client = self.client
        return {
            name: sorted(symbol for symbol in client.symbols if feed in client.feeds(symbol))
            for name, feed in self.words.feeds.items()
        }

    def _tell_followed(self) -> None:
        self.send(self.words.subscription(self._followed()))


def _symbols(those: object) -> list[str]:
    if not isinstance(those, list):
        raise Refused("bad_message", "A channel has a list of symbols.")
    try:
        return list(dict.fromkeys(one if one == EVERYTHING else canonical(one) for one in those))
    except InvalidSymbol as error:
        raise Refused("invalid_symbol", str(error)) from error


def _instead_of_everything(wanted: Wanted, watched: list[str]) -> Wanted:
    """All that a user may see without asking is the watchlist of this moment."""
    return {name: list(dict.fromkeys(_without_star(those, watched))) for name, those in wanted.items()}


def _without_star(those: list[str], watched: list[str]) -> Iterable[str]:
    for one in those:
        yield from watched if one == EVERYTHING else (one,)


def _all(wanted: Wanted) -> list[str]:
    return list(dict.fromkeys(symbol for those in wanted.values() for symbol in those))
