"""Massive's aggregates from our stored bars: minutes and days, or what can be made of them.

A page never ends within a window: what the limit would cut is left to the next page. `limit` counts stored bars, as
Massive's counts base aggregates.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import quote as escaped

from django.http import HttpRequest

from accounts.credentials import Login
from marketdata import market_hours
from marketdata.actions import today_of
from marketdata.adjusting import Adjustment
from marketdata.models import Ticker
from marketdata.providers.base import Interval
from marketdata.quotes import EPOCH, Bar
from subscriptions.compat import massive_shapes as shapes
from subscriptions.compat.access import Refusal, Wrong, parameters
from subscriptions.compat.bars import EARLIEST, SPANS, Asked, Windows, merged, stored_bars, zone_of
from subscriptions.compat.massive_views import MassiveView, symbol_or_none, whole

USUAL_LIMIT, MOST_BARS = 5_000, 50_000
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_MILLISECONDS = re.compile(r"-?[0-9]{1,17}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Range:
    """What was asked for: windows from the one that `first` lies in to the one that `last` lies in."""

    windows: Windows
    first: datetime
    last: datetime
    limit: int
    newest_first: bool
    adjustment: Adjustment

    @property
    def asked(self) -> Asked:
        """One bar more than there may be: it says whether there is a further page, and what begins it."""
        start, end = self.windows.bounds(self.first, self.last)
        limit = max(self.limit, self.windows.most_bars) + 1
        return Asked(self.windows.interval, start, end, limit, self.newest_first, self.adjustment)


class Aggregates(MassiveView):
    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        params = parameters(request)
        symbol = symbol_or_none(kwargs["ticker"]) or ""
        asked = range_of(symbol, kwargs, params)
        ticker = Ticker.objects.select_related("quote").filter(symbol=symbol).first()
        bars, more = page_of(ticker, asked) if ticker else ([], None)
        results = [shapes.aggregate(bar) for bar in bars]
        body = self.told(
            ticker=kwargs["ticker"],
            adjusted=asked.adjustment is Adjustment.SPLIT,
            queryCount=len(bars),
            resultsCount=len(bars),
            count=len(bars),
        )
        following = {"next_url": self._following(kwargs, params, asked, more)} if more else {}
        return {**body, **({"results": results} if results else {}), **following}

    def _following(self, kwargs: dict[str, str], params: dict[str, str], asked: Range, more: datetime) -> str:
        """The same question from the window on that is not on this page."""
        first, last = kwargs["first"], kwargs["last"]
        if asked.newest_first:
            last = str(shapes.ms(more))
        else:
            first = str(shapes.ms(more))
        path = (
            f"/v2/aggs/ticker/{escaped(kwargs['ticker'], safe=':')}/range/{kwargs['count']}/{kwargs['span']}"
        )
        return self.address(f"{path}/{first}/{last}", params)


def page_of(ticker: Ticker, asked: Range) -> tuple[list[Bar], datetime | None]:
    """(whole windows in the order asked for, the beginning of the first one that is not among them)."""
    rows = stored_bars(ticker, asked.asked)
    more = None
    if len(rows) == asked.asked.limit:
        more = asked.windows.start_of(rows[-1])
        rows = [bar for bar in rows if asked.windows.start_of(bar) != more]
    bars = merged(rows[::-1] if asked.newest_first else rows, asked.windows)
    return bars[::-1] if asked.newest_first else bars, more


# --- what was asked for


def range_of(symbol: str, kwargs: dict[str, str], params: dict[str, str]) -> Range:
    """Raises Refusal where it cannot be read."""
    zone = zone_of(symbol)
    windows = Windows(whole(kwargs["count"], "multiplier", most=MOST_BARS), kwargs["span"], zone)
    if windows.span not in SPANS:
        raise Refusal(Wrong.INVALID, f"The timespan must be one of {', '.join(SPANS)}.")
    if windows.most_bars > MOST_BARS:
        raise Refusal(Wrong.INVALID, "The multiplier is too large.")
    first, last = moment_of(kwargs["first"], "from", windows), moment_of(kwargs["last"], "to", windows)
    if last < first:
        raise Refusal(Wrong.INVALID, "The parameter 'to' cannot be a time that occurs before 'from'")
    order = params.get("sort") or "asc"
    if order not in {"asc", "desc"}:
        raise Refusal(Wrong.INVALID, "The parameter 'sort' must be asc or desc.")
    raw = params.get("adjusted", "true").lower() == "false"
    limit = whole(params.get("limit") or str(USUAL_LIMIT), "limit", most=MOST_BARS)
    adjustment = Adjustment.RAW if raw else Adjustment.SPLIT
    return Range(windows, first, last, limit, order == "desc", adjustment)


def moment_of(text: str, name: str, windows: Windows) -> datetime:
    """Of a date its midnight where it is traded, or the last moment of it for `to`."""
    try:
        return min(max(_moment_of(text, name, windows), EARLIEST), LATEST)
    except (ValueError, OverflowError):
        words = f"Could not parse the time parameter: '{name}'. Use YYYY-MM-DD or Unix MS Timestamps"
        raise Refusal(Wrong.INVALID, words) from None


def _moment_of(text: str, name: str, windows: Windows) -> datetime:
    if _MILLISECONDS.fullmatch(text):
        return EPOCH + timedelta(milliseconds=int(text))
    if not _DATE.fullmatch(text):
        raise ValueError(text)
    return datetime.combine(date.fromisoformat(text), time.max if name == "to" else time(), windows.zone)


# --- the day before


class PreviousDay(MassiveView):
    """The last whole day, dated with its close."""

    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        raw = request.GET.get("adjusted", "true").lower() == "false"
        symbol = symbol_or_none(kwargs["ticker"])
        ticker = Ticker.objects.select_related("quote").filter(symbol=symbol or "").first()
        bars = previous_day(ticker, Adjustment.RAW if raw else Adjustment.SPLIT) if ticker else []
        body = self.told(
            ticker=kwargs["ticker"],
            adjusted=not raw,
            queryCount=len(bars),
            resultsCount=len(bars),
            count=len(bars),
        )
        results = [{"T": kwargs["ticker"], **shapes.aggregate(bar)} for bar in bars]
        return {**body, **({"results": results} if results else {})}


def previous_day(ticker: Ticker, adjustment: Adjustment) -> list[Bar]:
    """Of the newest stored day before the one that runs; empty where there is none."""
    today = datetime.combine(today_of(ticker), time(), UTC)
    asked = Asked(Interval.DAY, EARLIEST, today - timedelta(microseconds=1), 1, True, adjustment)
    return [replace(bar, start=_close(bar)) for bar in stored_bars(ticker, asked)]


def _close(bar: Bar) -> datetime:
    day = bar.start.date()
    closes = market_hours.calendar().closes(day) if str(zone_of(bar.symbol)) != "UTC" else None
    return closes or datetime.combine(day, time(), zone_of(bar.symbol))
