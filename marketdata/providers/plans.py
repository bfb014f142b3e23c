"""Vendors' plans as data: what `marketdata/data/plans.toml`, or the operator's own file, says of the chosen one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
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
    display: bool = False
    monthly: Decimal | None = None


def load(path: Path | None = None) -> dict[str, dict[str, Plan]]:
    """Every plan by vendor and name; raises BadPlan."""
    source = path or SHIPPED
    try:
        tables = tomllib.loads(source.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadPlan(f"The plans in {source.name} cannot be read: {error}") from error
    return {
        vendor: {name: _plan(vendor, name, entry) for name, entry in plans.items()}
        for vendor, plans in tables.items()
    }


def plan_of(vendor: str, name: str, path: Path | None = None) -> Plan:
    """Raises BadPlan, naming the plans there are."""
    plans = load(path).get(vendor, {})
    if name not in plans:
        raise BadPlan(f"{vendor} has no plan {name!r}; known are {', '.join(plans) or 'none'}.")
    return plans[name]


def _plan(vendor: str, name: str, entry: Mapping[str, Any]) -> Plan:
    try:
        fields = dict(entry)
        windows = tuple(Window(int(limit), int(seconds)) for limit, seconds in fields.pop("windows", []))
        monthly = fields.pop("monthly", None)
        return Plan(
            vendor, name, windows=windows, monthly=None if monthly is None else Decimal(monthly), **fields
        )
    except (TypeError, ValueError, InvalidOperation) as error:
        raise BadPlan(f"Plan {name!r} of {vendor} cannot be read: {error}") from error
