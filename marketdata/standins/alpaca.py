"""Alpaca on loopback: snapshots, bars, corporate actions and news over REST; what streams is in `alpaca_stream`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from core import clock
from marketdata.company import News
from marketdata.quotes import Action, ActionKind, Bar
from marketdata.standins.alpaca_stream import AlpacaStreaming
from marketdata.standins.base import Asked, Fault, Reply
from marketdata.standins.market import Listed

NEW_YORK = ZoneInfo("America/New_York")
STEPS = {"1Min": timedelta(minutes=1), "1Day": timedelta(days=1)}
STATES = {
    Fault.UNAUTHORIZED: (401, "forbidden."),
    Fault.PLAN: (403, "subscription does not permit querying recent SIP data"),
    Fault.RATE_LIMITED: (429, "too many requests."),
    Fault.RATE_LIMITED_BARE: (429, "too many requests."),
    Fault.SERVER_ERROR: (500, "internal server error occurred"),
}
LONG_AGO = date(1990, 1, 1)
DAY = timedelta(days=1)
MOST_ARTICLES = 50
ACTION_GROUPS: Mapping[str, str] = {
    "cash_dividend": "cash_dividends",
    "forward_split": "forward_splits",
    "reverse_split": "reverse_splits",
    "stock_dividend": "stock_dividends",
    "name_change": "name_changes",
}


class AlpacaStandIn(AlpacaStreaming):
    """`feeds` are those its plan includes."""

    vendor = "alpaca"
    limit = 200
    paths: ClassVar[Mapping[str, str]] = {
        "/v2/stocks/snapshots": "_stock_snapshots",
        "/v2/stocks/quotes/latest": "_latest_quotes",
        "/v2/stocks/trades/latest": "_latest_trades",
        "/v2/stocks/bars/latest": "_latest_bars",
        "/v2/stocks/bars": "_bars",
        "/v1/corporate-actions": "_actions",
        "/v1beta1/news": "_news",
        "/v1beta3/crypto/us/snapshots": "_coin_snapshots",
        "/v1beta3/crypto/us/latest/quotes": "_latest_quotes",
        "/v1beta3/crypto/us/latest/trades": "_latest_trades",
        "/v1beta3/crypto/us/latest/bars": "_latest_bars",
        "/v1beta3/crypto/us/bars": "_bars",
    }

    async def respond(self, asked: Asked, fault: Fault | None) -> Reply:
        headers = asked.headers
        if (headers.get("apca-api-key-id"), headers.get("apca-api-secret-key")) != (self.key, self.secret):
            return self._told({"message": "forbidden."}, 403)
        if asked.params.get("feed", "iex") not in self.feeds:
            return self.refusal(Fault.PLAN)
        name = self.paths.get(asked.path)
        if name is None:
            return self._told({"code": 40410000, "message": "endpoint not found."}, 404)
        if asked.path.startswith("/v2/stocks") and "/" in asked.params.get("symbols", ""):
            return self._told({"code": 40010001, "message": "invalid symbol"}, 400)
        answer: Callable[[Asked, Fault | None], Any] = getattr(self, name)
        return self._told(answer(asked, fault))

    def refusal(self, fault: Fault) -> Reply:
        status, message = STATES[fault]
        body = {"code": status * 100_000, "message": message}
        if fault is Fault.RATE_LIMITED_BARE:
            return Reply(body, status)
        return self._told(body, status)

    def _told(self, body: Any, status: int = 200) -> Reply:
        now = int(clock.now().timestamp())
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": "0" if status == 429 else str(max(0, self.limit - len(self.asked))),
            "X-RateLimit-Reset": str(now - now % 60 + 60),
        }
        return Reply(body, status, headers)

    # --- latest

    def _rows(self, asked: Asked) -> Iterable[tuple[str, Listed]]:
        """What is known of the symbols asked for, spelled as asked; unknown ones are simply absent."""
        for text in asked.params.get("symbols", "").split(","):
            row = self.market.get(text.replace("/", "-"))
            if row is not None:
                yield text, row

    def _stock_snapshots(self, asked: Asked, fault: Fault | None) -> Any:
        found = {text: _snapshot(row, fault) for text, row in self._rows(asked)}
        first = next(iter(found), None)
        if fault is Fault.MISSING and first:
            del found[first]
        elif fault is Fault.ITEM_ERROR and first:
            return {**found, first: None}
        elif fault is Fault.ZEROS and first:
            found[first] = _spoiled(found[first], 0)
        elif fault is Fault.NOT_A_NUMBER and first:
            found[first] = _spoiled(found[first], float("nan"))
        elif fault is Fault.SCRAMBLED:
            other = self.market.listed["SPY"]
            return {"SPY": _snapshot(other, None, clock.now()), **dict(reversed(found.items()))}
        return found

    def _coin_snapshots(self, asked: Asked, fault: Fault | None) -> Any:
        return {"snapshots": {text: _snapshot(row, fault) for text, row in self._rows(asked)}}

    def _latest_quotes(self, asked: Asked, fault: Fault | None) -> Any:
        return {"quotes": {text: _snapshot(row, fault)["latestQuote"] for text, row in self._rows(asked)}}

    def _latest_trades(self, asked: Asked, fault: Fault | None) -> Any:
        return {"trades": {text: _snapshot(row, fault)["latestTrade"] for text, row in self._rows(asked)}}

    def _latest_bars(self, asked: Asked, fault: Fault | None) -> Any:
        return {"bars": {text: _snapshot(row, fault)["minuteBar"] for text, row in self._rows(asked)}}

    # --- series, in pages

    def _bars(self, asked: Asked, fault: Fault | None) -> Any:
        params = asked.params
        step = STEPS[params["timeframe"]]
        start, end = datetime.fromisoformat(params["start"]), datetime.fromisoformat(params["end"])
        rows: list[tuple[str, dict[str, Any]]] = []
        for text, listed in self._rows(asked):
            for bar in self.market.bars(listed.symbol, start - step, end + timedelta(microseconds=1), step):
                row = _bar_row(bar, coin="/" in text, day=step > STEPS["1Min"])
                if start <= datetime.fromisoformat(row["t"]) <= end:
                    rows.append((text, row))
        page, token = self._page(rows, params)
        bars: dict[str, list[dict[str, Any]]] = {}
        for text, row in page:
            bars.setdefault(text, []).append(row)
        return {"bars": bars, "next_page_token": token}

    def _page(self, rows: list[Any], params: Mapping[str, str]) -> tuple[list[Any], str | None]:
        begin = int(params.get("page_token") or 0)
        end = begin + min(int(params.get("limit") or 1_000), self.page_size)
        return rows[begin:end], str(end) if end < len(rows) else None

    def _actions(self, asked: Asked, fault: Fault | None) -> Any:
        params = asked.params
        types = [kind for kind in params.get("types", "").split(",") if kind] or list(ACTION_GROUPS)
        start, end = (
            date.fromisoformat(params.get(name) or clock.now().date().isoformat())
            for name in ("start", "end")
        )
        rows = []
        for text in params["symbols"].split(","):
            for action in self.market.actions_of(text.replace("/", "-"), LONG_AGO, end + timedelta(days=1)):
                kind, row = _action_row(action)
                if kind in types and start.isoformat() <= row["process_date"] <= end.isoformat():
                    rows.append((ACTION_GROUPS[kind], row))
        page, token = self._page(rows, params)
        groups: dict[str, list[Any]] = {}
        for group, row in page:
            groups.setdefault(group, []).append(row)
        return {"corporate_actions": groups, "next_page_token": token}

    def _news(self, asked: Asked, fault: Fault | None) -> Any:
        """Sorted as asked, by default the newest first; without content unless it is asked for."""
        params = asked.params
        since = datetime.fromisoformat(params["start"]) if "start" in params else clock.now() - DAY
        found: dict[str, News] = {}
        for text in params.get("symbols", "").split(","):
            symbol = next((one for one in self.market.listed if one.replace("-", "") == text), text)
            found |= {one.external_id: one for one in self.market.news_of(symbol, since)}
        rows = sorted(found.values(), key=lambda one: one.published_at, reverse=params.get("sort") != "asc")
        limited = {**params, "limit": str(min(int(params.get("limit") or 10), MOST_ARTICLES))}
        page, token = self._page(rows, limited)
        has_content = params.get("include_content", "").lower() == "true"
        return {"news": [_article(one, has_content=has_content) for one in page], "next_page_token": token}


def _article(one: News, *, has_content: bool) -> dict[str, Any]:
    return {
        "id": int(one.external_id), "headline": one.headline, "author": "Ada Example",
        "created_at": f"{one.published_at:%Y-%m-%dT%H:%M:%SZ}", "updated_at": f"{one.published_at:%Y-%m-%dT%H:%M:%SZ}",
        "summary": "", "content": one.body if has_content else "", "url": one.url, "images": [],
        "symbols": [symbol.replace("-", "") for symbol in one.symbols], "source": one.source,
    }  # fmt: skip


def _snapshot(row: Listed, fault: Fault | None, now: datetime | None = None) -> dict[str, Any]:
    at = (row.at or now or clock.now()) + timedelta(hours=1 if fault is Fault.SKEWED else 0)
    coin = row.symbol.endswith("-USD")
    midnight = at.astimezone(UTC if coin else NEW_YORK).replace(hour=0, minute=0, second=0, microsecond=0)
    price, before = float(row.price), float(row.previous_close)
    exchange = {} if coin else {"x": "V", "c": ["@"], "z": "C"}
    day = {"o": float(row.open), "h": float(row.high), "l": float(row.low), "c": price, "v": row.volume}
    return {
        "latestTrade": {"t": text_of(at), "p": price, "s": 100, "i": 52983525029461, **exchange},
        "latestQuote": {
            "t": text_of(at), "bp": float(row.bid), "bs": 100, "ap": float(row.ask), "as": 200,
            **({} if coin else {"ax": "V", "bx": "V", "c": ["R"], "z": "C"}),
        },
        "minuteBar": _bar(at.replace(second=0, microsecond=0), {**day, "o": price, "h": price, "l": price}),
        "dailyBar": _bar(midnight, day),
        "prevDailyBar": _bar(midnight - timedelta(days=1), dict.fromkeys("ohlc", before) | {"v": row.volume}),
    }  # fmt: skip


def _bar(at: datetime, figures: Mapping[str, Any]) -> dict[str, Any]:
    return {"t": text_of(at), **figures, "n": 210, "vw": figures["c"]}


def _spoiled(entry: dict[str, Any], price: float) -> dict[str, Any]:
    """The same without any price."""
    names = {"p", "bp", "ap", "o", "h", "l", "c", "vw"}
    return {
        part: {
            name: price if name in names and isinstance(value, float) else value
            for name, value in fields.items()
        }
        for part, fields in entry.items()
    }


def _bar_row(bar: Bar, *, coin: bool, day: bool) -> dict[str, Any]:
    """A daily bar begins at New York's midnight of its date, a coin's at that of UTC."""
    at = bar.start.replace(tzinfo=NEW_YORK) if day and not coin else bar.start
    prices = {"o": float(bar.open), "h": float(bar.high), "l": float(bar.low), "c": float(bar.close)}
    return _bar(at, {**prices, "v": bar.volume})


def _action_row(action: Action) -> tuple[str, dict[str, Any]]:
    """(type, row); processed when it is paid, else on its ex-date."""
    processed = (action.pay_date or action.ex_date).isoformat()
    row: dict[str, Any] = {
        "id": str(uuid5(NAMESPACE_URL, f"{action.symbol}/{action.kind}/{action.ex_date}")),
        "process_date": processed,
    }
    if action.kind is ActionKind.RENAME:
        cusips = {"old_cusip": "30303M102", "new_cusip": "30303M102"}
        return "name_change", {**row, "old_symbol": action.symbol, "new_symbol": action.new_symbol, **cusips}
    row |= {"symbol": action.symbol, "ex_date": action.ex_date.isoformat()}
    for name, day in (("record_date", action.record_date), ("payable_date", action.pay_date)):
        if day is not None:
            row[name] = day.isoformat()
    if action.kind is ActionKind.DIVIDEND:
        rate = float(action.amount or 0)
        return "cash_dividend", {
            **row, "cusip": "037833100", "rate": rate, "special": action.special, "foreign": False,
        }  # fmt: skip
    rates = {"old_rate": float(action.split_from or 1), "new_rate": float(action.split_to or 1)}
    if rates["new_rate"] > rates["old_rate"]:
        return "forward_split", {**row, "cusip": "037833100", **rates}
    return "reverse_split", {**row, "old_cusip": "037833100", "new_cusip": "037833118", **rates}


def text_of(moment: datetime) -> str:
    """RFC 3339 with nanoseconds, as there."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond:06d}000Z"
