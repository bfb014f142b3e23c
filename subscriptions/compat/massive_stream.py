"""Massive's streams served by us: greeting, key, channels, each acknowledged or refused by itself.

A star is not the whole market here: it is the user's watchlist at that moment. Where a message asks for more tickers
than the tier has room for, the first ones are taken and the others refused, one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import orjson

from core.database import in_thread
from marketdata.errors import InvalidSymbol
from marketdata.providers.massive_market import market_of
from subscriptions import admission
from subscriptions.compat import massive_feeds as words
from subscriptions.compat.granting import watched_symbols, within
from subscriptions.compat.massive_shapes import meant
from subscriptions.errors import Refused, TierLimit
from subscriptions.feeds import Feed, Wire
from subscriptions.hub import hub
from subscriptions.sockets import CLOSE_CODES, Socket

STAR = "*"
# The channels of 100 tickers, of which no tier has so many.
MAX_CHANNELS = 300
EMPTY = "a star is your watchlist, which has no ticker of this market"


@dataclass
class Wanted:
    """What a message asks for, channel by channel in its order, and what is told of each."""

    channels: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    """Prefix and symbols of each channel that can be meant."""
    told: dict[str, words.Status] = field(default_factory=dict)

    @property
    def symbols(self) -> list[str]:
        return list(dict.fromkeys(one for _, those in self.channels.values() for one in those))

    def by_feed(self) -> Mapping[str, list[str]]:
        found: dict[str, dict[str, None]] = {}
        for prefix, those in self.channels.values():
            found.setdefault(prefix, {}).update(dict.fromkeys(those))
        return {prefix: list(those) for prefix, those in found.items()}

    def refuse(self, symbols: Iterable[str], why: str) -> None:
        """These symbols are not to be had; a star goes on with the others."""
        gone = set(symbols)
        for channel, (prefix, those) in list(self.channels.items()):
            rest = [one for one in those if one not in gone]
            if rest:
                self.channels[channel] = (prefix, rest)
            else:
                self.told[channel] = words.not_authorized(channel, why)
                del self.channels[channel]


class MassiveSocket(Socket):
    """One program on the stream of shares; further markets have their own below."""

    wire: ClassVar[Wire] = words.MASSIVE
    market: ClassVar[str] = "stocks"
    feeds: ClassVar[Mapping[str, Feed]] = words.STOCKS

    async def opened(self) -> None:
        self.tell([("connected", "Connected Successfully")])

    def tell(self, told: Sequence[words.Status]) -> None:
        if told:
            self.send(words.statuses(told))

    def too_late(self) -> Refused:
        return Refused("auth_timeout", "No key within ten seconds.")

    def close_code(self, refused: Refused) -> int:
        code = "not_authenticated" if refused.code == "auth_timeout" else refused.code
        return CLOSE_CODES.get(code, super().close_code(refused))

    async def received(self, text: str | None, data: bytes | None) -> None:
        action, params = read(text if text is not None else data or b"")
        if action == "auth":
            await self._authenticate(params)
        elif not self.admitted:
            raise Refused("not_authenticated", "Send your key first.")
        elif action == "subscribe":
            await self._subscribe(params)
        elif action == "unsubscribe":
            await self._unsubscribe(params)
        else:
            raise Refused("bad_message", "The actions are auth, subscribe and unsubscribe.")

    async def _authenticate(self, key: str) -> None:
        if self.admitted:
            raise Refused("bad_message", "already authenticated")
        login = await admission.login_of_api_key(key)
        if login is None:
            raise Refused("not_authenticated", "This API key is not valid, or not any more.")
        await self.admit(login)
        self.tell([("auth_success", "authenticated")])

    # --- what is followed

    async def _subscribe(self, params: str) -> None:
        wanted = await self._wanted(params)
        await self._get(wanted)
        for prefix, symbols in wanted.by_feed().items():
            await hub().follow(self.client, symbols, self.feeds[prefix])
        taken = {channel: ("success", f"subscribed to: {channel}") for channel in wanted.channels}
        self.tell([(wanted.told | taken)[channel] for channel in channels_in(params)])

    async def _get(self, wanted: Wanted) -> None:
        """The rights to all of it that there are rights to; the rest is refused in `wanted`."""
        new = [symbol for symbol in wanted.symbols if symbol not in self.client.symbols]
        if not new:
            return
        try:
            granted = await self.grant(new)
        except TierLimit as limit:
            new, surplus = within(limit, new)
            wanted.refuse(surplus, str(limit))
            granted = await self.grant(new)
        wanted.refuse(granted.unknown, "no such ticker")

    async def _unsubscribe(self, params: str) -> None:
        """Whatever of it was followed; nothing is wrong with a channel that was not."""
        gone = {
            prefix: self._followed_of(prefix, names)
            for prefix, names in named(params).items()
            if prefix in self.feeds
        }
        left = {symbol for symbol in self.client.symbols if self._feeds_left(symbol, gone)}
        ending = {symbol for those in gone.values() for symbol in those} - left
        await self.give_up(sorted(ending))
        for prefix, symbols in gone.items():
            await hub().unfollow(self.client, symbols, self.feeds[prefix])
        self.tell([("success", f"unsubscribed to: {channel}") for channel in channels_in(params)])

    def _followed_of(self, prefix: str, names: Sequence[str]) -> list[str]:
        feed = self.feeds[prefix]
        followed = [symbol for symbol in self.client.symbols if feed in self.client.feeds(symbol)]
        if STAR in names:
            return followed
        meant_by_them = {self.symbol_of(name) for name in names}
        return [symbol for symbol in followed if symbol in meant_by_them]

    def _feeds_left(self, symbol: str, gone: Mapping[str, Sequence[str]]) -> set[Feed]:
        ended = {self.feeds[prefix] for prefix, symbols in gone.items() if symbol in symbols}
        return set(self.client.feeds(symbol)) - ended

    # --- channels

    async def _wanted(self, params: str) -> Wanted:
        wanted = Wanted()
        watched: list[str] | None = None
        for channel in channels_in(params):
            prefix, _, name = channel.partition(".")
            if prefix not in self.feeds:
                wanted.told[channel] = words.not_authorized(channel)
                continue
            if name == STAR and watched is None:
                watched = await self._watched()
            symbol = self.symbol_of(name)
            symbols = (watched or []) if name == STAR else [symbol] if symbol else []
            if symbols:
                wanted.channels[channel] = (prefix, symbols)
            else:
                wanted.told[channel] = words.not_authorized(
                    channel, EMPTY if name == STAR else "no such ticker"
                )
        return wanted

    async def _watched(self) -> list[str]:
        assert self.client.user_id is not None
        watched = await in_thread(watched_symbols, self.client.user_id)
        return [symbol for symbol in watched if market_of(symbol) == self.market]

    def symbol_of(self, name: str) -> str | None:
        """None for what is no ticker, or one of another market."""
        try:
            symbol = meant(name)
        except InvalidSymbol:
            return None
        return symbol if market_of(symbol) == self.market else None


class CryptoSocket(MassiveSocket):
    """Coins, as `XT.BTC-USD`."""

    market, feeds = "crypto", words.CRYPTO


class ForexSocket(MassiveSocket):
    """Currency pairs, as `C.EUR/USD`."""

    market, feeds = "forex", words.FOREX


class IndicesSocket(MassiveSocket):
    """Indexes, as `V.I:SPX`."""

    market, feeds = "indices", words.INDICES


# --- messages


def read(message: str | bytes) -> tuple[Any, str]:
    """(action, params); raises Refused."""
    try:
        fields = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise Refused("bad_message", "Send JSON.") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("params", ""), str):
        raise Refused("bad_message", "Send an object with an action and its params as text.")
    return fields.get("action"), fields.get("params", "")


def channels_in(params: str) -> list[str]:
    """Each once, in order; raises Refused where there are none or too many."""
    channels = list(dict.fromkeys(part.strip() for part in params.split(",") if part.strip()))
    if not 0 < len(channels) <= MAX_CHANNELS:
        raise Refused("bad_message", f"params are 1 to {MAX_CHANNELS} channels with commas between them.")
    return channels


def named(params: str) -> dict[str, list[str]]:
    """The names behind each prefix."""
    found: dict[str, list[str]] = {}
    for channel in channels_in(params):
        prefix, _, name = channel.partition(".")
        found.setdefault(prefix, []).append(name)
    return found
