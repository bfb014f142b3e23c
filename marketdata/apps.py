from __future__ import annotations

from django.apps import AppConfig


class MarketDataConfig(AppConfig):
    verbose_name = "Market data"
    name = "marketdata"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import problems  # noqa: PLC0415 -- app ready
        from marketdata import checks, deletion, diagnosis, readiness  # noqa: F401, PLC0415 -- app ready
        from marketdata.errors import InvalidSymbol  # noqa: PLC0415 -- app ready

        deletion.register()
        readiness.register()
        diagnosis.register()
        problems.register(InvalidSymbol, status=400, code="invalid_symbol", attr="symbol")
