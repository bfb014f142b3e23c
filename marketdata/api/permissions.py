from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request


def require_login_unless_demo(request: Request, symbols: Iterable[str]) -> None:
    """Visitors may read the demo tickers; anything else costs, and needs a login."""
    if not request.user.is_authenticated and not set(symbols) <= set(settings.DEMO_SYMBOLS):
        raise NotAuthenticated
