from __future__ import annotations

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    name = "dashboard"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from alerts import missed  # noqa: PLC0415 -- app ready
        from subscriptions import personal  # noqa: PLC0415 -- app ready

        personal.register(missed)
