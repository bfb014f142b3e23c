"""Alpaca's REST API for shares: latest trade, quote and minute, snapshots, past bars; for one symbol and for many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.db.models import OuterRef, Q, Subquery
from django.http import HttpRequest

from accounts.credentials import Login
from accounts.models import ApiKey
from marketdata import market_hours
from marketdata.calendar import NEW_YORK
from marketdata.models import DailyBar, MinuteBar, Ticker
from marketdata.quotes import Bar, Quote
from marketdata.symbols import canonical
from subscriptions.compat import alpaca as words
from subscriptions.compat import alpaca_bars
from subscriptions.compat.access import Refusal, VendorView, Wrong, parameters, quotes_of, symbols_of
from subscriptions.compat.bars import zone_of

LONGEST_BREAK = timedelta(days=7)
FEEDS = {"iex", "sip", "delayed_sip", "test", "otc", "boats", "overnight"}
# Status and, behind it, Alpaca's own number; and its words where we have none that say more.
ANSWERS: Mapping[Wrong, tuple[int, int, str]] = {
    Wrong.UNAUTHORIZED: (401, 40110000, "unauthorized."),
    Wrong.FORBIDDEN: (403, 40310000, "forbidden."),
    Wrong.INVALID: (422, 42210000, "invalid request"),
    Wrong.NOT_FOUND: (404, 40410000, "no such symbol"),
    Wrong.NO_ENDPOINT: (404, 40410000, "endpoint not found."),
    Wrong.METHOD: (405, 40510000, "method not allowed"),
    Wrong.THROTTLED: (429, 42910000, "too many requests."),
    Wrong.UNAVAILABLE: (503, 50310000, "service unavailable, try again in a few seconds"),
    Wrong.FAILED: (500, 50010000, "internal server error occurred"),
}


class AlpacaView(VendorView):
    """Who asks says so in two headers."""

    def key_of(self, request: HttpRequest) -> str:
        headers = request.headers
        return key_in(headers.get("APCA-API-KEY-ID", ""), headers.get("APCA-API-SECRET-KEY", ""))

    def error(self, refusal: Refusal) -> tuple[int, Any]:
        status, code, message = ANSWERS[refusal.wrong]
        return status, {"code": code, "message": refusal.message or message}


def key_in(key_id: str, secret: str) -> str:
    """The whole key among the two halves that Alpaca asks for, empty where there is none or there are two.

    A key of ours is a secret as a whole, so it is enough in either place; its ID beside it tells nothing more.
    """
    whole = {half for half in (key_id, secret) if ApiKey.is_text(half)}
    return whole.pop() if len(whole) == 1 else ""


class NoEndpoint(AlpacaView):
    """Whatever of Alpaca's we do not serve, told to everybody."""

    def key_of(self, request: HttpRequest) -> str:
        raise Refusal(Wrong.NO_ENDPOINT)


class NotIncluded(AlpacaView):
    """What we could only make up: every single trade and quote of the past."""

    def answer(self, request: HttpRequest, login: Login, **_: str) -> Any:
        raise Refusal(Wrong.FORBIDDEN, "subscription does not permit querying historical trades and quotes")


# --- latest


class Latest(AlpacaView):
    """What a kind of answer is made of; `many` and `single` name it in the two forms."""

    many = ""
    single = ""

    def answer(self, request: HttpRequest, login: Login, symbol: str = "", **_: str) -> Any:
        asked = parameters(request)
        alpaca_bars.must_be(asked, "feed", FEEDS)
        if not symbol:
            symbols = symbols_of(request.GET.getlist("symbols"))
            return self.about_many(self.found(symbols))
        name = canonical(symbol)
        found = self.found([name])
        if name not in found:
            raise Refusal(Wrong.NOT_FOUND, f"no data for symbol {name}")
        return self.about_one(name, found[name])

    def found(self, symbols: Sequence[str]) -> dict[str, Any]:
        """By symbol; without those of which there is nothing to tell."""
        raise NotImplementedError

    def about_many(self, found: dict[str, Any]) -> Any:
        return {self.many: found}

    def about_one(self, symbol: str, entry: Any) -> Any:
        return {"symbol": symbol, self.single: entry}


class LatestTrades(Latest):
    many, single = "trades", "trade"

    def found(self, symbols: Sequence[str]) -> dict[str, Any]:
        return {symbol: words.trade_of(quote) for symbol, quote in quotes_of(symbols).items()}


class LatestQuotes(Latest):
    many, single = "quotes", "quote"

    def found(self, symbols: Sequence[str]) -> dict[str, Any]:
        return {symbol: words.quote_of(quote) for symbol, quote in quotes_of(symbols).items()}


