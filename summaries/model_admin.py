"""Which models there are, what they cost and how good they are; and what may be spent on them in a day.

All figures of a page are asked for once, however many models it shows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest

from accounts.tiers import Tier
from core import clock
from core.admin import ModelAdmin
from marketdata.admin import link_to
from marketdata.ledger_admin import valid_at
from marketdata.models import Price
from marketdata.providers.base import Unit
from summaries import spending
from summaries.admin_words import NONE, percent, usd
from summaries.kinds import Lane, Outcome, Step
from summaries.models import Analysis, Budget, BudgetScope, EarningsSummary, ModelCall, ModelEntry, Summary
from summaries.spending import Standing

SPAN = timedelta(days=30)
# Calls that ended with an answer, of which one can say whether it was of the shape that was asked for.
ANSWERED = (Outcome.OK, Outcome.PARTLY, Outcome.USELESS, Outcome.CUT, Outcome.REFUSED)
USABLE = (Outcome.OK, Outcome.PARTLY)
PRICED = {Unit.INPUT: "in", Unit.CACHED: "cached", Unit.OUTPUT: "out"}
SOON = timedelta(days=90)


@dataclass
class Record:
    """What one model did within the last 30 days."""

    calls: int = 0
    answers: int = 0
    usable: int = 0
    """Answers that could be read."""
    cost: Decimal = Decimal(0)
    claims: int = 0
    grounded: int = 0


def records(names: Iterable[str]) -> defaultdict[str, Record]:
    """By model; four queries."""
    found: defaultdict[str, Record] = defaultdict(Record)
    names, since = list(names), clock.now() - SPAN
    calls = ModelCall.objects.filter(model__in=names, at__gte=since).order_by().values("model")
    for row in calls.annotate(
        calls=Count("pk"), cost=Sum("counted_femto"),
        answers=Count("pk", filter=Q(outcome__in=ANSWERED)), usable=Count("pk", filter=Q(outcome__in=USABLE)),
    ):  # fmt: skip
        record = found[row["model"]]
        record.calls, record.cost = row["calls"], row["cost"]
        record.answers, record.usable = row["answers"], row["usable"]
    kinds: tuple[Any, ...] = (Summary, EarningsSummary, Analysis)
    for kind in kinds:
        texts = kind.objects.filter(model__in=names, created_at__gte=since).order_by()
        for row in texts.values("model").annotate(claimed=Sum("claims"), held=Sum("grounded")):
            found[row["model"]].claims += row["claimed"]
            found[row["model"]].grounded += row["held"]
    return found


def prices(names: Iterable[str]) -> dict[str, str]:
    """What a million tokens cost now, in words; one query. What an overnight batch costs is a line of its own."""
    lines = Price.objects.filter(
        valid_at(clock.now()), plan__in=list(names), unit__in=list(PRICED), endpoint=""
    )
    found: defaultdict[str, dict[str, Decimal]] = defaultdict(dict)
    for line in lines:
        found[line.plan][line.unit] = line.usd * 1000
    return {name: _price_words(units) for name, units in found.items()}


def _price_words(units: dict[str, Decimal]) -> str:
    told = [f"${units[unit].normalize():f} {word}" for unit, word in PRICED.items() if unit in units]
    return ", ".join(told)


class ModelList(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        names = [row.name for row in self.result_list]
        found, book = records(names), prices(names)
        for row in self.result_list:
            row.record, row.price = found[row.name], book.get(row.name, "")


class EndOfLife(admin.SimpleListFilter):
    title = "end of life"
    parameter_name = "ends"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("over", "Over"),
            ("soon", f"Within {SOON.days} days"),
            ("stranded", "Known, and nothing is asked instead"),
            ("unknown", "Not known"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ModelEntry]) -> QuerySet[ModelEntry]:
        today = clock.now().date()
        wanted: dict[str, Q] = {
            "over": Q(end_of_life__lte=today),
            "soon": Q(end_of_life__gt=today, end_of_life__lte=today + SOON),
            "stranded": Q(end_of_life__isnull=False, fallback=None),
            "unknown": Q(end_of_life=None),
        }
        return queryset.filter(wanted.get(self.value() or "", Q()))


class ModelForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses a model that would be asked instead of itself, also by way of others."""

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        for name in ("fallback", "cheaper"):
            if self.instance.pk and self._leads_back(found.get(name), name):
                self.add_error(
                    name, forms.ValidationError("This leads back to the model itself.", code="loop")
                )
        return found

    def _leads_back(self, other: ModelEntry | None, name: str) -> bool:
        passed: set[int] = set()
        while other is not None and other.pk not in passed:
            if other.pk == self.instance.pk:
                return True
            passed.add(other.pk)
            other = getattr(other, name)
        return False


