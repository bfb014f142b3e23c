"""Years of past bars and actions for many tickers: long work that may stop at any moment and goes on where it stopped.

A journal has a line for each ticker that is done, written before the next one is begun: a stop, however hard, costs
the requests of one ticker. A line counts for a week, and only while the database has what it says. Bars are asked for
newest first, in stretches, so that what is stored always reaches from today back without a hole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path

from django.db.models import QuerySet

from core import clock
from marketdata import actions, day_bars, demand, lookup, store
from marketdata.asking import ask_in_bulk
from marketdata.errors import NotFound, PlanLocked, ProviderError, RateLimited
from marketdata.models import Ticker
from marketdata.providers import registry
from marketdata.providers.base import Interval, Provider
from marketdata.providers.registry import Purpose
from marketdata.quotes import Bar, Quote

YEAR = timedelta(days=366)
# One request; most vendors give a few thousand bars at once.
STRETCH = {Interval.DAY: 5 * YEAR, Interval.MINUTE: timedelta(days=7)}
# A load is not repeated within this; `again` forces it.
FRESH_FOR = timedelta(days=7)
# A provider that says no moment: how long to wait for it. And a moment beyond this is not waited for.
PAUSE = timedelta(seconds=60)
LONGEST_WAIT = timedelta(hours=24)
# So many failures in a row are no matter of the tickers.
GIVE_UP_AFTER = 10


class Outcome(StrEnum):
    LOADED = "loaded"
    PASSED_OVER = "passed_over"
    UNKNOWN = "unknown"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be loaded of each ticker."""

    interval: Interval = Interval.DAY
    back: timedelta = 5 * YEAR
    actions: bool = False
    again: bool = False


@dataclass
class Report:
    tickers: int = 0
    rows: int = 0
    waited_s: float = 0.0
    gave_up: bool = False
    by_outcome: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    failures: dict[str, str] = field(default_factory=dict)


class GaveUp(Exception):
    """Waiting would take too long; says until when."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How to wait for a provider: tell somebody, then sleep. Both are given, so that tests need no time."""

    wait: Callable[[float], object]
    tell: Callable[[str], None]

    def until(self, moment: datetime) -> float:
        """Seconds waited; raises GaveUp."""
        # At least a second, lest a provider whose moment is past be asked in a tight loop.
        seconds = max((moment - clock.now()).total_seconds(), 1.0)
        if seconds > LONGEST_WAIT.total_seconds():
            raise GaveUp(f"no provider may be asked again before {moment:%Y-%m-%d %H:%M} UTC")
        self.tell(f"waiting until {moment:%H:%M} UTC: rate-limited")
        self.wait(seconds)
        return seconds


def tickers_of(symbols: Iterable[str], *, wanted: bool, everything: bool) -> QuerySet[Ticker]:
    """Those named, those that somebody wants now, or all active ones; in the order of their symbols."""
    found = Ticker.objects.select_related("quote").order_by("symbol")
    if everything:
        return found.filter(is_active=True)
    names = {*symbols, *(demand.wanted() if wanted else ())}
    return found.filter(symbol__in=names)


@dataclass
class Work:
    """One run over many tickers."""

    wish: Wish
    journal: Journal
    patience: Patience
    report: Report = field(default_factory=Report)

    def run(self, tickers: Iterable[Ticker], on_progress: Callable[[int], None]) -> Report:
        """One ticker after the other. A failure is noted and the next one tried; many in a row end the work."""
        report, in_a_row = self.report, 0
        for ticker in tickers:
            outcome = self._outcome_of(ticker)
            report.tickers += 1
            report.by_outcome[outcome] += 1
            in_a_row = in_a_row + 1 if outcome is Outcome.FAILED else 0
            report.gave_up |= in_a_row >= GIVE_UP_AFTER
            on_progress(report.tickers)
            if report.gave_up:
                break
        return report

    def _outcome_of(self, ticker: Ticker) -> Outcome:
        try:
            return self._load_patiently(ticker)
        except ProviderError as error:
            self.report.failures[ticker.symbol] = error.kind.value
        except GaveUp as why:
            self.report.failures[ticker.symbol], self.report.gave_up = str(why), True
        return Outcome.FAILED

    def _load_patiently(self, ticker: Ticker) -> Outcome:
        """Raises ProviderError, except for a rate limit, which is waited for."""
        while True:
            try:
                return _load_one(ticker, self.wish, self.journal, self.report)
            except RateLimited as limit:
                self.report.waited_s += self.patience.until(limit.retry_at or clock.now() + PAUSE)


