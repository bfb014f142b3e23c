"""The list of a user's alerts as the page asks for it: narrowed, sorted, one page after the other.

A plan allows a few hundred at most, so all are read at once: how far each is from firing is known by its price alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from accounts.models import User
from alerts.models import Alert, Channel, ChannelState
from alerts.states import State
from dashboard.alert_rows import AlertRow, rows_of
from dashboard.moments import zone_of
from marketdata.lookup import stored_quotes

PAGE = 25
FAR = Decimal(10**9)
# What the buttons above the list say, and the states that they show.
FILTERS: dict[str, tuple[str, frozenset[State]]] = {
    "": ("All", frozenset(State)),
    "armed": ("Armed", frozenset({State.ARMED, State.FRESH})),
    "fired": ("Fired", frozenset({State.WAITING, State.TRIGGERED})),
    "snoozed": ("Snoozed", frozenset({State.SNOOZED})),
    "paused": ("Paused", frozenset({State.PAUSED})),
    "expired": ("Expired", frozenset({State.EXPIRED})),
}
SORTS: dict[str, Callable[[AlertRow], Any]] = {
    "ticker": lambda row: row.symbol,
    "rule": lambda row: row.condition,
    "distance": lambda row: abs(row.distance) if row.distance is not None else FAR,
    "state": lambda row: row.state_words,
    "fired": lambda row: row.alert.last_fired_at.timestamp() if row.alert.last_fired_at else 0,
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A link of the filter."""

    label: str
    count: int
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Head:
    """One sortable head of the table."""

    key: str
    label: str
    url: str
    order: str
    num: bool = False


@dataclass(frozen=True, slots=True)
class AlertList:
    rows: list[AlertRow]
    total: int
    """However narrowed."""
    in_use: int
    limit: int
    tier: str
    filters: list[Choice]
    heads: list[Head]
    symbols: list[str]
    symbol: str
    hidden: dict[str, str]
    """What a form that narrows by ticker has to keep."""
    page: int
    pages: int
    before: str
    after: str

    @property
    def is_full(self) -> bool:
        return self.in_use >= self.limit


@dataclass(frozen=True, slots=True)
class Wish:
    """What the address asks for; what it cannot mean counts as not said."""

    state: str = ""
    symbol: str = ""
    sort: str = ""
    down: bool = False
    page: int = 1

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Wish:
        state, sort, page = given.get("state", ""), given.get("sort", ""), given.get("page", "")
        key = sort.removeprefix("-")
        return cls(
            state=state if state in FILTERS else "",
            symbol=given.get("ticker", "").strip().upper()[:20],
            sort=key if key in SORTS else "",
            down=sort.startswith("-"),
            page=max(int(page), 1) if page.isascii() and page.isdigit() and len(page) < 6 else 1,
        )

    def url(self, **changed: Any) -> str:
        values = {
            "state": self.state,
            "ticker": self.symbol,
            "sort": f"-{self.sort}" if self.down and self.sort else self.sort,
            **changed,
        }
        return "?" + urlencode({name: value for name, value in values.items() if value})


def list_of(user: User, wish: Wish, now: datetime) -> AlertList:
    rows = _all_rows(user, now)
    of_symbol = [row for row in rows if not wish.symbol or row.symbol == wish.symbol]
    states = FILTERS[wish.state][1]
    found = [row for row in of_symbol if row.state in states]
    if wish.sort:
        found.sort(key=SORTS[wish.sort], reverse=wish.down)
    pages = max((len(found) + PAGE - 1) // PAGE, 1)
    page = min(wish.page, pages)
    return AlertList(
        rows=found[(page - 1) * PAGE : page * PAGE],
        total=len(rows),
        in_use=sum(row.state not in (State.TRIGGERED, State.EXPIRED) for row in rows),
        limit=user.limits.max_alerts,
        tier=user.limits.label,
        filters=_filters(of_symbol, wish),
        heads=[_head(key, label, wish, num=num) for key, label, num in HEADS],
        symbols=sorted({row.symbol for row in rows}),
        symbol=wish.symbol,
        hidden={name: value for name, value in (("state", wish.state), ("sort", wish.sort)) if value},
        page=page,
        pages=pages,
        before=wish.url(page=page - 1) if page > 1 else "",
        after=wish.url(page=page + 1) if page < pages else "",
    )


HEADS = (
    ("ticker", "Ticker", False),
    ("rule", "Rule", False),
    ("now", "Now", True),
    ("distance", "Distance", True),
    ("state", "State", False),
    ("fired", "Last fired", False),
    ("sent", "Sent to", False),
)


def _all_rows(user: User, now: datetime) -> list[AlertRow]:
    alerts = list(Alert.objects.filter(user=user, deleted_at=None).select_related("ticker").order_by("-pk"))
    for alert in alerts:
        alert.user = user
    quotes = stored_quotes({alert.ticker.symbol for alert in alerts})
    return rows_of(alerts, quotes, channels_of(user), now, zone_of(user.time_zone))


def channels_of(user: User) -> list[Channel]:
    """Those that would be told."""
    mute = [ChannelState.DISABLED, ChannelState.UNCONFIRMED]
    return list(Channel.objects.filter(user=user, is_enabled=True).exclude(state__in=mute).order_by("pk"))


def _filters(rows: list[AlertRow], wish: Wish) -> list[Choice]:
    """All, and each that would show something."""
    counts = Counter(row.state for row in rows)
    found = []
    for key, (label, states) in FILTERS.items():
        count = sum(counts[state] for state in states)
        if not key or count or key == wish.state:
            found.append(Choice(label, count, wish.url(state=key), current=key == wish.state))
    return found


def _head(key: str, label: str, wish: Wish, *, num: bool) -> Head:
    if key not in SORTS:
        return Head(key, label, "", "", num)
    current = wish.sort == key
    order = ("descending" if wish.down else "ascending") if current else ""
    # Up, down, and then the usual order again.
    following = {"": key, "ascending": f"-{key}", "descending": ""}[order]
    return Head(key, label, wish.url(sort=following), order, num)
