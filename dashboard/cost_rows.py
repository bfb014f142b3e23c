"""One report, told by ticker, provider, user and so on: rows in nano-dollars that add up to the total."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from accounts.models import User
from dashboard import formats
from dashboard.costs import NO_TICKER, PARTS, Amount, round_half_up, rounded
from dashboard.ledger import FEE, NO_MODEL, Part, Report
from marketdata.models import Cause
from summaries.kinds import Task

NANO = PARTS // 10**9
HOUSE, NOBODY = "house", "nobody"
TASKS = {
    Task.SUMMARY.value: "Summaries of articles",
    Task.EARNINGS.value: "Summaries of earnings calls",
    Task.ANALYSIS.value: "Analyses",
}
CAUSES = {**dict(Cause.choices), **TASKS, FEE: "Monthly fees"}


class GroupBy(StrEnum):
    TICKER = "ticker"
    PROVIDER = "provider"
    USER = "user"
    DAY = "day"
    CAUSE = "cause"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Row:
    """One line: amounts in nano-dollars. What a grouping does not know is None."""

    key: str
    name: str
    cost: int
    unshared: int
    watchers: int | None = None
    calls: int | None = None
    unpriced: int | None = None

    @property
    def saved(self) -> int:
        return self.unshared - self.cost


def usd(nano: int) -> Decimal:
    return Decimal(nano).scaleb(-9)


class Summed(Protocol):
    """An amount, or a part of a report."""

    cost: int
    unshared: int


def nano_of(amounts: Mapping[str, Amount], total: Summed) -> dict[str, tuple[int, int]]:
    """(cost, unshared) of each: what is paid and what is saved add up to those of the total, none of it negative."""
    saved = {key: one.unshared - one.cost for key, one in amounts.items()}
    costs = rounded({key: one.cost for key, one in amounts.items()}, NANO, total.cost)
    savings = rounded(saved, NANO, total.unshared - total.cost)
    return {key: (costs[key], costs[key] + savings[key]) for key in amounts}


def total_of(report: Report) -> Row:
    return Row("", "", *nano_of_one(report.total), calls=report.total.calls, unpriced=report.total.unpriced)


def nano_of_one(total: Summed) -> tuple[int, int]:
    cost = round_half_up(total.cost, NANO)
    return cost, cost + round_half_up(total.unshared - total.cost, NANO)


def saving_percent(row: Row) -> Decimal | None:
    return Decimal(100 * row.saved) / row.unshared if row.unshared else None


def rows_of(report: Report, group_by: GroupBy) -> list[Row]:
    """The dearest first, days in their order; their sums are exactly those of `total_of`."""
    if group_by is GroupBy.TICKER:
        rows = _by_ticker(report)
    elif group_by is GroupBy.USER:
        rows = _by_user(report)
    elif group_by is GroupBy.PROVIDER:
        rows = _by_part(report, report.by_provider, {})
    elif group_by is GroupBy.CAUSE:
        rows = _by_part(report, report.by_cause, CAUSES)
    elif group_by is GroupBy.MODEL:
        rows = _by_part(report, report.by_model, {NO_MODEL: "No language model"})
    else:
        return _by_part(report, {day.isoformat(): part for day, part in report.by_day.items()}, {})
    return sorted(rows, key=lambda row: (-row.cost, -row.unshared, row.key))


def _by_ticker(report: Report) -> list[Row]:
    found = report.attribution
    amounts = nano_of(found.tickers, report.total)
    return [
        Row(symbol, symbol or "Without a ticker", *amount, watchers=found.watchers.get(symbol, 0))
        for symbol, amount in amounts.items()
        if symbol != NO_TICKER or any(amount)
    ]


def _by_user(report: Report) -> list[Row]:
    found = report.attribution
    buckets = {HOUSE: found.house, NOBODY: Amount(found.nobody, found.nobody)}
    amounts = nano_of({**found.users, **buckets}, report.total)
    names = _names(key for key in amounts if key not in {HOUSE, NOBODY})
    return [Row(key, names.get(key, key.capitalize()), *amount) for key, amount in amounts.items()]


def _by_part(report: Report, parts: Mapping[str, Part], names: Mapping[str, str]) -> list[Row]:
    amounts = nano_of({key: Amount(part.cost, part.unshared) for key, part in parts.items()}, report.total)
    return [
        Row(key, names.get(key, key), *amounts[key], calls=part.calls, unpriced=part.unpriced)
        for key, part in parts.items()
    ]


def _names(ids: Iterable[str]) -> dict[str, str]:
    people = User.objects.filter(pk__in=[UUID(one) for one in ids]).values_list("pk", "username")
    return {str(pk): username for pk, username in people}


def decimals_of(values: Sequence[Decimal]) -> int:
    """Cents, or as many places as the smallest cost of a column needs to be seen."""
    smallest = min((value for value in values if value), default=Decimal(1))
    return min(6, max(2, 1 - smallest.adjusted())) if smallest < 1 else 2


def percent(value: Decimal | None, decimals: int = 1) -> str | None:
    """Rounded, but what is almost all is not told as all."""
    if value is None:
        return None
    shown = formats.rounded(value, decimals)
    if shown == 100 > value:
        shown -= Decimal(1).scaleb(-decimals)
    return f"{shown:.{decimals}f}"
