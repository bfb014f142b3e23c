"""What Massive's streams say, in its words: one event per update, and the statuses around them. Pure.

An event is a price as the tape tells it, conflated: a trade here is the newest price of its beat, not each trade.
Prices go out as the text they came in, which is a JSON number already.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from subscriptions.compat.massive_shapes import ticker_text
from subscriptions.errors import Refused
from subscriptions.feeds import Feed, Minute, Source, State, Wire

A_MINUTE_MS = 60_000
NOT_AUTHORIZED = "You are not authorized to subscribe to: "
TOO_MANY = "Maximum number of websocket connections exceeded. You have reached the connection limit for your account."
# How our refusals are told, where Massive has a status for them.
STATUSES = {
    "not_authenticated": ("auth_failed", "authentication failed"),
    "auth_timeout": ("auth_timeout", "No authentication request received."),
    "connection_limit": ("max_connections", TOO_MANY),
    "too_slow": ("slow_consumer", "The connection was ended because it did not read what was sent."),
    "session_ended": ("force_disconnect", "Your key is not valid any more."),
    "restarting": ("force_disconnect", "The server restarts; connect again."),
}


class Trades:
    """`T`: identifier and sequence are the tape's; what it does not know (exchange, conditions) is left out."""

    source = Source.QUOTE

    def part(self, state: State) -> str:
        fields = state.fields
        return (
            f'{{"ev":"T","sym":"{ticker_text(state.symbol)}","i":"{state.epoch}-{state.number}",'
            f'"p":{fields["p"]},"s":{state.size},"t":{fields["t"]},"q":{state.number}}}'
        )


class Quotes:
    """`Q`: nothing to say where neither bid nor ask is known; sizes never are."""

    source = Source.QUOTE

    def part(self, state: State) -> str | None:
        if state.bid is None and state.ask is None:
            return None
        bid = "" if state.bid is None else f'"bp":{state.bid},'
        ask = "" if state.ask is None else f'"ap":{state.ask},'
        return (
            f'{{"ev":"Q","sym":"{ticker_text(state.symbol)}",{bid}{ask}'
            f'"t":{state.fields["t"]},"q":{state.number}}}'
        )


class Minutes:
    """`AM`: a minute that is over."""

    source = Source.MINUTE

    def part(self, minute: Minute) -> str:
        start = minute.start_s * 1_000
        return (
            f'{{"ev":"AM","sym":"{ticker_text(minute.symbol)}","v":{minute.volume},"o":{minute.open},'
            f'"c":{minute.close},"h":{minute.high},"l":{minute.low},"s":{start},"e":{start + A_MINUTE_MS}}}'
        )


class CoinTrades:
    """`XT`, of the coins' stream."""

    source = Source.QUOTE

    def part(self, state: State) -> str:
        fields = state.fields
        return (
            f'{{"ev":"XT","pair":"{state.symbol}","i":"{state.epoch}-{state.number}",'
            f'"p":{fields["p"]},"s":{state.size},"t":{fields["t"]}}}'
        )


class PairQuotes:
    """`C`, of the currencies' stream: bid and ask, or the price for both where only that is known."""

    source = Source.QUOTE

    def part(self, state: State) -> str:
        fields, pair = state.fields, state.symbol.removesuffix("=X")
        return (
            f'{{"ev":"C","p":"{pair[:3]}/{pair[3:]}","a":{state.ask or fields["p"]},'
            f'"b":{state.bid or fields["p"]},"t":{fields["t"]}}}'
        )


class Values:
    """`V`, of the indexes' stream."""

    source = Source.QUOTE

    def part(self, state: State) -> str:
        fields = state.fields
        return f'{{"ev":"V","T":"{ticker_text(state.symbol)}","val":{fields["p"]},"t":{fields["t"]}}}'


MINUTES: Feed = Minutes()
STOCKS: dict[str, Feed] = {"T": Trades(), "Q": Quotes(), "AM": MINUTES}
CRYPTO: dict[str, Feed] = {"XT": CoinTrades()}
FOREX: dict[str, Feed] = {"C": PairQuotes()}
INDICES: dict[str, Feed] = {"V": Values(), "AM": MINUTES}


class MassiveWire(Wire):
    """Frames are lists, also of one. It has no words for a price that may be old, nor for a heartbeat."""

    def frame(self, parts: list[str]) -> str:
        return f"[{','.join(parts)}]"

    def error(self, refused: Refused, request_id: str | int | None = None) -> str:
        if refused.code in STATUSES:
            return statuses([STATUSES[refused.code]])
        if refused.symbols:
            return statuses([not_authorized(ticker_text(one), str(refused)) for one in refused.symbols])
        return statuses([("error", str(refused))])


MASSIVE = MassiveWire()
Status = tuple[str, str]


def statuses(told: Sequence[Status]) -> str:
    """One frame of (status, message)."""
    return orjson.dumps(
        [{"ev": "status", "status": status, "message": words} for status, words in told]
    ).decode()


def not_authorized(channel: str, why: str = "") -> Status:
    return "error", f"{NOT_AUTHORIZED}{channel}{f' ({why})' if why else ''}"
