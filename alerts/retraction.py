"""A trade that fired an alert is taken back afterwards: the evidence says so, and whoever was told is told again.

A fire is never undone: it did happen. Who acted on it must know that its reason is gone.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import Q

from alerts import evidence
from alerts.conditions import beyond, moment
from alerts.models import Notification, NotificationKind, Outbox, Trigger
from alerts.wording import retraction_words
from core import clock
from marketdata.quotes import Correction, price_text

# Exchanges take trades back within the day; vendors tell it the next morning at the latest.
LATEST = timedelta(days=3)


def retract(correction: Correction) -> list[Notification]:
    """Every fire of that trade, once; inside a transaction. Returns the retractions that were written."""
    told = []
    for trigger in _fired_by(correction):
        found = _retract(trigger, correction)
        if found is not None:
            told.append(found)
    return told


def _fired_by(correction: Correction) -> list[Trigger]:
    """By the trade's id, or where there is none by its time and price."""
    same = Q(exchange_at=moment(correction.as_of_us))
    if correction.was is not None:
        same &= Q(price=correction.was)
    if correction.trade_id:
        same = Q(trade_id=correction.trade_id)
    found = Trigger.objects.filter(
        same,
        alert__ticker__symbol=correction.symbol,
        provider=correction.provider,
        retraction="",
        committed_at__gt=clock.now() - LATEST,
    )
    return list(found.select_related("alert").order_by("pk"))


def _retract(trigger: Trigger, correction: Correction) -> Notification | None:
    """A trade that was beyond the level at its right price as well is only noted."""
    if correction.price is None:
        reason = f"The trade at {price_text(trigger.price or correction.was)} was cancelled."  # type: ignore[arg-type]
    else:
        reason = f"The trade was corrected to {price_text(correction.price)}."
    stands = correction.price is not None and trigger.tick is not None and _still(trigger, correction)
    now = None if stands else clock.now()
    if not Trigger.objects.filter(pk=trigger.pk, retraction="").update(retraction=reason, retracted_at=now):
        return None
    return None if now is None else tell(trigger, correction.symbol, reason)


def _still(trigger: Trigger, correction: Correction) -> bool:
    """Evidence that another version has written, and that cannot be evaluated again, bears nothing out."""
    assert trigger.tick is not None
    try:
        rule = evidence.rule_of(trigger.rule)
        value = evidence.value_of(rule, {**trigger.tick, "price": str(correction.price)}, trigger.extra)
        return value is not None and beyond(rule, value)
    except (KeyError, ValueError, TypeError, ArithmeticError):
        return False


@transaction.atomic
def tell(trigger: Trigger, symbol: str, reason: str) -> Notification:
    """The short message about one retracted fire."""
    title, body = retraction_words(symbol, reason)
    now = clock.now()
    told = Notification.objects.create(
        user_id=trigger.alert.user_id, trigger=trigger, kind=NotificationKind.RETRACTION.value,
        priority=trigger.alert.priority, category=trigger.alert.category, title=title, body=body, symbol=symbol,
        current_price=trigger.price, scheduled_at=now, created_at=now,
    )  # fmt: skip
    Outbox.objects.create(notification=told, priority=told.priority, due_at=now)
    return told


@transaction.atomic
def by_hand(trigger: Trigger, symbol: str, reason: str) -> Notification | None:
    """An operator has found out; None where it is retracted, or corrected, already."""
    now = clock.now()
    mine = Trigger.objects.filter(pk=trigger.pk, retraction="")
    return tell(trigger, symbol, reason) if mine.update(retraction=reason, retracted_at=now) else None
