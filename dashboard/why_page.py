"""Why did I get this? One notification with the rule as it was, the trades that decided, and each step's time.

All of it comes from what was kept when the alert fired; nothing is worked out again but whether it fires again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import cached_property
from typing import Any

from accounts.models import User
from alerts import evidence
from alerts.kinds import Rule
from alerts.models import Delivery, DeliveryState, Notification, Source, Trigger
from alerts.wording import describe
from dashboard import formats
from dashboard.inbox_page import category_of, urgency_of
from dashboard.moments import clock_words, day_words, delay_words, exact_words, moment_words, of_us, zone_of
from dashboard.rows import source_label

# Badge and icon of each state of a delivery.
LOOKS = {
    DeliveryState.QUEUED: ("", "hourglass"),
    DeliveryState.SENT: ("gain", "check"),
    DeliveryState.FAILED_OVER: ("warn", "send"),
    DeliveryState.DIGESTED: ("", "list"),
    DeliveryState.SKIPPED: ("", "close"),
    DeliveryState.DEAD: ("danger", "warning"),
}
FOUND_BY = {
    Source.TICK: "",
    Source.GAP: "It was the first trade after a gap in the feed: prices in between were not seen.",
    Source.SWEEP: "It was found in a minute bar by the safety sweep, not on the trade itself.",
    Source.CLOCK: "It was found by the clock: nothing was heard for too long.",
}


@dataclass(frozen=True, slots=True)
class TickLine:
    """One kept trade. `replayed`: the exchange's time is the wall clock's, its day is not."""

    name: str
    price: str
    at: str
    received: str
    source: str
    session: str
    volume: str
    trade_id: str


@dataclass(frozen=True, slots=True)
class StepLine:
    """One moment on the way from the exchange to the reader, and how long after the one before."""

    name: str
    at: str
    after: str


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    channel: str
    label: str
    state: str
    look: str
    icon: str
    attempts: int
    when: str
    error: str


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether what was kept bears the fire out; None: there is nothing that could be evaluated."""

    reproduces: bool | None

    @classmethod
    def of(cls, trigger: Trigger) -> Proof:
        try:
            rule = evidence.rule_of(trigger.rule)
            found = evidence.reproduces(
                rule, trigger.armed_price, trigger.before, trigger.tick, trigger.extra
            )
        except (KeyError, ValueError, TypeError, ArithmeticError):
            # What an older version kept may lack what today's needs; the page says so.
            return cls(None)
        return cls(found)


@dataclass(frozen=True)
class WhyView:
    note: Notification
    zone: tzinfo
    zone_name: str
    now: datetime
    deliveries: list[DeliveryLine]
    steps: list[StepLine]

    @classmethod
    def of(cls, note: Notification, user: User, now: datetime) -> WhyView:
        zone = zone_of(user.time_zone)
        rows = list(note.deliveries.select_related("channel").order_by("pk"))
        return cls(
            note=note,
            zone=zone,
            zone_name=user.time_zone.replace("_", " "),
            now=now,
            deliveries=[_delivery(row, now, zone) for row in rows],
            steps=list(_steps(note, rows, zone)),
        )

    @property
    def trigger(self) -> Trigger | None:
        return self.note.trigger

    @property
    def when(self) -> str:
        return moment_words(self.note.created_at, self.now, self.zone)

    @property
    def day(self) -> str:
        return day_words(self.note.created_at, self.now, self.zone)

    @property
    def category(self) -> str:
        return category_of(self.note)

    @property
    def urgency(self) -> str:
        return urgency_of(self.note.priority)

    @property
    def price(self) -> str:
        return formats.price(self.note.current_price) if self.note.current_price is not None else ""

    @cached_property
    def rule(self) -> Rule | None:
        """As it was; None where it cannot be read any more."""
        try:
            return evidence.rule_of(self.note.trigger.rule) if self.note.trigger else None
        except (KeyError, ValueError, TypeError, ArithmeticError):
            return None

    @property
    def sentence(self) -> str:
        return describe(self.rule) if self.rule else ""

    @property
    def has_changed(self) -> bool:
        return self.trigger is not None and self.trigger.alert.version != self.trigger.rule_version

    @property
    def is_alert_kept(self) -> bool:
        return self.trigger is not None and self.trigger.alert.deleted_at is None

    @property
    def found_by(self) -> str:
        return FOUND_BY[Source(self.trigger.source)] if self.trigger else ""

    @property
    def armed(self) -> str:
        if self.trigger is None:
            return ""
        since = moment_words(self.trigger.armed_at, self.now, self.zone)
        price = self.trigger.armed_price
        return f"{since}, at {formats.price(price)}" if price is not None else since

    @cached_property
    def proof(self) -> Proof | None:
        return Proof.of(self.trigger) if self.trigger else None

    @property
    def is_replay(self) -> bool:
        return bool(self.trigger and self.trigger.tick and self.trigger.tick.get("replay"))

    @property
    def ticks(self) -> list[TickLine]:
        if self.trigger is None:
            return []
        kept = (("Tick before", self.trigger.before), ("Tick that fired", self.trigger.tick))
        return [_tick(name, tick, self.zone) for name, tick in kept if tick]

    @property
    def extras(self) -> list[tuple[str, str]]:
        """What else was decided by, such as the old high."""
        kept = self.trigger.extra if self.trigger else {}
        return [
            (EXTRA_NAMES[name], _extra(name, value))
            for name, value in kept.items()
            if name in EXTRA_NAMES and value is not None
        ]

    @property
    def retracted(self) -> str:
        if self.trigger is None or self.trigger.retracted_at is None:
            return ""
        return moment_words(self.trigger.retracted_at, self.now, self.zone)


