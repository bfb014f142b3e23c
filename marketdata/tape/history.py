"""What the owner writes to PostgreSQL: last quotes each second, the bar of the running minute, the bar of the day.

Bars are kept incrementally from accepted ticks. On takeover the running minute goes on from the stored row. Trades
that their provider may take back are remembered until the minute after theirs is over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from marketdata import freshness, store
from marketdata.models import MinuteBar
from marketdata.quotes import EPOCH, Bar, Correction, Tick, quote_of
from marketdata.tape.closing import MINUTE_US, Closings
from marketdata.tape.writing import Said

# Of one minute of one symbol; what came before them cannot be taken back any more. Of many symbols fewer are kept each:
# ten a second of five thousand would be two gigabytes.
KEPT_TRADES, LEAST_KEPT, KEPT_OF_ALL = 1_000, 20, 250_000


class _Sum(NamedTuple):
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


@dataclass(slots=True)
class _Running:
    """One bar in the making; `minute` counts minutes since 1970.

    It is `base` and then `trades`, which may still be taken back, in order of arrival; or nothing of it can be
    taken back any more (`is_settled`), and what it is made of is not kept.
    """

    minute: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    is_settled: bool = True
    base: _Sum | None = None
    trades: list[Tick] = field(default_factory=list)

    @classmethod
    def of(cls, minute: int, tick: Tick) -> _Running:
        price = tick.price
        bar = cls(minute, price, price, price, price, tick.size)
        if tick.trade_id:
            bar.is_settled, bar.trades = False, [tick]
        return bar

    def add(self, tick: Tick, room: int) -> None:
        """The trade is remembered if it has a name under which it may be taken back; no more than `room` are."""
        if not tick.trade_id or len(self.trades) >= room:
            self.settle()
        else:
            if self.is_settled:
                self.base, self.is_settled = self._sum(), False
            self.trades.append(tick)
        price = tick.price
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price
        self.volume += tick.size

    def settle(self) -> None:
        """All trades count, and cannot be taken back any more."""
        if not self.is_settled:
            self.is_settled, self.trades = True, []

    def correct(self, correction: Correction) -> bool:
        """Whether the trade was one of these; the bar is then as if it had not been, or had been right."""
        for place, trade in enumerate(self.trades):
            if (trade.trade_id, trade.provider) == (correction.trade_id, correction.provider):
                right = [] if correction.price is None else [replace(trade, price=correction.price)]
                self.trades[place : place + 1] = right
                self._sum_up(instead=trade.price)
                return True
        return False

    def flatten(self, price: Decimal) -> None:
        """No trade is left of this minute: it is said to have stood still."""
        self.open = self.high = self.low = self.close = price

    @property
    def is_empty(self) -> bool:
        return not self.is_settled and self.base is None and not self.trades

    def _sum(self) -> _Sum:
        return _Sum(self.open, self.high, self.low, self.close, self.volume)

    def _sum_up(self, *, instead: Decimal) -> None:
        base = self.base
        prices = [] if base is None else [base.open, base.high, base.low, base.close]
        prices += [trade.price for trade in self.trades]
        prices = prices or [instead]
        self.open, self.close = prices[0], prices[-1]
        self.high, self.low = max(prices), min(prices)
        self.volume = (0 if base is None else base.volume) + sum(trade.size for trade in self.trades)

    def as_bar(self, symbol: str) -> Bar:
        start = EPOCH + timedelta(minutes=self.minute)
        return Bar(symbol, start, self.open, self.high, self.low, self.close, self.volume)


class History:
    """Collects on the loop; `take_*` hands over what changed since, for a thread to write."""

    def __init__(self) -> None:
        self.closings = Closings()
        self._running: dict[str, _Running] = {}
        self._before: dict[str, _Running] = {}
        self._since: dict[str, int] = {}
        self._room = KEPT_TRADES
        self._finished: list[Bar] = []
        self._changed_bars: set[str] = set()
        self._days: dict[tuple[str, date], Bar] = {}
        self._of_days: dict[str, list[Said]] = {}
        self._said: dict[str, Said] = {}

    def add_tick(self, tick: Tick) -> None:
        """An accepted tick, unconflated: each one counts for the bars."""
        symbol, minute = tick.symbol, tick.as_of_us // MINUTE_US
        bar = self._running.get(symbol)
        if minute < self._since.get(symbol, 0):
            return
        if bar is not None and minute == bar.minute:
            bar.add(tick, self._room)
        elif bar is None or minute > bar.minute:
            self._begin(tick, minute, bar)
        self._changed_bars.add(symbol)

    def _begin(self, tick: Tick, minute: int, before: _Running | None) -> None:
        if before is not None:
            self._finish(tick.symbol, before)
        bar = self._running[tick.symbol] = _Running.of(minute, tick)
        self._room = min(KEPT_TRADES, max(LEAST_KEPT, KEPT_OF_ALL // len(self._running)))
        self.closings.begin(tick.symbol, minute, bar, delayed_s=tick.delayed_s)

    def _finish(self, symbol: str, bar: _Running) -> None:
        if symbol in self._changed_bars:
            self._finished.append(bar.as_bar(symbol))
        if bar.trades:
            self._before[symbol] = bar
        else:
            self._before.pop(symbol, None)

    def correct(self, correction: Correction, last: Decimal | None) -> bool:
        """Whether a remembered bar held the trade; `last` is what the price is without it, where that is known."""
        symbol = correction.symbol
        running, before = self._running.get(symbol), self._before.get(symbol)
        for bar in (running, before):
            if bar is None or not bar.correct(correction):
                continue
            if bar.is_empty:
                self._stand_still(bar, last, running, before)
            if bar is running:
                self._changed_bars.add(symbol)
            else:
                self._finished.append(bar.as_bar(symbol))
            return True
        return False

    def _stand_still(
        self, bar: _Running, last: Decimal | None, running: _Running | None, before: _Running | None
    ) -> None:
        """At the price before it, else at that of the minute beside it: what was taken back is nobody's price."""
        if last is not None:
            bar.flatten(last)
        elif bar is before and running is not None:
            bar.flatten(running.open)
        elif bar is running and before is not None:
            bar.flatten(before.close)

    def add_said(self, said: Said) -> None:
        """What was published: the last row, and the bar of its day, which the provider's day fields make whole."""
        tick = said.tick
        self._said[tick.symbol] = said
        if tick.open is None or tick.high is None or tick.low is None:
            return
        of_days = self._of_days.setdefault(tick.symbol, [])
        if of_days and _are_of_one_day(of_days[-1].tick, tick):
            of_days[-1] = said
        else:
            of_days.append(said)

    def take_said(self) -> list[Said]:
        said, self._said = list(self._said.values()), {}
        return said

    def take_minute_bars(self) -> list[Bar]:
        """Finished minutes, and the running ones that changed."""
        finished, self._finished = self._finished, []
        running = [self._running[symbol].as_bar(symbol) for symbol in self._changed_bars]
        self._changed_bars = set()
        return finished + running

    def take_daily_bars(self) -> list[Bar]:
        days, self._days = self._days, {}
        of_days, self._of_days = self._of_days, {}
        for said in (one for some in of_days.values() for one in some):
            day = freshness.day_of(quote_of(said.tick, received_at=said.at, ttl=timedelta()))
            days[said.tick.symbol, day] = _day_bar(said.tick, day)
        return list(days.values())

    def put_back_said(self, said: Collection[Said]) -> None:
        """What could not be written waits; what was said meanwhile stays."""
        self._said = {one.tick.symbol: one for one in said} | self._said

    def put_back_bars(self, minutes: list[Bar], days: list[Bar]) -> None:
        """Minutes are only ever finished once, so a failed write must return them; a day comes again by itself."""
        self._finished = _last_of_each(minutes + self._finished)
        self._days = {(bar.symbol, bar.start.date()): bar for bar in days} | self._days

    def open(self, symbols: Collection[str], stored: list[Bar], now_us: int) -> None:
        """These symbols make bars from the running minute on, which continues its stored bar.

        Minutes before are stored already: the last quote, said again, must not replace one of them.
        """
        for symbol in symbols:
            self._since[symbol] = now_us // MINUTE_US
            self._finish_before(symbol, self._since[symbol])
        for bar in stored:
            if bar.symbol not in self._running:
                minute = (bar.start - EPOCH) // timedelta(minutes=1)
                resumed = _Running(minute, bar.open, bar.high, bar.low, bar.close, bar.volume)
                self._running[bar.symbol] = resumed
                self.closings.begin(bar.symbol, minute, resumed)

    def close(self, symbols: Collection[str]) -> None:
        """Nobody takes back trades of these any more; the running minute goes on if they are opened again in it."""
        for symbol in symbols:
            self._before.pop(symbol, None)
            if symbol in self._running:
                self._running[symbol].settle()

    def open_once(self, symbol: str, now_us: int) -> None:
        """The same for a symbol that does not stream, when its first quote comes in."""
        if symbol not in self._since:
            self.open([symbol], [], now_us)

    def _finish_before(self, symbol: str, minute: int) -> None:
        bar = self._running.get(symbol)
        if bar is not None and bar.minute < minute:
            del self._running[symbol]
            self._finish(symbol, bar)
            self._changed_bars.discard(symbol)


