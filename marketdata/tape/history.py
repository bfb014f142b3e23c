"""What the owner writes to PostgreSQL: last quotes each second, the bar of the running minute, the bar of the day.

Bars are kept incrementally from accepted ticks. On takeover the running minute goes on from the stored row. Trades
that their provider may take back are remembered until the minute after theirs is over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from marketdata import freshness, store
from marketdata.models import MinuteBar
from marketdata.quotes import EPOCH, Bar, Correction, Quote, Tick
from marketdata.tape.closing import MINUTE_US, Closings

# Of one minute of one symbol; what came before them cannot be taken back any more.
KEPT_TRADES = 1_000


class _Trade(NamedTuple):
    provider: str
    trade_id: str
    price: Decimal
    size: int


class _Sum(NamedTuple):
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


@dataclass(slots=True)
class _Running:
    """One bar in the making; `minute` counts minutes since 1970.

    It is `base` and then `trades`, which may still be taken back, in order of arrival.
    """

    minute: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    base: _Sum | None = None
    trades: list[_Trade] = field(default_factory=list)

    def add(self, tick: Tick) -> None:
        self.high = max(self.high, tick.price)
        self.low = min(self.low, tick.price)
        self.close = tick.price
        self.volume += tick.size
        self.keep(tick)

    def keep(self, tick: Tick) -> None:
        """Remember the trade if it has a name under which it may be taken back."""
        if tick.trade_id and len(self.trades) < KEPT_TRADES:
            self.trades.append(_Trade(tick.provider, tick.trade_id, tick.price, tick.size))
        else:
            self.forget_trades()

    def forget_trades(self) -> None:
        """They count, and cannot be taken back any more."""
        self.base, self.trades = self._sum(), []

    def correct(self, correction: Correction) -> bool:
        """Whether the trade was one of these; the bar is then as if it had not been, or had been right."""
        name = (correction.provider, correction.trade_id)
        for place, trade in enumerate(self.trades):
            if trade[:2] == name:
                right = [] if correction.price is None else [trade._replace(price=correction.price)]
                self.trades[place : place + 1] = right
                self._sum_up(instead=trade.price)
                return True
        return False

    def flatten(self, price: Decimal) -> None:
        """No trade is left of this minute: it is said to have stood still."""
        self.open = self.high = self.low = self.close = price

    @property
    def is_empty(self) -> bool:
        return self.base is None and not self.trades

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
        self._finished: list[Bar] = []
        self._changed_bars: set[str] = set()
        self._days: dict[tuple[str, date], Bar] = {}
        self._quotes: dict[str, Quote] = {}

    def add_tick(self, tick: Tick) -> None:
        """An accepted tick, unconflated: each one counts for the bars."""
        minute = tick.as_of_us // MINUTE_US
        bar = self._running.get(tick.symbol)
        if minute < self._since.get(tick.symbol, 0):
            return
        if bar is None or minute > bar.minute:
            if bar is not None:
                self._finish(tick.symbol, bar)
            price = tick.price
            bar = self._running[tick.symbol] = _Running(minute, price, price, price, price, tick.size)
            bar.keep(tick)
            self.closings.begin(tick.symbol, minute, bar, delayed_s=tick.delayed_s)
        elif minute == bar.minute:
            bar.add(tick)
        self._changed_bars.add(tick.symbol)

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

    def add_quote(self, quote: Quote) -> None:
        """A published quote: the last row, and the bar of its day, which the provider's day fields make whole."""
        self._quotes[quote.symbol] = quote
        if quote.open is None or quote.high is None or quote.low is None:
            return
        day = freshness.day_of(quote)
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        self._days[quote.symbol, day] = Bar(
            quote.symbol, start, quote.open, quote.high, quote.low, quote.price, quote.volume or 0
        )

    def take_quotes(self) -> list[Quote]:
        quotes, self._quotes = list(self._quotes.values()), {}
        return quotes

    def take_minute_bars(self) -> list[Bar]:
        """Finished minutes, and the running ones that changed."""
        finished, self._finished = self._finished, []
        running = [self._running[symbol].as_bar(symbol) for symbol in self._changed_bars]
        self._changed_bars = set()
        return finished + running

    def take_daily_bars(self) -> list[Bar]:
        days, self._days = list(self._days.values()), {}
        return days

    def put_back_quotes(self, quotes: list[Quote]) -> None:
        """What could not be written waits; newer quotes that came meanwhile stay."""
        for quote in quotes:
            self._quotes.setdefault(quote.symbol, quote)

    def put_back_bars(self, minutes: list[Bar], days: list[Bar]) -> None:
        """Minutes are only ever finished once, so a failed write must return them; a day comes again by itself."""
        self._finished = _last_of_each(minutes + self._finished)
        for bar in days:
            self._days.setdefault((bar.symbol, bar.start.date()), bar)

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
                stored_sum = _Sum(bar.open, bar.high, bar.low, bar.close, bar.volume)
                resumed = self._running[bar.symbol] = _Running(minute, *stored_sum, base=stored_sum)
                self.closings.begin(bar.symbol, minute, resumed)

    def close(self, symbols: Collection[str]) -> None:
        """Nobody takes back trades of these any more; the running minute goes on if they are opened again in it."""
        for symbol in symbols:
            self._before.pop(symbol, None)
            if symbol in self._running:
                self._running[symbol].forget_trades()

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


def stored_running_minute(ids: Mapping[str, int], now: datetime) -> list[Bar]:
    symbols = {ticker_id: symbol for symbol, ticker_id in ids.items()}
    rows = MinuteBar.objects.filter(ticker_id__in=symbols, start=now.replace(second=0, microsecond=0))
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
