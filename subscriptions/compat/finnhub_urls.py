"""Finnhub's addresses below `compat/finnhub/`: its client library asks for `api/v1//quote`."""

from __future__ import annotations

from django.urls import re_path

from subscriptions.compat import finnhub_views

ROOT = r"^api/v1/{1,2}"

urlpatterns = [
    re_path(rf"{ROOT}quote$", finnhub_views.Quote.as_view()),
    re_path(rf"{ROOT}(?:stock|crypto|forex)/candle$", finnhub_views.Candles.as_view()),
    re_path(rf"{ROOT}stock/profile2$", finnhub_views.Profile.as_view()),
    re_path(rf"{ROOT}stock/split$", finnhub_views.Splits.as_view()),
    re_path(rf"{ROOT}stock/dividend$", finnhub_views.Dividends.as_view()),
    re_path(rf"{ROOT}stock/dividend2$", finnhub_views.BasicDividends.as_view()),
    re_path(rf"{ROOT}search$", finnhub_views.Search.as_view()),
    re_path("", finnhub_views.NoAddress.as_view()),
]
