"""Where notifications go: the destinations of one user."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe


@require_safe
@login_required
def channels_page(_request: HttpRequest) -> HttpResponse:
    return redirect("account")
