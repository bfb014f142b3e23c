"""The demo symbols that visitors see without login: always wanted, paid by the house."""

from __future__ import annotations

from django.conf import settings
from django.db.models import CharField, IntegerField, QuerySet, Value

from marketdata.freshness import OPEN_TTL
from marketdata.models import Ticker


def wanted_by_house() -> QuerySet[Ticker, tuple[int, int, str]]:
    return Ticker.objects.filter(symbol__in=settings.DEMO_SYMBOLS).values_list(
        "pk", Value(OPEN_TTL.seconds, output_field=IntegerField()), Value("house", output_field=CharField())
    )
