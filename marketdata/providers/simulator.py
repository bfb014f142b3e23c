"""A market for every symbol, from a seed: for demos without a key, for tests, for trying out faults.

Without a script it is always open and behaves. A `Script` adds trading sessions, bad prints, gaps, halts,
late and duplicate ticks, outages and slow answers. All of it follows from the clock, so that every process
sees the same market.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from django.conf import settings

from core import clock
from marketdata import market_hours
from marketdata.errors import InvalidSymbol, ProviderDown
from marketdata.providers.base import AssetClass, Capabilities, Interval
from marketdata.providers.paced import (
    MINUTE_US,
    Now,
    PacedProvider,
    Wait,
    dollars,
    from_us,
    midnight,
)
from marketdata.providers.simulated_market import CELL_US, CELLS_PER_DAY, DAY_US, Market, base_cents
from marketdata.providers.walk import volume_at
from marketdata.quotes import Bar, Session, Tick, microseconds
from marketdata.symbols import canonical

# How far back bars go.
MINUTE_HISTORY = timedelta(days=2)
DAY_HISTORY = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Spike:
    """From `start` to `end` a symbol's prices are multiplied: a bad print, or a real gap if `end` is None."""

    symbol: str
    start: datetime
    end: datetime | None
    factor: float


@dataclass(frozen=True, slots=True)
class Halt:
    """One tick that says so at `start`, then none of the symbol until `end`."""

    symbol: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Outage:
    """The provider does not answer, and the stream is lost."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Script:
    ticks_per_second: float = 1.0
    sessions: bool = False
    spikes: tuple[Spike, ...] = ()
    halts: tuple[Halt, ...] = ()
    outages: tuple[Outage, ...] = ()
    late_every: int = 0
    late_by_s: float = 3.0
    duplicate_every: int = 0
    latency_s: float = 0.0
    unknown: frozenset[str] = frozenset()


PLAIN = Script()


def session_at(us: int) -> Session:
    return market_hours.calendar().session_at(from_us(us))


def last_open_us(us: int) -> int:
    """`us` itself while a session runs, else the last microsecond of the one before."""
    span = market_hours.calendar().span_at(from_us(us))
    return microseconds(span.start) - 1 if span.session is Session.CLOSED else us


class Simulator(PacedProvider):
    name = "simulator"

    def __init__(
        self,
        *,
        seed: int = 1,
        script: Script = PLAIN,
        max_symbols_per_request: int = 50,
        now: Now = clock.now,
        wait: Wait = asyncio.sleep,
    ) -> None:
        super().__init__(now=now, wait=wait)
        self.capabilities = Capabilities(
            label="Simulator",
            simulated=True,
            asset_classes=frozenset(AssetClass),
            max_symbols_per_request=max_symbols_per_request,
            intervals=frozenset({Interval.MINUTE, Interval.DAY}),
            streams=True,
            fundamentals=True,
            always_open=not script.sessions,
        )
        self.script = script
        self._seed = seed
        self._market = Market(seed, script.ticks_per_second)

    def covers(self, symbol: str) -> bool:
        return is_canonical(symbol) and symbol not in self.script.unknown

    async def answer(self) -> None:
        if self.script.latency_s:
            await self.wait(self.script.latency_s)
        self.check_connection()

    def check_connection(self) -> None:
        now = self.now()
        if any(outage.start <= now < outage.end for outage in self.script.outages):
            raise ProviderDown("the simulator plays dead")

    def last_tick(self, symbol: str, us: int) -> Tick:
        if self.script.sessions:
            us = last_open_us(us)
        if halt := self._halt_at(symbol, us):
            return self._halt_tick(symbol, halt)
        return self._tick(symbol, *self._position(symbol, us))

    def ticks(self, symbol: str, after_us: int, until_us: int) -> list[Tick]:
        script = self.script
        found = [tick for tick in self._true_ticks(symbol, after_us, until_us) if not self._is_late(tick)]
        if script.late_every:
            delay = int(script.late_by_s * 1_000_000)
            earlier = self._true_ticks(symbol, after_us - delay, until_us - delay)
            found += [tick for tick in earlier if self._is_late(tick)]
        if script.duplicate_every:
            found = [
                copy
                for tick in found
                for copy in [tick] * (1 + (tick.sequence % script.duplicate_every == 0))
            ]
        return found

    def bars(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> list[Bar]:
        now = self.now()
        if interval is Interval.DAY:
            return list(self._daily_bars(symbol, max(start, now - DAY_HISTORY), min(end, now)))
        return list(self._minute_bars(symbol, max(start, now - MINUTE_HISTORY), min(end, now)))

    def usual_price(self, symbol: str) -> tuple[Decimal, int]:
        return dollars(base_cents(symbol, self._seed)), self._seed

    def _true_ticks(self, symbol: str, after_us: int, until_us: int) -> Iterator[Tick]:
        """What happened with after < moment <= until; halts and sessions count, faults of delivery do not."""
        for cell in range(after_us // CELL_US, until_us // CELL_US + 1):
            path = self._market.path(symbol, cell)
            for i in range(path.index_at(after_us) + 1, path.index_at(until_us) + 1):
                us = path.time_of(i)
                if self.script.sessions and session_at(us) is Session.CLOSED:
                    continue
                if not self._halt_at(symbol, us):
                    yield self._tick(symbol, cell, i)
        for halt in self.script.halts:
            if halt.symbol == symbol and after_us < microseconds(halt.start) <= until_us:
                yield self._halt_tick(symbol, halt)

    def _is_late(self, tick: Tick) -> bool:
        every = self.script.late_every
        return every > 0 and tick.sequence % every == 0 and not tick.halted

    def _position(self, symbol: str, us: int) -> tuple[int, int]:
        cell = us // CELL_US
        return cell, self._market.path(symbol, cell).index_at(us)

    def _tick(self, symbol: str, cell: int, i: int) -> Tick:
        market = self._market
        path = market.path(symbol, cell)
        before = market.before(symbol, cell)
        us = path.time_of(i)
        cents = self._scripted(symbol, us, path.prices[i])
        volume = self._volume(before.volume, cell, i)
        return Tick(
            symbol=symbol,
            price=dollars(cents),
            size=volume - self._volume(before.volume, cell, i - 1),
            volume=volume,
            as_of_us=us,
            provider=self.name,
            sequence=cell * market.steps + i + 1,
            session=session_at(us) if self.script.sessions else Session.REGULAR,
            open=dollars(before.open),
            high=dollars(max(before.high, path.highs[i], cents)),
            low=dollars(min(before.low, path.lows[i], cents)),
            previous_close=dollars(before.open),
            bid=dollars(max(1, cents - 1)),
            ask=dollars(cents + 1),
        )

    def _halt_tick(self, symbol: str, halt: Halt) -> Tick:
        """The last price before the halt, said again at its start; it comes between two numbered ticks."""
        start_us = microseconds(halt.start)
        tick = self._tick(symbol, *self._position(symbol, start_us - 1))
        return replace(tick, as_of_us=start_us, size=0, halted=True)

    def _halt_at(self, symbol: str, us: int) -> Halt | None:
        for halt in self.script.halts:
            if halt.symbol == symbol and microseconds(halt.start) <= us < microseconds(halt.end):
                return halt
        return None

    def _scripted(self, symbol: str, us: int, cents: int) -> int:
        for spike in self.script.spikes:
            over = spike.end is not None and microseconds(spike.end) <= us
            if spike.symbol == symbol and microseconds(spike.start) <= us and not over:
                cents = max(1, round(cents * spike.factor))
        return cents

    def _volume(self, total: int, cell: int, i: int) -> int:
        """Since midnight, of a day that ends with `total`."""
        steps = self._market.steps
        done = cell % CELLS_PER_DAY * steps + i
        return volume_at(total, done, CELLS_PER_DAY * steps, jitter=128) if done >= 0 else 0

    def _daily_bars(self, symbol: str, start: datetime, end: datetime) -> Iterator[Bar]:
        """Days that are over."""
        today = microseconds(self.now()) // DAY_US
        for number in range(-(-microseconds(start) // DAY_US), min(today, -(-microseconds(end) // DAY_US))):
            day = from_us(number * DAY_US).date()
            if not self.script.sessions or market_hours.calendar().is_trading_day(day):
                yield self._daily_bar(symbol, number, day)

    def _daily_bar(self, symbol: str, number: int, day: date) -> Bar:
        first = number * CELLS_PER_DAY
        spans = [self._market.span(symbol, cell) for cell in range(first, first + CELLS_PER_DAY)]
        return Bar(
            symbol=symbol,
            start=midnight(day),
            open=dollars(spans[0].open),
            high=dollars(max(span.high for span in spans)),
            low=dollars(min(span.low for span in spans)),
            close=dollars(spans[-1].close),
            volume=self._market.volume_of_day(symbol, number),
        )

    def _minute_bars(self, symbol: str, start: datetime, end: datetime) -> Iterator[Bar]:
        """Up to the running minute; without what a script does to the prices."""
        start_us, end_us = -(-microseconds(start) // MINUTE_US) * MINUTE_US, microseconds(end)
        now_us = microseconds(self.now())
        for cell in range(start_us // CELL_US, -(-end_us // CELL_US)):
            path = self._market.walked(symbol, cell)
            total = self._market.volume_of_day(symbol, cell // CELLS_PER_DAY)
            for us in range(max(start_us, path.start_us), min(path.end_us, end_us), MINUTE_US):
                last = path.index_at(min(us + MINUTE_US - 1, now_us))
                slots = range(path.index_at(us - 1) + 1, last + 1)
                if slots and not (self.script.sessions and session_at(us) is Session.CLOSED):
                    volume = self._volume(total, cell, last) - self._volume(total, cell, slots.start - 1)
                    yield _minute_bar(symbol, us, path.prices[slots.start : slots.stop], volume)


def _minute_bar(symbol: str, us: int, prices: Sequence[int], volume: int) -> Bar:
    return Bar(
        symbol=symbol,
        start=from_us(us),
        open=dollars(prices[0]),
        high=dollars(max(prices)),
        low=dollars(min(prices)),
        close=dollars(prices[-1]),
        volume=volume,
    )


@lru_cache(maxsize=20_000)
def is_canonical(symbol: str) -> bool:
    try:
        return canonical(symbol) == symbol
    except InvalidSymbol:
        return False


def from_settings() -> Simulator:
    return Simulator(seed=settings.SIMULATOR_SEED)
