"""Finnhub on loopback: its client asks with a doubled slash and the key in the address, our adapter in a header.

The REST interface lies below /api/v1, the stream is at the root, as on the vendor's two hosts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from websockets.datastructures import Headers
from websockets.http11 import Response

from core import clock
from marketdata.quotes import EPOCH, Action, ActionKind, Bar
from marketdata.standins import finnhub_company
from marketdata.standins.base import Asked, Fault, Reply, response_of
from marketdata.standins.market import Listed
from marketdata.standins.stream import Session, StreamFault, StreamStandIn, Trade

ROOT = "/api/v1"
STEPS = {"1": timedelta(minutes=1), "D": timedelta(days=1)}
NOTHING = {"c": 0, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0}
NO_KEY = Reply({"error": "Invalid API key"}, 401)
NO_PLAN = Reply({"error": "You don't have access to this resource."}, 403)
REMAINING, LIMIT = 59, 60


class FinnhubStandIn(StreamStandIn):
    """`paid` opens candles, dividends, splits and transcripts; `max_symbols` is what one connection may stream."""

    vendor = "finnhub"

    def __init__(self, *args: Any, paid: bool = True, max_symbols: int = 50, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.paid, self.max_symbols = paid, max_symbols

    @property
    def rest_url(self) -> str:
        return self.url + ROOT

    # --- REST

    async def respond(self, asked: Asked, fault: Fault | None) -> Reply:
        if self.key not in {asked.headers.get("x-finnhub-token"), asked.params.get("token")}:
            return NO_KEY
        path = asked.path.removeprefix(ROOT).replace("//", "/")
        if path not in ANSWERS and path not in finnhub_company.ANSWERS:
            return Reply({"error": "not found"}, 404)
        if path in PAID and not self.paid:
            return NO_PLAN
        body = self._body(path, asked.params, fault)
        headers = {"X-Ratelimit-Limit": str(LIMIT), "X-Ratelimit-Remaining": str(REMAINING), **_reset()}
        if fault is Fault.NOT_A_NUMBER and path == "/quote":
            return Reply(json.dumps({**body, "c": float("nan")}).encode(), 200, headers)
        return Reply(body, 200, headers)

    def _body(self, path: str, params: Mapping[str, str], fault: Fault | None) -> Any:
        if path in finnhub_company.ANSWERS:
            return finnhub_company.ANSWERS[path](self.market, params)
        return ANSWERS[path](self, params, fault)

    def refusal(self, fault: Fault) -> Reply:
        limited = {"error": f"API limit reached. Please try again later. Remaining Limit: 0 {self.key}"}
        spent = {"X-Ratelimit-Limit": str(LIMIT), "X-Ratelimit-Remaining": "0", **_reset()}
        return {
            Fault.UNAUTHORIZED: NO_KEY,
            Fault.PLAN: NO_PLAN,
            Fault.RATE_LIMITED: Reply(limited, 429, spent),
            Fault.RATE_LIMITED_BARE: Reply(limited, 429),
        }.get(fault, Reply({"error": f"Internal error, token={self.key}"}, 500))

    def quote(self, params: Mapping[str, str], fault: Fault | None) -> Any:
        found = self.market.get(ours(params.get("symbol", "")))
        if found is None or fault in {Fault.MISSING, Fault.ZEROS, Fault.ITEM_ERROR}:
            return NOTHING
        skew = timedelta(hours=1) if fault is Fault.SKEWED else timedelta()
        return _quote(found, skew)

    def candle(self, params: Mapping[str, str], fault: Fault | None) -> Any:
        """Days are adjusted for splits, minutes are not."""
        symbol, step = ours(params["symbol"]), STEPS[params["resolution"]]
        if symbol not in self.market.listed:
            return {"s": "no_data"}
        start, end = (EPOCH + timedelta(seconds=int(params[name])) for name in ("from", "to"))
        bars = list(self.market.bars(symbol, start, end + timedelta(seconds=1), step))
        if step == STEPS["D"]:
            bars = [self._adjusted(bar) for bar in bars]
        return _candles(bars) if bars else {"s": "no_data"}

    def _adjusted(self, bar: Bar) -> Bar:
        factor = Decimal(1)
        for action in self._actions(bar.symbol, ActionKind.SPLIT, bar.start.date() + timedelta(days=1)):
            factor *= (action.split_to or 1) / (action.split_from or Decimal(1))
        prices = {name: getattr(bar, name) / factor for name in ("open", "high", "low", "close")}
        return replace(bar, volume=round(bar.volume * factor), **prices)

    def dividend(self, params: Mapping[str, str], fault: Fault | None) -> Any:
        return [_dividend(one) for one in self._asked_actions(params, ActionKind.DIVIDEND)]

    def dividend2(self, params: Mapping[str, str], fault: Fault | None) -> Any:
        found = self._actions(ours(params["symbol"]), ActionKind.DIVIDEND, date.min)
        rows = [{"exDate": one.ex_date.isoformat(), "amount": float(one.amount or 0)} for one in found]
        return {"symbol": params["symbol"], "data": rows}

    def split(self, params: Mapping[str, str], fault: Fault | None) -> Any:
        return [
            {
                "symbol": params["symbol"],
                "date": one.ex_date.isoformat(),
                "fromFactor": float(one.split_from or 0),
                "toFactor": float(one.split_to or 0),
            }
            for one in self._asked_actions(params, ActionKind.SPLIT)
        ]

    def _asked_actions(self, params: Mapping[str, str], kind: ActionKind) -> list[Action]:
        """Both days of the range count."""
        first, last = (date.fromisoformat(params[name]) for name in ("from", "to"))
        return [one for one in self._actions(ours(params["symbol"]), kind, first) if one.ex_date <= last]

    def _actions(self, symbol: str, kind: ActionKind, start: date) -> list[Action]:
        return [one for one in self.market.actions_of(symbol, start, date.max) if one.kind is kind]

    def search(self, params: Mapping[str, str], fault: Fault | None) -> Any:
        wanted = params.get("q", "").lower()
        rows = [
            {
                "description": one.name,
                "displaySymbol": one.symbol,
                "symbol": one.symbol,
                "type": "ETP" if "ETF" in one.name else "Common Stock",
            }
            for one in self.market.listed.values()
            if one.exchange not in {"CRYPTO", "FX"} and wanted in f"{one.symbol} {one.name}".lower()
        ]
        return {"count": len(rows), "result": rows}

    # --- stream

    async def refuse_socket(self, params: Mapping[str, str], headers: Headers) -> Response | None:
        if params.get("token") != self.key:
            return response_of(Reply(b"Invalid API key", 401, {"Content-Type": "text/plain"}))
        return await super().refuse_socket(params, headers)

    async def serve(self, session: Session, path: str, params: Mapping[str, str]) -> None:
        """Nothing is acknowledged; too many symbols and unreadable messages are errors that name nothing."""
        if self.takes(StreamFault.CLOSED_AFTER_AUTH):
            await session.socket.close(1000)
        async for text in session.socket:
            message = json.loads(text)
            self.received.append(message)
            symbol = ours(str(message.get("symbol")))
            if message.get("type") == "unsubscribe":
                session.symbols.discard(symbol)
            elif symbol not in session.symbols and len(session.symbols) >= self.max_symbols:
                await session.send({"type": "error", "msg": "Subscribing to too many symbols"})
            else:
                session.symbols.add(symbol)
            self.changed()

    def trades_message(self, trades: Sequence[Trade]) -> Any:
        data = [
            {
                "s": theirs(trade.symbol),
                "p": float(trade.price),
                "t": (trade.moment - EPOCH) // timedelta(milliseconds=1),
                "v": trade.size,
                "c": [str(code) for code in trade.conditions] or None,
            }
            for trade in trades
        ]
        return {"type": "trade", "data": data}

    def life_message(self) -> Any:
        return {"type": "ping"}


ANSWERS: Mapping[str, Callable[[FinnhubStandIn, Mapping[str, str], Fault | None], Any]] = {
    "/quote": FinnhubStandIn.quote,
    "/stock/candle": FinnhubStandIn.candle,
    "/crypto/candle": FinnhubStandIn.candle,
    "/forex/candle": FinnhubStandIn.candle,
    "/stock/dividend": FinnhubStandIn.dividend,
    "/stock/dividend2": FinnhubStandIn.dividend2,
    "/stock/split": FinnhubStandIn.split,
    "/search": FinnhubStandIn.search,
}
PAID = {
    *("/stock/candle", "/crypto/candle", "/forex/candle", "/stock/dividend", "/stock/split"),
    *("/stock/transcripts/list", "/stock/transcripts"),
}


def theirs(symbol: str) -> str:
    """Finnhub's spelling of what the market lists."""
    if symbol.endswith("=X"):
        return f"OANDA:{symbol[:3]}_{symbol[3:6]}"
    return f"BINANCE:{symbol.removesuffix('-USD')}USDT" if symbol.endswith("-USD") else symbol


