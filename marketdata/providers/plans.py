"""Vendors' plans as data: what `marketdata/data/plans.toml`, or the operator's own file, says of the chosen one."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from marketdata.providers.base import Window

SHIPPED = Path(__file__).resolve().parent.parent / "data" / "plans.toml"


class BadPlan(ValueError):
    """The plan does not exist, or its entry cannot be read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan of one vendor; `stream` None means any number, 0 no stream; `monthly` None is not known."""

    vendor: str
    name: str
    windows: tuple[Window, ...] = ()
    symbols: int = 1
    stream: int | None = None
    connections: int = 1
    feed: str = ""
    delayed: int = 0
    bars: bool = True
    actions: bool = True
    transcripts: bool = True
    fundamentals: bool = True
    display: bool = False
    monthly: Decimal | None = None


def load(path: Path | None = None) -> dict[str, dict[str, Plan]]:
    """Every plan by vendor and name; raises BadPlan."""
    source = path or SHIPPED
    try:
        tables = tomllib.loads(source.read_text())
    except (OSError, ValueError) as error:
        raise BadPlan(f"The plans in {source.name} cannot be read: {error}") from error
    found: dict[str, dict[str, Plan]] = {}
    for vendor, plans in tables.items():
        if not isinstance(plans, dict):
            raise BadPlan(f"{vendor!r} in {source.name} is no table of plans.")
        found[vendor] = {name: _plan(vendor, name, entry) for name, entry in plans.items()}
    return found


def plan_of(vendor: str, name: str, path: Path | None = None) -> Plan:
    """Raises BadPlan, naming the plans there are."""
    plans = load(path).get(vendor, {})
    if name not in plans:
        raise BadPlan(f"{vendor} has no plan {name!r}; known are {', '.join(plans) or 'none'}.")
    return plans[name]


def _plan(vendor: str, name: str, entry: Any) -> Plan:
    try:
        fields = dict(entry)
        windows = tuple(_window(*window) for window in fields.pop("windows", []))
        monthly = fields.pop("monthly", None)
        price = None if monthly is None else Decimal(monthly)
        plan = Plan(vendor, name, windows=windows, monthly=price, **fields)
        _check(plan)
    except (TypeError, ValueError, InvalidOperation) as error:
        raise BadPlan(f"Plan {name!r} of {vendor} cannot be read: {error}") from error
    return plan


def _window(limit: int, seconds: int) -> Window:
    for figure in (limit, seconds):
        _at_least(1, figure)
    return Window(limit, seconds)


# The least of each figure.
LEAST = {"symbols": 1, "connections": 1, "delayed": 0}


def _check(plan: Plan) -> None:
    """What TOML let through and nobody can have meant; raises ValueError."""
    for field, least in LEAST.items():
        _at_least(least, getattr(plan, field))
    if plan.stream is not None:
        _at_least(0, plan.stream)
    flags = (plan.bars, plan.actions, plan.transcripts, plan.fundamentals, plan.display)
    if not isinstance(plan.feed, str) or not all(isinstance(flag, bool) for flag in flags):
        raise ValueError("a text or true or false is needed")
    if plan.monthly is not None and not (plan.monthly.is_finite() and plan.monthly >= 0):
        raise ValueError("a price is needed")


def _at_least(least: int, figure: Any) -> None:
    if isinstance(figure, bool) or not isinstance(figure, int) or figure < least:
        raise ValueError(f"{figure!r} is no whole number of at least {least}")
