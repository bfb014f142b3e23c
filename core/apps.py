from __future__ import annotations

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import doctor, readiness  # noqa: PLC0415 -- app ready

        readiness.register()
        doctor.register_own()
