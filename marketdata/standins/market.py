"""The market that stand-ins sell: a few instruments with fixed figures, which a test may change.

Everything is plain numbers, in no vendor's shape; each stand-in writes them as its vendor does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from core import clock
from marketdata.company import EarningsCall, Fundamentals, News
from marketdata.quotes import Action, ActionKind, Bar
from marketdata.standins import companies


@dataclass(frozen=True, slots=True)
class Listed:
    """One instrument as the market sees it now; prices in `currency`, times in UTC."""

    symbol: str
    name: str
    price: Decimal
    previous_close: Decimal
    open: Decimal
    high: Decimal
    low: Decimal
    bid: Decimal
    ask: Decimal
    volume: int = 1_000_000
    currency: str = "USD"
    exchange: str = "NASDAQ"
    at: datetime | None = None
    """When the price was true; None is now."""


def _listed(symbol: str, name: str, price: str, previous: str, exchange: str = "NASDAQ") -> Listed:
    at, before = Decimal(price), Decimal(previous)
    cent = Decimal("0.01") if at > 10 else Decimal("0.0001")
    return Listed(
        symbol, name, at, before, before + cent, max(at, before) + 2 * cent, min(at, before) - 2 * cent,
        at - cent, at + cent, exchange=exchange,
    )  # fmt: skip


def _defaults() -> dict[str, Listed]:
    rows = [
        _listed("AAPL", "Apple Inc.", "189.34", "187.15"),
        _listed("MSFT", "Microsoft Corporation", "412.65", "415.10"),
        _listed("IBM", "International Business Machines", "171.02", "170.40", "NYSE"),
        _listed("BRK.B", "Berkshire Hathaway Inc. Class B", "402.11", "399.87", "NYSE"),
        _listed("SPY", "SPDR S&P 500 ETF Trust", "502.88", "500.12", "NYSE"),
        _listed("BTC-USD", "Bitcoin", "64250.55", "63900.10", "CRYPTO"),
        _listed("EURUSD=X", "Euro to US Dollar", "1.0842", "1.0815", "FX"),
    ]
    return {row.symbol: row for row in rows}


@dataclass
class Market:
    """Instruments by canonical symbol, their bars and actions; days of bars are those of the calendar, weekends out."""

    listed: dict[str, Listed] = field(default_factory=_defaults)
    actions: list[Action] = field(
        default_factory=lambda: [
            Action("AAPL", ActionKind.SPLIT, date(2020, 8, 31), split_from=Decimal(1), split_to=Decimal(4)),
            Action(
                "AAPL",
                ActionKind.DIVIDEND,
                date(2024, 2, 9),
                amount=Decimal("0.24"),
                declared_date=date(2024, 2, 1),
                record_date=date(2024, 2, 12),
                pay_date=date(2024, 2, 15),
            ),
        ]
    )

    news: list[News] = field(default_factory=companies.articles)
    calls: list[EarningsCall] = field(default_factory=companies.calls)
    figures: dict[str, Fundamentals] = field(default_factory=companies.figures)

    def get(self, symbol: str) -> Listed | None:
        """As it stands now, dated now unless a test has dated it."""
        found = self.listed.get(symbol)
        return replace(found, at=found.at or clock.now()) if found else None

    def put(self, symbol: str, **changes: Any) -> Listed:
        """Change an instrument; prices may be given as text."""
        prices = {"price", "previous_close", "open", "high", "low", "bid", "ask"}
        typed: dict[str, Any] = {
            name: Decimal(value) if name in prices else value for name, value in changes.items()
        }
        self.listed[symbol] = replace(self.listed[symbol], **typed)
        return self.listed[symbol]

    def bars(self, symbol: str, start: datetime, end: datetime, step: timedelta) -> Iterator[Bar]:
        """A bar for each step with start <= its start < end, weekends out.

        A bar is the same whatever range it is asked in.
        """
        moment = EPOCH + -(-(start - EPOCH) // step) * step
        price = self.listed[symbol].price
        while moment < end:
            if moment.isoweekday() <= 5:
                number = (moment - EPOCH) // step
                close = price + Decimal(number % 50) / 100
                yield Bar(symbol, moment, price, close + 1, price - 1, close, 1_000 + number % 1_000)
            moment += step

    def news_of(self, symbol: str, since: datetime) -> list[News]:
        """Newest first."""
        found = (one for one in self.news if symbol in one.symbols and one.published_at >= since)
        return sorted(found, key=lambda one: one.published_at, reverse=True)

    def calls_of(self, symbol: str) -> list[EarningsCall]:
        """Newest first."""
        found = (one for one in self.calls if one.symbol == symbol)
        return sorted(found, key=lambda one: (one.year, one.quarter), reverse=True)

    def actions_of(self, symbol: str, start: date, end: date) -> list[Action]:
        """With start <= ex-date < end, oldest first."""
        found = (one for one in self.actions if one.symbol == symbol and start <= one.ex_date < end)
        return sorted(found, key=lambda one: one.ex_date)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
