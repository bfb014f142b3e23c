"""Vendors' addresses below `compat/`; each vendor's own file says what is below its name."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("alpaca/", include("subscriptions.compat.alpaca_urls")),
    path("massive/", include("subscriptions.compat.massive_urls")),
    path("finnhub/", include("subscriptions.compat.finnhub_urls")),
]
