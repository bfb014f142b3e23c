from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.http.response import HttpResponseBase
from django.utils.http import urlencode
from rest_framework.exceptions import NotAuthenticated, NotFound
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import clock, metrics
from core.outages import DATABASE_ERRORS
from marketdata import attention, freshness
from marketdata.api.bars import read_bars, stretch_of
from marketdata.api.conditional import conditional
from marketdata.api.permissions import require_login_unless_demo
from marketdata.api.serializers import BarsQuery, QuotesQuery, SearchQuery, TickerSerializer
from marketdata.api.tickers import ticker_or_404
from marketdata.lookup import get_quotes, stored_quotes
from marketdata.models import Ticker
from marketdata.payload import quote_payload, time_text
from marketdata.providers import registry
from marketdata.quotes import NoQuote, Quote, Reason
from marketdata.search import search_tickers


class BySymbol(CursorPagination):
    ordering = "symbol"
    page_size = 100
    page_size_query_param = "limit"
    max_page_size = 500

    def decode_cursor(self, request: Request) -> Any:
        cursor = super().decode_cursor(request)
        if cursor is not None and "\0" in str(cursor.position):
            raise NotFound(self.invalid_cursor_message)  # made up: no symbol holds one, and no query may
        return cursor


class TickerList(ListAPIView[Ticker]):
    """With `?search=` the best matches, also without login; without it all tickers, page by page."""

    permission_classes = [AllowAny]
    queryset = Ticker.objects.filter(is_active=True)
    serializer_class = TickerSerializer
    pagination_class = BySymbol

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        if "search" in request.query_params:
            return self.search(request)
        if not request.user.is_authenticated:
            raise NotAuthenticated
        return super().get(request, *args, **kwargs)

    def search(self, request: Request) -> Response:
        query = SearchQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        found = search_tickers(query.validated_data["search"], limit=query.validated_data["limit"])
        return Response({"results": TickerSerializer(found, many=True).data, "next": None})


class TickerDetail(APIView):
    """A ticker and its quote."""

    permission_classes = [AllowAny]

    def get(self, request: Request, symbol: str) -> Response:
        ticker = ticker_or_404(symbol)
        require_login_unless_demo(request, [ticker.symbol])
        attention.look([ticker.symbol])
        quote = get_quotes([ticker.symbol])[ticker.symbol]
        return Response({**TickerSerializer(ticker).data, "quote": quote_payload(quote)})


class Bars(APIView):
    """Bars, oldest first; `next` leads on where there are more than `limit`."""

    permission_classes = [AllowAny]

    def get(self, request: Request, symbol: str) -> Response:
        ticker = ticker_or_404(symbol)
        require_login_unless_demo(request, [ticker.symbol])
        query = BarsQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        stretch = stretch_of(ticker, query.validated_data, clock.now())
        bars, more_from = read_bars(ticker, stretch)
        following = None
        if more_from:
            asked = {**request.query_params.dict(), "start": time_text(more_from)}
            following = f"{request.build_absolute_uri(request.path)}?{urlencode(asked)}"
        return Response({"results": bars, "adjusted": stretch.adjusted.value, "next": following})


class Quotes(APIView):
    """One outcome per symbol; a symbol that nobody lists is never asked of a provider.

    What programs poll that cannot hold a connection open: an answer that is the same is told in a line (304).
    """

    permission_classes = [AllowAny]

    def get(self, request: Request) -> HttpResponseBase:
        asked = {**request.query_params.dict(), "symbols": ",".join(request.query_params.getlist("symbols"))}
        query = QuotesQuery(data=asked)
        query.is_valid(raise_exception=True)
        symbols = query.validated_data["symbols"]
        require_login_unless_demo(request, symbols)
        outcomes = quotes_of_known(symbols, query.validated_data.get("max_age"))
        return conditional(request, {"results": [quote_payload(outcomes[s]) for s in symbols], "next": None})


def quotes_of_known(symbols: list[str], max_age_s: int | None) -> dict[str, Quote | NoQuote]:
    try:
        known = set(Ticker.objects.filter(symbol__in=symbols).values_list("symbol", flat=True))
    except DATABASE_ERRORS:
        # Nobody can say which tickers there are, so nothing is bought; what memory and Redis know is told.
        metrics.database_failures.labels(used_by="quotes_api").inc()
        return stored_quotes(symbols)
    unknown = {symbol: NoQuote(symbol, Reason.NOT_FOUND) for symbol in symbols if symbol not in known}
    listed = [symbol for symbol in symbols if symbol in known]
    attention.look(listed)
    if max_age_s is None:
        return {**get_quotes(listed), **unknown}
    return {**quotes_of_age(listed, timedelta(seconds=max_age_s)), **unknown}


def quotes_of_age(symbols: Iterable[str], max_age: timedelta) -> dict[str, Quote | NoQuote]:
    """As fresh as asked for; but nobody makes us buy a ticker more often than its time to live."""
    now = clock.now()
    by_age: defaultdict[timedelta, list[str]] = defaultdict(list)
    for symbol in symbols:
        ttl = freshness.ttl_from(registry.route(symbol), symbol, now)
        by_age[max(max_age, ttl)].append(symbol)
    found: dict[str, Quote | NoQuote] = {}
    for age, those in by_age.items():
        found |= get_quotes(those, max_age=age)
    return found
