"""`<path:symbol>` because the spelling BRK/B is as good as BRK.B; it is redirected to the canonical one."""

from __future__ import annotations

from django.urls import path

from dashboard import cost_views, status_views, views

urlpatterns = [
    path("", views.landing, name="landing"),
    path("watchlist/", views.watchlist_page, name="watchlist"),
    path("watchlist/add/", views.watchlist_add, name="watchlist_add"),
    path("watchlist/sample/", views.watchlist_sample, name="watchlist_sample"),
    path("watchlist/<path:symbol>/remove/", views.watchlist_remove, name="watchlist_remove"),
    path("tickers/", views.tickers, name="tickers"),
    path("tickers/<path:symbol>/", views.ticker_page, name="ticker"),
    path("charts/<path:symbol>.svg", views.chart, name="chart"),
    path("costs/", cost_views.costs_page, name="costs"),
    path("costs/me/", cost_views.my_costs_page, name="my_costs"),
    path("costs/what-if/", cost_views.whatif_page, name="whatif"),
    path("status/", status_views.status_page, name="status"),
    path("credits/", views.credits_page, name="credits"),
]
