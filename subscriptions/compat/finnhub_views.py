"""Finnhub's REST API served by us. Its client library doubles the slash before each path, so both are accepted."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.credentials import Login
from core import clock
from marketdata.actions import action_of, visible
from marketdata.adjusting import Adjustment
from marketdata.api.views import quotes_of_known
from marketdata.errors import InvalidSymbol
from marketdata.models import CorporateAction, Ticker
from marketdata.providers.base import Interval
from marketdata.quotes import EPOCH, ActionKind, NoQuote, Reason
from marketdata.search import search_tickers
from subscriptions.compat import finnhub_shapes as shapes
from subscriptions.compat.access import Refusal, VendorView, Wrong
from subscriptions.compat.bars import EARLIEST, Asked, Windows, merged, stored_bars

MATCHES = 20
# The most stored bars that one answer is made of: a month of a coin's minutes.
MOST_BARS = 50_000
STATUSES = {
    Wrong.UNAUTHORIZED: (401, "Invalid API key"),
    Wrong.FORBIDDEN: (403, "You don't have access to this resource."),
    Wrong.INVALID: (422, "Wrong parameters."),
    Wrong.NOT_FOUND: (404, "Not found."),
    Wrong.NO_ENDPOINT: (404, "There is no such address here."),
    Wrong.METHOD: (405, "Only GET is possible."),
    Wrong.THROTTLED: (429, "API limit reached. Please try again later."),
    Wrong.UNAVAILABLE: (503, "A part of the service is away; try again in a few seconds."),
    Wrong.FAILED: (500, "Internal server error"),
}
RESOLUTIONS = {
    "1": (1, "minute"), "5": (5, "minute"), "15": (15, "minute"), "30": (30, "minute"), "60": (1, "hour"),
    "D": (1, "day"), "W": (1, "week"), "M": (1, "month"),
}  # fmt: skip
_SECONDS = re.compile(r"-?[0-9]{1,12}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class FinnhubView(VendorView):
    def key_of(self, request: HttpRequest) -> str:
        return request.headers.get("X-Finnhub-Token") or str(request.GET.get("token", ""))

    def error(self, refusal: Refusal) -> tuple[int, Any]:
        status, words = STATUSES[refusal.wrong]
        return status, {"error": refusal.message or words}


class NoAddress(FinnhubView):
    """Whatever else is asked for below our prefix: Finnhub has it, we do not."""

    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        raise Refusal(Wrong.NO_ENDPOINT)


def required(request: HttpRequest, name: str) -> str:
    if not (text := str(request.GET.get(name, "")).strip()):
        raise Refusal(Wrong.INVALID, f"Missing parameter: {name}")
    return text


def symbol_in(request: HttpRequest) -> str | None:
    """None for what cannot be a symbol: to Finnhub it is one that it does not know."""
    try:
        return shapes.meant(required(request, "symbol"))
    except InvalidSymbol:
        return None


class Quote(FinnhubView):
    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        symbol = symbol_in(request)
        if symbol is None:
            return shapes.NOTHING
        outcome = quotes_of_known([symbol], None)[symbol]
        if not isinstance(outcome, NoQuote):
            return shapes.quote(outcome)
        if outcome.reason is Reason.NOT_FOUND:
            return shapes.NOTHING
        # A provider's limit is not the client's.
        raise Refusal(Wrong.FORBIDDEN if outcome.reason is Reason.PLAN_LOCKED else Wrong.UNAVAILABLE)


class Candles(FinnhubView):
    """Days are adjusted for splits, minutes are not, as Finnhub does it. Of too many the newest are told."""

    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        symbol = symbol_in(request)
        asked, windows = asked_of(request)
        ticker = Ticker.objects.select_related("quote").filter(symbol=symbol or "").first()
        if ticker is None:
            return shapes.NO_CANDLES
        bars = stored_bars(ticker, asked)[::-1]
        return shapes.candles(merged(bars, windows))


def asked_of(request: HttpRequest) -> tuple[Asked, Windows]:
    """Raises Refusal where it cannot be read."""
    resolution = required(request, "resolution")
    if resolution not in RESOLUTIONS:
        raise Refusal(Wrong.INVALID, f"The resolution must be one of {', '.join(RESOLUTIONS)}.")
    first, last = moment_of(request, "from"), moment_of(request, "to")
    if last < first:
        raise Refusal(Wrong.INVALID, "to lies before from.")
    count, span = RESOLUTIONS[resolution]
    windows = Windows(count, span, ZoneInfo("UTC"))
    is_days = windows.interval is Interval.DAY
    adjustment = Adjustment.SPLIT if is_days else Adjustment.RAW
    return Asked(windows.interval, first, last, MOST_BARS, True, adjustment), windows


def moment_of(request: HttpRequest, name: str) -> datetime:
    text = required(request, name)
    if not _SECONDS.fullmatch(text):
        raise Refusal(Wrong.INVALID, f"{name} must be a time in Unix seconds.")
    try:
        return min(max(EPOCH + timedelta(seconds=int(text)), EARLIEST), clock.now().astimezone(UTC))
    except OverflowError:
        raise Refusal(Wrong.INVALID, f"{name} must be a time in Unix seconds.") from None


# --- corporate actions


class Splits(FinnhubView):
    """From one day to another, both included."""

    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        name = required(request, "symbol")
        rows = actions_in(request, ActionKind.SPLIT)
        days = day_of(request, "from"), day_of(request, "to")
        return [shapes.split(action_of(row, name)) for row in rows.filter(ex_date__range=days)]


class Dividends(FinnhubView):
    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        name = required(request, "symbol")
        rows = actions_in(request, ActionKind.DIVIDEND)
        days = day_of(request, "from"), day_of(request, "to")
        return [shapes.dividend(action_of(row, name)) for row in rows.filter(ex_date__range=days)]


class BasicDividends(FinnhubView):
    """All of them, with day and amount only."""

    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        rows = actions_in(request, ActionKind.DIVIDEND)
        data = [{"exDate": row.ex_date, "amount": shapes.number(row.amount)} for row in rows]
        return {"symbol": required(request, "symbol"), "data": data}


def actions_in(request: HttpRequest, kind: ActionKind) -> QuerySet[CorporateAction]:
    """Of the symbol in the request, the newest first; of one that there is not none."""
    ticker = Ticker.objects.select_related("quote").filter(symbol=symbol_in(request) or "").first()
    if ticker is None:
        return CorporateAction.objects.none()
    return visible(ticker).filter(kind=kind.value).order_by("-ex_date", "pk")


def day_of(request: HttpRequest, name: str) -> date:
    text = required(request, name)
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise Refusal(Wrong.INVALID, f"{name} must be a day such as 2026-01-31.")


# --- the directory


class Profile(FinnhubView):
    """What our directory has of it; nothing of a symbol that it does not have."""

    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        ticker = Ticker.objects.filter(symbol=symbol_in(request) or "").first()
        if ticker is None:
            return {}
        return shapes.profile(
            ticker.symbol,
            ticker.name,
            currency=ticker.currency,
            exchange=ticker.exchange,
            sector=ticker.sector,
        )


class Search(FinnhubView):
    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        found = search_tickers(required(request, "q"), limit=MATCHES)
        rows = [shapes.match(one.symbol, one.name, one.asset_class) for one in found]
        return {"count": len(rows), "result": rows}
