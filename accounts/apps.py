from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts.errors import KeyLimit  # noqa: PLC0415 -- app ready
        from core import problems  # noqa: PLC0415 -- app ready

        problems.register(KeyLimit, status=403, code="api_key_limit")
