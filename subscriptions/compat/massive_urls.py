"""Massive's addresses below `compat/massive/`. `path:ticker` because the spelling BRK/A is as good as BRK.A."""

from __future__ import annotations

from django.urls import path, re_path

from subscriptions.compat import massive_bars, massive_reference, massive_views

SNAPSHOTS = "v2/snapshot/locale/us/markets/stocks/tickers"

urlpatterns = [
    path("v2/last/trade/<path:ticker>", massive_views.LastTrade.as_view()),
    path("v2/last/nbbo/<path:ticker>", massive_views.LastQuote.as_view()),
    path(SNAPSHOTS, massive_views.Snapshots.as_view()),
    path(f"{SNAPSHOTS}/<path:ticker>", massive_views.Snapshot.as_view()),
    path("v3/snapshot", massive_views.Universal.as_view()),
    path("v2/aggs/ticker/<str:ticker>/prev", massive_bars.PreviousDay.as_view()),
    path(
        "v2/aggs/ticker/<str:ticker>/range/<str:count>/<str:span>/<str:first>/<str:last>",
        massive_bars.Aggregates.as_view(),
    ),
    path("v3/reference/tickers", massive_reference.Tickers.as_view()),
    path("v3/reference/tickers/<path:ticker>", massive_reference.TickerDetails.as_view()),
    path("v3/reference/dividends", massive_reference.Actions.as_view(sort=massive_reference.DIVIDENDS)),
    path("v3/reference/splits", massive_reference.Actions.as_view(sort=massive_reference.SPLITS)),
    re_path("", massive_views.NoAddress.as_view()),
]
