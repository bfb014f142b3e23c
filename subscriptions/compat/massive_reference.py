"""Massive's reference data from our directory and our corporate actions: tickers, dividends, splits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Q
from django.http import HttpRequest

from accounts.credentials import Login
from marketdata.actions import visible
from marketdata.models import CorporateAction, Ticker
from marketdata.providers.base import AssetClass
from marketdata.quotes import ActionKind
from marketdata.search import search_tickers
from subscriptions.compat import massive_shapes as shapes
from subscriptions.compat.access import Refusal, Wrong, parameters
from subscriptions.compat.massive_views import MassiveView, symbol_or_none, whole

USUAL_LIMIT, MOST_ROWS = 10, 1_000
COMPARISONS = {"": "", ".gt": "__gt", ".gte": "__gte", ".lt": "__lt", ".lte": "__lte"}


# --- tickers


class Tickers(MassiveView):
    """The directory page by page, or the best matches of `search`, or the one that `ticker` names."""

    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        params = parameters(request)
        limit = whole(params.get("limit") or str(USUAL_LIMIT), "limit", most=MOST_ROWS)
        if params.get("search"):
            return self.told(results=[row_of(one) for one in search_tickers(params["search"], limit=limit)])
        found = list(_listed(params)[: limit + 1])
        more: dict[str, Any] = {}
        if len(found) > limit:
            behind = {**params, "ticker.gt": shapes.ticker_text(found[limit - 1].symbol)}
            more = {"next_url": self.address("/v3/reference/tickers", behind)}
        rows = [row_of(one) for one in found[:limit]]
        return self.told(results=rows, count=len(rows), **more)


def _listed(params: Mapping[str, str]) -> Any:
    tickers = Ticker.objects.filter(is_active=params.get("active", "true") != "false").order_by("symbol")
    if params.get("ticker"):
        tickers = tickers.filter(symbol=symbol_or_none(params["ticker"]) or "")
    if params.get("ticker.gt"):
        tickers = tickers.filter(symbol__gt=symbol_or_none(params["ticker.gt"]) or "")
    return tickers


class TickerDetails(MassiveView):
    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        ticker = Ticker.objects.filter(symbol=symbol_or_none(kwargs["ticker"]) or "").first()
        if ticker is None:
            raise Refusal(Wrong.NOT_FOUND)
        return self.told(results=row_of(ticker))


def row_of(ticker: Ticker) -> dict[str, Any]:
    kind = AssetClass(ticker.asset_class)
    row = {
        "ticker": shapes.ticker_text(ticker.symbol),
        "name": ticker.name,
        "market": shapes.MARKETS.get(kind, "stocks"),
        "locale": "global" if kind in shapes.MARKETS else "us",
        "active": ticker.is_active,
        "currency_name": ticker.currency.lower(),
    }
    if kind in shapes.MARKETS:
        return row
    kinds = {"primary_exchange": ticker.exchange, "type": "ETF" if kind is AssetClass.ETF else "CS"}
    return row | {name: value for name, value in kinds.items() if value}


# --- dividends and splits


def dividend(row: CorporateAction, ticker: str) -> dict[str, Any]:
    return {
        "id": f"E{row.pk}",
        "ticker": ticker,
        "cash_amount": shapes.number(row.amount),
        "currency": row.currency,
        "dividend_type": "SC" if row.special else "CD",
        "ex_dividend_date": row.ex_date,
        **shapes.known(
            {"declaration_date": row.declared_date, "record_date": row.record_date, "pay_date": row.pay_date}
        ),
    }


def split(row: CorporateAction, ticker: str) -> dict[str, Any]:
    return {
        "id": f"P{row.pk}",
        "ticker": ticker,
        "execution_date": row.ex_date,
        "split_from": shapes.number(row.split_from),
        "split_to": shapes.number(row.split_to),
    }


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort of corporate action: under which name, by which date, and how it is written."""

    path: str
    kind: ActionKind
    day: str
    write: Callable[[CorporateAction, str], dict[str, Any]]


DIVIDENDS = Sort("dividends", ActionKind.DIVIDEND, "ex_dividend_date", dividend)
SPLITS = Sort("splits", ActionKind.SPLIT, "execution_date", split)


class Actions(MassiveView):
    """Of the one ticker that has to be named; Massive tells the whole market's without."""

    sort: Sort = DIVIDENDS

    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        params = parameters(request)
        if not params.get("ticker"):
            raise Refusal(Wrong.INVALID, "The parameter 'ticker' is required here.")
        limit = whole(params.get("limit") or str(USUAL_LIMIT), "limit", most=MOST_ROWS)
        begin = whole(params.get("cursor") or "1", "cursor", most=10**9) - 1
        symbol = symbol_or_none(params["ticker"]) or ""
        ticker = Ticker.objects.select_related("quote").filter(symbol=symbol).first()
        rows = list(self._rows(ticker, params)[begin : begin + limit + 1]) if ticker else []
        more: dict[str, Any] = {}
        if len(rows) > limit:
            following = {**params, "cursor": str(begin + limit + 1)}
            more = {"next_url": self.address(f"/v3/reference/{self.sort.path}", following)}
        return self.told(results=[self.sort.write(row, params["ticker"]) for row in rows[:limit]], **more)

    def _rows(self, ticker: Ticker, params: Mapping[str, str]) -> Any:
        wanted = Q(kind=self.sort.kind.value)
        for ending, lookup in COMPARISONS.items():
            if text := params.get(f"{self.sort.day}{ending}"):
                wanted &= Q(**{f"ex_date{lookup}": day_of(text, f"{self.sort.day}{ending}")})
        sign = "" if params.get("order") == "asc" else "-"
        return visible(ticker).filter(wanted).order_by(f"{sign}ex_date", "pk")


def day_of(text: str, name: str) -> date:
    try:
        if len(text) == len("2026-01-31"):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise Refusal(Wrong.INVALID, f"Could not parse the parameter: '{name}'. Use YYYY-MM-DD")
