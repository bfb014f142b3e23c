from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from marketdata.api.tickers import ticker_or_404, tickers_or_404
from marketdata.lookup import stored_quotes
from marketdata.payload import quote_payload, time_text
from subscriptions import watchlist
from subscriptions.api.serializers import WatchRequest
from subscriptions.models import Subscription


class Watchlist(APIView):
    """What the user watches, with the latest known quotes; POST adds all the named tickers or none."""

    def get(self, request: Request) -> Response:
        user = cast(User, request.user)
        rows = list(watchlist.watched(user))
        return Response(
            {
                "results": described(rows),
                "next": None,
                "tier": user.tier,
                "limit": user.limits.max_tickers,
                "in_use": watchlist.count(user),
            }
        )

    def post(self, request: Request) -> Response:
        wish = WatchRequest(data=request.data)
        wish.is_valid(raise_exception=True)
        user = cast(User, request.user)
        tickers = tickers_or_404(wish.validated_data["symbols"])
        rows = watchlist.watched(user).filter(ticker__in=tickers)
        watched_before = rows.filter(dormant=False).count()
        watchlist.watch(user, tickers)
        added = watched_before < len(tickers)
        return Response(
            {"results": described(rows.all()), "next": None},
            status=status.HTTP_201_CREATED if added else status.HTTP_200_OK,
        )


class WatchedTicker(APIView):
    def delete(self, request: Request, symbol: str) -> Response:
        """Idempotent: a known ticker that is not watched is no error."""
        watchlist.unwatch(cast(User, request.user), [ticker_or_404(symbol)])
        return Response(status=status.HTTP_204_NO_CONTENT)


def described(rows: Iterable[Subscription]) -> list[dict[str, Any]]:
    rows = list(rows)
    quotes = stored_quotes(row.ticker.symbol for row in rows)
    return [
        {
            "symbol": row.ticker.symbol,
            "name": row.ticker.name,
            "subscribed_at": time_text(row.subscribed_at),
            "dormant": row.dormant,
            "quote": quote_payload(quotes[row.ticker.symbol]),
        }
        for row in rows
    ]
