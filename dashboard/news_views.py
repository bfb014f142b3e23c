"""/news/: what was written about the tickers somebody watches; visitors see that of the demo tickers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.models import User
from core import clock
from dashboard.moments import zone_of
from dashboard.news_page import NewsList, Place, newer_than
from marketdata import attention
from marketdata.errors import InvalidSymbol
from marketdata.models import Ticker
from marketdata.symbols import canonical
from subscriptions import watchlist

# More are not counted: the words are "more than 99 new articles".
MOST_COUNTED = 99


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to filter the list; `key` is what the address says of it."""

    label: str
    key: str
    is_current: bool

    @property
    def url(self) -> str:
        return reverse("news") + (f"?{self.key}" if self.key else "")


@dataclass(frozen=True, slots=True)
class NewsFilter:
    """Of whose tickers, and which of them. `own` are the tickers that may be chosen."""

    own: tuple[str, ...]
    ticker: str
    is_all: bool
    is_visitor: bool

    @classmethod
    def of(cls, user: User | None, ticker: str, *, wants_all: bool) -> NewsFilter:
        if user is None:
            return cls(tuple(settings.DEMO_SYMBOLS), ticker, is_all=False, is_visitor=True)
        rows = watchlist.watched(user).filter(dormant=False)
        own = tuple(rows.values_list("ticker__symbol", flat=True))
        return cls(own, ticker, is_all=wants_all and not ticker, is_visitor=False)

    @property
    def symbols(self) -> Sequence[str] | None:
        if self.ticker:
            return [self.ticker]
        return None if self.is_all else self.own

    @property
    def key(self) -> str:
        """What the address of each page of this list has."""
        return urlencode({"ticker": self.ticker}) if self.ticker else "all" if self.is_all else ""

    @property
    def url(self) -> str:
        return reverse("news") + (f"?{self.key}" if self.key else "")

    @property
    def choices(self) -> list[Choice]:
        first = [Choice("Demo tickers" if self.is_visitor else "My tickers", "", not self.key)]
        if not self.is_visitor:
            first.append(Choice("All", "all", self.is_all))
        shown = dict.fromkeys([*self.own, self.ticker] if self.ticker else self.own)
        of_tickers = [
            Choice(symbol, urlencode({"ticker": symbol}), symbol == self.ticker) for symbol in shown
        ]
        return [*first, *of_tickers]

    @property
    def title(self) -> str:
        if self.ticker:
            return f"News of {self.ticker}"
        return "News"


@require_safe
@never_cache
def news_page(request: HttpRequest) -> HttpResponseBase:
    user = request.user if isinstance(request.user, User) else None
    ticker = _ticker(request.GET.get("ticker", ""))
    if ticker and user is None and ticker not in settings.DEMO_SYMBOLS:
        return redirect_to_login(request.get_full_path())
    chosen = NewsFilter.of(user, ticker, wants_all="all" in request.GET)
    if not chosen.ticker or Ticker.objects.filter(symbol=chosen.ticker).exists():
        attention.look(chosen.symbols or ())
    if "X-Fragment" in request.headers:
        return _hint(request, chosen)
    zone, now = zone_for(user), clock.now()
    found = NewsList.of(chosen.symbols, now, zone, Place.read(request.GET.get("before", "")))
    context = {"list": found, "filter": chosen, "now_ms": round(now.timestamp() * 1000)}
    return render(request, "dashboard/news.html", context)


def _hint(request: HttpRequest, chosen: NewsFilter) -> HttpResponse:
    """For a page that is open: how many articles have come since, which it tells instead of moving what is read."""
    rows = newer_than(Place.read(request.GET.get("after", "")), chosen.symbols)
    count = rows[: MOST_COUNTED + 1].count()
    context = {"count": min(count, MOST_COUNTED), "is_more": count > MOST_COUNTED, "filter": chosen}
    return render(request, "dashboard/news_hint_part.html", context)


def zone_for(user: User | None) -> tzinfo:
    """A visitor's is not known."""
    return zone_of(user.time_zone) if user else UTC


def _ticker(text: str) -> str:
    """What is no symbol filters nothing."""
    try:
        return canonical(text) if text else ""
    except InvalidSymbol:
        return ""
