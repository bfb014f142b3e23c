from __future__ import annotations

from django.urls import path

from subscriptions import fallbacks
from subscriptions.api import views

urlpatterns = [
    path("watchlist/", views.Watchlist.as_view(), name="api_watchlist"),
    path("watchlist/<path:symbol>/", views.WatchedTicker.as_view(), name="api_watched_ticker"),
    path("stream/", fallbacks.stream, name="api_stream"),
]