def ours(symbol: str) -> str:
    exchange, _, name = symbol.rpartition(":")
    if exchange == "OANDA":
        return f"{name.replace('_', '')}=X"
    return f"{name.removesuffix('USDT')}-USD" if exchange == "BINANCE" else name


def _quote(found: Listed, skew: timedelta) -> dict[str, Any]:
    assert found.at is not None
    before = found.previous_close
    return {
        "c": float(found.price),
        "d": float(found.price - before),
        "dp": float((found.price - before) / before * 100) if before else None,
        "h": float(found.high),
        "l": float(found.low),
        "o": float(found.open),
        "pc": float(found.previous_close),
        "t": (found.at + skew - EPOCH) // timedelta(seconds=1),
    }


def _candles(bars: Sequence[Bar]) -> dict[str, Any]:
    columns = {name: [float(getattr(bar, field)) for bar in bars] for name, field in COLUMNS.items()}
    return {"s": "ok", "t": [(bar.start - EPOCH) // timedelta(seconds=1) for bar in bars], **columns}


COLUMNS = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}


def _dividend(action: Action) -> dict[str, Any]:
    def text(day: date | None) -> str:
        return day.isoformat() if day else ""

    return {
        "symbol": action.symbol,
        "date": action.ex_date.isoformat(),
        "amount": float(action.amount or 0),
        "adjustedAmount": float(action.amount or 0),
        "payDate": text(action.pay_date),
        "recordDate": text(action.record_date),
        "declarationDate": text(action.declared_date),
        "currency": action.currency,
        "freq": "4",
    }


def _reset() -> dict[str, str]:
    """The start of the next minute, in Unix seconds."""
    now = (clock.now() - EPOCH) // timedelta(seconds=1)
    return {"X-Ratelimit-Reset": str(now - now % 60 + 60)}
