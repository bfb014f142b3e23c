"""The bars for a back-test: minutes where there are enough of them, else days; split-adjusted, a year back.

Minutes count as enough from three weeks of trading days on: fewer say little about a year, and days are there for
years. A replayed ticker is tested on days alone, up to the one that is replayed: its minutes follow each other without
nights, and it does not know its future.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from alerts.backtest import Result
from alerts.backtest import run as run_on
from alerts.conditions import counts_in
from alerts.kinds import Kind, Rule, Sessions
from alerts.spans import YEAR, Source, by_day, can_tell, references_of
from core import clock
from marketdata import freshness
from marketdata.actions import today_of
from marketdata.adjusting import Adjustment
from marketdata.models import DailyBar, MinuteBar, Ticker
from marketdata.providers import registry
from marketdata.quotes import Bar
from marketdata.series import shown_days, shown_minutes

# Trading days with minutes.
ENOUGH_DAYS = 15
# What the first day of the year is compared with: a year before it, and a holiday.
BEFORE = YEAR + timedelta(days=7)
COLUMNS = ("open", "high", "low", "close", "volume")
COMPARED = (Kind.VOLUME, Kind.HIGH_52W, Kind.LOW_52W)


class Why(StrEnum):
    """Nothing can be told, for these reasons; words of the API."""

    NO_BARS = "no_bars"
    """None are stored yet, or too few: whoever opens the page of a ticker has them loaded."""
    NOT_IN_BARS = "not_in_bars"
    """What the rule looks at leaves no trace in a bar."""


@dataclass(frozen=True, slots=True)
class NoBars:
    why: Why


def run(symbol: str, rule: Rule) -> Result | NoBars:
    """Three or four queries; `symbol` is canonical."""
    if rule.kind is Kind.STALE:
        return NoBars(Why.NOT_IN_BARS)
    ticker = Ticker.objects.select_related("quote").filter(symbol=symbol).first()
    if ticker is None:
        return NoBars(Why.NO_BARS)
    minutes = _minutes(ticker, rule)
    if minutes:
        return _run_on(ticker, rule, minutes, Source.MINUTE)
    if not can_tell(rule, Source.DAY):
        return NoBars(Why.NOT_IN_BARS)
    return _run_on(ticker, rule, _days(ticker, today_of(ticker) - YEAR), Source.DAY)


def _run_on(ticker: Ticker, rule: Rule, bars: list[Bar], source: Source) -> Result | NoBars:
    references = {}
    if bars and rule.kind in COMPARED:
        wanted = [day for day, _ in by_day(bars, source, lambda bar: bar.start)]
        references = references_of(_days(ticker, wanted[0] - BEFORE), wanted)
    return run_on(rule, bars, source, references) or NoBars(Why.NO_BARS)


def _days(ticker: Ticker, since: date) -> list[Bar]:
    """Up to yesterday: today is not over, nor is the replayed day."""
    rows = DailyBar.objects.filter(ticker=ticker, day__gte=since, day__lt=today_of(ticker)).order_by("day")
    bars = [
        Bar(ticker.symbol, datetime.combine(day, time(), UTC), *prices)
        for day, *prices in rows.values_list("day", *COLUMNS)
    ]
    return shown_days(ticker, bars, Adjustment.SPLIT)


def _minutes(ticker: Ticker, rule: Rule) -> list[Bar]:
    """Of the sessions that the rule looks at; none where they are not enough."""
    quote = getattr(ticker, "quote", None)
    now = clock.now()
    all_of = MinuteBar.objects.filter(ticker=ticker, start__gte=now - YEAR).order_by("start")
    oldest = all_of.values_list("start", flat=True).first()
    if (quote and quote.replay_date) or oldest is None or now - oldest < timedelta(days=ENOUGH_DAYS):
        return []
    rows = all_of.values_list("start", *COLUMNS)
    bars = list(_that_count(ticker.symbol, rule, (Bar(ticker.symbol, *row) for row in rows)))
    if sum(1 for _ in by_day(bars, Source.MINUTE, lambda bar: bar.start)) < ENOUGH_DAYS:
        return []
    return shown_minutes(ticker, bars, Adjustment.SPLIT)


def _that_count(symbol: str, rule: Rule, bars: Iterable[Bar]) -> Iterable[Bar]:
    if rule.sessions is Sessions.EXTENDED:
        return bars
    provider = registry.route(symbol)
    return (bar for bar in bars if counts_in(rule, freshness.session_from(provider, symbol, bar.start)))
