"""The pages of part A. Each is useful before a script runs; forms answer with the page itself or a redirect."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from core import clock
from dashboard.analysis_page import AnalysisView
from dashboard.board import board_of
from dashboard.charts import sparks
from dashboard.forms import TickerForm
from dashboard.news_views import zone_for
from dashboard.ticker_alerts import TickerAlerts, counts_by_symbol
from dashboard.ticker_page import TickerView
from dashboard.ticker_tabs import TabWish
from marketdata.errors import InvalidSymbol
from marketdata.lookup import stored_quotes
from marketdata.models import Ticker
from marketdata.quotes import Quote
from marketdata.search import search_tickers
from marketdata.symbols import canonical
from subscriptions import watchlist
from subscriptions.errors import TierLimit

SAMPLE = ("AAPL", "MSFT", "IBM")
SPARK_CACHE_S = 30
SEARCH_RESULTS = 20


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    found = Ticker.objects.in_bulk(settings.DEMO_SYMBOLS, field_name="symbol")
    tickers = [found[symbol] for symbol in settings.DEMO_SYMBOLS if symbol in found]
    board = board_of(dict.fromkeys(tickers), clock.now())
    return render(request, "dashboard/landing.html", {"board": board})


@require_safe
def credits_page(request: HttpRequest) -> HttpResponse:
    return render(request, "dashboard/credits.html")


@require_safe
@login_required
def watchlist_page(request: HttpRequest) -> HttpResponse:
    form = TickerForm() if "add" in request.GET else None
    return _watchlist(request, form)


def _watchlist(
    request: HttpRequest, form: TickerForm | None, status: HTTPStatus = HTTPStatus.OK
) -> HttpResponse:
    user, now = _user(request), clock.now()
    rows = list(watchlist.watched(user))
    awake = {row.ticker: row.subscribed_at for row in rows if not row.dormant}
    context = {
        "board": board_of(awake, now, counts_by_symbol(user, now)),
        "dormant": [row.ticker for row in rows if row.dormant],
        "form": form,
        "editing": "edit" in request.GET,
        "sample": SAMPLE,
    }
    return render(request, "dashboard/watchlist.html", context, status=status)


@require_POST
@login_required
def watchlist_add(request: HttpRequest) -> HttpResponse:
    form = TickerForm(request.POST)
    if not form.is_valid():
        return _watchlist(request, form, HTTPStatus.BAD_REQUEST)
    try:
        watchlist.watch(_user(request), [form.ticker])
    except TierLimit as limit:
        form.add_error("symbol", str(limit))
        return _watchlist(request, form, HTTPStatus.FORBIDDEN)
    return _back(request)


@require_POST
@login_required
def watchlist_remove(request: HttpRequest, symbol: str) -> HttpResponse:
    ticker = _ticker_or_404(symbol)
    if watchlist.unwatch(_user(request), [ticker]):
        # The symbol as extra tag: the page offers to undo it.
        messages.success(request, f"{ticker.symbol} removed", extra_tags=ticker.symbol)
    return _back(request)


@require_POST
@login_required
def watchlist_sample(request: HttpRequest) -> HttpResponse:
    try:
        watchlist.watch(_user(request), list(Ticker.objects.filter(symbol__in=SAMPLE)))
    except TierLimit as limit:
        messages.error(request, str(limit))
    return redirect("watchlist")


@require_safe
def tickers(request: HttpRequest) -> HttpResponse:
    """Search without a script; also where the search icon of a phone leads."""
    text = request.GET.get("q", "").strip()[:100]
    found = search_tickers(text, limit=SEARCH_RESULTS) if text else []
    return render(request, "dashboard/tickers.html", {"text": text, "found": found})


@require_safe
def ticker_page(request: HttpRequest, symbol: str) -> HttpResponseBase:
    try:
        spelled = canonical(symbol)
    except InvalidSymbol as error:
        context = {"text": symbol[:60], "detail": str(error)}
        return render(request, "dashboard/invalid_symbol.html", context, status=HTTPStatus.BAD_REQUEST)
    if spelled != symbol:
        return redirect("ticker", spelled)
    if not request.user.is_authenticated and spelled not in settings.DEMO_SYMBOLS:
        return redirect_to_login(request.get_full_path())
    ticker = Ticker.objects.filter(symbol=spelled).first()
    if ticker is None:
        context = {"text": spelled}
        return render(request, "dashboard/unknown_ticker.html", context, status=HTTPStatus.NOT_FOUND)
    user = request.user if isinstance(request.user, User) else None
    if "X-Fragment" in request.headers:
        return _ticker_part(request, ticker, user)
    view = TickerView.of(ticker, user, clock.now(), TabWish.of(request.GET.dict()))
    return render(request, "dashboard/ticker.html", {"view": view})


def _ticker_part(request: HttpRequest, ticker: Ticker, user: User | None) -> HttpResponse:
    """For a page that is open: the analyses alone, or the card of alerts, which visitors have none of."""
    now = clock.now()
    if request.headers["X-Fragment"] == "analyses":
        seen = AnalysisView.of(ticker, user, now, zone_for(user))
        return render(request, "partials/_tab_analyses.html", {"analyses": seen, "ticker": ticker})
    if user is None:
        raise Http404
    alerts = TickerAlerts.of(ticker, stored_quotes([ticker.symbol])[ticker.symbol], user, now)
    return render(request, "dashboard/ticker_alerts_part.html", {"alerts": alerts, "symbol": ticker.symbol})


@require_safe
def chart(request: HttpRequest, symbol: str) -> HttpResponse:
    """The spark line. Only a demo ticker's is for everybody, and asked for without a look at the session."""
    ticker = _ticker_or_404(symbol)
    public = ticker.symbol in settings.DEMO_SYMBOLS
    if not public and not request.user.is_authenticated:
        raise Http404
    quote = stored_quotes([ticker.symbol])[ticker.symbol]
    if not isinstance(quote, Quote):
        raise Http404
    drawn = sparks({ticker.pk: quote}, clock.now())[ticker.pk]
    response = HttpResponse(drawn, content_type="image/svg+xml")
    response["Cache-Control"] = f"{'public' if public else 'private'}, max-age={SPARK_CACHE_S}"
    return response


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)  # behind login_required


def _ticker_or_404(symbol: str) -> Ticker:
    try:
        return get_object_or_404(Ticker, symbol=canonical(symbol))
    except InvalidSymbol as error:
        raise Http404(str(error)) from error


def _back(request: HttpRequest) -> HttpResponseRedirect:
    """To where a form was sent from, if that is a page of ours; `redirect` would take a word for a view's name."""
    target = request.POST.get("next", "")
    ours = target.startswith("/") and url_has_allowed_host_and_scheme(target, allowed_hosts=None)
    return HttpResponseRedirect(target if ours else reverse("watchlist"))
