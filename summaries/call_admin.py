"""The ledger of what language models were asked: one row for each call, with what it used and what it cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest

from core import clock
from marketdata.admin import link_to
from summaries.admin_words import NONE, FoundBySymbol, WrittenBy, choices, time_column, usd
from summaries.kinds import Lane, Outcome, Task
from summaries.models import ModelCall

# Sums without a time of their own are of this; nobody adds up years to look at a page.
SUMMED = timedelta(days=30)
BAD = (Outcome.USELESS, Outcome.REFUSED, Outcome.CUT, Outcome.LOST, Outcome.UNAUTHORIZED, Outcome.BAD_REQUEST)


class Trouble(admin.SimpleListFilter):
    title = "what is wrong with it"
    parameter_name = "trouble"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("wasted", "Paid for, and of no use"),
            ("failed", "No answer"),
            ("slow", "Took more than 20 s"),
            ("uncounted", "Ended, and cost nothing"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ModelCall]) -> QuerySet[ModelCall]:
        ended = ~Q(outcome=Outcome.OPEN.value)
        wanted: dict[str, Q] = {
            "wasted": Q(outcome__in=BAD, counted_femto__gt=0),
            "failed": Q(outcome__in=[Outcome.DOWN, Outcome.RATE_LIMITED, Outcome.UNAUTHORIZED, Outcome.LOST]),
            "slow": Q(took_ms__gt=20_000),
            "uncounted": ended & Q(counted_femto=0, output_tokens__gt=0),
        }
        return queryset.filter(wanted.get(self.value() or "", Q()))


class CallList(ChangeList):
    """With the sums of everything that is chosen, not of the page only."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        chosen = self.queryset.order_by()
        self.since = None if _has_time(self.params) else clock.now() - SUMMED
        if self.since:
            chosen = chosen.filter(at__gte=self.since)
        self.sums = chosen.aggregate(
            calls=Count("pk"), asked=Sum("asked"), answered=Sum("answered"), input=Sum("input_tokens"),
            cached=Sum("cached_tokens"), output=Sum("output_tokens"), femto=Sum("counted_femto"),
        )  # fmt: skip
        self.sums["cost"] = usd(self.sums["femto"])


def _has_time(params: dict[str, Any]) -> bool:
    return any(name.startswith("at__") for name in params)


@admin.register(ModelCall)
class ModelCallAdmin(FoundBySymbol[ModelCall]):
    change_list_template = "admin/summaries/modelcall/change_list.html"
    list_display = [
        time_column("at", "At (UTC)"), "model", "task", "outcome", "cost", "tokens_in", "tokens_out", "items",
        "lane", "tier", "took", "names", "error",
    ]  # fmt: skip
    list_filter = [
        Trouble, WrittenBy, choices("task", "task", Task), choices("lane", "lane", Lane),
        choices("outcome", "outcome", Outcome), "at",
    ]  # fmt: skip
    search_help_text = "A symbol, in any spelling, or the vendor's id of a request"
    fieldsets = [
        (None, {"fields": ["at", "vendor", "model", "task", "lane", "tier", "names", "prompt_version"]}),
        ("How it ended", {"fields": ["outcome", "items", "took", "error", "request_id", "sent_with"]}),
        ("What it used", {"fields": ["cost", "input_tokens", "cached_tokens", "output_tokens"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelCall]:
        return super().get_queryset(request).select_related("batch")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CallList

    def of_symbol(self, symbol: str) -> Q:
        return Q(symbols__contains=[symbol])

    def of_words(self, text: str) -> Q:
        return Q(request_id=text)

    @admin.display(description="Cost", ordering="counted_femto")
    def cost(self, call: ModelCall) -> str:
        most = "at most " if call.outcome == Outcome.OPEN.value else ""
        return f"{most}{usd(call.counted_femto)}"

    @admin.display(description="In (cached)", ordering="input_tokens")
    def tokens_in(self, call: ModelCall) -> str:
        cached = f" ({call.cached_tokens:,})" if call.cached_tokens else ""
        return f"{call.input_tokens:,}{cached}"

    @admin.display(description="Out", ordering="output_tokens")
    def tokens_out(self, call: ModelCall) -> str:
        return f"{call.output_tokens:,}"

    @admin.display(description="Items")
    def items(self, call: ModelCall) -> str:
        return f"{call.answered} of {call.asked}"

    @admin.display(description="Took", ordering="took_ms")
    def took(self, call: ModelCall) -> str:
        return f"{call.took_ms:,} ms"

    @admin.display(description="Tickers")
    def names(self, call: ModelCall) -> str:
        first = ", ".join(call.symbols[:3])
        return f"{first}, … ({len(call.symbols)})" if len(call.symbols) > 3 else first or NONE

    @admin.display(description="Overnight batch")
    def sent_with(self, call: ModelCall) -> str:
        return link_to("summaries_remotebatch_change", call.batch, call.batch_id) if call.batch else NONE
