"""A watchlist row and the age of a table, from quotes and plain values: what the templates print.

`static/js/age.js` says the same words once the page is alive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from django.utils.safestring import SafeString

from dashboard import formats
from dashboard.phases import phase_at
from marketdata.freshness import Market, market_from, provider_named
from marketdata.models import Ticker
from marketdata.quotes import NoQuote, Quote, Reason, Session

SOURCE_LABELS = {"replay": "Replay", "simulator": "Simulated"}
# The word of each reason, after "Stale 40 s," or in place of a price.
REASONS = {
    Reason.NOT_FOUND: "Not found",
    Reason.RATE_LIMITED: "Rate-limited",
    Reason.PLAN_LOCKED: "Not in our data plan",
    Reason.PROVIDER_DOWN: "Provider down",
    Reason.HALTED: "Halted",
    Reason.NO_DATA_YET: "No price yet",
}


@dataclass(frozen=True, slots=True)
class Column:
    """`key` is the cell's class and, where the column can be sorted, its sort key."""

    key: str
    label: str
    num: bool = False
    sorts: bool = True


COLUMNS = (
    Column("ticker", "Ticker"),
    Column("last", "Last, USD", num=True),
    Column("change", "Change", num=True),
    Column("percent", "%", num=True),
    Column("today", "Today", sorts=False),
    Column("volume", "Volume", num=True),
    Column("source", "Source"),
    Column("age", "Age", num=True),
)


def source_label(provider: str) -> str:
    return SOURCE_LABELS.get(provider, provider.replace("_", " ").capitalize())


@dataclass(frozen=True, slots=True)
class WatchRow:
    """One ticker as the table shows it. `state` is one of ok, halted, stale, none, dormant."""

    symbol: str
    name: str
    state: str
    quote: Quote | None
    reason: Reason | None
    now: datetime
    asked_at: datetime | None = None
    decimals: int = 2
    spark: str = ""
    alerts: int = 0
    """Of the user who looks at it."""

    @property
    def group(self) -> str:
        """Rows are grouped by where their price comes from."""
        return self.quote.provider if self.quote else "none"

    @property
    def age_state(self) -> str:
        """The dot of its group's head."""
        return {"replay": "replay", "simulator": "simulated", "none": "none"}.get(self.group, "live")

    @property
    def source(self) -> str:
        return source_label(self.quote.provider) if self.quote else ""

    @property
    def direction(self) -> formats.Direction:
        return formats.direction(self.quote.change if self.quote else None, self.decimals)

    @property
    def price(self) -> str:
        return formats.price(self.quote.price if self.quote else None, self.decimals)

    @property
    def change(self) -> str:
        return formats.signed(self.quote.change if self.quote else None, self.decimals)

    @property
    def percent(self) -> str:
        return formats.percent(self.quote.change_percent if self.quote else None)

    @property
    def volume(self) -> str:
        return formats.volume(self.quote.volume if self.quote else None)

    @property
    def age(self) -> str:
        return formats.age(self.quote.age(self.now)) if self.quote else ""

    @property
    def badge(self) -> str:
        """What stands in place of source and age when the row differs from its table."""
        if self.state == "halted" and self.quote:
            return f"Halted {formats.clock_time(self.quote.as_of)}"
        if self.state == "stale":
            return f"Stale {self.age}"
        if self.state == "none":
            return self._missing()
        return ""

    @property
    def asked_ms(self) -> int:
        return round(self.asked_at.timestamp() * 1000) if self.asked_at else 0

    def with_own_decimals(self) -> WatchRow:
        return replace(self, decimals=formats.decimals_for([self.quote.price if self.quote else None]))

    def _missing(self) -> str:
        reason = self.reason or Reason.NO_DATA_YET
        if reason is not Reason.NO_DATA_YET or self.asked_at is None:
            return REASONS[reason]
        return f"{REASONS[reason]}, asked {formats.age(self.now - self.asked_at)} ago"


