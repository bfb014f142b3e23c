"""The price book, to be edited, and the ledger of what was bought, to be looked at."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from core.admin import EstimatingPaginator, ModelAdmin, ReadOnlyAdmin
from marketdata.models import Price, ProviderCall


def valid_at(moment: datetime) -> Q:
    return Q(valid_from__lte=moment) & (Q(valid_to__isnull=True) | Q(valid_to__gt=moment))


class AsOf(admin.SimpleListFilter):
    """The book as it was; any day may be written into the address: `?as_of=2026-11-01`."""

    title = "as of"
    parameter_name = "as_of"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        today = timezone.now().date()
        month = today.replace(day=1)
        before = (month - timedelta(days=1)).replace(day=1)
        found = [
            ("now", "Now"),
            (month.isoformat(), f"{month.day} {month:%b %Y}"),
            (before.isoformat(), f"{before.day} {before:%b %Y}"),
        ]
        asked = self._day()
        if asked and asked not in {month, before}:
            found.append((asked.isoformat(), f"{asked.day} {asked:%b %Y}"))
        return found

    def queryset(self, request: HttpRequest, queryset: QuerySet[Price]) -> QuerySet[Price]:
        if self.value() == "now":
            return queryset.filter(valid_at(timezone.now()))
        day = self._day()
        if day is None:
            return queryset
        return queryset.filter(valid_at(timezone.make_aware(datetime.combine(day, time()))))

    def _day(self) -> date | None:
        try:
            return date.fromisoformat(self.value() or "")
        except ValueError:
            return None


class PriceForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses two lines for the same thing at the same time: no call may have two prices."""

    class Meta:
        help_texts = {
            "provider": "Its name as in MARKETDATA_PROVIDERS, in small letters: alpaca. Of models: LLM_VENDOR.",
            "plan": "As in <PROVIDER>_PLAN: basic. Of a language model: its name. Empty: every plan.",
            "endpoint": "As in the list of provider calls: quotes, bars_1day. Of language models overnight: batch. "
            "Empty: every endpoint.",
            "unit": "What is counted; a monthly fee is a line per month. A ktoken is a thousand tokens.",
            "usd": "For one unit. 0 is free; without a line a call is unpriced.",
        }

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        start, end = found.get("valid_from"), found.get("valid_to")
        if start is None or (end is not None and end <= start) or self.errors:
            return found  # said elsewhere, by the field or by the model
        key = {name: found.get(name) or "" for name in ("provider", "plan", "endpoint", "unit")}
        others = Price.objects.filter(Q(valid_to__isnull=True) | Q(valid_to__gt=start), **key)
        if end is not None:
            others = others.filter(valid_from__lt=end)
        other = others.exclude(pk=self.instance.pk).order_by("valid_from").first()
        if other is not None:
            raise forms.ValidationError(_overlap(other), code="overlap")
        return found


def _overlap(other: Price) -> str:
    start = f"{other.valid_from:%Y-%m-%d %H:%M}"
    until = f"to {other.valid_to:%Y-%m-%d %H:%M}" if other.valid_to else "until further notice"
    return (
        f"The book has another price for this: ${other.usd.normalize():f} from {start} {until}. "
        "End that line first, or begin this one when it ends."
    )


@admin.register(Price)
class PriceAdmin(ModelAdmin[Price]):
    form = PriceForm
    list_display = ["provider", "plan", "endpoint", "unit", "price", "valid_from", "valid_to", "note"]
    list_filter = [AsOf, "provider", "unit"]
    search_fields = ["provider", "plan", "note"]
    ordering = ["provider", "plan", "endpoint", "unit", "-valid_from"]

    @admin.display(description="US dollars", ordering="usd")
    def price(self, line: Price) -> str:
        return f"{line.usd.normalize():f}"


@admin.register(ProviderCall)
class ProviderCallAdmin(ReadOnlyAdmin[ProviderCall]):
    list_display = [
        "at", "provider_and_plan", "endpoint", "outcome", "bought", "took", "number", "cause", "status", "size",
    ]  # fmt: skip
    list_filter = ["provider", "outcome", "cause", "endpoint"]
    date_hierarchy = "at"
    ordering = ["-at", "-pk"]
    paginator = EstimatingPaginator

    @admin.display(description="Provider, plan", ordering="provider")
    def provider_and_plan(self, call: ProviderCall) -> str:
        return f"{call.provider} {call.plan}".strip()

    @admin.display(description="Bought", ordering="units")
    def bought(self, call: ProviderCall) -> str:
        units = f"{call.units.normalize():,f}"
        return f"{units} {call.get_unit_display().lower()}{'' if units == '1' else 's'}"

    @admin.display(description="Size", ordering="bytes")
    def size(self, call: ProviderCall) -> str:
        return filesizeformat(call.bytes)

    @admin.display(description="Took", ordering="latency_ms")
    def took(self, call: ProviderCall) -> str:
        return f"{call.latency_ms:,} ms"

    @admin.display(description="Symbols")
    def number(self, call: ProviderCall) -> str:
        first = ", ".join(call.symbols[:3])
        return f"{first}, … ({len(call.symbols)})" if len(call.symbols) > 3 else first
