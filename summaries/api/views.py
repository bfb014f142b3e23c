"""News, earnings calls and analyses for programs: what is stored, at once; no request waits for a model."""

from __future__ import annotations

from datetime import UTC
from typing import Any, cast

from django.conf import settings
from django.db.models import QuerySet
from django.utils.dateparse import parse_datetime
from rest_framework import status
from rest_framework.exceptions import ErrorDetail, NotAuthenticated, NotFound, Throttled
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.tiers import Tier, limits_of
from core import clock
from marketdata import attention
from marketdata.api.permissions import require_login_unless_demo
from marketdata.api.tickers import ticker_or_404
from marketdata.models import Ticker
from summaries import analyses, news, refreshing, transcripts
from summaries.api.payloads import DISCLAIMER, article_payload, call_payload, look_payload, wanted_payload
from summaries.api.serializers import MOST_ROWS, EarningsQuery, NewsQuery, RefreshWish
from summaries.errors import TooManyRefreshes
from summaries.kinds import Persona
from summaries.models import Article, Transcript
from summaries.texts import best_earnings, best_summaries

# Beyond any row's; PostgreSQL would refuse the number.
HIGHEST_ID = 2**63 - 1


class Cursor(CursorPagination):
    page_size = 20
    page_size_query_param = "limit"
    max_page_size = MOST_ROWS

    def is_position(self, text: str) -> bool:
        raise NotImplementedError

    def decode_cursor(self, request: Request) -> Any:
        """A cursor is made by us, and may come back as anything."""
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None and not self.is_position(str(cursor.position)):
            raise NotFound(self.invalid_cursor_message)
        return cursor


class ByTime(Cursor):
    ordering = ("-published_at", "-id")

    def is_position(self, text: str) -> bool:
        try:
            moment = parse_datetime(text)
        except ValueError:
            return False
        return moment is not None and moment.utcoffset() == UTC.utcoffset(None)  # ours are


class ByYear(Cursor):
    ordering = ("-year", "-quarter")

    def is_position(self, text: str) -> bool:
        return text.isascii() and text.isdigit() and len(text) <= len("9999")


class NewsList(APIView):
    """The newest first: of the tickers that are named, or of all."""

    permission_classes = [AllowAny]

    def get(self, request: Request) -> Response:
        query = NewsQuery(data=_joined(request, "symbols"))
        query.is_valid(raise_exception=True)
        symbols = query.validated_data.get("symbols")
        if symbols is not None:
            require_login_unless_demo(request, symbols)
            _must_be_known(symbols)
            attention.look(symbols)
        elif not request.user.is_authenticated:
            raise NotAuthenticated
        paginator = ByTime()
        rows = list(paginator.paginate_queryset(news.latest(symbols).defer("text"), request, self) or [])
        return paginator.get_paginated_response(_articles(rows))


def _must_be_known(symbols: list[str]) -> None:
    """Also those that cannot be newly watched any more have had news."""
    known = set(Ticker.objects.filter(symbol__in=symbols).values_list("symbol", flat=True))
    if missing := [symbol for symbol in symbols if symbol not in known]:
        raise NotFound(f"There is no ticker {', '.join(missing)}.")


class NewsDetail(APIView):
    """Visitors may read what is about a demo ticker."""

    permission_classes = [AllowAny]

    def get(self, request: Request, article_id: int) -> Response:
        rows = news.latest(None).filter(pk=min(article_id, HIGHEST_ID)).defer("text")
        row = rows.first()
        if row is None:
            raise NotFound("There is no such article.")
        _require_login_unless_about_demo(request, row)
        return Response(_articles([row])[0])


def _require_login_unless_about_demo(request: Request, row: Article) -> None:
    symbols = {ticker.symbol for ticker in row.tickers.all()}
    if not request.user.is_authenticated and symbols.isdisjoint(settings.DEMO_SYMBOLS):
        raise NotAuthenticated


def _articles(rows: list[Article]) -> list[dict[str, Any]]:
    texts = best_summaries([row.pk for row in rows])
    return [article_payload(row, texts.get(row.pk)) for row in rows]


class Earnings(APIView):
    """The calls of a ticker, the newest first."""

    permission_classes = [AllowAny]

    def get(self, request: Request) -> Response:
        query = EarningsQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        ticker = ticker_or_404(asked["symbol"])
        require_login_unless_demo(request, [ticker.symbol])
        only = {name: asked[name] for name in ("year", "quarter") if name in asked}
        paginator = ByYear()
        rows = list(paginator.paginate_queryset(_calls(ticker.symbol, only), request, self) or [])
        texts = best_earnings([row.pk for row in rows])
        return paginator.get_paginated_response([call_payload(row, texts.get(row.pk)) for row in rows])


def _calls(symbol: str, only: dict[str, int]) -> QuerySet[Transcript]:
    return transcripts.of(symbol).filter(**only).select_related("ticker").defer("speeches")


class Analyses(APIView):
    """A ticker in the styles of the user's tier; what a visitor sees is what the smallest tier has."""

    permission_classes = [AllowAny]

    def get(self, request: Request, symbol: str) -> Response:
        ticker = ticker_or_404(symbol)
        require_login_unless_demo(request, [ticker.symbol])
        attention.look([ticker.symbol])
        user = request.user
        limits = user.limits if isinstance(user, User) else limits_of(Tier.FREE)
        allowed = [Persona(name) for name in limits.personas]
        seen = analyses.look(ticker, allowed, clock.now())
        return Response(look_payload(seen, frozenset(allowed)))


class RefreshAnalyses(APIView):
    """Wants them made anew: 202 with what becomes of the wish, also where nothing is bought for it now."""

    def post(self, request: Request, symbol: str) -> Response:
        ticker = ticker_or_404(symbol)
        wish = RefreshWish(data=request.data or {})
        wish.is_valid(raise_exception=True)
        user = cast(User, request.user)
        try:
            found = refreshing.want(user, ticker, wish.validated_data.get("personas", ()))
        except TooManyRefreshes as error:
            raise _throttled(error) from None
        told = [wanted_payload(one) for one in found]
        answer = {"symbol": ticker.symbol, "results": told, "disclaimer": DISCLAIMER}
        return Response(answer, status.HTTP_202_ACCEPTED)


def _throttled(error: TooManyRefreshes) -> Throttled:
    """With `Retry-After`, and in our words."""
    found = Throttled(wait=error.wait_s)
    found.detail = ErrorDetail(str(error), Throttled.default_code)
    return found


def _joined(request: Request, name: str) -> dict[str, str]:
    """What may be named several times, with commas between."""
    asked: dict[str, str] = request.query_params.dict()
    if name in asked:
        asked[name] = ",".join(request.query_params.getlist(name))
    return asked
