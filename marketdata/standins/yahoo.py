"""Yahoo Finance on loopback: cookie and crumb, quotes, charts adjusted for splits, search, and a stream of protobuf.

Faults meet what is asked with a crumb or without, but not the two steps to the crumb: these have `session_faults`.
"""

from __future__ import annotations

import base64
import json
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from marketdata.adjusting import ratio_of
from marketdata.providers.spelling import ours
from marketdata.providers.yahoo_answers import spelled
from marketdata.quotes import EPOCH, Action, ActionKind, Bar
from marketdata.standins import yahoo_company
from marketdata.standins.base import Asked, Fault, Reply, response_of
from marketdata.standins.market import Listed
from marketdata.standins.stream import Session, StreamFault, StreamStandIn, Trade

COOKIE, CRUMB = "A3=d=AQABBStandIn&S=AQAAA", "stand.In/crumb"
TEXT = {"Content-Type": "text/plain"}
STEPS = {"1m": timedelta(minutes=1), "1d": timedelta(days=1)}
# Days are told by the moment they open: 14:30 UTC is half past nine in New York's winter.
OPENS = timedelta(hours=14, minutes=30)
CHART, CHART_OF_COINS = "America/New_York", "UTC"
INVALID_CRUMB = {
    "finance": {"result": None, "error": {"code": "Unauthorized", "description": "Invalid Crumb"}}
}
NO_DATA = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
MOST_SYMBOLS = 50
REFUSED = {
    Fault.PLAN: Reply(b"Forbidden", 403, TEXT),
    Fault.RATE_LIMITED: Reply(b"Too Many Requests\r\n", 429, {**TEXT, "Retry-After": "1800"}),
    Fault.RATE_LIMITED_BARE: Reply(b"Too Many Requests\r\n", 429, TEXT),
    Fault.UNAUTHORIZED: Reply(INVALID_CRUMB, 401),
}


