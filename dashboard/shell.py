"""What every page of the shell shows around its content: navigation, tier, limits, unread notifications."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from accounts.models import User
from alerts.models import Alert, Notification
from alerts.states import takes_a_place
from alerts.upkeep import KEPT
from core import clock
from subscriptions.models import Subscription


@dataclass(frozen=True, slots=True)
class NavItem:
    """`counts` names what the number beside it counts; scripts find it by `key`. `short` is for a narrow bar."""

    label: str
    url: str
    icon: str
    current: bool
    count: int | None = None
    counts: str = ""
    key: str = ""
    short: str = ""


@dataclass(frozen=True, slots=True)
class Shell:
    """Navigation and limits of one logged-in user."""

    name: str
    initials: str
    tier: str
    watching: int
    limit: int
    alerts: int
    unread: int
    items: tuple[NavItem, ...]
    system: tuple[NavItem, ...]

    @property
    def filled_percent(self) -> int:
        return min(round(100 * self.watching / self.limit), 100)

    @property
    def room(self) -> int:
        return max(self.limit - self.watching, 0)


class Counts(NamedTuple):
    watching: int
    alerts: int
    unread: int


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor. Lazy: a page without the shell (admin, errors, landing) asks the database nothing."""
    return {"shell": SimpleLazyObject(lambda: shell_of(request))}


def shell_of(request: HttpRequest) -> Shell | None:
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return None
    counts = counts_of(user)
    return Shell(
        name=user.username,
        initials=user.username[:2].upper(),
        tier=user.limits.label,
        watching=counts.watching,
        limit=user.limits.max_tickers,
        alerts=counts.alerts,
        unread=counts.unread,
        items=tuple(_items(request.path, counts)),
        system=tuple(_system(request.path, is_staff=user.is_staff)),
    )


def counts_of(user: User) -> Counts:
    """All numbers of the shell in one query."""
    # What an open page streams beside the watchlist also counts, but only while it is open.
    watched = Subscription.objects.active().lasting().filter(user=OuterRef("pk"))
    now = clock.now()
    # Those that count against the plan, as everywhere: what is over takes no place.
    alerts = Alert.objects.filter(takes_a_place(now), user=OuterRef("pk"))
    unread = Notification.objects.filter(user=OuterRef("pk"), read_at=None, created_at__gte=now - KEPT)
    found = (
        User.objects.filter(pk=user.pk)
        .annotate(watching=_number(watched), alerts_kept=_number(alerts), unread=_number(unread))
        .values_list("watching", "alerts_kept", "unread")
        .first()
    )
    return Counts(*found) if found else Counts(0, 0, 0)


def _number(rows: QuerySet[Any]) -> Coalesce:
    counted = rows.order_by().values("user").annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def _items(here: str, counts: Counts) -> list[NavItem]:
    list_url, search_url = reverse("watchlist"), reverse("tickers")
    alerts_url, inbox_url, news_url = reverse("alerts"), reverse("notifications"), reverse("news")
    in_list = here.startswith((list_url, search_url)) and here != search_url
    return [
        NavItem(
            "Watchlist",
            list_url,
            "list",
            current=in_list,
            count=counts.watching,
            counts="tickers",
            key="in-use",
        ),
        NavItem(
            "Alerts",
            alerts_url,
            "alert",
            current=here.startswith(alerts_url),
            count=counts.alerts,
            counts="alerts",
            key="alert-count",
        ),
        NavItem("News", news_url, "news", current=here.startswith(news_url)),
        NavItem(
            "Notifications",
            inbox_url,
            "bell",
            current=here.startswith(inbox_url),
            count=counts.unread,
            counts="unread",
            key="unread-count",
            short="Inbox",
        ),
    ]


def _system(here: str, *, is_staff: bool) -> list[NavItem]:
    costs_url, my_costs_url = reverse("costs"), reverse("my_costs")
    status_url = reverse("status")
    system = [NavItem("Status", status_url, "info", current=here == status_url)]
    if is_staff:
        in_costs = here.startswith(costs_url) and here != my_costs_url
        system += [
            NavItem("Costs", costs_url, "receipt", current=in_costs),
            NavItem("Admin", reverse("admin:index"), "shield", current=here.startswith("/admin/")),
        ]
    return system
