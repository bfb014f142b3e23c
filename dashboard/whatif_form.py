"""The form of the what-if page: sliders over numbers, and the vendors' plans as they are published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings

from dashboard.whatif import Answer, Limit, Scenario, answer
from marketdata.providers import plans
from marketdata.providers.base import Unit
from marketdata.providers.plans import Plan

USUAL = Scenario()


def whole(
    label: str, initial: int, least: int, most: int, help_text: str = "", *, scale: str = "linear"
) -> forms.IntegerField:
    """A number to which a script adds a slider; `scale="log"` for those from one to many thousands."""
    return forms.IntegerField(
        label=label,
        initial=initial,
        min_value=least,
        max_value=most,
        help_text=help_text,
        widget=forms.NumberInput(attrs={"class": "input", "data-slider": scale}),
    )


def dollars(label: str, most: str, help_text: str = "") -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        initial=Decimal(0),
        min_value=Decimal(0),
        max_value=Decimal(most),
        max_digits=12,
        decimal_places=6,
        help_text=help_text,
        widget=forms.NumberInput(attrs={"class": "input"}),
    )


class WhatIfForm(forms.Form):
    users = whole("Users", USUAL.users, 1, 100_000, scale="log")
    tickers_per_user = whole("Tickers per user", USUAL.tickers_per_user, 1, 100)
    unique_tickers = whole("Tickers to choose from", USUAL.unique_tickers, 1, 20_000, scale="log")
    overlap = forms.DecimalField(
        label="Overlap",
        initial=Decimal("1.0"),
        min_value=Decimal(0),
        max_value=Decimal(2),
        decimal_places=1,
        help_text="Zipf's exponent: 0, all tickers are liked alike; 1, as in life; 2, a few are everybody's.",
        widget=forms.NumberInput(attrs={"class": "input", "step": "0.1", "data-slider": "linear"}),
    )
    ttl_s = whole("A quote is good for", USUAL.ttl_s, 1, 300, "Seconds, in the regular session.")
    closed_ttl_s = whole(
        "and otherwise for", USUAL.closed_ttl_s, 15, 3600, "Seconds, while the market is closed."
    )
    batch = whole("Symbols per request", USUAL.batch, 1, 250, "A plan may allow fewer.")
    days = whole("Days", USUAL.days, 1, 366)
    plan = forms.ChoiceField(
        label="Vendor's plan", required=False, widget=forms.Select(attrs={"class": "input"})
    )
    usd_per_request = dollars("USD per request", "1000", "Beside the plan's monthly fee.")
    analyses_per_ticker_day = dollars("Analyses per ticker and day", "1000", "By a language model; 0: none.")
    tokens_per_analysis = whole("Tokens per analysis", USUAL.tokens_per_analysis, 1, 1_000_000, scale="log")
    usd_per_million_tokens = dollars("USD per million tokens", "1000")

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        """What is not named in the address has its usual value."""
        usual = {name: field.initial for name, field in self.base_fields.items() if field.initial is not None}
        given = {name: data[name] for name in self.base_fields if data and name in data}
        super().__init__({**usual, "plan": "", **given})
        choice = self.fields["plan"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [("", "None, only the price per request"), *self._choices()]

    @cached_property
    def plans(self) -> dict[str, Plan]:
        path = Path(settings.VENDOR_PLANS_FILE) if settings.VENDOR_PLANS_FILE else None
        return {
            f"{vendor}.{name}": plan
            for vendor, known in plans.load(path).items()
            for name, plan in known.items()
        }

    def _choices(self) -> list[tuple[str, str]]:
        return [(key, f"{title_of(plan)}, {price_of(plan)}") for key, plan in self.plans.items()]

    @property
    def without_plan(self) -> Scenario:
        """Of a valid form."""
        values = {name: value for name, value in self.cleaned_data.items() if name != "plan"}
        return Scenario(**{**values, "overlap": float(values["overlap"])})

    @property
    def scenario(self) -> Scenario:
        """Of a valid form, as the chosen plan allows it."""
        plan = self.plans.get(self.cleaned_data["plan"])
        return with_plan(self.without_plan, plan) if plan else self.without_plan


def title_of(plan: Plan) -> str:
    return f"{plan.vendor.replace('_', ' ').title()} {plan.name}"


def price_of(plan: Plan) -> str:
    return "price on request" if plan.monthly is None else f"{plan.monthly:,} USD a month"


def with_plan(scenario: Scenario, plan: Plan) -> Scenario:
    windows = [window for window in plan.windows if window.unit is Unit.REQUEST]
    return replace(
        scenario,
        batch=min(scenario.batch, plan.symbols),
        usd_per_month=plan.monthly or Decimal(0),
        limits=tuple(Limit(window.limit, window.seconds) for window in windows),
    )


@dataclass(frozen=True, slots=True)
class PlanLine:
    """How one plan would carry the scenario."""

    title: str
    fits: bool
    text: str
    price: str
    requests_per_day: int
    chosen: bool
    display: bool


def plan_lines(scenario: Scenario, known: Mapping[str, Plan], chosen: str) -> list[PlanLine]:
    return [_line(scenario, plan, chosen=key == chosen) for key, plan in known.items()]


def _line(scenario: Scenario, plan: Plan, *, chosen: bool) -> PlanLine:
    found: Answer = answer(with_plan(scenario, plan))
    fits = found.feasibility
    return PlanLine(
        title=title_of(plan),
        fits=fits.fits,
        text=fits.text,
        price=price_of(plan),
        requests_per_day=found.shared.requests_per_day,
        chosen=chosen,
        display=plan.display,
    )
