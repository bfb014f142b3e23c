"""Which bars of a ticker a client gets: a bounded stretch of time, never beyond the day that is being replayed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from marketdata.adjusting import Adjustment
from marketdata.models import DailyBar, MinuteBar, Ticker
from marketdata.payload import time_text
from marketdata.providers.base import Interval
from marketdata.quotes import Bar, price_text
from marketdata.series import shown_days, shown_minutes
from marketdata.today import started

DAILY_SPAN = timedelta(days=731)
MINUTE_SPAN = timedelta(days=1)
EARLIEST = datetime(1, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Stretch:
    """`start` and `end` both belong to it; `limit` bars at most, oldest first."""

    interval: Interval
    start: datetime
    end: datetime
    limit: int
    adjusted: Adjustment


def stretch_of(ticker: Ticker, query: dict[str, Any], now: datetime) -> Stretch:
    """What was asked for, with defaults: two years of days, or a day of minutes, up to now or the replayed day.

    The minutes of a replayed ticker begin with the day that is replayed, for the one before stands right behind it.
    """
    interval = Interval(query["interval"])
    last = end_of(replay_date(ticker)) if interval is Interval.DAY else None
    newest = min(last, now) if last else now
    end = min(query.get("end", newest), newest)
    span = DAILY_SPAN if interval is Interval.DAY else MINUTE_SPAN
    start = query.get("start") or max(end, EARLIEST + span) - span
    if interval is Interval.MINUTE and "start" not in query and (since := replay_start(ticker)):
        start = max(start, since)
    return Stretch(interval, start, end, query["limit"], Adjustment(query["adjusted"]))


def replay_date(ticker: Ticker) -> date | None:
    quote = getattr(ticker, "quote", None)
    return quote.replay_date if quote else None


def replay_start(ticker: Ticker) -> datetime | None:
    quote = getattr(ticker, "quote", None)
    return started(quote) if quote else None


def end_of(day: date | None) -> datetime | None:
    return datetime.combine(day, time.max, UTC) if day else None


def read_bars(ticker: Ticker, stretch: Stretch) -> tuple[list[dict[str, Any]], datetime | None]:
    """(bars, where the next page starts or None)."""
    bars = [_bar(ticker, row) for row in _rows(ticker, stretch)]
    more = bars[stretch.limit :]
    restated = shown_days if stretch.interval is Interval.DAY else shown_minutes
    shown = restated(ticker, bars[: stretch.limit], stretch.adjusted)
    return [_payload(bar) for bar in shown], more[0].start if more else None


def _rows(ticker: Ticker, stretch: Stretch) -> Iterable[tuple[Any, ...]]:
    columns = ("open", "high", "low", "close", "volume")
    if stretch.interval is Interval.DAY:
        days = DailyBar.objects.filter(
            ticker=ticker, day__gte=first_day(stretch.start), day__lte=stretch.end.date()
        )
        return days.order_by("day").values_list("day", *columns)[: stretch.limit + 1]
    minutes = MinuteBar.objects.filter(ticker=ticker, start__gte=stretch.start, start__lte=stretch.end)
    return minutes.order_by("start").values_list("start", *columns)[: stretch.limit + 1]


def first_day(start: datetime) -> date:
    """A day begins at 00:00 UTC, so a start during a day leaves that day out."""
    day = start.date()
    return (
        day if start == datetime.combine(day, time.min, UTC) or day == date.max else day + timedelta(days=1)
    )


def _moment(start: date | datetime) -> datetime:
    return start if isinstance(start, datetime) else datetime.combine(start, time.min, UTC)


def _bar(ticker: Ticker, row: tuple[Any, ...]) -> Bar:
    return Bar(ticker.symbol, _moment(row[0]), *row[1:])


def _payload(bar: Bar) -> dict[str, Any]:
    return {
        "t": time_text(bar.start),
        "o": price_text(bar.open),
        "h": price_text(bar.high),
        "l": price_text(bar.low),
        "c": price_text(bar.close),
        "v": bar.volume,
    }
