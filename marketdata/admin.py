"""Market data for the operator. What the tape writes is read-only; how many watch a ticker is added above, in
`subscriptions.admin`, because nothing here may know a user."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.timesince import timesince

from core.admin import EstimatingPaginator, ModelAdmin, ReadOnlyAdmin
from marketdata import action_admin, calendar_admin, company, ledger_admin  # noqa: F401 -- registers its pages
from marketdata.errors import InvalidSymbol
from marketdata.models import DailyBar, Fundamentals, MinuteBar, Quote, Ticker, Upstream
from marketdata.providers_admin import ProvidersPage
from marketdata.quotes import price_text
from marketdata.symbols import canonical
from marketdata.tape.openset import streaming


def link_to(name: str, text: object, *args: object, **query: object) -> str:
    url = reverse(f"admin:{name}", args=args)
    if query:
        url += "?" + "&".join(f"{key}={value}" for key, value in query.items())
    return format_html('<a href="{}">{}</a>', url, text)


class QuoteState(admin.SimpleListFilter):
    title = "quote"
    parameter_name = "quote"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("none", "None yet"), ("fresh", "Fresh"), ("expired", "Expired"), ("halted", "Halted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Ticker]) -> QuerySet[Ticker]:
        now = timezone.now()
        wanted: dict[str, dict[str, Any]] = {
            "none": {"quote__isnull": True},
            "fresh": {"quote__expires_at__gt": now},
            "expired": {"quote__expires_at__lte": now},
            "halted": {"quote__halted": True},
        }
        return queryset.filter(**wanted.get(self.value() or "", {}))


class TickerChangeList(ChangeList):
    """Asks once per page which of its tickers stream now."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        open_now = streaming([ticker.symbol for ticker in self.result_list])
        for ticker in self.result_list:
            ticker.streams_now = None if open_now is None else ticker.symbol in open_now


class TickerForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean_symbol(self) -> str:
        try:
            return canonical(self.cleaned_data["symbol"])
        except InvalidSymbol as error:
            raise forms.ValidationError(str(error)) from None


@admin.register(Ticker)
class TickerAdmin(ModelAdmin[Ticker]):
    form = TickerForm
    list_display = [
        "symbol", "name", "last_price", "streams", "exchange", "asset_class", "sector", "is_active"
    ]  # fmt: skip
    list_filter = [QuoteState, "is_active", "asset_class", "exchange", "sector"]
    list_select_related = ["quote"]
    search_fields = ["^symbol", "^name"]
    search_help_text = "The beginning of the symbol, in any spelling, or of the name"
    ordering = ["symbol"]
    show_full_result_count = False
    list_per_page = 50
    readonly_fields = ["created_at", "links"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TickerChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Ticker], search_term: str
    ) -> tuple[QuerySet[Ticker], bool]:
        found, duplicates = super().get_search_results(request, queryset, search_term)
        try:
            return found | queryset.filter(symbol=canonical(search_term)), duplicates
        except InvalidSymbol:
            return found, duplicates

    def get_readonly_fields(self, request: HttpRequest, obj: Ticker | None = None) -> list[str]:
        """Everything else refers to the symbol: once made it stays."""
        return [*self.readonly_fields, "symbol"] if obj else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Ticker | None = None) -> bool:
        """Its bars and what was paid for it would go too; clear "active" instead."""
        return False

    @admin.display(description="Last price")
    def last_price(self, ticker: Ticker) -> str:
        quote = getattr(ticker, "quote", None)
        return link_to("marketdata_quote_change", price_text(quote.price), ticker.pk) if quote else "–"

    @admin.display(description="Streams now", boolean=True)
    def streams(self, ticker: Ticker) -> bool | None:
        found: bool | None = getattr(ticker, "streams_now", None)
        return found

    @admin.display(description="See also")
    def links(self, ticker: Ticker) -> str:
        if ticker._state.adding:  # noqa: SLF001 -- Django documents it
            return "–"
        parts = [
            link_to("marketdata_quote_change", "quote", ticker.pk),
            link_to("marketdata_minutebar_changelist", "minute bars", ticker__id__exact=ticker.pk),
            link_to("marketdata_dailybar_changelist", "daily bars", ticker__id__exact=ticker.pk),
        ]
        if hasattr(ticker, "fundamentals"):
            told = ticker.fundamentals
            text = f"fundamentals of {told.as_of} by {told.provider}"
            parts.append(link_to("marketdata_fundamentals_change", text, ticker.pk))
        return format_html_join(" · ", "{}", ((part,) for part in parts))


