"""All that the page of one ticker shows, gathered once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from accounts.models import User
from dashboard import formats
from dashboard.phases import payload_of
from dashboard.rows import Age, WatchRow, age_of, row_of
from dashboard.ticker_alerts import TickerAlerts
from dashboard.ticker_history import TickerPast
from dashboard.ticker_tabs import Part, Tab, TabWish, part_of
from marketdata.lookup import stored_quotes
from marketdata.models import Ticker
from marketdata.payload import quote_payload
from marketdata.quotes import NoQuote, Quote
from subscriptions.models import Subscription

FEEDS = {
    "replay": "Real daily bars of 2000 to 2013, walked as ticks inside each day's open, high, low and close.",
    "simulator": "A made-up price: no provider with a real one is connected for this ticker.",
}


RANGES = ("1D", "1W", "1M", "3M", "1Y", "5Y")
OVERVIEW = TabWish()


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure of the strip; `parts` are (name in the script, text), two of them for a range."""

    label: str
    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TickerView:
    ticker: Ticker
    row: WatchRow
    age: Age
    watching: bool
    watchers: int
    past: TickerPast
    payload: dict[str, Any]
    alerts: TickerAlerts | None
    """None: nobody is logged in, or another tab is open."""
    tabs: list[Tab]
    tab: str
    """Empty: the overview."""
    part: Part | None
    """What the open tab shows; None: the overview."""
    ranges: tuple[str, ...] = RANGES

    @classmethod
    def of(cls, ticker: Ticker, user: User | None, now: datetime, wish: TabWish = OVERVIEW) -> TickerView:
        outcome = stored_quotes([ticker.symbol])[ticker.symbol]
        row = row_of(ticker, outcome, now)
        row = row.with_own_decimals()
        active = Subscription.objects.active(now).filter(ticker=ticker)
        return cls(
            ticker=ticker,
            row=row,
            age=age_of([row], now),
            watching=user is not None and active.lasting().filter(user=user).exists(),
            watchers=active.count(),
            past=_past(ticker, outcome, now),
            alerts=TickerAlerts.of(ticker, outcome, user, now) if user and not wish.tab else None,
            tabs=wish.tabs(ticker),
            tab=wish.tab,
            part=part_of(wish, ticker, user, now),
            payload={
                "now": round(now.timestamp() * 1000),
                "phases": payload_of(now),
                "quotes": [quote_payload(outcome)],
            },
        )

    @property
    def facts(self) -> list[Fact]:
        def part(name: str, field: str) -> tuple[str, str]:
            value = getattr(self.row.quote, field) if self.row.quote else None
            return name, formats.price(value, self.row.decimals)

        return [
            Fact("Bid", (part("bid", "bid"),)),
            Fact("Ask", (part("ask", "ask"),)),
            Fact("Open", (part("open", "open"),)),
            Fact("Previous close", (part("previous", "previous_close"),)),
            Fact("Day", (part("low", "low"), part("high", "high"))),
            Fact("Volume", (("volume", self.row.volume),)),
        ]

    @property
    def feed(self) -> str:
        return FEEDS.get(self.row.group, "")

    @property
    def summary(self) -> str:
        """One sentence for everybody, and for those who do not see the chart."""
        quote = self.row.quote
        if quote is None or quote.previous_close is None:
            return f"{self.ticker.symbol} has no price yet."
        now, before = (formats.price(one, self.row.decimals) for one in (quote.price, quote.previous_close))
        move = formats.direction(quote.change)
        if move == "flat":
            return f"{self.ticker.symbol} is unchanged today at {now}."
        percent = formats.percent(abs(quote.change_percent or Decimal(0))).removeprefix("+")
        verb = "rose" if move == "up" else "fell"
        return f"{self.ticker.symbol} {verb} {percent} today, from {before} to {now}."


def _past(ticker: Ticker, outcome: Quote | NoQuote, now: datetime) -> TickerPast:
    replayed = outcome.replay_date if isinstance(outcome, Quote) else None
    return TickerPast.of(ticker, replayed or now.date(), replayed=replayed is not None)
