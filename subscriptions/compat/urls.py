"""Vendors' addresses below `compat/`; each vendor's own file says what is below its name."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
