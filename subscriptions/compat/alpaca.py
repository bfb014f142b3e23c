"""Alpaca's words: what a price, a quote and a bar look like in its REST answers and on its stream.

On the stream each is written once per process in either encoding, JSON or MessagePack, and a frame joins them.
What we do not know is told as Alpaca would tell that there is none: a size of 0, a price of 0 for a side without one,
and null for how many trades a bar has and for their average. docs/howto/compat.md says so to those who read it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgpack
import orjson

from core import json
from marketdata.quotes import EPOCH, Bar, Quote
from subscriptions.errors import Refused
from subscriptions.feeds import Feed, Frame, Minute, Source, State, Wire

# No single exchange and a regular sale: a price of ours is the newest of wherever our provider hears it.
EXCHANGE, TAPE, CONDITIONS = "E", "C", ("@",)
# Of shares: what their stream has; those that we have are `AlpacaWire.feeds`.
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
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
    500: "internal error",
}
# Our own codes (docs/reference/stream.md) in Alpaca's numbers.
NUMBERS = {
    "bad_message": 400,
    "invalid_symbol": 400,
    "message_too_big": 400,
    "not_authenticated": 402,
    "not_watched": 405,
    "session_ended": 402,
    "auth_timeout": 404,
    "tier_limit": 405,
    "no_login": 401,
    "logged_in": 403,
    "no_channel": 409,
    "no_action": 410,
    "connection_limit": 406,
    "too_slow": 407,
    "too_many_messages": 407,
    "unavailable": 500,
    "restarting": 500,
}


class At:
    """A time within a message: text in JSON, a timestamp in MessagePack. No dataclass: orjson writes those itself."""

    __slots__ = ("us",)

    def __init__(self, us: int) -> None:
        self.us = us


def time_text(us: int) -> str:
    """RFC 3339 in UTC."""
    moment = EPOCH + timedelta(microseconds=us)
    return moment.replace(tzinfo=None).isoformat() + "Z"


def number(text: str | Decimal | None) -> float:
    """A price as Alpaca writes it; 0 for one there is not."""
    return float(text) if text else 0.0


# --- what REST and stream have in common


def trade(price: str | Decimal, size: int, number_: int, at: Any) -> dict[str, Any]:
    """`number_` rises with every change of a symbol, as the number of a trade does."""
    return {
        "i": number_, "x": EXCHANGE, "p": number(price), "s": size, "c": list(CONDITIONS), "t": at, "z": TAPE,
    }  # fmt: skip


def quote(bid: str | Decimal | None, ask: str | Decimal | None, at: Any) -> dict[str, Any]:
    """Of a side we know the price at most, never how many are wanted there."""
    return {
        "bx": EXCHANGE, "bp": number(bid), "bs": 0, "ax": EXCHANGE, "ap": number(ask), "as": 0,
        "c": ["R"], "t": at, "z": TAPE,
    }  # fmt: skip


def bar(prices: tuple[Any, Any, Any, Any], volume: int, at: Any) -> dict[str, Any]:
    """`prices` are open, high, low, close."""
    opened, high, low, close = map(number, prices)
    return {"o": opened, "h": high, "l": low, "c": close, "v": volume, "n": None, "vw": None, "t": at}


# --- REST


def moment_text(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def trade_of(found: Quote) -> dict[str, Any]:
    return trade(found.price, found.size, found.seq, moment_text(found.as_of))


def quote_of(found: Quote) -> dict[str, Any]:
    return quote(found.bid, found.ask, moment_text(found.as_of))


def bar_of(one: Bar, start: datetime) -> dict[str, Any]:
    return bar((one.open, one.high, one.low, one.close), one.volume, moment_text(start))


def day_of(found: Quote, zone: ZoneInfo) -> dict[str, Any] | None:
    """The running day, where its prices are known; it begins at midnight."""
    if found.open is None or found.high is None or found.low is None:
        return None
    prices = (found.open, found.high, found.low, found.price)
    return bar(prices, found.volume or 0, moment_text(midnight_of(found.as_of, zone)))


def midnight_of(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)


# --- the stream


class _Encoding:
    """One of the two ways to write messages; `many` makes an array of such as are written already."""

    def __init__(
        self, one: Callable[[dict[str, Any]], Frame], many: Callable[[list[Any]], Frame], name: str
    ) -> None:
        self.one, self.many, self.name = one, many, name


def _json_one(message: dict[str, Any]) -> str:
    return orjson.dumps(message, default=_json_time).decode()


def _json_many(parts: list[str]) -> str:
    return f"[{','.join(parts)}]"


def _json_time(value: Any) -> str:
    if isinstance(value, At):
        return time_text(value.us)
    raise TypeError(value)


def _msgpack_one(message: dict[str, Any]) -> bytes:
    packed: bytes = msgpack.packb(message, default=_msgpack_time)
    return packed


def _msgpack_many(parts: list[bytes]) -> bytes:
    return _array_header(len(parts)) + b"".join(parts)


def _array_header(length: int) -> bytes:
    """By hand: a packer of the library takes a quarter of a megabyte for each frame."""
    if length < 16:
        return bytes((0x90 | length,))
    return b"\xdc" + length.to_bytes(2, "big") if length < 65_536 else b"\xdd" + length.to_bytes(4, "big")


def _msgpack_time(value: Any) -> Any:
    if isinstance(value, At):
        return msgpack.Timestamp.from_unix_nano(value.us * 1000)
    raise TypeError(value)


JSON = _Encoding(_json_one, _json_many, "json")
MSGPACK = _Encoding(_msgpack_one, _msgpack_many, "msgpack")


class _Channel:
    """What one channel says of a state, in one encoding."""

    source = Source.QUOTE

    def __init__(self, encoding: _Encoding) -> None:
        self._write = encoding.one

    def part(self, state: Any) -> Frame | None:
        message = self.message(state)
        return None if message is None else self._write(message)

    def message(self, state: Any) -> dict[str, Any] | None:
        raise NotImplementedError


class Trades(_Channel):
    """The newest price of a beat, not every trade of it."""

    def message(self, state: State) -> dict[str, Any]:
        told = state.fields
        return {
            "T": "t",
            "S": state.symbol,
            **trade(told["p"], state.size, state.number, At(told["t"] * 1000)),
        }


class Quotes(_Channel):
    """Bid and ask beside a price, where the provider tells them."""

    def message(self, state: State) -> dict[str, Any] | None:
        if state.bid is None and state.ask is None:
            return None
        return {"T": "q", "S": state.symbol, **quote(state.bid, state.ask, At(state.fields["t"] * 1000))}


class Bars(_Channel):
    """Minutes that are over."""

    source = Source.MINUTE

    def message(self, state: Minute) -> dict[str, Any]:
        prices = (state.open, state.high, state.low, state.close)
        return {"T": "b", "S": state.symbol, **bar(prices, state.volume, At(state.start_s * 1_000_000))}


class AlpacaWire(Wire):
    """Every frame is an array. There is no heartbeat and no word for an old price; a ping of WebSocket is enough."""

    def __init__(self, encoding: _Encoding) -> None:
        self._encoding = encoding
        self.feeds: dict[str, Feed] = {
            "trades": Trades(encoding),
            "quotes": Quotes(encoding),
            "bars": Bars(encoding),
        }
        """By the name of their channel."""

    def frame(self, parts: list[Any]) -> Frame:
        return self._encoding.many(parts)

    def tell(self, message: dict[str, Any]) -> Frame:
        return self.frame([self._encoding.one(message)])

    def success(self, word: str) -> Frame:
        return self.tell({"T": "success", "msg": word})

    def subscription(self, followed: dict[str, list[str]]) -> Frame:
        """All that is followed, by channel; those that we do not have stay empty."""
        return self.tell({"T": "subscription", **{name: followed.get(name, []) for name in CHANNELS}})

    def failure(self, code: int) -> Frame:
        return self.tell({"T": "error", "code": code, "msg": ERRORS[code]})

    def error(self, refused: Refused, request_id: str | int | None = None) -> Frame:
        return self.failure(NUMBERS.get(refused.code, 500))


JSON_WIRE, MSGPACK_WIRE = AlpacaWire(JSON), AlpacaWire(MSGPACK)


def unpacked(data: str | bytes) -> Any:
    """What a client sends, whichever encoding it chose to hear; None for what cannot be read."""
    try:
        return json.loads(data) if isinstance(data, str) else msgpack.unpackb(data)
    except (ValueError, TypeError, msgpack.UnpackException):
        return None
