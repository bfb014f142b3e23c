"""Massive's REST API served by us: its addresses, its words, its errors.

`next_url` is written without the prefix below which we are mounted: Massive's client library keeps only path and query,
and puts its own base before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import OuterRef, Subquery
from django.http import HttpRequest
from django.utils.http import urlencode

from accounts.credentials import Login
from marketdata.api.views import quotes_of_known
from marketdata.errors import InvalidSymbol
from marketdata.models import MinuteBar, Ticker
from marketdata.quotes import Bar, NoQuote, Quote, Reason
from subscriptions.compat import massive_shapes as shapes
from subscriptions.compat.access import Refusal, VendorView, Wrong, parameters
from subscriptions.compat.granting import watched_symbols

MAX_TICKERS = 250
UNIVERSAL_PAGE = 10
# More than any number that means something here has.
MAX_DIGITS = 10
NOT_FOUND = "Ticker not found."
STATUSES = {
    Wrong.UNAUTHORIZED: (401, "ERROR", "Unknown API Key"),
    Wrong.FORBIDDEN: (403, "NOT_AUTHORIZED", "You are not entitled to this data. Please upgrade your plan."),
    Wrong.INVALID: (400, "ERROR", "The request cannot be read."),
    Wrong.NOT_FOUND: (404, "NOT_FOUND", NOT_FOUND),
    Wrong.NO_ENDPOINT: (404, "NOT_FOUND", "There is no such address here."),
    Wrong.METHOD: (405, "ERROR", "Only GET is possible."),
    Wrong.THROTTLED: (429, "ERROR", "You've exceeded the maximum requests per minute, please wait."),
    Wrong.UNAVAILABLE: (503, "ERROR", "A part of the service is away; try again in a few seconds."),
    Wrong.FAILED: (500, "ERROR", "Internal server error"),
}
# Massive tells an error of these kinds under `message`, of any other under `error`.
TOLD_AS_MESSAGE = {"NOT_FOUND", "NOT_AUTHORIZED"}
# Anything else passes: a provider's limit, too, which is not the client's.
NO_PRICE = {Reason.NOT_FOUND: Wrong.NOT_FOUND, Reason.PLAN_LOCKED: Wrong.FORBIDDEN}
WAITING = set(Reason) - set(NO_PRICE)


class MassiveView(VendorView):
    def key_of(self, request: HttpRequest) -> str:
        """In the header, or in the address, as the older clients do."""
        kind, _, key = request.headers.get("Authorization", "").partition(" ")
        return key.strip() if kind.lower() == "bearer" else str(request.GET.get("apiKey", ""))

    def error(self, refusal: Refusal) -> tuple[int, Any]:
        code, status, words = STATUSES[refusal.wrong]
        if refusal.wrong is Wrong.UNAUTHORIZED and not self.key_of(self.request):
            words = "API Key was not provided"
        name = "message" if status in TOLD_AS_MESSAGE else "error"
        return code, {"status": status, "request_id": self.request_id, name: refusal.message or words}

    @property
    def request_id(self) -> str:
        return str(getattr(self.request, "request_id", ""))

    def told(self, quotes: Sequence[Quote] = (), **fields: Any) -> dict[str, Any]:
        """A good answer; DELAYED where one of its prices is."""
        status = "DELAYED" if any(quote.delayed_s for quote in quotes) else "OK"
        return {"status": status, "request_id": self.request_id, **fields}

    def address(self, path: str, params: dict[str, str]) -> str:
        """For `next_url`: without the prefix, and without the key."""
        further = {name: value for name, value in params.items() if name != "apiKey"}
        return self.request.build_absolute_uri(path) + (f"?{urlencode(further)}" if further else "")


class NoAddress(MassiveView):
    """Whatever else is asked for below our prefix."""

    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        raise Refusal(Wrong.NO_ENDPOINT)


# --- one ticker


class LastTrade(MassiveView):
    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        quote = quote_of(kwargs["ticker"])
        return self.told([quote], results=shapes.last_trade(quote))


class LastQuote(MassiveView):
    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        quote = quote_of(kwargs["ticker"])
        if not (book := shapes.last_nbbo(quote)):
            raise Refusal(Wrong.NOT_FOUND, "No quote is known of this ticker.")
        return self.told([quote], results=book)


class Snapshot(MassiveView):
    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        quote = quote_of(kwargs["ticker"])
        minute = last_minutes([quote.symbol]).get(quote.symbol)
        return self.told([quote], ticker=shapes.snapshot(quote, minute))


def quote_of(ticker: str) -> Quote:
    """Raises Refusal where there is none, saying why."""
    symbol = symbol_or_none(ticker)
    if symbol is None:
        raise Refusal(Wrong.NOT_FOUND)
    outcome = quotes_of_known([symbol], None)[symbol]
    if isinstance(outcome, NoQuote):
        raise Refusal(NO_PRICE.get(outcome.reason, Wrong.UNAVAILABLE))
    return outcome


def symbol_or_none(ticker: str) -> str | None:
    try:
        return shapes.meant(ticker)
    except InvalidSymbol:
        return None


def last_minutes(symbols: Sequence[str]) -> dict[str, Bar]:
    """The newest stored minute of each ticker that has one: found in the index, then read, in two queries."""
    newest = MinuteBar.objects.filter(ticker=OuterRef("pk")).order_by("-start").values("start")[:1]
    tickers = Ticker.objects.filter(symbol__in=symbols).annotate(newest=Subquery(newest))
    found = {pk: (symbol, start) for pk, symbol, start in tickers.values_list("pk", "symbol", "newest")}
    starts = {start for _, start in found.values() if start}
    rows = (
        MinuteBar.objects.filter(ticker__in=found, start__in=starts) if starts else MinuteBar.objects.none()
    )
    return {
        found[row.ticker_id][0]: bar_of(row, found[row.ticker_id][0])
        for row in rows
        if row.start == found[row.ticker_id][1]
    }


def bar_of(row: MinuteBar, symbol: str) -> Bar:
    return Bar(symbol, row.start, row.open, row.high, row.low, row.close, row.volume)


# --- many tickers


def tickers_in(text: str | None) -> list[str]:
    """What stands between commas, each once; raises Refusal where it is too much."""
    tickers = list(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))
    if len(tickers) > MAX_TICKERS:
        raise Refusal(Wrong.INVALID, f"At most {MAX_TICKERS} tickers at once.")
    return tickers


def outcomes_of(symbols: Sequence[str]) -> dict[str, Quote | NoQuote]:
    """Raises Refusal where there is no price at all and waiting would help."""
    outcomes = quotes_of_known(list(symbols), None)
    reasons = {one.reason for one in outcomes.values() if isinstance(one, NoQuote)}
    if reasons & WAITING and not any(isinstance(one, Quote) for one in outcomes.values()):
        raise Refusal(Wrong.UNAVAILABLE)
    return outcomes


class Snapshots(MassiveView):
    """Those that are asked for and have a price; without `tickers` the watchlist, where Massive tells its market."""

    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        asked = tickers_in(request.GET.get("tickers"))
        symbols = (
            [one for one in map(symbol_or_none, asked) if one] if asked else watched_symbols(login.user_id)
        )
        quotes = [one for one in outcomes_of(symbols).values() if isinstance(one, Quote)]
        minutes = last_minutes([quote.symbol for quote in quotes])
        items = [shapes.snapshot(quote, minutes.get(quote.symbol)) for quote in quotes]
        return self.told(quotes, count=len(items), tickers=items)


class Universal(MassiveView):
    """`/v3/snapshot`: a page of the named tickers, with an error in the place of each that there is not."""

    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        params = parameters(request)
        asked = tickers_in(params.get("ticker.any_of") or params.get("ticker"))
        limit = whole(params.get("limit", str(UNIVERSAL_PAGE)), "limit", most=MAX_TICKERS)
        tickers = asked or [shapes.ticker_text(symbol) for symbol in watched_symbols(login.user_id)]
        page, rest = tickers[:limit], tickers[limit:]
        items, quotes = self._items(page)
        following = {**params, "ticker.any_of": ",".join(rest)}
        more = {"next_url": self.address("/v3/snapshot", following)} if rest else {}
        return self.told(quotes, results=items, **more)

    def _items(self, tickers: Sequence[str]) -> tuple[list[dict[str, Any]], list[Quote]]:
        symbols = {ticker: symbol_or_none(ticker) for ticker in tickers}
        outcomes = outcomes_of([symbol for symbol in symbols.values() if symbol])
        quotes = {one.symbol: one for one in outcomes.values() if isinstance(one, Quote)}
        names = dict(Ticker.objects.filter(symbol__in=quotes).values_list("symbol", "name"))
        items = [
            shapes.universal(quotes[symbol], names.get(symbol, ""))
            if symbol in quotes
            else shapes.not_found(ticker)
            for ticker, symbol in symbols.items()
        ]
        return items, list(quotes.values())


def whole(text: str, name: str, *, most: int) -> int:
    """A number from 1 on, cut at `most` as Massive cuts it; raises Refusal."""
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS and int(text) > 0):
        raise Refusal(Wrong.INVALID, f"The parameter '{name}' must be a whole number above 0.")
    return min(int(text), most)
