"""API keys, for the operator: who has which, when it was used, and a way to end it. Nobody sees or sets a secret."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.models import ApiKey
from core import clock
from core.admin import ReadOnlyAdmin


class State(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("valid", "Valid"), ("revoked", "Revoked"), ("unused", "Never used")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        wanted: dict[str, dict[str, Any]] = {
            "valid": {"revoked_at": None},
            "revoked": {"revoked_at__isnull": False},
            "unused": {"last_used_at": None},
        }
        return queryset.filter(**wanted.get(self.value() or "", {}))


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin[ApiKey]):
    list_display = ["prefix", "name", "user", "created_at", "last_used_at", "revoked_at"]
    list_filter = [State, "user__tier", "created_at"]
    list_select_related = ["user"]
    search_fields = ["prefix", "name", "user__email", "user__username"]
    search_help_text = "Key ID, or part of a name or of a user"
    date_hierarchy = "created_at"
    fields = ["prefix", "name", "user", "created_at", "last_used_at", "revoked_at"]
    actions = ["revoke"]

    # Without `has_change_permission` the page is to be looked at; the action asks for it by this name.
    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_apikey")

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        number = ApiKey.objects.filter(pk__in=queryset.values("pk")).revoke(clock.now())
        messages.success(request, f"{number} revoked; what is connected with them ends within 30 s.")
