"""What every page of the shell shows around its content: navigation, tier, limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from accounts.models import User
from subscriptions.models import Subscription


@dataclass(frozen=True, slots=True)
class NavItem:
    label: str
    url: str
    icon: str
    current: bool
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Shell:
    """Navigation and limits of one logged-in user."""

    name: str
    initials: str
    tier: str
    watching: int
    limit: int
    items: tuple[NavItem, ...]
    system: tuple[NavItem, ...]

    @property
    def filled_percent(self) -> int:
        return min(round(100 * self.watching / self.limit), 100)

    @property
    def room(self) -> int:
        return max(self.limit - self.watching, 0)


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor. Lazy: a page without the shell (admin, errors, landing) asks the database nothing."""
    return {"shell": SimpleLazyObject(lambda: shell_of(request))}


def shell_of(request: HttpRequest) -> Shell | None:
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return None
    # What an open page streams beside the watchlist also counts, but only while it is open.
    watching = Subscription.objects.active().lasting().filter(user=user).count()
    here = request.path
    costs_url, my_costs_url = reverse("costs"), reverse("my_costs")
    status_url = reverse("status")
    system = [NavItem("Status", status_url, "info", current=here == status_url)]
    if user.is_staff:
        in_costs = here.startswith(costs_url) and here != my_costs_url
        system += [
            NavItem("Costs", costs_url, "receipt", current=in_costs),
            NavItem("Admin", reverse("admin:index"), "shield", current=here.startswith("/admin/")),
        ]
    list_url = reverse("watchlist")
    search_url = reverse("tickers")
    is_here = here.startswith((list_url, search_url)) and here != search_url
    return Shell(
        name=user.username,
        initials=user.username[:2].upper(),
        tier=user.limits.label,
        watching=watching,
        limit=user.limits.max_tickers,
        items=(NavItem("Watchlist", list_url, "list", current=is_here, count=watching),),
        system=tuple(system),
    )