class OfOneTicker(ReadOnlyAdmin[Any]):
    """Rows that belong to a ticker: found by its symbol in any spelling, linked to it."""

    list_select_related = ["ticker"]
    search_fields = ["ticker__symbol"]
    search_help_text = "A symbol, in any spelling"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By the ticker's id, which leads into the index that the order of the list uses as well."""
        if not search_term:
            return queryset, False
        try:
            ids = Ticker.objects.filter(symbol=canonical(search_term)).values_list("pk", flat=True)
        except InvalidSymbol:
            return queryset.none(), False
        return queryset.filter(ticker_id__in=list(ids)), False

    @admin.display(description="Ticker", ordering="ticker_id")
    def symbol(self, row: Any) -> str:
        return link_to("marketdata_ticker_change", row.ticker.symbol, row.ticker_id)


def price_column(field: str) -> Any:
    @admin.display(description=field.replace("_", " ").capitalize())
    def column(row: Model) -> str:
        value: Decimal | None = getattr(row, field)
        return "–" if value is None else price_text(value)

    return column


PRICES = [price_column(name) for name in ("open", "high", "low", "close")]


@admin.register(Quote)
class QuoteAdmin(OfOneTicker):
    list_display = [
        "symbol", price_column("price"), price_column("change_percent"), "volume", "as_of", "provider", "session",
        "halted", "replay_date", "epoch", "seq",
    ]  # fmt: skip
    list_filter = ["provider", "session", "halted", ("replay_date", admin.EmptyFieldListFilter)]
    ordering = ["ticker_id"]


@admin.register(MinuteBar)
class MinuteBarAdmin(OfOneTicker):
    list_display = ["symbol", "start", *PRICES, "volume"]
    ordering = ["-ticker_id", "-start"]
    paginator = EstimatingPaginator


@admin.register(DailyBar)
class DailyBarAdmin(OfOneTicker):
    list_display = ["symbol", "day", *PRICES, "volume"]
    ordering = ["-ticker_id", "-day"]
    paginator = EstimatingPaginator


@admin.register(Fundamentals)
class FundamentalsAdmin(OfOneTicker):
    """What was told last of each company."""

    list_display = ["symbol", "as_of", "figures_told", "currency", "provider", "simulated", "loaded_at"]
    list_filter = ["provider", "simulated"]
    ordering = ["ticker_id"]
    fields = ["symbol", "as_of", "currency", "table", "provider", "simulated", "loaded_at"]
    readonly_fields = ["symbol", "table"]

    @admin.display(description="Figures")
    def figures_told(self, row: Fundamentals) -> str:
        return f"{len(row.figures.keys() & set(company.FIGURES))} of {len(company.FIGURES)}"

    @admin.display(description="Figures")
    def table(self, row: Fundamentals) -> str:
        """In one order for all companies; rates are fractions, as they are stored."""
        told = [(name, row.figures[name]) for name in company.FIGURES if name in row.figures]
        lines = format_html_join("", "<tr><th>{}</th><td>{}</td></tr>", (_line(*one) for one in told))
        return format_html("<table>{}</table>", lines)


def _line(name: str, text: str) -> tuple[str, str]:
    """1234567.5 becomes 1,234,567.5."""
    return name.replace("_", " "), f"{Decimal(text):,f}"


@admin.register(Upstream)
class UpstreamAdmin(ProvidersPage, ReadOnlyAdmin[Upstream]):
    """What each owner of the tape last said about its connection."""

    list_display = [
        "provider", "shard", "state", "symbols_open", "ticks_accepted", "ticks_refused", "last_tick", "reported",
        "holder", "epoch", "last_error",
    ]  # fmt: skip
    list_filter = ["state", "provider"]
    search_fields = ["provider", "holder", "last_error"]

    @admin.display(description="Last tick", ordering="last_tick_at")
    def last_tick(self, row: Upstream) -> str:
        return ago(row.last_tick_at)

    @admin.display(description="Reported", ordering="reported_at")
    def reported(self, row: Upstream) -> str:
        return ago(row.reported_at)


def ago(moment: datetime | None) -> str:
    if moment is None:
        return "never"
    seconds = (timezone.now() - moment).total_seconds()
    return f"{max(seconds, 0):.0f} s ago" if seconds < 120 else f"{timesince(moment)} ago"
