"""Who watches what, for the operator; also the columns about watching on the pages of tickers and of users.

Those belong here because only this app knows both: it replaces the two pages of the apps below by richer ones.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Exists, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest

from accounts.admin import UserAdmin
from accounts.models import User
from core.admin import EstimatingPaginator, ReadOnlyAdmin
from marketdata.admin import TickerAdmin, link_to
from marketdata.errors import InvalidSymbol
from marketdata.models import Ticker
from marketdata.symbols import canonical
from subscriptions import watchlist
from subscriptions.models import Subscription, WatchInterval

# A search that finds more people than this is too short to mean somebody.
MOST_PEOPLE = 500


def number_active(outer: str) -> Coalesce:
    """How many subscriptions count for the row; a subquery, so that only the rows of the page are counted."""
    active = Subscription.objects.active().filter(**{outer: OuterRef("pk")})
    numbers = active.order_by().values(outer).annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(numbers, output_field=IntegerField()), 0)


class Watched(admin.SimpleListFilter):
    title = "watched"
    parameter_name = "watched"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "By somebody"), ("no", "By nobody")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        watched = Exists(Subscription.objects.active().filter(ticker=OuterRef("pk")))
        return {"yes": queryset.filter(watched), "no": queryset.filter(~watched)}.get(
            self.value() or "", queryset
        )


admin.site.unregister(Ticker)
admin.site.unregister(User)


@admin.register(Ticker)
class WatchedTickerAdmin(TickerAdmin):
    list_display = [*TickerAdmin.list_display[:2], "watchers", *TickerAdmin.list_display[2:]]
    list_filter = [Watched, *TickerAdmin.list_filter]
    readonly_fields = [*TickerAdmin.readonly_fields, "watchers"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Ticker]:
        return super().get_queryset(request).annotate(watchers=number_active("ticker"))

    @admin.display(description="Watchers", ordering="watchers")
    def watchers(self, ticker: Any) -> str:
        number = getattr(ticker, "watchers", 0)
        return link_to("subscriptions_subscription_changelist", number, ticker__id__exact=ticker.pk)


@admin.register(User)
class WatchingUserAdmin(UserAdmin):
    list_display = ["email", "username", "tier", "tickers", *UserAdmin.list_display[3:]]
    readonly_fields = [*UserAdmin.readonly_fields, "tickers", "watches"]
    fieldsets = [
        UserAdmin.fieldsets[0],
        ("Watchlist", {"fields": ["tickers", "watches"]}),
        *UserAdmin.fieldsets[1:],
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        rows: QuerySet[User] = super().get_queryset(request)
        return rows.annotate(in_use=number_active("user"))

    @admin.display(description="Tickers", ordering="in_use")
    def tickers(self, user: Any) -> str:
        text = f"{getattr(user, 'in_use', 0)} of {user.limits.max_tickers}"
        return link_to("subscriptions_subscription_changelist", text, user__id__exact=user.pk)

    @admin.display(description="Watches")
    def watches(self, user: User) -> str:
        rows = watchlist.watched(user)
        text = ", ".join(row.ticker.symbol + (" (dormant)" if row.dormant else "") for row in rows)
        return text or "nothing"


class BySymbolOrPerson(ReadOnlyAdmin[Any]):
    """Search by a symbol in any spelling, or by the beginning of an e-mail address or a user name."""

    list_select_related = ["user", "ticker"]
    ordering = ["-id"]
    search_fields = ["user__email"]
    search_help_text = "A symbol, or the beginning of an e-mail address or of a user name"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By ids, found first: an OR over two joined tables would read both in full."""
        if not search_term:
            return queryset, False
        term = search_term.strip().lower()
        people = User.objects.filter(email__startswith=term) | User.objects.filter(username__istartswith=term)
        try:
            tickers = list(Ticker.objects.filter(symbol=canonical(search_term)).values_list("pk", flat=True))
        except InvalidSymbol:
            tickers = []
        by_person = queryset.filter(user__in=list(people.values_list("pk", flat=True)[:MOST_PEOPLE]))
        return (queryset.filter(ticker__in=tickers) | by_person) if tickers else by_person, False

    @admin.display(description="User", ordering="user__email")
    def person(self, row: Any) -> str:
        return link_to("accounts_user_change", row.user, row.user_id)

    @admin.display(description="Ticker", ordering="ticker__symbol")
    def symbol(self, row: Any) -> str:
        return link_to("marketdata_ticker_change", row.ticker.symbol, row.ticker_id)


@admin.register(Subscription)
class SubscriptionAdmin(BySymbolOrPerson):
    list_display = ["person", "symbol", "subscribed_at", "last_accessed", "ends_at", "dormant"]
    list_filter = ["dormant", ("ends_at", admin.EmptyFieldListFilter), "user__tier"]
    actions = ["unwatch"]

    def has_unwatch_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("subscriptions.delete_subscription")

    @admin.action(description="Unwatch for these users", permissions=["unwatch"])
    def unwatch(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        tickers_of: dict[User, list[Ticker]] = defaultdict(list)
        for row in queryset.select_related("user", "ticker"):
            tickers_of[row.user].append(row.ticker)
        gone = sum(watchlist.unwatch(user, tickers) for user, tickers in tickers_of.items())
        messages.success(request, f"{gone} subscriptions ended.")


@admin.register(WatchInterval)
class WatchIntervalAdmin(BySymbolOrPerson):
    list_display = ["id", "person", "symbol", "started_at", "ended_at"]
    list_filter = [("ended_at", admin.EmptyFieldListFilter)]
    paginator = EstimatingPaginator
