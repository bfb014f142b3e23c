"""The queue of what models are to be asked for: how it stands, what failed and why, and what a person does about it.

All three acts change only rows that still stand as they did when they were chosen, so none of them meets a purchase
that is under way.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest

from core import clock
from core.admin import ReadOnlyAdmin
from marketdata.admin import link_to
from summaries import orders
from summaries.admin_words import NONE, FoundBySymbol, age, choices, short, usd
from summaries.kinds import Lane, OrderState, Task
from summaries.models import ModelCall, Order, RemoteBatch

LATE = timedelta(minutes=15)
GIVEN_UP = "Given up by a person."
ABOUT = ("article", "transcript", "analysis__ticker", "call", "batch")


class Standing(admin.SimpleListFilter):
    """Those that are done only where they are asked for: there are many, and nothing is to be done about them."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            *((one.value, one.value.capitalize()) for one in OrderState),
            ("late", f"Waits for more than {LATE // timedelta(minutes=1)} minutes"),
            ("failed", "Failed, and is tried again"),
            ("all", "All, also those that are done"),
        ]

    def choices(self, changelist: Any) -> Any:
        """The first one is what is shown unasked."""
        first, *others = super().choices(changelist)
        return [{**first, "display": "To be done"}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        wanted = self.value()
        queued = queryset.filter(state=OrderState.QUEUED.value)
        if wanted == "late":
            return queued.filter(created_at__lt=clock.now() - LATE).exclude(lane=Lane.OVERNIGHT.value)
        if wanted == "failed":
            return queued.filter(failures__gt=0)
        if wanted == "all":
            return queryset
        return queryset.filter(state=wanted) if wanted else queryset.exclude(state=OrderState.DONE.value)


@admin.register(Order)
class OrderAdmin(FoundBySymbol[Order]):
    list_display = ["id", "state", "about", "task", "lane", "waits", "failures", "last_error", "names"]
    list_filter = [
        Standing,
        choices("task", "task", Task),
        choices("lane", "lane", Lane),
        "tier",
        "is_renewal",
    ]
    actions = ["try_again", "give_up", "hurry"]
    fieldsets = [
        (None, {"fields": ["about", "names", "task", "state", "lane", "tier", "is_renewal"]}),
        (
            "Attempts",
            {"fields": ["failures", "alone", "last_error", "not_before", "claims", "claimed_until"]},
        ),
        ("Times", {"fields": ["created_at", "done_at", "waits"]}),
        (None, {"fields": ["key", "last_call", "sent_with"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        rows = super().get_queryset(request).select_related(*ABOUT)
        return rows.defer("article__text", "transcript__speeches")

    def of_symbol(self, symbol: str) -> Q:
        return Q(symbols__contains=[symbol])

    def of_words(self, text: str) -> Q:
        return Q(key=text) | Q(last_error__icontains=text)

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("summaries.change_order")

    @admin.action(description="Try again what was given up", permissions=["steer"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        number = orders.retry(list(queryset.values_list("pk", flat=True)))
        messages.success(request, f"{number} are tried again.")

    @admin.action(description="Give up what waits", permissions=["steer"])
    def give_up(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        waiting = _waiting(queryset)
        dead = {"state": OrderState.DEAD.value, "done_at": clock.now(), "last_error": GIVEN_UP}
        messages.success(request, f"{waiting.update(**dead)} given up.")

    @admin.action(description="Put what waits into the interactive lane", permissions=["steer"])
    def hurry(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        now = clock.now()
        number = _waiting(queryset).update(lane=Lane.INTERACTIVE.value, not_before=now)
        orders.wake()
        messages.success(request, f"{number} are asked for next.")

    @admin.display(description="About")
    def about(self, order: Order) -> str:
        if order.article:
            return link_to("summaries_article_change", short(order.article.headline), order.article_id)
        if order.transcript:
            return link_to("summaries_transcript_change", order.transcript.title, order.transcript_id)
        if order.analysis:
            words = f"{order.analysis.ticker.symbol}, {order.analysis.get_persona_display()}"
            return link_to("summaries_analysis_change", words, order.analysis_id)
        return NONE

    @admin.display(description="Tickers")
    def names(self, order: Order) -> str:
        return ", ".join(order.symbols) or NONE

    @admin.display(description="Age", ordering="created_at")
    def waits(self, order: Order) -> str:
        """What has ended is as old as it was then."""
        return age(order.created_at, order.done_at)

    @admin.display(description="Alone", boolean=True, ordering="is_alone")
    def alone(self, order: Order) -> bool:
        return order.is_alone

    @admin.display(description="Last call")
    def last_call(self, order: Order) -> str:
        return link_to("summaries_modelcall_change", order.call, order.call_id) if order.call else NONE

    @admin.display(description="Overnight batch")
    def sent_with(self, order: Order) -> str:
        return link_to("summaries_remotebatch_change", order.batch, order.batch_id) if order.batch else NONE


def _waiting(chosen: QuerySet[Order]) -> QuerySet[Order]:
    """By their ids, for the page's own query cannot be written through; what an overnight batch has stays with it."""
    ids = list(chosen.values_list("pk", flat=True))
    return Order.objects.filter(pk__in=ids, state=OrderState.QUEUED.value, batch=None)


@admin.register(RemoteBatch)
class RemoteBatchAdmin(ReadOnlyAdmin[RemoteBatch]):
    list_display = [
        "external_id",
        "model",
        "state",
        "took",
        "orders_number",
        "cost",
        "sent_at",
        "polled_at",
        "error",
    ]
    list_filter = ["state", "sent_at"]
    search_fields = ["external_id", "model"]
    search_help_text = "The vendor's own id, or a model"
    fields = [
        "external_id", "model", "state", "orders_number", "cost", "sent_at", "polled_at", "ended_at", "error"
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[RemoteBatch]:
        calls = ModelCall.objects.filter(batch=OuterRef("pk")).order_by().values("batch")
        spent = Subquery(calls.annotate(sum=Sum("counted_femto")).values("sum"))
        return super().get_queryset(request).annotate(number=Count("order"), spent=spent)

    @admin.display(description="Orders")
    def orders_number(self, batch: Any) -> str:
        return link_to("summaries_order_changelist", batch.number, batch__id__exact=batch.pk, state="all")

    @admin.display(description="Cost")
    def cost(self, batch: Any) -> str:
        return usd(batch.spent)

    @admin.display(description="Took", ordering="ended_at")
    def took(self, batch: RemoteBatch) -> str:
        return age(batch.sent_at, batch.ended_at)
