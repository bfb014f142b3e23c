"""What each provider costs and how much of its plan's quota, or of the day's budget, was used: a line for the page of
costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from dashboard.cost_rows import NANO, decimals_of, usd
from dashboard.costs import round_half_up
from dashboard.formats import price
from dashboard.ledger import Part, Report, used_lately
from marketdata.providers import registry
from marketdata.providers.base import Capabilities, Unit, Window
from summaries.budget import usd_of
from summaries.models import BudgetScope
from summaries.spending import standing

WARN_PERCENT = 80
# Names that are not only written with a capital letter.
VENDORS = {"openai": "OpenAI", "x-ai": "xAI", "deepseek": "DeepSeek", "openrouter": "OpenRouter"}


@dataclass(frozen=True, slots=True)
class Budget:
    """One provider: its cost in the window of the page, its quota now. `used_percent` None: it has no quota."""

    name: str
    label: str
    plan: str
    cost: Decimal
    calls: int
    unpriced: int
    simulated: bool
    used: int | None = None
    limit: int | None = None
    told: str = ""
    """What is used of it, in words."""

    @property
    def used_percent(self) -> int | None:
        if self.limit is None or self.used is None:
            return None
        return min(100, round(100 * self.used / self.limit)) if self.limit else 100

    @property
    def is_unpriced(self) -> bool:
        return self.calls > 0 and self.unpriced == self.calls and not self.cost

    @property
    def is_high(self) -> bool:
        return (self.used_percent or 0) >= WARN_PERCENT


def budgets(report: Report, now: datetime) -> list[Budget]:
    """The configured providers in their order, then those that were asked but are configured no more."""
    try:
        configured = {one.name: one.capabilities for one in registry.providers()}
    except (
        ImproperlyConfigured
    ):  # told by the checks and at the start; the page shows what was bought all the same
        configured = {}
    vendor = {settings.LLM_VENDOR} & set(report.by_provider)
    left = sorted(set(report.by_provider) - set(configured) - vendor)
    found = [
        _budget(name, capabilities, report.by_provider.get(name, Part()), now)
        for name, capabilities in configured.items()
    ]
    found += [_texts(name, report.by_provider[name]) for name in vendor - set(configured)]
    return found + [_without_quota(name, _label(name), report.by_provider[name]) for name in left]


def _label(name: str) -> str:
    return VENDORS.get(name) or name.replace("_", " ").title()


def _texts(name: str, part: Part) -> Budget:
    """The vendor of language models: instead of a quota it has what may be spent today on everything."""
    today = next(one for one in standing() if one.scope == BudgetScope.DAY)
    plain = _without_quota(name, _label(name), part)
    spent, limit = (
        price(amount, decimals_of([amount])) for amount in (usd_of(today.used_femto), today.limit_usd)
    )
    return replace(
        plain,
        used=today.used_femto,
        limit=today.limit_femto,
        told=f"{spent} of {limit} USD of today's budget",
    )


def _budget(name: str, capabilities: Capabilities, part: Part, now: datetime) -> Budget:
    window = next(_longest_first(capabilities), None)
    if window is None:
        return _without_quota(
            name, capabilities.label, part, plan=capabilities.plan, simulated=capabilities.simulated
        )
    return Budget(
        name=name,
        label=capabilities.label,
        plan=capabilities.plan,
        cost=usd(round_half_up(part.cost, NANO)),
        calls=part.calls,
        unpriced=part.unpriced,
        simulated=capabilities.simulated,
        used=(used := used_lately(now, window.seconds)[name]),
        limit=window.limit,
        told=f"{used:,} of {window.limit:,} in the last {_span(window.seconds)}",
    )


def _longest_first(capabilities: Capabilities) -> Iterator[Window]:
    """The longest window of requests says most about what is left."""
    of_requests = [one for one in capabilities.windows if one.unit is Unit.REQUEST]
    yield from sorted(of_requests, key=lambda one: -one.seconds)


def _without_quota(name: str, label: str, part: Part, plan: str = "", *, simulated: bool = False) -> Budget:
    return Budget(
        name=name,
        label=label,
        plan=plan or ", ".join(sorted(part.plans - {""})),
        cost=usd(round_half_up(part.cost, NANO)),
        calls=part.calls,
        unpriced=part.unpriced,
        simulated=simulated,
    )


def _span(seconds: int) -> str:
    names = {1: "second", 60: "minute", 3600: "hour", 86_400: "day"}
    return names.get(seconds, f"{seconds} s")
