from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from accounts import key_admin  # noqa: F401 -- registers its page
from accounts.emails import forget_address
from accounts.models import User
from accounts.plan_changes import change_tier


class NewUserForm(AdminUserCreationForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("email", "username", "tier")


class ChangedUserForm(UserChangeForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = "__all__"


@admin.register(User)
class UserAdmin(DjangoUserAdmin):  # type: ignore[type-arg]
    form = ChangedUserForm
    add_form = NewUserForm
    list_display = [
        "email", "username", "tier", "is_active", "is_staff", "date_joined", "last_login"
    ]  # fmt: skip
    list_filter = ["tier", "is_active", "is_staff", "is_superuser", "last_login"]
    search_fields = ["email", "username"]
    search_help_text = "Part of the e-mail address or of the user name"
    ordering = ["-date_joined"]
    date_hierarchy = "date_joined"
    show_full_result_count = False
    list_per_page = 50
    readonly_fields = ["date_joined", "last_login"]
    fieldsets = [
        (None, {"fields": ["email", "username", "password", "tier"]}),
        ("May do", {"fields": ["is_active", "is_staff", "is_superuser", "groups", "user_permissions"]}),
        ("Dates", {"fields": ["date_joined", "last_login"]}),
    ]
    add_fieldsets: Any = [
        (None, {"fields": ["email", "username", "tier", "usable_password", "password1", "password2"]}),
    ]

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm[User], change: bool) -> None:
        """A changed tier goes through `change_tier`, so that whoever depends on it is told."""
        if change and "email" in form.changed_data:
            forget_address(obj, form.initial["email"])
        if not change or "tier" not in form.changed_data:
            super().save_model(request, obj, form, change)
            return
        chosen, obj.tier = obj.tier, form.initial["tier"]
        super().save_model(request, obj, form, change)
        change_tier(obj, chosen)

    def get_deleted_objects(
        self, objs: QuerySet[User] | Sequence[User], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[Any]]:
        """A person takes along what is theirs, also rows that staff may not delete one by one; told by number."""
        _, counts, _, protected = super().get_deleted_objects(objs, request)
        return [str(user) for user in objs], counts, set(), protected
