"""What the page of one alert shows beside its form: the ticker's price, whom it tells, and what has fired before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo

from accounts.models import User
from alerts.kinds import Priority
from alerts.models import Alert, Channel, Notification, NotificationKind
from alerts.states import takes_a_place
from dashboard import formats
from dashboard.moments import moment_words
from dashboard.rows import row_of
from marketdata.lookup import stored_quotes
from marketdata.models import Ticker
from marketdata.quotes import Quote

HISTORY = 20


@dataclass(frozen=True, slots=True)
class TickerLine:
    """Name and price below the field of the ticker."""

    name: str
    price: str
    price_text: str
    """For the script: exact."""
    note: str

    @classmethod
    def of(cls, ticker: Ticker, quote: Quote | None, now: datetime) -> TickerLine:
        if quote is None:
            return cls(ticker.name, "", "", "No price yet")
        row = row_of(ticker, quote, now).with_own_decimals()
        return cls(ticker.name, f"{row.price} {ticker.currency}", str(quote.price), row.badge)


def quote_of(ticker: Ticker) -> Quote | None:
    found = stored_quotes([ticker.symbol])[ticker.symbol]
    return found if isinstance(found, Quote) else None


def places_words(user: User, now: datetime) -> str:
    in_use = Alert.objects.filter(takes_a_place(now), user=user).count()
    return f"{in_use} of {user.limits.max_alerts} alerts on {user.limits.label}"


def sent_to_words(channels: Iterable[Channel], priority: str) -> str:
    """Of an alert with this priority, by its word; those that are told of more urgent ones only are left out."""
    known = {one.name.lower(): one for one in Priority}
    level = known.get(priority, Priority.MEDIUM)
    return ", ".join(["In the app", *(one.name for one in channels if one.lowest_priority >= level)])


@dataclass(frozen=True, slots=True)
class HistoryLine:
    when: str
    words: str
    price: str
    note_id: int | None
    retracted: bool


def history_of(alert: Alert, now: datetime, zone: tzinfo) -> list[HistoryLine]:
    """The newest fires, each with the page that explains it."""
    triggers = list(alert.triggers.order_by("-pk")[:HISTORY])
    notes = dict(
        Notification.objects.filter(
            user=alert.user_id, trigger__in=triggers, kind=NotificationKind.ALERT
        ).values_list("trigger_id", "pk")
    )
    return [
        HistoryLine(
            when=moment_words(trigger.committed_at, now, zone),
            words=trigger.get_source_display() if trigger.source != "tick" else "",
            price=formats.price(trigger.price),
            note_id=notes.get(trigger.pk),
            retracted=trigger.retracted_at is not None,
        )
        for trigger in triggers
    ]
