"""`<path:symbol>` because the spelling BRK/A is as good as BRK.A."""

from __future__ import annotations

from django.urls import path

from marketdata.api import actions, views

urlpatterns = [
    path("tickers/", views.TickerList.as_view(), name="api_tickers"),
    path("tickers/<path:symbol>/actions/", actions.Actions.as_view(), name="api_actions"),
    path("tickers/<path:symbol>/bars/", views.Bars.as_view(), name="api_bars"),
    path("tickers/<path:symbol>/", views.TickerDetail.as_view(), name="api_ticker"),
    path("quotes/", views.Quotes.as_view(), name="api_quotes"),
]
