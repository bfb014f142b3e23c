"""The inbox, and the page that says why a notification came."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from alerts import inbox
from alerts.models import Notification
from core import clock
from dashboard.inbox_page import InboxView
from dashboard.why_page import WhyView

# Of a 64-bit column; a longer number is no place in the list.
LONGEST_ID = 18


@require_safe
@never_cache
@login_required
def inbox_page(request: HttpRequest) -> HttpResponse:
    before = request.GET.get("before", "")
    is_place = before.isascii() and before.isdigit() and len(before) <= LONGEST_ID
    view = InboxView.of(
        cast(User, request.user),
        clock.now(),
        only_unread="unread" in request.GET,
        before=int(before) if is_place else None,
    )
    return render(request, "dashboard/notifications.html", {"view": view})


@require_safe
@never_cache
@login_required
def notification_page(request: HttpRequest, note_id: int) -> HttpResponse:
    user = cast(User, request.user)
    rows = Notification.objects.select_related("trigger__alert__ticker", "trigger__alert__user")
    note = get_object_or_404(rows, pk=note_id, user=user)
    if request.method == "GET" and note.read_at is None:
        inbox.mark_read(user, [note.pk])
    view = WhyView.of(note, user, clock.now())
    return render(request, "dashboard/notification.html", {"view": view})


@require_POST
@login_required
def mark_read(request: HttpRequest) -> HttpResponse:
    """One (`id`), or all without it. A script sees that it was done by the redirect."""
    wish = request.POST.get("id", "")
    user = cast(User, request.user)
    if not wish:
        inbox.mark_read(user, "all")
    elif wish.isascii() and wish.isdigit() and len(wish) <= LONGEST_ID:
        inbox.mark_read(user, [int(wish)])
    return HttpResponseRedirect(place_of(request, reverse("notifications")))


def place_of(request: HttpRequest, otherwise: str) -> str:
    """Where a form was sent from, if that is a page of ours."""
    target = request.POST.get("next", "")
    ours = target.startswith("/") and url_has_allowed_host_and_scheme(target, allowed_hosts=None)
    return target if ours else otherwise