class YahooStandIn(StreamStandIn):
    """The cookie is given at /cookie. `currencies` are those of symbols that are not told in dollars."""

    vendor = "yahoo"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.crumb = CRUMB
        self.cookie_reply = Reply(b"", 404, {"Set-Cookie": f"{COOKIE}; Max-Age=31557600; Domain=.yahoo.com"})
        self.crumb_reply: Reply | None = None
        self.states: dict[str, dict[str, Any]] = {}
        self.sold: Counter[str] = Counter()
        self.tells_currency = True

    @property
    def cookie_url(self) -> str:
        return f"{self.url}/cookie"

    # --- REST

    async def _on_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """The steps to the crumb meet no fault, so that a test can tell which request it spoils."""
        path = request.path.partition("?")[0]
        if path not in {"/cookie", "/v1/test/getcrumb"}:
            return await super()._on_request(connection, request)
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        self.asked.append(Asked(path, {}, headers))
        if path == "/cookie":
            return response_of(self.cookie_reply)
        return response_of(self.crumb_reply or self._crumb_for(headers))

    def _crumb_for(self, headers: Mapping[str, str]) -> Reply:
        if headers.get("cookie") != COOKIE:
            return Reply({"finance": {"error": {"code": "Unauthorized"}}}, 401)
        return Reply(self.crumb.encode(), 200, TEXT)

    async def respond(self, asked: Asked, fault: Fault | None) -> Reply:
        if asked.path == "/v7/finance/quote":
            return self.quotes(asked, fault)
        if asked.path.startswith("/v8/finance/chart/"):
            return self.chart(unquote(asked.path.rpartition("/")[2]), asked.params)
        if asked.path.startswith("/v10/finance/quoteSummary/"):
            return self.summary(asked)
        if asked.path == "/v1/finance/search":
            return Reply(self.search(asked.params.get("q", "").lower()))
        return Reply(b"Not Found", 404, TEXT)

    def refusal(self, fault: Fault) -> Reply:
        return REFUSED.get(fault, Reply(b"Internal Server Error", 500, TEXT))

    def quotes(self, asked: Asked, fault: Fault | None) -> Reply:
        if (asked.headers.get("cookie"), asked.params.get("crumb")) != (COOKIE, self.crumb):
            return REFUSED[Fault.UNAUTHORIZED]
        names = asked.params.get("symbols", "").split(",")
        if len(names) > MOST_SYMBOLS:
            return REFUSED[Fault.RATE_LIMITED_BARE]
        rows = [self._row(name, fault if not number else None) for number, name in enumerate(names)]
        found = [row for row in rows if row]
        if fault in {Fault.NOT_A_NUMBER, Fault.SKEWED}:
            found = [row for name in names if (row := self._row(name, fault))]
        if fault is Fault.SCRAMBLED and found:
            found = [*reversed(found), *filter(None, [self._row("SPY", None)]), found[0]]
        return Reply({"quoteResponse": {"result": found, "error": None}})

    def _row(self, name: str, fault: Fault | None) -> dict[str, Any] | None:
        found = self.market.get(ours(name) or "")
        if found is None or fault in {Fault.MISSING, Fault.ITEM_ERROR}:
            return None
        row = {**_quote(name, found), **self.states.get(found.symbol, {})}
        if fault is Fault.ZEROS:
            row["regularMarketPrice"] = 0
        if fault is Fault.NOT_A_NUMBER:
            row["regularMarketPrice"] = float("nan")
        if fault is Fault.SKEWED:
            row["regularMarketTime"] += 3600
        return row

    def chart(self, name: str, params: Mapping[str, str]) -> Reply:
        found = self.market.get(ours(name) or "")
        if found is None:
            return Reply({"chart": {"result": None, "error": NO_DATA}}, 404)
        step = STEPS[params["interval"]]
        start, end = (EPOCH + timedelta(seconds=int(params[name])) for name in ("period1", "period2"))
        is_day = step == STEPS["1d"]
        opens = OPENS if is_day else timedelta()
        bars = [
            bar
            for bar in self.market.bars(found.symbol, start - step, end, step)
            if start <= bar.start + opens < end
        ]
        actions = self.market.actions_of(found.symbol, start.date(), end.date() + timedelta(days=1))
        later = [one for one in actions if one.kind is ActionKind.SPLIT]
        result = {
            "meta": _meta(name, found),
            "timestamp": [_seconds(bar.start + opens) for bar in bars],
            "events": _events(actions, later),
            "indicators": {"quote": [_columns([_adjusted(bar, later) for bar in bars])]},
        }
        return Reply({"chart": {"result": [result], "error": None}})

    def search(self, wanted: str) -> dict[str, Any]:
        rows = [
            {
                "symbol": spelled(one.symbol),
                "shortname": one.name,
                "longname": one.name,
                "exchange": "NMS",
                "exchDisp": one.exchange,
                "quoteType": "ETF" if "ETF" in one.name else "EQUITY",
            }
            for one in self.market.listed.values()
            if wanted in f"{one.symbol} {one.name}".lower()
        ]
        return {"count": len(rows), "quotes": rows, "news": yahoo_company.news(self.market, wanted)}

    def summary(self, asked: Asked) -> Reply:
        if (asked.headers.get("cookie"), asked.params.get("crumb")) != (COOKIE, self.crumb):
            return REFUSED[Fault.UNAUTHORIZED]
        found = self.market.figures.get(ours(unquote(asked.path.rpartition("/")[2])) or "")
        if found is None:
            return Reply({"quoteSummary": {"result": None, "error": NO_DATA}}, 404)
        return Reply({"quoteSummary": {"result": [yahoo_company.summary(found)], "error": None}})

    # --- stream

    async def serve(self, session: Session, path: str, params: Mapping[str, str]) -> None:
        if self.takes(StreamFault.CLOSED_AFTER_AUTH):
            await session.socket.close(1000)
        async for text in session.socket:
            message = json.loads(text)
            self.received.append(message)
            session.symbols |= {ours(name) or name for name in message.get("subscribe", [])}
            session.symbols -= {ours(name) or name for name in message.get("unsubscribe", [])}
            self.changed()

    async def sell(self, *trades: Trade, to_all: bool = False) -> None:
        """A frame holds one price."""
        for trade in trades:
            await super().sell(trade, to_all=to_all)

    def trades_message(self, trades: Sequence[Trade]) -> Any:
        (trade,) = trades
        self.sold[trade.symbol] += trade.size
        listed = self.market.get(trade.symbol)
        fields: dict[int, Any] = {
            1: spelled(trade.symbol),
            2: float(trade.price),
            3: (trade.moment - EPOCH) // timedelta(milliseconds=1),
            5: "NMS",
            6: 8,
            7: 1,
            9: (listed.volume if listed else 0) + self.sold[trade.symbol],
            22: trade.size,
            27: 2,
        }
        if listed and self.tells_currency:
            fields[4] = listed.currency
        return {"type": "pricing", "message": base64.b64encode(pricing(fields)).decode()}


