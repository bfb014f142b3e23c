"""Massive on loopback: snapshots, bars, reference data and the five streams, as its own client library wants them.

`next_url` is written without any prefix of ours, since that library keeps its path and puts its own base before it.
A new connection to a stream throws the older one out, as the real one does.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from core import clock
from marketdata.providers.massive_symbols import symbol_of, ticker_of
from marketdata.quotes import ActionKind
from marketdata.standins import massive_company
from marketdata.standins.base import Asked, Fault, Reply
from marketdata.standins.massive_rows import (
    NEW_YORK,
    aggregate,
    dividend,
    edge,
    is_within,
    midnight,
    moment_of,
    ms,
    old_snapshot_of,
    snapshot_of,
    split,
    spoiled,
    ticker_row,
)
from marketdata.standins.massive_stream import MassiveStreams

REQUEST_ID = "6a7e466379af0a71039d60cc78e72282"
THROTTLED = (
    "You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue. "
    "https://massive.com/pricing"
)
SPANS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
NO_PAGE = Reply(b"404 page not found", 404, {"Content-Type": "text/plain"})
SNAPSHOT_LIMIT, AGGS_LIMIT, REFERENCE_LIMIT = (10, 250), (5_000, 50_000), (10, 1_000)


class MassiveStandIn(MassiveStreams):
    """`has_snapshots` False is an end-of-day plan, `is_delayed` a late one; `next_host` is what `next_url` names."""

    vendor = "massive"
    has_snapshots = True
    is_delayed = False
    has_financials = True
    next_host: str | None = None

    # --- requests

    async def respond(self, asked: Asked, fault: Fault | None) -> Reply:
        if refused := self._key_refused(asked):
            return refused
        if fault is Fault.THROTTLED_200:
            return Reply({"status": "ERROR", "request_id": REQUEST_ID, "error": THROTTLED})
        path, params = unquote(asked.path), self._unfolded(asked.params)
        return self._of_company(path, params) or self._answer(path, params, fault)

    def _of_company(self, path: str, params: Mapping[str, str]) -> Reply | None:
        rows = massive_company.rows_of(self.market, path, params)
        if rows is None:
            return None
        if path.startswith("/stocks/financials/") and not self.has_financials:
            return self._not_in_plan()
        return Reply(self._page(path, params, rows, REFERENCE_LIMIT))

    def _answer(self, path: str, params: Mapping[str, str], fault: Fault | None) -> Reply:
        match path.strip("/").split("/"):
            case ["v3", "snapshot"]:
                return self._snapshot(path, params, fault)
            case ["v2", "snapshot", "locale", "us", "markets", "stocks", "tickers", *rest]:
                return self._old_snapshot(rest, params)
            case ["v2", "aggs", "ticker", ticker, *rest]:
                return self._bars_of(path, params, ticker, rest)
            case ["v3", "reference", kind, *rest]:
                return self._reference(path, params, kind, rest)
            case ["v1", "marketstatus", "now"]:
                return Reply({"market": "open", "serverTime": clock.now().isoformat()})
        return NO_PAGE

    def refusal(self, fault: Fault) -> Reply:
        refused = {"status": "ERROR", "request_id": REQUEST_ID}
        match fault:
            case Fault.UNAUTHORIZED:
                return Reply({**refused, "error": "Unknown API Key"}, 401)
            case Fault.PLAN:
                return self._not_in_plan()
            case Fault.RATE_LIMITED:
                return Reply({**refused, "error": THROTTLED}, 429, {"Retry-After": "17"})
            case Fault.RATE_LIMITED_BARE:
                return Reply(b"", 429)
        return Reply({**refused, "error": "Internal server error"}, 500)

    def _key_refused(self, asked: Asked) -> Reply | None:
        given = asked.headers.get("authorization", "").removeprefix("Bearer ") or asked.params.get("apiKey")
        if given == self.key:
            return None
        words = "Unknown API Key" if given else "API Key was not provided"
        return Reply({"status": "ERROR", "request_id": REQUEST_ID, "error": words}, 401)

    def _not_in_plan(self) -> Reply:
        words = "You are not entitled to this data. Please upgrade your plan at https://massive.com/pricing"
        return Reply({"status": "NOT_AUTHORIZED", "request_id": REQUEST_ID, "message": words}, 403)

    # --- pages

    def _unfolded(self, params: Mapping[str, str]) -> dict[str, str]:
        """A cursor holds the parameters of the first page and where the next one begins."""
        if "cursor" not in params:
            return dict(params)
        told: dict[str, str] = json.loads(base64.urlsafe_b64decode(params["cursor"]))
        return told

    def _page(
        self, path: str, params: Mapping[str, str], rows: list[Any], limits: tuple[int, int]
    ) -> dict[str, Any]:
        usual, most = limits
        size = min(int(params.get("limit", usual)), most, self.page_size)
        begin = int(params.get("begin", 0))
        body = {"status": "OK", "request_id": REQUEST_ID, "results": rows[begin : begin + size]}
        if begin + size < len(rows):
            further = json.dumps({**params, "begin": str(begin + size)}).encode()
            cursor = base64.urlsafe_b64encode(further).decode()
            body["next_url"] = f"{self.next_host or self.url}{path}?cursor={cursor}"
        return body

    # --- snapshots

    def _snapshot(self, path: str, params: Mapping[str, str], fault: Fault | None) -> Reply:
        if not self.has_snapshots:
            return self._not_in_plan()
        wanted = params.get("ticker.any_of") or params.get("ticker")
        tickers = (
            wanted.split(",") if wanted else [ticker_of(symbol) or symbol for symbol in self.market.listed]
        )
        if len(tickers) > SNAPSHOT_LIMIT[1]:
            words = "'ticker.any_of' exceeds the maximum of 250 tickers"
            return Reply({"status": "ERROR", "request_id": REQUEST_ID, "error": words}, 400)
        items = [self._item(ticker, fault if number == 0 else None) for number, ticker in enumerate(tickers)]
        found = [item for item in items if item]
        if fault is Fault.SCRAMBLED:
            found = [*reversed(found), *filter(None, [self._item("SPY", None)]), found[0]]
        return Reply(self._page(path, params, found, SNAPSHOT_LIMIT))

    def _item(self, ticker: str, fault: Fault | None) -> dict[str, Any] | None:
        if fault is Fault.MISSING:
            return None
        found = self.market.get(symbol_of(ticker) or "")
        if found is None or fault is Fault.ITEM_ERROR:
            return {"error": "NOT_FOUND", "message": "Ticker not found.", "ticker": ticker}
        return spoiled(self._timed(snapshot_of(ticker, found, moment_of(found, fault))), fault)

    def _timed(self, item: dict[str, Any]) -> dict[str, Any]:
        """Shares of a delayed plan are marked so; coins and currencies are always of now."""
        if self.is_delayed and item["type"] not in {"crypto", "fx"}:
            for part in (item, item.get("last_trade", {}), item.get("last_quote", {})):
                if "timeframe" in part:
                    part["timeframe"] = "DELAYED"
        return item

    def _old_snapshot(self, rest: Sequence[str], params: Mapping[str, str]) -> Reply:
        if not self.has_snapshots:
            return self._not_in_plan()
        asked = rest or [ticker for ticker in params.get("tickers", "").split(",") if ticker]
        found = [(ticker, listed) for ticker in asked if (listed := self.market.get(symbol_of(ticker) or ""))]
        items = [old_snapshot_of(ticker, listed) for ticker, listed in found]
        answer = {"status": "OK", "request_id": REQUEST_ID}
        if not rest:
            return Reply({**answer, "count": len(items), "tickers": items})
        if not items:
            return Reply(
                {"status": "NOT_FOUND", "request_id": REQUEST_ID, "message": "Ticker not found."}, 404
            )
        return Reply({**answer, "ticker": items[0]})

    # --- bars

    def _bars_of(self, path: str, params: Mapping[str, str], ticker: str, rest: Sequence[str]) -> Reply:
        match rest:
            case ["prev"]:
                return self._previous_day(ticker)
            case ["range", count, span, first, last] if span in SPANS and count.isdigit():
                return self._aggregates(path, params, (ticker, int(count) * SPANS[span], first, last))
        return NO_PAGE

    def _previous_day(self, ticker: str) -> Reply:
        found = self.market.get(symbol_of(ticker) or "")
        body = {"ticker": ticker, "status": "OK", "request_id": REQUEST_ID, "adjusted": True}
        if found is None:
            return Reply({**body, "queryCount": 0, "resultsCount": 0})
        before = (found.at or clock.now()).astimezone(NEW_YORK).date() - timedelta(days=1)
        close = datetime.combine(before, time(16), NEW_YORK)
        row = {
            "T": ticker, "v": found.volume, "vw": float(found.previous_close), "o": float(found.open),
            "c": float(found.previous_close), "h": float(found.high), "l": float(found.low), "t": ms(close), "n": 1,
        }  # fmt: skip
        return Reply({**body, "queryCount": 1, "resultsCount": 1, "results": [row], "count": 1})

    def _aggregates(
        self, path: str, params: Mapping[str, str], asked: tuple[str, timedelta, str, str]
    ) -> Reply:
        ticker, step, first, last = asked
        symbol = symbol_of(ticker) or ""
        is_adjusted = params.get("adjusted", "true") != "false"
        body = {"ticker": ticker, "adjusted": is_adjusted}
        rows = (
            list(self._bars(symbol, step, first, last, is_adjusted)) if symbol in self.market.listed else []
        )
        page = self._page(path, params, rows, AGGS_LIMIT)
        count = len(page["results"])
        if not rows:
            del page["results"]
        return Reply({**body, "queryCount": len(rows), "resultsCount": count, "count": count, **page})

    def _bars(
        self, symbol: str, step: timedelta, first: str, last: str, is_adjusted: bool
    ) -> Iterator[dict[str, Any]]:
        """Both ends included; a date means the whole day of the market."""
        is_days = step >= timedelta(days=1)
        start = edge(first, symbol, is_days=is_days)
        end = edge(last, symbol, is_days=is_days, whole_day=True) + timedelta(milliseconds=1)
        for bar in self.market.bars(symbol, start, end, step):
            factor = self._later_splits(symbol, bar.start.date()) if is_adjusted else Decimal(1)
            moment = midnight(symbol, bar.start.date()) if is_days else bar.start
            yield aggregate(bar, moment, factor)

    def _later_splits(self, symbol: str, day: date) -> Decimal:
        factor = Decimal(1)
        for action in self.market.actions_of(symbol, day + timedelta(days=1), date.max):
            if action.kind is ActionKind.SPLIT and action.split_from and action.split_to:
                factor *= action.split_to / action.split_from
        return factor

    # --- reference

    def _reference(self, path: str, params: Mapping[str, str], kind: str, rest: Sequence[str]) -> Reply:
        if kind in {"dividends", "splits"}:
            return self._actions(path, params, kind)
        return self._tickers(path, params, rest) if kind == "tickers" else NO_PAGE

    def _actions(self, path: str, params: Mapping[str, str], kind: str) -> Reply:
        name, wanted, write = {
            "dividends": ("ex_dividend_date", ActionKind.DIVIDEND, dividend),
            "splits": ("execution_date", ActionKind.SPLIT, split),
        }[kind]
        actions = [one for one in self.market.actions if one.kind is wanted and is_within(one, name, params)]
        if "ticker" in params:
            actions = [one for one in actions if ticker_of(one.symbol) == params["ticker"]]
        actions.sort(key=lambda one: one.ex_date, reverse=params.get("order", "desc") == "desc")
        return Reply(self._page(path, params, [write(one) for one in actions], REFERENCE_LIMIT))

    def _tickers(self, path: str, params: Mapping[str, str], rest: Sequence[str]) -> Reply:
        if rest:
            found = self.market.get(symbol_of(rest[0]) or "")
            if found is None:
                words = "Ticker not found."
                return Reply({"status": "NOT_FOUND", "request_id": REQUEST_ID, "message": words}, 404)
            return Reply({"status": "OK", "request_id": REQUEST_ID, "results": ticker_row(found)})
        text = params.get("search", "").lower()
        rows = [
            ticker_row(one) for one in self.market.listed.values()
            if text in one.symbol.lower() or text in one.name.lower()
        ]  # fmt: skip
        return Reply(self._page(path, params, rows, REFERENCE_LIMIT))
