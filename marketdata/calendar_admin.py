"""Days on which the New York market does not keep its usual hours, to be entered as soon as they are announced."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from core import clock
from core.admin import ModelAdmin
from marketdata import market_hours
from marketdata.calendar import CLOSES, NEW_YORK, OPENS, Calendar
from marketdata.models import CalendarException


class ExceptionForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses hours that contradict the day, or each other."""

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        opens, closes = found.get("opens_at"), found.get("closes_at")
        if found.get("closed") and (opens or closes):
            raise forms.ValidationError("A closed day has no hours: clear them, or clear “closed”.")
        if (opens or OPENS) >= (closes or CLOSES):
            raise forms.ValidationError(
                f"The market must open before it closes: an empty field means {OPENS:%H:%M} and {CLOSES:%H:%M}."
            )
        return found


@admin.register(CalendarException)
class CalendarExceptionAdmin(ModelAdmin[CalendarException]):
    """Other processes know a change within a minute."""

    form = ExceptionForm
    list_display = ["day", "kind", "hours", "otherwise", "note"]
    list_filter = ["closed"]
    search_fields = ["note"]
    date_hierarchy = "day"
    show_full_result_count = False
    readonly_fields = ["next_days"]

    @admin.display(description="Kind", ordering="closed")
    def kind(self, row: CalendarException) -> str:
        return "Closed" if row.closed else "Other hours"

    @admin.display(description="Hours, New York")
    def hours(self, row: CalendarException) -> str:
        return hours_of(Calendar([market_hours.special_day(row)]), row)

    @admin.display(description="Without it")
    def otherwise(self, row: CalendarException) -> str:
        return hours_of(Calendar(), row)

    @admin.display(description="The next seven days")
    def next_days(self, row: CalendarException) -> str:
        calendar, today = market_hours.calendar(), clock.now().astimezone(NEW_YORK).date()
        days = [CalendarException(day=today + timedelta(days=n)) for n in range(7)]
        lines = [f"{one.day:%a} {one.day}: {hours_of(calendar, one)}" for one in days]
        return "; ".join(lines)

    def save_model(self, request: HttpRequest, obj: CalendarException, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        market_hours.reread()

    def delete_model(self, request: HttpRequest, obj: CalendarException) -> None:
        super().delete_model(request, obj)
        market_hours.reread()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[CalendarException]) -> None:
        super().delete_queryset(request, queryset)
        market_hours.reread()


def hours_of(calendar: Calendar, row: CalendarException) -> str:
    """How this calendar keeps the day of the row."""
    hours = calendar.hours(row.day)
    if hours is None:
        return "closed"
    opens, closes = (moment.astimezone(NEW_YORK) for moment in (hours.opens, hours.closes))
    return f"{opens:%H:%M}–{closes:%H:%M}"