def _load_one(ticker: Ticker, wish: Wish, journal: Journal, report: Report) -> Outcome:
    # Splits first: they tell a reverse split of 1:100 from prices in another unit.
    if wish.actions and (actions.claim(ticker.symbol) or wish.again):
        report.rows += _actions(ticker)
    if not wish.again and journal.has(ticker, wish):
        return Outcome.PASSED_OVER
    found = False
    for start, end in stretches(ticker, wish):
        bars = _bars(ticker.symbol, wish.interval, start, end)
        if not bars:
            break
        found = True
        report.rows += _keep(ticker.symbol, wish.interval, bars)
    journal.add(ticker, wish, found=found)
    return Outcome.LOADED if found else Outcome.UNKNOWN


def _actions(ticker: Ticker) -> int:
    try:
        return actions.fetch_and_keep(ticker)
    except (NotFound, PlanLocked):
        return 0


def _bars(symbol: str, interval: Interval, start: datetime, end: datetime) -> list[Bar]:
    async def ask(provider: Provider) -> list[Bar]:
        return await provider.fetch_bars(symbol, interval, start, end)

    purpose = Purpose.DAY_BARS if interval is Interval.DAY else Purpose.MINUTE_BARS
    try:
        return ask_in_bulk(purpose, symbol, ask)
    except (NotFound, PlanLocked):
        return []


def _keep(symbol: str, interval: Interval, bars: list[Bar]) -> int:
    if interval is Interval.DAY:
        return day_bars.keep(symbol, bars)
    return store.store_minute_bars(bars, store.ticker_ids([symbol]))


# --- How far


def stretches(ticker: Ticker, wish: Wish) -> Iterator[tuple[datetime, datetime]]:
    """From the newest to the oldest: what is stored always reaches from today back without a hole."""
    end, span = newest(ticker, wish.interval), STRETCH[wish.interval]
    first = end - wish.back
    while end > first:
        start = max(first, end - span)
        yield start, end
        end = start


def newest(ticker: Ticker, interval: Interval) -> datetime:
    """Today is still moving, and belongs to the tape; of a replayed ticker the replayed day."""
    if interval is Interval.MINUTE:
        return clock.now().replace(second=0, microsecond=0)
    return datetime.combine(_replayed_day(ticker) or clock.now().date(), time(), UTC)


def _replayed_day(ticker: Ticker) -> date | None:
    """Where nobody has seen a quote yet, only a provider that costs nothing is asked for one."""
    stored = getattr(ticker, "quote", None)
    if stored is not None:
        day: date | None = stored.replay_date
        return day
    provider = registry.route(ticker.symbol)
    if provider is None or not provider.capabilities.simulated:
        return None
    found = lookup.get_quotes([ticker.symbol])[ticker.symbol]
    return found.replay_date if isinstance(found, Quote) else None


@dataclass(frozen=True, slots=True)
class Entry:
    """A ticker that is done: `since` is from where bars were asked for, `found` whether there were any."""

    symbol: str
    interval: str
    since: str
    found: bool
    at: str


class Journal:
    """What is done, in a file of one JSON object a line. Lines that no longer count are left out at the next start."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._done: dict[tuple[str, str], Entry] = {}
        lines = path.read_text().splitlines() if path.exists() else []
        fresh = [line for line in lines if self._read(line)]
        path.parent.mkdir(parents=True, exist_ok=True)
        if len(fresh) < len(lines):
            draft = path.with_suffix(".new")
            draft.write_text("".join(f"{line}\n" for line in fresh))
            draft.replace(path)

    def _read(self, line: str) -> bool:
        """A line that was cut off by a crash says nothing."""
        try:
            entry = Entry(**json.loads(line))
            if clock.now() - datetime.fromisoformat(entry.at) > FRESH_FOR:
                return False
        except (ValueError, TypeError):
            return False
        self._done[entry.symbol, entry.interval] = entry
        return True

    def add(self, ticker: Ticker, wish: Wish, *, found: bool) -> None:
        since = (newest(ticker, wish.interval) - wish.back).date()
        at = clock.now().isoformat()
        entry = Entry(ticker.symbol, wish.interval.value, since.isoformat(), found, at)
        with self.path.open("a") as file:
            file.write(json.dumps(asdict(entry)) + "\n")
        self._done[entry.symbol, entry.interval] = entry

    def has(self, ticker: Ticker, wish: Wish) -> bool:
        """Whether the ticker was loaded lately from that early on, and the database still has it."""
        entry = self._done.get((ticker.symbol, wish.interval.value))
        wanted = (newest(ticker, wish.interval) - wish.back + FRESH_FOR).date()
        if entry is None or entry.since > wanted.isoformat():
            return False
        return not entry.found or _has_bars(ticker, wish.interval)


def _has_bars(ticker: Ticker, interval: Interval) -> bool:
    if interval is Interval.DAY:
        return ticker.daily_bars.exists()
    return ticker.minute_bars.exists()
