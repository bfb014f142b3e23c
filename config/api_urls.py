"""The API, version 1: each app brings its own part."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("", include("accounts.api.urls")),
    path("", include("marketdata.api.urls")),
    path("", include("subscriptions.api.urls")),
    path("", include("alerts.api.urls")),
    path("", include("summaries.api.urls")),
    path("", include("dashboard.api.urls")),
]