ZIGZAG = {3, 9, 14, 19, 21, 22, 24, 26, 27, 28, 29}


def pricing(fields: Mapping[int, Any]) -> bytes:
    """PricingData of fields by number; what is zero or empty is not sent, as in proto3."""
    return b"".join(_field(number, value) for number, value in sorted(fields.items()) if value)


def _field(number: int, value: Any) -> bytes:
    if isinstance(value, str):
        data = value.encode()
        return _varint(number << 3 | 2) + _varint(len(data)) + data
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    return _varint(number << 3) + _varint((value << 1) ^ (value >> 63) if number in ZIGZAG else value)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _seconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(seconds=1)


def _quote(name: str, found: Listed) -> dict[str, Any]:
    assert found.at is not None
    return {
        "symbol": name,
        "regularMarketPrice": float(found.price),
        "regularMarketPreviousClose": float(found.previous_close),
        "regularMarketChange": float(found.price - found.previous_close),
        "regularMarketOpen": float(found.open),
        "regularMarketDayHigh": float(found.high),
        "regularMarketDayLow": float(found.low),
        "regularMarketVolume": found.volume,
        "bid": float(found.bid),
        "ask": float(found.ask),
        "currency": found.currency,
        "marketState": "REGULAR",
        "regularMarketTime": _seconds(found.at),
        "exchangeDataDelayedBy": 0,
    }


def _meta(name: str, found: Listed) -> dict[str, Any]:
    zone = "UTC" if found.exchange in {"CRYPTO", "FX"} else "America/New_York"
    return {"symbol": name, "currency": found.currency, "exchangeTimezoneName": zone}


def _factor(day: date, splits: Sequence[Action]) -> Decimal:
    factor = Decimal(1)
    for split in splits:
        ratio = ratio_of(split)
        if ratio and day < split.ex_date:
            factor *= Decimal(ratio.numerator) / ratio.denominator
    return factor


def _adjusted(bar: Bar, splits: Sequence[Action]) -> Bar:
    factor = _factor(bar.start.date(), splits)
    prices = {name: getattr(bar, name) / factor for name in ("open", "high", "low", "close")}
    return replace(bar, volume=round(bar.volume * factor), **prices)


def _columns(bars: Sequence[Bar]) -> dict[str, list[float]]:
    """In single precision, as the real one shows them."""

    def single(price: Decimal) -> float:
        found: float = struct.unpack("<f", struct.pack("<f", float(price)))[0]
        return found

    columns = {
        name: [single(getattr(bar, name)) for bar in bars] for name in ("open", "high", "low", "close")
    }
    return {**columns, "volume": [bar.volume for bar in bars]}


def _events(actions: Sequence[Action], splits: Sequence[Action]) -> dict[str, Any]:
    """By the moment at which the exchange opens on the ex-date; dividends adjusted for later splits."""
    dividends, found = {}, {}
    for action in actions:
        opens = datetime(action.ex_date.year, action.ex_date.month, action.ex_date.day, tzinfo=UTC) + OPENS
        at = _seconds(opens)
        if action.kind is ActionKind.DIVIDEND:
            amount = (action.amount or Decimal(0)) / _factor(action.ex_date, splits)
            dividends[str(at)] = {"amount": float(amount), "date": at}
        elif action.kind is ActionKind.SPLIT:
            after, before = float(action.split_to or 0), float(action.split_from or 0)
            found[str(at)] = {
                "date": at, "numerator": after, "denominator": before, "splitRatio": f"{after:g}:{before:g}",
            }  # fmt: skip
    events = {"dividends": dividends, "splits": found}
    return {name: rows for name, rows in events.items() if rows}
