"""What the page of a ticker tells of its past: days in today's shares, dividends and splits, its other names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from dashboard import formats
from marketdata import actions
from marketdata.adjusting import Adjustment, adjusted, steps_of
from marketdata.models import CorporateAction, DailyBar, Ticker
from marketdata.quotes import ActionKind, Bar
from marketdata.series import bar_of

# Rows of the table view before a script has asked for more.
RECENT_DAYS = 20
RECENT_ACTIONS = 8


@dataclass(frozen=True, slots=True)
class ActionLine:
    """One dividend, split or new name, in words; `ahead` if its day has not come."""

    day: date
    kind: str
    what: str
    ahead: bool = False


@dataclass(frozen=True, slots=True)
class TickerPast:
    recent: list[Bar]
    lines: list[ActionLine]
    successor: str

    @classmethod
    def of(cls, ticker: Ticker, today: date, *, replayed: bool) -> TickerPast:
        """`today` is the day that is shown; a replay does not know what comes after it."""
        rows = list(CorporateAction.objects.filter(ticker=ticker).order_by("-ex_date", "-id"))
        known = [row for row in rows if not replayed or row.ex_date <= today]
        next_ticker = None if ticker.is_active else actions.successor(ticker)
        return cls(
            recent=recent_days(ticker, known, today),
            lines=list(lines_of(known[:RECENT_ACTIONS], today)),
            successor=next_ticker.symbol if next_ticker else "",
        )


def recent_days(ticker: Ticker, rows: Sequence[CorporateAction], before: date) -> list[Bar]:
    """The newest first, split-adjusted; never the day that is being replayed, whose end is not known yet."""
    days = DailyBar.objects.filter(ticker=ticker, day__lt=before).order_by("-day")[:RECENT_DAYS]
    told = [actions.action_of(row, ticker.symbol) for row in rows if row.ex_date <= before]
    steps = steps_of(told, Adjustment.SPLIT)
    return adjusted([bar_of(day, ticker.symbol) for day in days], steps)


def lines_of(rows: Sequence[CorporateAction], today: date) -> Iterator[ActionLine]:
    for row in rows:
        ahead = row.ex_date > today
        match row.kind:
            case ActionKind.SPLIT:
                yield ActionLine(row.ex_date, "Split", actions.ratio_text(row), ahead)
            case ActionKind.DIVIDEND:
                yield ActionLine(
                    row.ex_date, "Special dividend" if row.special else "Dividend", _amount(row), ahead
                )
            case _:
                yield ActionLine(row.ex_date, "New name", row.new_symbol, ahead)


def _amount(row: CorporateAction) -> str:
    amount = row.amount or Decimal(0)
    decimals = 2 if amount == amount.quantize(Decimal("0.01")) else 4
    return f"{formats.price(amount, decimals)} {row.currency}"