@admin.register(ModelEntry)
class ModelEntryAdmin(ModelAdmin[ModelEntry]):
    form = ModelForm
    list_display = [
        "name", "vendor", "per_million", "ends", "fallback", "cheaper", "calls", "cost", "schema_valid",
        "grounding", "supports_batch", "note",
    ]  # fmt: skip
    list_filter = [EndOfLife, "vendor", "supports_batch"]
    list_select_related = ["fallback", "cheaper"]
    search_fields = ["name", "note"]
    show_full_result_count = False
    readonly_fields = ["per_million", "ends", "calls", "cost", "schema_valid", "grounding"]
    fieldsets = [
        (None, {"fields": ["name", "vendor", "note"]}),
        ("End of life", {"fields": ["end_of_life", "ends", "end_of_life_source", "fallback"]}),
        (
            "What it can do",
            {"fields": ["context_tokens", "max_output_tokens", "supports_schema", "supports_batch"]},
        ),
        ("What it costs", {"fields": ["per_million", "cheaper"]}),
        ("What it did within 30 days", {"fields": ["calls", "cost", "schema_valid", "grounding"]}),
    ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ModelList

    @admin.display(description="A million tokens")
    def per_million(self, row: Any) -> str:
        book = row.price if hasattr(row, "price") else prices([row.name]).get(row.name, "")
        return book or "no price in the book"

    @admin.display(description="Ends", ordering="end_of_life")
    def ends(self, row: ModelEntry) -> str:
        return days_until(row.end_of_life)

    @admin.display(description="Calls, 30 days")
    def calls(self, row: ModelEntry) -> str:
        return link_to("summaries_modelcall_changelist", f"{_record(row).calls:,}", model=row.name)

    @admin.display(description="Cost, 30 days")
    def cost(self, row: ModelEntry) -> str:
        return usd(_record(row).cost)

    @admin.display(description="Answers that could be read")
    def schema_valid(self, row: ModelEntry) -> str:
        return percent(_record(row).usable, _record(row).answers)

    @admin.display(description="Claims that are grounded")
    def grounding(self, row: ModelEntry) -> str:
        return percent(_record(row).grounded, _record(row).claims)


def _record(row: Any) -> Record:
    """Of the list, or asked for once by the page of one model."""
    if not hasattr(row, "record"):
        row.record = records([row.name])[row.name]
    found: Record = row.record
    return found


def days_until(end: date | None) -> str:
    if end is None:
        return NONE
    days = (end - clock.now().date()).days
    if days <= 0:
        return f"over since {end}"
    return f"in {days} day{'' if days == 1 else 's'}, {end}"


class BudgetForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses a budget of a lane or a tier that nobody would ever look at."""

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        scope, name = found.get("scope"), found.get("name") or ""
        known = NAMES.get(str(scope))
        if known is not None and name not in known:
            told = "Leave the name empty." if known == [""] else f"Write one of: {', '.join(known)}."
            self.add_error("name", forms.ValidationError(told, code="unknown"))
        return found


NAMES: dict[str, list[str]] = {
    BudgetScope.DAY.value: [""],
    BudgetScope.LANE.value: [lane.value for lane in Lane],
    BudgetScope.TIER.value: [tier.value for tier in Tier],
}


@dataclass
class Today:
    """What is used of the budgets today, by scope and name."""

    standings: dict[tuple[str, str], Standing] = field(default_factory=dict)

    @classmethod
    def asked(cls) -> Today:
        return cls({(str(one.scope), one.name): one for one in spending.standing()})

    def of(self, budget: Budget) -> Standing | None:
        return self.standings.get((budget.scope, budget.name))


class BudgetList(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        today = Today.asked()
        self.result_list = list(self.result_list)
        for row in self.result_list:
            row.today = today.of(row)
        self.by_settings = _by_settings(today)


def _by_settings(today: Today) -> str:
    """Of the budget for everything, as long as it is no row that could be edited."""
    standing = today.standings.get((BudgetScope.DAY.value, ""))
    if standing is None or Budget.objects.filter(scope=BudgetScope.DAY).exists():
        return ""
    limit = f"${standing.limit_usd.normalize():,f}"
    return f"{usd(standing.used_femto)} of {limit} today: {STEPS[standing.step]} is bought"


@admin.register(Budget)
class BudgetAdmin(ModelAdmin[Budget]):
    change_list_template = "admin/summaries/budget/change_list.html"
    form = BudgetForm
    list_display = [
        "of_what", "limit", "spent", "open_calls", "used", "step", "steps",
    ]  # fmt: skip
    readonly_fields = ["spent", "open_calls", "used", "step"]
    show_full_result_count = False
    fieldsets = [
        (None, {"fields": ["scope", "name", "usd_per_day"]}),
        (
            "What is done when it is nearly used up",
            {"fields": ["warn_percent", "cheaper_percent", "cached_only_percent"]},
        ),
        ("Today (UTC)", {"fields": ["spent", "open_calls", "used", "step"]}),
    ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BudgetList

    @admin.display(description="Budget", ordering="scope")
    def of_what(self, row: Budget) -> str:
        return str(row)

    @admin.display(description="A day", ordering="usd_per_day")
    def limit(self, row: Budget) -> str:
        return f"${row.usd_per_day.normalize():,f}"

    @admin.display(description="Warned, cheaper, no renewals from")
    def steps(self, row: Budget) -> str:
        return f"{row.warn_percent}, {row.cheaper_percent}, {row.cached_only_percent} %"

    @admin.display(description="Spent today")
    def spent(self, row: Budget) -> str:
        return usd(standing.spent_femto) if (standing := _today(row)) else NONE

    @admin.display(description="Held for open calls")
    def open_calls(self, row: Budget) -> str:
        return usd(standing.open_femto) if (standing := _today(row)) else NONE

    @admin.display(description="Used")
    def used(self, row: Budget) -> str:
        standing = _today(row)
        if not standing or not row.usd_per_day:
            return NONE
        counted = Decimal(standing.spent_femto + standing.open_femto).scaleb(-15)
        return f"{100 * counted / row.usd_per_day:.1f} %"

    @admin.display(description="What is bought now")
    def step(self, row: Budget) -> str:
        return STEPS[standing.step] if (standing := _today(row)) else NONE


STEPS = {
    Step.NORMAL: "everything",
    Step.WARN: "everything; it is warned",
    Step.CHEAPER: "by the cheaper model",
    Step.CACHED_ONLY: "what has no text yet",
    Step.EXTRACTIVE: "nothing",
}


def _today(row: Any) -> Any:
    """Of the list, or asked for once by the page of one budget."""
    if not hasattr(row, "today"):
        row.today = Today.asked().of(row)
    return row.today
