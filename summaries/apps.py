from __future__ import annotations

from django.apps import AppConfig


class SummariesConfig(AppConfig):
    name = "summaries"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import problems  # noqa: PLC0415 -- app ready
        from summaries import errors, readiness  # noqa: PLC0415 -- app ready

        readiness.register()
        problems.register(errors.PersonaLocked, status=403, code="plan_locked", attr="personas")
        problems.register(errors.TooManyRefreshes, status=429, code="throttled")
