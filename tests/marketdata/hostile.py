"""A tape full of lies: real trades, and between them every kind of tick that must not be shown."""

from __future__ import annotations

from decimal import Decimal
from itertools import count

from marketdata.quotes import Correction, StreamEvent, Tick

DAY_US = 86_400_000_000
FUTURE_US = 3_600_000_000

LIES = ("NaN", "Infinity", "0", "-5", "x100", "/100", "future", "yesterday", "again", "late", "cancelled")


class HostileTape:
    """`play` returns the events of one step, in order; `real` are the trades that are true."""

    def __init__(
        self,
        symbol: str,
        provider: str,
        *,
        at_us: int,
        step_us: int,
        price: str,
        now_us: int,
        previous_close: Decimal | None = None,
    ) -> None:
        self.symbol, self.provider = symbol, provider
        self.at_us, self.step_us, self.now_us = at_us, step_us, now_us
        self.price = Decimal(price)
        self.previous_close = previous_close
        self.real: list[Tick] = []
        self._numbers = count(1)

    def play(self, what: str) -> list[StreamEvent]:
        if what == "real":
            self.at_us += self.step_us
            self.real.append(self._tick(self.price))
            return [self.real[-1]]
        return self._lie(what)

    def _lie(self, what: str) -> list[StreamEvent]:
        if what == "again":
            return [self.real[-1]]
        if what == "cancelled":  # the cancel overtakes its trade
            trade = self._tick(self.price * Decimal("1.1"), at_us=self._between())
            return [Correction(self.symbol, self.provider, trade.as_of_us, trade_id=trade.trade_id), trade]
        moments = {
            "future": self.now_us + FUTURE_US,
            "yesterday": self.at_us - DAY_US,
            "late": self.real[-1].as_of_us - 1,
        }
        if what in moments:
            return [self._tick(self.price + 1, at_us=moments[what])]
        prices = {"x100": self.price * 100, "/100": self.price / 100}
        return [self._tick(prices[what] if what in prices else Decimal(what), at_us=self._between())]

    def _between(self) -> int:
        self.at_us += 1
        return self.at_us

    def _tick(self, price: Decimal, *, at_us: int | None = None) -> Tick:
        moment = self.at_us if at_us is None else at_us
        return Tick(
            self.symbol,
            price,
            10,
            1000,
            moment,
            self.provider,
            trade_id=str(next(self._numbers)),
            previous_close=self.previous_close,
        )
