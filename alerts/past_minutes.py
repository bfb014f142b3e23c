"""The minutes before, for moves within a window of which the runner has not seen every tick: after it was started, for
a new alert, and after the price came to stand on another base.

Bars are stored as they were traded. They are restated in the shares of today, and those of a session that does not
count are left out, as in a back-test. Where all tickers have a window of a day this is millions of minutes: each series
has its own window read, some tickers at a time, row by row, and of these only the extremes are kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db.models import F, Q

from alerts.books import Book
from alerts.conditions import moment
from alerts.engine import Engine
from alerts.series import Moves
from core import clock
from core.database import in_thread
from marketdata import freshness
from marketdata.adjusting import adjusted_price
from marketdata.calendar import NEW_YORK
from marketdata.freshness import Market
from marketdata.models import CorporateAction, MinuteBar, Ticker
from marketdata.providers import registry
from marketdata.quotes import Action, ActionKind, Session, microseconds
from marketdata.splits import today

MINUTE = timedelta(minutes=1)
TICKERS_AT_ONCE = 50
ROWS_AT_ONCE = 2000


@dataclass(slots=True)
class _Asked:
    """One series, and the minutes that it lacks: from `since` on, over by `until`."""

    symbol: str
    book: Book
    series: Moves
    begins_us: int
    since: datetime
    until: datetime
    found: Moves

    def lacks(self, start: datetime) -> bool:
        return self.since <= start and start + MINUTE <= self.until


class PastMinutes:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def remember(self, until: datetime, symbols: Collection[str] | None = None) -> None:
        """For series that nobody has told yet what was before. Minutes that end later than `until` are left out:
        their ticks are still to be read."""
        asked = self._asked(list(self._engine.lanes) if symbols is None else symbols, until)
        tickers = sorted(asked)
        for start in range(0, len(tickers), TICKERS_AT_ONCE):
            some = [one for symbol in tickers[start : start + TICKERS_AT_ONCE] for one in asked[symbol]]
            await in_thread(_find, some)
            for one in some:
                _tell(one)

    async def remember_again(self) -> None:
        """After the price came to stand on another base: what was before that, in minutes."""
        symbols = self._engine.begun_anew.copy()
        if symbols:
            await self.remember(clock.now(), symbols)
            self._engine.begun_anew -= {
                symbol for symbol in symbols if not self._asked([symbol], clock.now())
            }

    def _asked(self, symbols: Collection[str], until: datetime) -> dict[str, list[_Asked]]:
        found: dict[str, list[_Asked]] = defaultdict(list)
        lanes = self._engine.lanes
        for symbol in symbols:
            for which, book in lanes[symbol].books.items() if symbol in lanes else ():
                series = book.series
                if isinstance(series, Moves) and series.is_new:
                    begins_us = series.begins_us
                    end = min(until, moment(begins_us)) if begins_us else until
                    since = (end if begins_us else until) - timedelta(seconds=which.window_s)
                    empty = Moves(which.window_s, which.way)
                    found[symbol].append(_Asked(symbol, book, series, begins_us, since, end, empty))
        return found


def _tell(one: _Asked) -> None:
    if one.series.begins_us != one.begins_us:
        return  # it has begun anew meanwhile
    one.series.recall(one.found)
    if one.begins_us:
        # By what two vendors differ, or a bad trade that was taken back, is no move.
        one.book.rebased_us = clock.now_us()


def _find(asked: list[_Asked]) -> None:
    """Two queries and the names."""
    by_symbol: dict[str, list[_Asked]] = defaultdict(list)
    for one in asked:
        by_symbol[one.symbol].append(one)
    symbols = dict(Ticker.objects.filter(symbol__in=by_symbol).values_list("pk", "symbol"))
    oldest = {symbol: min(one.since for one in of_symbol) for symbol, of_symbol in by_symbol.items()}
    splits, sessions = _splits(symbols, min(oldest.values())), _Sessions()
    rows = _rows({pk: oldest[symbol] for pk, symbol in symbols.items()})
    for pk, start, raw_low, raw_high in rows:
        wanted = [one for one in by_symbol[symbols[pk]] if one.lacks(start) and sessions.count(one, start)]
        low, high = _restated(start, splits.get(pk, ()), raw_low, raw_high) if wanted else (raw_low, raw_high)
        for one in wanted:
            one.found.remember(microseconds(start), low, high)


def _rows(since: dict[int, datetime]) -> Iterator[tuple[int, datetime, Decimal, Decimal]]:
    """Ticker, start, low, high: ticker by ticker, the oldest first."""
    wanted = Q()
    for pk, start in since.items():
        wanted |= Q(ticker_id=pk, start__gte=start)
    if not wanted:
        return iter(())
    rows = MinuteBar.objects.filter(wanted).order_by("ticker_id", "start")
    return rows.values_list("ticker_id", "start", "low", "high").iterator(ROWS_AT_ONCE)


def _splits(symbols: dict[int, str], since: datetime) -> dict[int, list[Action]]:
    """A replay does not know its future."""
    rows = CorporateAction.objects.filter(
        ticker__in=symbols, kind=ActionKind.SPLIT.value, ex_date__gt=_day_of(since), ex_date__lte=today()
    ).exclude(ticker__quote__replay_date__lt=F("ex_date"))
    found: dict[int, list[Action]] = defaultdict(list)
    for pk, day, old, new in rows.values_list("ticker", "ex_date", "split_from", "split_to"):
        found[pk].append(Action(symbols[pk], ActionKind.SPLIT, day, split_from=old, split_to=new))
    return found


def _restated(
    start: datetime, splits: Collection[Action], low: Decimal, high: Decimal
) -> tuple[Decimal, Decimal]:
    if not splits:
        return low, high
    day, until = _day_of(start), today()
    return adjusted_price(low, day, splits, until), adjusted_price(high, day, splits, until)


def _day_of(at: datetime) -> date:
    return at.astimezone(NEW_YORK).date()


class _Sessions:
    """Which minutes count, each looked up once for all tickers of a market."""

    def __init__(self) -> None:
        self._markets: dict[str, Market] = {}
        self._regular: dict[tuple[Market, datetime], bool] = {}

    def count(self, one: _Asked, start: datetime) -> bool:
        return not one.book.regular_only or self._is_regular(one.symbol, start)

    def _is_regular(self, symbol: str, start: datetime) -> bool:
        market = self._markets.get(symbol)
        if market is None:
            market = self._markets[symbol] = freshness.market_from(registry.route(symbol), symbol)
        known = self._regular.get((market, start))
        if known is None:
            session = freshness.session_from(registry.route(symbol), symbol, start)
            known = self._regular[market, start] = session is Session.REGULAR
        return known
