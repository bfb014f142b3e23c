"""The inbox as its page shows it: notifications of 30 days, grouped by the reader's days, page after page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import groupby

from accounts.models import User
from alerts import inbox
from alerts.deliveries.base import CONFIRMATION
from alerts.kinds import Priority
from alerts.models import Notification, NotificationKind
from dashboard import formats
from dashboard.moments import clock_words, day_words, zone_of

PAGE = 30
# What an ordinary alert need not say of itself.
KINDS = {
    NotificationKind.RETRACTION: "Taken back",
    NotificationKind.SPLIT: "Split",
    NotificationKind.CHANNEL: "Channel",
    NotificationKind.TEST: "Test",
}


@dataclass(frozen=True, slots=True)
class InboxLine:
    """One notification."""

    note: Notification
    time: str

    @property
    def is_unread(self) -> bool:
        return self.note.read_at is None

    @property
    def tile(self) -> str:
        return self.note.symbol[:2]

    @property
    def kind(self) -> str:
        return KINDS.get(NotificationKind(self.note.kind), "")

    @property
    def category(self) -> str:
        return category_of(self.note)

    @property
    def urgency(self) -> str:
        """Only what is more urgent than usual is said."""
        return urgency_of(self.note.priority)

    @property
    def price(self) -> str:
        return formats.price(self.note.current_price) if self.note.current_price is not None else ""


def category_of(note: Notification) -> str:
    """A word of its reader; by that of a confirmation only Onetape itself finds it again."""
    is_internal = note.kind == NotificationKind.CHANNEL and note.category.startswith(f"{CONFIRMATION} ")
    return "" if is_internal else note.category


def urgency_of(priority: int) -> str:
    return Priority(priority).name.capitalize() if priority <= Priority.HIGH else ""


@dataclass(frozen=True, slots=True)
class InboxDay:
    label: str
    lines: list[InboxLine]


@dataclass(frozen=True, slots=True)
class InboxView:
    days: list[InboxDay]
    only_unread: bool
    older: int | None
    """From where the next page begins."""
    is_first: bool

    @classmethod
    def of(cls, user: User, now: datetime, *, only_unread: bool, before: int | None) -> InboxView:
        rows = inbox.of_user(user.pk)
        if only_unread:
            rows = rows.filter(read_at=None)
        if before is not None:
            rows = rows.filter(pk__lt=before)
        found = list(rows[: PAGE + 1])
        shown = found[:PAGE]
        return cls(
            days=list(_days(shown, now, zone_of(user.time_zone))),
            only_unread=only_unread,
            older=shown[-1].pk if len(found) > PAGE else None,
            is_first=before is None,
        )


def _days(rows: Iterable[Notification], now: datetime, zone: tzinfo) -> Iterable[InboxDay]:
    for label, notes in groupby(rows, key=lambda note: day_words(note.created_at, now, zone)):
        yield InboxDay(label, [InboxLine(note, clock_words(note.created_at, zone)) for note in notes])
