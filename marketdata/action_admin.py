"""Dividends, splits and renames, to be looked at and put right. What an operator saves here wins over every load."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from core import clock
from core.admin import EstimatingPaginator, ModelAdmin
from marketdata import actions
from marketdata.errors import InvalidSymbol
from marketdata.models import CorporateAction, Ticker
from marketdata.quotes import ActionKind, price_text
from marketdata.symbols import canonical

# What each kind says; the other fields stay empty.
NEEDED = {
    ActionKind.DIVIDEND: ("amount",),
    ActionKind.SPLIT: ("split_from", "split_to"),
    ActionKind.RENAME: ("new_symbol",),
}


class ActionForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses what makes no sense for its kind."""

    def clean_new_symbol(self) -> str:
        text: str = self.cleaned_data["new_symbol"]
        try:
            return canonical(text) if text else ""
        except InvalidSymbol as error:
            raise forms.ValidationError(str(error)) from None

    def clean_currency(self) -> str:
        text: str = self.cleaned_data["currency"].upper()
        if not (len(text) == 3 and text.isascii() and text.isalpha()):
            raise forms.ValidationError("Three letters, such as USD.")
        return text

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        kind = found.get("kind")
        for one, names in NEEDED.items():
            for name in set(names) & set(found):
                self._check(name, found[name], needed=one == kind)
        ticker = found.get("ticker")
        if ticker is not None and found.get("new_symbol") == ticker.symbol:
            self.add_error("new_symbol", "This is the symbol it has.")
        return found

    def _check(self, name: str, value: Any, *, needed: bool) -> None:
        if needed and not value:
            self.add_error(name, "This kind of action needs it.")
        elif not needed and value:
            self.add_error(name, "This kind of action has none.")
        elif value and name != "new_symbol" and value < 0:
            self.add_error(name, "It must be above 0.")


@admin.register(CorporateAction)
class CorporateActionAdmin(ModelAdmin[CorporateAction]):
    """A loaded row that is saved here becomes the operator's; so does the date of a split that was wrong."""

    form = ActionForm
    list_display = ["symbol", "kind", "ex_date", "says", "special", "pay_date", "provider", "loaded_at"]
    list_filter = ["kind", "special", "ex_date"]
    list_select_related = ["ticker"]
    search_fields = ["ticker__symbol"]
    search_help_text = "A symbol, in any spelling"
    autocomplete_fields = ["ticker"]
    readonly_fields = ["provider", "loaded_at"]
    ordering = ["-ex_date", "-id"]
    paginator = EstimatingPaginator
    show_full_result_count = False
    list_per_page = 50

    @admin.display(description="Ticker", ordering="ticker_id")
    def symbol(self, row: CorporateAction) -> str:
        return row.ticker.symbol

    @admin.display(description="What")
    def says(self, row: CorporateAction) -> str:
        return words_of(row)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[CorporateAction], search_term: str
    ) -> tuple[QuerySet[CorporateAction], bool]:
        if not search_term:
            return queryset, False
        try:
            ids = list(Ticker.objects.filter(symbol=canonical(search_term)).values_list("pk", flat=True))
        except InvalidSymbol:
            return queryset.none(), False
        return queryset.filter(ticker_id__in=ids), False

    def save_model(self, request: HttpRequest, obj: CorporateAction, form: Any, change: bool) -> None:
        obj.provider, obj.loaded_at = actions.OPERATOR, clock.now()
        super().save_model(request, obj, form, change)
        if obj.kind == ActionKind.RENAME and obj.ex_date <= actions.today_of(obj.ticker):
            actions.follow(obj)


def words_of(row: CorporateAction) -> str:
    match row.kind:
        case ActionKind.SPLIT:
            return actions.ratio_text(row)
        case ActionKind.DIVIDEND:
            return f"{price_text(row.amount)} {row.currency}" if row.amount is not None else "–"
        case _:
            return f"now {row.new_symbol}"