EXTRA_NAMES = {
    "from_price": "Price it moved from",
    "high_52w": "52-week high until then",
    "low_52w": "52-week low until then",
    "average_volume": "Average volume of 20 days",
    "silent_s": "Silence, seconds",
    "low": "Low of the minute",
    "high": "High of the minute",
}


def _extra(name: str, value: Any) -> str:
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        return str(value)
    return f"{number:,.0f}" if name in ("average_volume", "silent_s") else formats.price(number)


def _tick(name: str, tick: dict[str, Any], zone: tzinfo) -> TickLine:
    return TickLine(
        name=name,
        price=formats.price(Decimal(str(tick["price"]))),
        at=exact_words(of_us(tick["as_of"]), zone),
        received=exact_words(of_us(tick["received"]), zone),
        source=source_label(tick.get("provider", "")),
        session=tick.get("session", ""),
        volume=formats.volume(tick.get("volume")),
        trade_id=tick.get("trade_id") or formats.NOTHING,
    )


def _steps(note: Notification, rows: list[Delivery], zone: tzinfo) -> Iterator[StepLine]:
    """Each with its delay after the one before; each channel's after the commit."""
    before: datetime | None = None
    for name, at in _moments(note):
        if at is not None:
            yield StepLine(
                name, exact_words(at, zone), "+" + delay_words(at - before) if before is not None else ""
            )
            before = at
    for row in rows:
        if row.sent_at is not None and before is not None:
            after = "+" + delay_words(row.sent_at - before)
            yield StepLine(f"Sent to {row.channel.name}", exact_words(row.sent_at, zone), after)


def _moments(note: Notification) -> list[tuple[str, datetime | None]]:
    trigger = note.trigger
    if trigger is None or note.kind != "alert":
        return [("Written", note.created_at)]
    return [
        ("Traded at the exchange", trigger.exchange_at),
        ("Received by us", trigger.received_at),
        ("Evaluated", trigger.evaluated_at),
        ("Committed, in your inbox", trigger.committed_at),
    ]


def _delivery(row: Delivery, now: datetime, zone: tzinfo) -> DeliveryLine:
    state = DeliveryState(row.state)
    look, icon = LOOKS[state]
    return DeliveryLine(
        channel=row.channel.name,
        label=row.channel.label,
        state=str(state.label),
        look=look,
        icon=icon,
        attempts=row.attempts,
        when=_delivery_time(row, state, now, zone),
        error=row.last_error if state is not DeliveryState.SENT else "",
    )


def _delivery_time(row: Delivery, state: DeliveryState, now: datetime, zone: tzinfo) -> str:
    if row.sent_at is not None:
        return f"{day_words(row.sent_at, now, zone)}, {exact_words(row.sent_at, zone)}"
    if state is DeliveryState.QUEUED:
        due = "at once" if row.next_attempt_at <= now else clock_words(row.next_attempt_at, zone)
        return f"next attempt {due}"
    return ""
