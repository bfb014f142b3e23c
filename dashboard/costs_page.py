"""What the page of costs shows: one window, told in tiles, a picture, budgets and a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.utils.safestring import SafeString

from dashboard import formats
from dashboard.budgets import Budget, budgets
from dashboard.cost_chart import DayCost, bars, nice_top
from dashboard.cost_rows import (
    NANO,
    GroupBy,
    Row,
    decimals_of,
    nano_of,
    nano_of_one,
    percent,
    rows_of,
    saving_percent,
    total_of,
    usd,
)
from dashboard.costs import Amount, round_half_up
from dashboard.ledger import Mine, Report
from dashboard.text_costs import TextCosts

WINDOWS = {1: "Today", 7: "7 days", 30: "30 days"}
SHOWN = 25
TABS = {
    GroupBy.TICKER: "Ticker",
    GroupBy.PROVIDER: "Provider",
    GroupBy.USER: "User",
    GroupBy.CAUSE: "Cause",
    GroupBy.MODEL: "Model",
}


@dataclass(frozen=True, slots=True)
class Cells:
    """One row of the table as it is written."""

    name: str
    url_symbol: str
    number: str
    cost: str
    unshared: str
    each: str
    saved: str


@dataclass(frozen=True, slots=True)
class CostsView:
    """The page for staff."""

    days: int
    now: datetime
    total: Row
    decimals: int
    asked: Amount
    symbols_per_call: Decimal
    chart: SafeString
    chart_top: str
    chart_middle: str
    chart_days: list[tuple[str, str]]
    chart_words: str
    budgets: list[Budget]
    group_by: GroupBy
    rows: list[Cells]
    number_of_rows: int
    texts: TextCosts

    @classmethod
    def of(
        cls, report: Report, days: int, group_by: GroupBy, now: datetime, *, everything: bool
    ) -> CostsView:
        total, rows = total_of(report), rows_of(report, group_by)
        daily = _daily(report)
        decimals = decimals_of([one.total for one in daily])
        top = nice_top(max((one.total for one in daily), default=Decimal(0)))
        return cls(
            days=days,
            now=now,
            total=total,
            decimals=decimals_of([usd(total.cost)]),
            asked=report.attribution.asked,
            symbols_per_call=Decimal(report.total.symbols) / (report.total.calls or 1),
            chart=bars(daily),
            chart_top=money(top),
            chart_middle=money(top / 2),
            chart_days=[(formats.day(one.day), formats.price(one.total, decimals)) for one in daily],
            chart_words=_words(daily, decimals),
            budgets=budgets(report, now),
            group_by=group_by,
            rows=cells_of(rows if everything else rows[:SHOWN], group_by),
            number_of_rows=len(rows),
            texts=TextCosts.of(report, everything=everything),
        )

    @property
    def cost(self) -> str:
        return formats.price(usd(self.total.cost), self.decimals)

    @property
    def unshared(self) -> str:
        return formats.price(usd(self.total.unshared), self.decimals)

    @property
    def saved(self) -> str:
        return formats.price(usd(self.total.saved), self.decimals)

    @property
    def saved_percent(self) -> str | None:
        return percent(saving_percent(self.total))

    @property
    def asked_percent(self) -> str | None:
        """Of requests: true also where nothing is billed."""
        if not self.asked.unshared:
            return None
        return percent(Decimal(100 * (self.asked.unshared - self.asked.cost)) / self.asked.unshared)

    @property
    def tabs(self) -> list[tuple[str, str, bool]]:
        return [(one.value, label, one is self.group_by) for one, label in TABS.items()]

    @property
    def windows(self) -> list[tuple[int, str, bool]]:
        return [(days, label, days == self.days) for days, label in WINDOWS.items()]

    @property
    def number_label(self) -> str:
        return {GroupBy.TICKER: "Watchers", GroupBy.USER: ""}.get(self.group_by, "Calls")

    @property
    def is_empty(self) -> bool:
        return not self.total.calls and not self.total.cost


def money(value: Decimal) -> str:
    return f"{value.normalize():,f}"


def cells_of(rows: Sequence[Row], group_by: GroupBy) -> list[Cells]:
    costs = decimals_of([usd(row.cost) for row in rows])
    heads = [usd(row.cost) / row.watchers for row in rows if row.watchers]
    each = decimals_of(heads)
    return [_cells(row, group_by, costs, each) for row in rows]


def _cells(row: Row, group_by: GroupBy, decimals: int, each_decimals: int) -> Cells:
    number = row.watchers if group_by is GroupBy.TICKER else row.calls
    saved = percent(saving_percent(row))
    return Cells(
        name=row.name,
        url_symbol=row.key if group_by is GroupBy.TICKER else "",
        number="" if number is None else f"{number:,}",
        cost=formats.price(usd(row.cost), decimals),
        unshared=formats.price(usd(row.unshared), decimals),
        each=formats.price(usd(row.cost) / row.watchers, each_decimals) if row.watchers else formats.NOTHING,
        saved=formats.NOTHING if saved is None else f"{saved}{formats.THIN}%",
    )


def _daily(report: Report) -> list[DayCost]:
    def dollars(parts: int) -> Decimal:
        return usd(round_half_up(parts, NANO))

    return [
        DayCost(day, dollars(fees := report.fees_by_day[day]), dollars(part.cost - fees))
        for day, part in report.by_day.items()
    ]


def _words(daily: Sequence[DayCost], decimals: int) -> str:
    """The picture in one sentence."""
    total = formats.price(sum((one.total for one in daily), Decimal(0)), decimals)
    if len(daily) == 1:
        return f"{total} USD so far today."
    dearest = max(daily, key=lambda one: one.total)
    if not dearest.total:
        return "No day cost anything."
    most = formats.price(dearest.total, decimals)
    return f"{total} USD in {len(daily)} days; most on {formats.day(dearest.day)}: {most} USD."


@dataclass(frozen=True, slots=True)
class MyCostsView:
    """What one user's own tickers cost."""

    days: int
    since: date
    total: Cells
    rows: list[Cells]

    @classmethod
    def of(cls, mine: Mine, days: int, since: date) -> MyCostsView:
        amounts = nano_of(mine.tickers, mine.total)
        rows = [Row(symbol, symbol, *amount) for symbol, amount in amounts.items()]
        rows.sort(key=lambda row: (-row.cost, row.key))
        total = Row("", "All", *nano_of_one(mine.total))
        cells = cells_of([*rows, total], GroupBy.TICKER)
        return cls(days, since, cells[-1], cells[:-1])

    @property
    def windows(self) -> list[tuple[int, str, bool]]:
        return [(days, label, days == self.days) for days, label in WINDOWS.items()]
