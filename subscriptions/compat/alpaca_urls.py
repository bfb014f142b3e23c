"""Below `compat/alpaca/`. `<path:symbol>` because the spelling BRK/A is as good as BRK.A."""

from __future__ import annotations

from django.urls import path, re_path

from subscriptions.compat import alpaca_rest as rest

STOCKS = "v2/stocks"

urlpatterns = [
    path(f"{STOCKS}/trades/latest", rest.LatestTrades.as_view(), name="alpaca_trades"),
    path(f"{STOCKS}/quotes/latest", rest.LatestQuotes.as_view(), name="alpaca_quotes"),
    path(f"{STOCKS}/bars/latest", rest.LatestBars.as_view(), name="alpaca_latest_bars"),
    path(f"{STOCKS}/snapshots", rest.Snapshots.as_view(), name="alpaca_snapshots"),
    path(f"{STOCKS}/bars", rest.Bars.as_view(), name="alpaca_bars"),
    path(f"{STOCKS}/trades", rest.NotIncluded.as_view()),
    path(f"{STOCKS}/quotes", rest.NotIncluded.as_view()),
    path(f"{STOCKS}/<path:symbol>/trades/latest", rest.LatestTrades.as_view()),
    path(f"{STOCKS}/<path:symbol>/quotes/latest", rest.LatestQuotes.as_view()),
    path(f"{STOCKS}/<path:symbol>/bars/latest", rest.LatestBars.as_view()),
    path(f"{STOCKS}/<path:symbol>/snapshot", rest.Snapshots.as_view()),
    path(f"{STOCKS}/<path:symbol>/bars", rest.Bars.as_view()),
    path(f"{STOCKS}/<path:symbol>/trades", rest.NotIncluded.as_view()),
    path(f"{STOCKS}/<path:symbol>/quotes", rest.NotIncluded.as_view()),
    re_path("", rest.NoEndpoint.as_view()),
]
