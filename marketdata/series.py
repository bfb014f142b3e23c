"""Bars as they are shown: restated in the shares of the newest day that may be shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal

from django.db.models import OuterRef, Q, Subquery

from marketdata.actions import action_of, today_of, visible
from marketdata.adjusting import Adjustment, Step, adjusted, steps_of
from marketdata.calendar import NEW_YORK
from marketdata.models import DailyBar, Ticker
from marketdata.quotes import ActionKind, Bar


def bar_of(row: DailyBar, symbol: str) -> Bar:
    start = datetime.combine(row.day, time(), UTC)
    return Bar(symbol, start, row.open, row.high, row.low, row.close, row.volume)


def shown_days(ticker: Ticker, bars: Sequence[Bar], mode: Adjustment) -> list[Bar]:
    """Daily bars, oldest first. At most two more queries, whatever their number."""
    if not bars or mode is Adjustment.RAW:
        return list(bars)
    return adjusted(bars, steps_after(ticker, bars[0].start.date(), mode))


def shown_minutes(ticker: Ticker, bars: Sequence[Bar], mode: Adjustment) -> list[Bar]:
    """Minute bars, oldest first: each belongs to its day in New York."""
    if not bars or mode is Adjustment.RAW:
        return list(bars)
    steps = steps_after(ticker, _new_york_day(bars[0]), mode)
    return adjusted(bars, steps, day_of=_new_york_day) if steps else list(bars)


def _new_york_day(bar: Bar) -> date:
    return bar.start.astimezone(NEW_YORK).date()


def steps_after(ticker: Ticker, day: date, mode: Adjustment) -> list[Step]:
    """What restates bars of this day, and of later ones, in the shares of today or of the replayed day."""
    counts = Q(kind=ActionKind.SPLIT.value)
    if mode is Adjustment.ALL:
        # What is paid in another currency says nothing about this price without a rate of that day.
        counts |= Q(kind=ActionKind.DIVIDEND.value, currency=ticker.currency)
    rows = visible(ticker).filter(counts, ex_date__gt=day, ex_date__lte=today_of(ticker))
    closes: dict[date, Decimal] = {}
    if mode is Adjustment.ALL:
        before = DailyBar.objects.filter(ticker_id=OuterRef("ticker_id"), day__lt=OuterRef("ex_date"))
        rows = rows.annotate(before=Subquery(before.order_by("-day").values("close")[:1]))
        closes = {row.ex_date: row.before for row in rows if row.before}
    return steps_of([action_of(row, ticker.symbol) for row in rows], mode, closes)
