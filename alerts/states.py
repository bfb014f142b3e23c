"""What a reader is told of an alert: the one word for how it stands, and how far the price is from it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from django.db.models import F, Q

from alerts.kinds import CHANNELS, LEVELS, Mode, Phase
from alerts.models import Alert
from marketdata.quotes import NoQuote, Quote

STEP = Decimal("0.0001")


class State(StrEnum):
    ARMED = "armed"
    WAITING = "waiting"
    """For the price to come back."""
    FRESH = "fresh"
    """For its first tick."""
    PAUSED = "paused"
    SNOOZED = "snoozed"
    TRIGGERED = "triggered"
    """It fires once, and has."""
    EXPIRED = "expired"


PHASES = {Phase.FRESH: State.FRESH, Phase.ARMED: State.ARMED, Phase.WAITING: State.WAITING}


def is_done(alert: Alert) -> bool:
    """It fires once and has, since it was armed."""
    fired = alert.last_fired_at
    return alert.mode == Mode.ONCE.value and fired is not None and fired >= alert.armed_at


def is_expired(alert: Alert, now: datetime) -> bool:
    return alert.expires_at is not None and alert.expires_at <= now


def state_of(alert: Alert, now: datetime) -> State:
    if not alert.active and not alert.is_paused and is_done(alert):
        return State.TRIGGERED
    if is_expired(alert, now):
        return State.EXPIRED
    if alert.is_paused:
        return State.PAUSED
    if not alert.active:
        return State.TRIGGERED
    if alert.snoozed_until is not None and alert.snoozed_until > now:
        return State.SNOOZED
    return PHASES[Phase(alert.phase)]


def in_state(state: State, now: datetime) -> Q:
    """The same, asked of the database."""
    over = Q(expires_at__lte=now)
    off = Q(active=False, is_paused=False)
    done = off & Q(mode=Mode.ONCE.value, last_fired_at__gte=F("armed_at"))
    snoozed = Q(snoozed_until__gt=now)
    live = Q(active=True, is_paused=False) & ~over
    conditions = {
        State.TRIGGERED: done | (off & ~over),
        State.EXPIRED: over & ~done,
        State.PAUSED: Q(is_paused=True) & ~over,
        State.SNOOZED: live & snoozed,
    }
    phases = {state: live & ~snoozed & Q(phase=phase.value) for phase, state in PHASES.items()}
    return {**conditions, **phases}[state]


def has_place(alert: Alert, now: datetime) -> bool:
    """Whether it counts against the limit: neither done nor expired, nor deleted."""
    return (alert.active or alert.is_paused) and alert.deleted_at is None and not is_expired(alert, now)


def takes_a_place(now: datetime) -> Q:
    """The same, asked of the database."""
    return Q(deleted_at=None) & (Q(active=True) | Q(is_paused=True)) & ~Q(expires_at__lte=now)


def distance(alert: Alert, quote: Quote | NoQuote | None) -> Decimal | None:
    """By how many percent of itself the price has to rise (fall: below 0) to reach the nearest level.

    None where there is no price, or the kind looks at something else.
    """
    if not isinstance(quote, Quote):
        return None
    ways = [level - quote.price for level in _levels(alert)]
    if not ways:
        return None
    return (min(ways, key=abs) / quote.price * 100).quantize(STEP)


def _levels(alert: Alert) -> list[Decimal]:
    if alert.kind in LEVELS and alert.threshold is not None:
        return [alert.threshold]
    if alert.kind in CHANNELS and alert.lower is not None and alert.upper is not None:
        return [alert.lower, alert.upper]
    return []
