"""What each provider costs and how much of its plan's quota was used: a line for the page of costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.core.exceptions import ImproperlyConfigured

from dashboard.cost_rows import NANO, usd
from dashboard.costs import round_half_up
from dashboard.ledger import Part, Report, used_lately
from marketdata.providers import registry
from marketdata.providers.base import Capabilities, Unit, Window

WARN_PERCENT = 80


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
    per: str = ""

    @property
    def used_percent(self) -> int | None:
        if self.limit is None or self.used is None:
            return None
        return min(100, round(100 * self.used / self.limit))

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
    left = sorted(set(report.by_provider) - set(configured))
    found = [
        _budget(name, capabilities, report.by_provider.get(name, Part()), now)
        for name, capabilities in configured.items()
    ]
    return found + [
        _without_quota(name, name.replace("_", " ").title(), report.by_provider[name]) for name in left
    ]


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
        used=used_lately(now, window.seconds)[name],
        limit=window.limit,
        per=_span(window.seconds),
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
