from __future__ import annotations

from typing import cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.models import User
from dashboard.status import status_lately


@require_safe
@never_cache
def status_page(request: HttpRequest) -> HttpResponse:
    """Public; who is staff also sees quotas and what the chain did."""
    staff = cast("User", request.user).is_staff
    return render(request, "dashboard/status.html", {"view": status_lately(staff=staff), "staff": staff})