def _are_of_one_day(one: Tick, other: Tick) -> bool:
    """Certainly, since no day begins within a minute: which day it is need not be worked out for each."""
    return (
        one.as_of_us // MINUTE_US == other.as_of_us // MINUTE_US
        and one.provider == other.provider
        and one.replay_date == other.replay_date
    )


def _day_bar(tick: Tick, day: date) -> Bar:
    start, price = datetime(day.year, day.month, day.day, tzinfo=UTC), tick.price
    return Bar(
        tick.symbol, start, tick.open or price, tick.high or price, tick.low or price, price, tick.volume
    )


def stored_minutes(ids: Mapping[str, int], since: datetime) -> list[Bar]:
    symbols = {ticker_id: symbol for symbol, ticker_id in ids.items()}
    rows = MinuteBar.objects.filter(ticker_id__in=symbols, start__gte=since)
    return [
        Bar(symbols[row.ticker_id], row.start, row.open, row.high, row.low, row.close, row.volume)
        for row in rows
    ]


def write_bars(minutes: list[Bar], days: list[Bar], ids: Mapping[str, int]) -> None:
    store.store_minute_bars(_last_of_each(minutes), ids)
    store.store_daily_bars(days, ids)


def _last_of_each(bars: list[Bar]) -> list[Bar]:
    """One statement may touch a row once: of several states of one minute only the last is written."""
    return list({(bar.symbol, bar.start): bar for bar in bars}.values())
