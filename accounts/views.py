from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

from allauth.account.views import SignupView as AllauthSignupView
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts import keys, profile
from accounts.errors import KeyLimit
from accounts.forms import ApiKeyForm, TimeZoneForm
from accounts.keys import NewKey
from accounts.models import User


class SignupView(AllauthSignupView):  # type: ignore[misc]
    """Sign-up where of two people who want one name at once the slower gets a form error."""

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            with transaction.atomic():
                return cast(HttpResponse, super().form_valid(form))
        except IntegrityError:
            form.full_clean()  # now it sees the row that was faster
            if form.is_valid():
                form.add_error(None, _("Somebody else was faster. Please try again."))
            return cast(HttpResponse, self.form_invalid(form))


@require_safe
@never_cache
@login_required
def account(request: HttpRequest) -> HttpResponse:
    return _account(request, ApiKeyForm())


def _account(
    request: HttpRequest,
    form: ApiKeyForm,
    status: HTTPStatus = HTTPStatus.OK,
    made: NewKey | None = None,
    zone_form: TimeZoneForm | None = None,
) -> HttpResponse:
    rows = list(_user(request).api_keys.unrevoked())
    context = {
        "form": form,
        "zone_form": zone_form or TimeZoneForm(instance=_user(request)),
        "time_zones": profile.places(),
        "made": made,
        "keys": rows,
        "limits": _user(request).limits,
        "site": request.build_absolute_uri("/").rstrip("/"),
        "stream": request.build_absolute_uri("/").rstrip("/").replace("http", "ws", 1),
    }
    return render(request, "account/account.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def time_zone(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return redirect("account")
    user = User.objects.get(pk=_user(request).pk)  # the form writes into it, also what is wrong
    form = TimeZoneForm(request.POST, instance=user)
    if not form.is_valid():
        return _account(request, ApiKeyForm(), HTTPStatus.BAD_REQUEST, zone_form=form)
    profile.change_time_zone(_user(request), form.cleaned_data["time_zone"])
    messages.success(request, f"Your time zone is {form.cleaned_data['time_zone']}")
    return redirect("account")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def api_key_make(request: HttpRequest) -> HttpResponse:
    """Answers with the page itself: a redirect would have to keep the key somewhere on its way.

    Who comes back to this address, such as after logging in again, is led to the page.
    """
    if request.method != "POST":
        return redirect("account")
    form = ApiKeyForm(request.POST)
    if not form.is_valid():
        return _account(request, form, HTTPStatus.BAD_REQUEST)
    try:
        made = keys.make_key(_user(request), form.cleaned_data["name"])
    except KeyLimit as limit:
        form.add_error("name", str(limit))
        return _account(request, form, HTTPStatus.FORBIDDEN)
    return _account(request, ApiKeyForm(), HTTPStatus.CREATED, made)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def api_key_revoke(request: HttpRequest, key_id: int) -> HttpResponse:
    """GET asks, POST does."""
    key = get_object_or_404(_user(request).api_keys, pk=key_id)
    if request.method != "POST":
        return render(request, "account/revoke_key.html", {"key": key})
    keys.revoke(_user(request), key.pk)
    messages.success(request, f"{key.name} was revoked")
    return redirect("account")


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)  # behind login_required