class LatestBars(Latest):
    """The newest minute, which may still run."""

    many, single = "bars", "bar"

    def found(self, symbols: Sequence[str]) -> dict[str, Any]:
        return {symbol: words.bar_of(bar, bar.start) for symbol, bar in latest_minutes(symbols).items()}


class Snapshots(Latest):
    """All of it at once, without an envelope. The day before is what the quote compares with."""

    def found(self, symbols: Sequence[str]) -> dict[str, Any]:
        quotes = quotes_of(symbols)
        minutes, before = latest_minutes(quotes), days_before(quotes)
        return {
            symbol: _snapshot(quote, minutes.get(symbol), before.get(symbol))
            for symbol, quote in quotes.items()
        }

    def about_many(self, found: dict[str, Any]) -> Any:
        return found

    def about_one(self, symbol: str, entry: Any) -> Any:
        return {"symbol": symbol, **entry}


def _snapshot(quote: Quote, minute: Bar | None, before: Bar | None) -> dict[str, Any]:
    parts = {
        "latestTrade": words.trade_of(quote),
        "latestQuote": words.quote_of(quote),
        "minuteBar": words.bar_of(minute, minute.start) if minute else None,
        "dailyBar": words.day_of(quote, zone_of(quote.symbol)),
        "prevDailyBar": words.bar_of(before, before.start) if before else None,
    }
    return {name: part for name, part in parts.items() if part is not None}


def latest_minutes(symbols: Iterable[str]) -> dict[str, Bar]:
    """The newest stored minute of each, in one query."""
    newest = MinuteBar.objects.filter(ticker_id=OuterRef("pk")).order_by("-start").values("pk")[:1]
    wanted = Ticker.objects.filter(symbol__in=list(symbols)).values(newest=Subquery(newest))
    rows = MinuteBar.objects.filter(pk__in=wanted).values_list(
        "ticker__symbol", "start", "open", "high", "low", "close", "volume"
    )
    return {row[0]: Bar(*row) for row in rows}


def days_before(quotes: Mapping[str, Quote]) -> dict[str, Bar]:
    """The day whose close each quote compares with.

    A stored one where it has that close; else there is nothing but the close, and it stands for all four prices.
    """
    stored = _stored_days(quotes)
    found = {}
    for symbol, quote in quotes.items():
        close, bar = quote.previous_close, stored.get(symbol)
        if close is None:
            continue
        if bar is None or bar.close != close:
            bar = Bar(symbol, quote.as_of, close, close, close, close, 0)
        found[symbol] = replace(bar, start=_previous_day(symbol, quote.as_of))
    return found


def _previous_day(symbol: str, moment: datetime) -> datetime:
    """The midnight that the trading day before that of `moment` began with."""
    today = words.midnight_of(moment, zone_of(symbol))
    if zone_of(symbol) is not NEW_YORK:
        return today - timedelta(days=1)
    return words.midnight_of(market_hours.calendar().previous_close(today), NEW_YORK)


def _stored_days(quotes: Mapping[str, Quote]) -> dict[str, Bar]:
    """The newest day before that of each quote, in one query; what is older than a long holiday is of no use."""
    ranges = Q(pk__in=[])
    for symbol, quote in quotes.items():
        day = quote.replay_date or quote.as_of.astimezone(zone_of(symbol)).date()
        ranges |= Q(ticker__symbol=symbol, day__lt=day, day__gte=day - LONGEST_BREAK)
    rows = DailyBar.objects.filter(ranges).order_by("day")
    columns = rows.values_list("ticker__symbol", "day", "open", "high", "low", "close", "volume")
    return {row[0]: Bar(row[0], datetime.combine(row[1], time(), UTC), *row[2:]) for row in columns}


# --- past


class Bars(AlpacaView):
    """A page of past bars, counted over all symbols."""

    def answer(self, request: HttpRequest, login: Login, symbol: str = "", **_: str) -> Any:
        asked = parameters(request)
        alpaca_bars.must_be(asked, "feed", FEEDS)
        wish = alpaca_bars.wish_of(asked)
        begin = alpaca_bars.place_of(asked.get("page_token", ""))
        symbols = [canonical(symbol)] if symbol else symbols_of(request.GET.getlist("symbols"))
        rows, token = alpaca_bars.page_of(symbols, wish, begin)
        if symbol:
            return {"symbol": symbols[0], "bars": rows.get(symbols[0], []), "next_page_token": token}
        return {"bars": rows, "next_page_token": token}