def row_of(
    ticker: Ticker, outcome: Quote | NoQuote, now: datetime, asked_at: datetime | None = None
) -> WatchRow:
    if isinstance(outcome, NoQuote):
        return WatchRow(ticker.symbol, ticker.name, "none", None, outcome.reason, now, asked_at)
    state = "stale" if outcome.stale else "halted" if outcome.halted else "ok"
    return WatchRow(ticker.symbol, ticker.name, state, outcome, outcome.reason, now, asked_at)


def table_of(
    rows: Iterable[WatchRow], sparks: Mapping[str, SafeString], alerts: Mapping[str, int] | None = None
) -> list[WatchRow]:
    """The rows grouped by source, in the given order within a group, prices with the same decimals."""
    alerts = alerts or {}
    rows = list(rows)
    decimals = formats.decimals_for(row.quote.price for row in rows if row.quote)
    rows.sort(key=lambda row: (_group_rank(row.group), row.group))
    return [
        replace(row, decimals=decimals, spark=sparks.get(row.symbol, ""), alerts=alerts.get(row.symbol, 0))
        for row in rows
    ]


def _group_rank(group: str) -> int:
    """Real prices first, then replayed, then made up, then none."""
    return {"replay": 1, "simulator": 2, "none": 3}.get(group, 0)


@dataclass(frozen=True, slots=True)
class Age:
    """The badge of one table or card: how old its prices are and what they are."""

    state: str
    words: str
    newest: str = ""
    notes: str = ""


def age_of(rows: Iterable[WatchRow], now: datetime) -> Age:
    rows = list(rows)
    quotes = [row.quote for row in rows if row.quote]
    if not quotes:
        return Age("none", "No price yet")
    newest = formats.age(now - max(quote.as_of for quote in quotes))
    if all(quote.stale for quote in quotes):
        return Age("stale", f"Stale {newest}", notes=_stale_because(quotes))
    main = min((quote for quote in quotes if not quote.stale), key=lambda quote: _group_rank(quote.provider))
    state, words, note = _kind(main, quotes, now)
    notes = [note] if note else []
    return Age(state, words, newest, ", ".join([*notes, *_exceptions(rows, main.provider)]))


def _kind(quote: Quote, quotes: Sequence[Quote], now: datetime) -> tuple[str, str, str]:
    """The state of the dot, the words beside it, and a note."""
    if quote.replay_date:
        return "replay", f"Replay of {formats.day(_usual_day(quotes))}", ""
    if quote.provider == "simulator":
        return "simulated", "Simulated", ""
    phase = phase_at(now) if _keeps_new_york_hours(quote) else None
    if phase and phase.words:
        return phase.state, phase.words, phase.note
    if quote.session == Session.CLOSED and not phase:
        return "closed", f"Closed since {formats.clock_time(quote.as_of)}", ""
    if quote.delayed_s:
        return "delayed", f"Delayed {quote.delayed_s // 60} min", ""
    return "live", "Live", ""


def _keeps_new_york_hours(quote: Quote) -> bool:
    return market_from(provider_named(quote.provider), quote.symbol) is Market.NEW_YORK


def _usual_day(quotes: Sequence[Quote]) -> date:
    days = Counter(quote.replay_date for quote in quotes if quote.replay_date)
    return max(days, key=lambda day: (days[day], day))


def _exceptions(rows: Sequence[WatchRow], main: str) -> list[str]:
    """What differs from the table's main source, as "4 of 8 simulated"."""
    found = []
    simulated = sum(row.group == "simulator" for row in rows)
    if main != "simulator" and simulated:
        found.append(f"{simulated} of {len(rows)} simulated")
    if stale := sum(row.state == "stale" for row in rows):
        found.append(f"{stale} of {len(rows)} stale")
    if missing := sum(row.state == "none" for row in rows):
        found.append(f"{missing} of {len(rows)} without a price")
    return found


def _stale_because(quotes: Sequence[Quote]) -> str:
    reasons = [quote.reason for quote in quotes if quote.reason]
    return REASONS[reasons[0]].lower() if reasons else ""
