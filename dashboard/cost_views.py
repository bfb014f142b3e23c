"""The pages about money: what was paid and for whom, one's own part of it, and what if there were more people."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import User
from core import clock
from dashboard.cost_rows import GroupBy, percent
from dashboard.costs_page import TABS, WINDOWS, CostsView, MyCostsView
from dashboard.ledger import Window, cached_report, of_user
from dashboard.whatif import answer, paper
from dashboard.whatif_form import WhatIfForm, plan_lines


@require_safe
@login_required
def costs_page(request: HttpRequest) -> HttpResponse:
    _staff_only(request)
    days = _days(request, 7)
    by = request.GET.get("by", "")
    group_by = next((one for one in TABS if one.value == by), GroupBy.TICKER)
    now = clock.now()
    report = cached_report(Window.last_days(days, now))
    view = CostsView.of(report, days, group_by, now, everything="all" in request.GET)
    return render(request, "dashboard/costs.html", {"view": view})


@require_safe
@login_required
def my_costs_page(request: HttpRequest) -> HttpResponse:
    days = _days(request, 30)
    window = Window.last_days(days, clock.now())
    mine = of_user(cached_report(window), request.user.pk)
    return render(
        request, "dashboard/my_costs.html", {"view": MyCostsView.of(mine, days, window.start.date())}
    )


@require_safe
@login_required
def whatif_page(request: HttpRequest) -> HttpResponse:
    _staff_only(request)
    form = WhatIfForm(request.GET.dict())
    context: dict[str, object] = {"form": form, "paper": list(paper())}
    if form.is_valid():
        scenario = form.scenario
        context |= {
            "scenario": scenario,
            "answer": (found := answer(scenario)),
            "saved": {
                "requests": percent(found.saving_percent(found.alone), 2),
                "sharing_alone": percent(found.saving_percent(found.alone, found.shared_unbatched), 2),
            },
            "plans": plan_lines(form.without_plan, form.plans, form.cleaned_data["plan"]),
        }
    return render(request, "dashboard/whatif.html", context)


def _days(request: HttpRequest, usual: int) -> int:
    wish = request.GET.get("days", "")
    return int(wish) if wish in {str(days) for days in WINDOWS} else usual


def _staff_only(request: HttpRequest) -> None:
    if not cast(User, request.user).is_staff:
        raise PermissionDenied
