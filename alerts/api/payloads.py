"""The JSON shapes of alerts, of their fires and of back-tests: words as words, prices as text, times ending in Z."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from alerts import evidence
from alerts.backtest import Result
from alerts.backtesting import NoBars
from alerts.conditions import moment
from alerts.kinds import Kind, Priority
from alerts.models import Alert, Trigger
from alerts.states import distance, state_of
from alerts.wording import describe, number
from marketdata.lookup import stored_quotes
from marketdata.payload import time_text
from marketdata.quotes import NoQuote, Quote, price_text

# What `alert_payloads` tells besides what a client may write; sent back, it changes nothing.
ALERT_READ_ONLY = (
    "id", "reference_price", "snoozed_until", "state", "summary", "price", "distance_percent", "version", "fires",
    "last_fired_at", "armed_at", "edited_at", "created_at",
)  # fmt: skip
# Of a back-test; all of them are counted.
FIRES_TOLD = 500


def alert_payloads(rows: Iterable[Alert], now: datetime) -> list[dict[str, Any]]:
    """Each with the distance of the price that is known now; nobody is asked for it."""
    rows = list(rows)
    quotes = stored_quotes(row.ticker.symbol for row in rows)
    return [_alert(row, quotes[row.ticker.symbol], now) for row in rows]


def _alert(row: Alert, quote: Quote | NoQuote, now: datetime) -> dict[str, Any]:
    percent = distance(row, quote)
    return {
        "id": row.pk,
        "symbol": row.ticker.symbol,
        **_rule(row),
        "priority": Priority(row.priority).name.lower(),
        "category": row.category,
        "note": row.note,
        "snoozed_until": _time(row.snoozed_until),
        "state": state_of(row, now).value,
        "summary": describe(row.rule),
        "price": price_text(quote.price) if isinstance(quote, Quote) else None,
        "distance_percent": None if percent is None else number(percent),
        "version": row.version,
        "fires": row.fire_seq,
        "last_fired_at": _time(row.last_fired_at),
        "armed_at": time_text(row.armed_at),
        "edited_at": time_text(row.edited_at),
        "created_at": time_text(row.created_at),
    }


def _rule(row: Alert) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "threshold": _level(row.kind, row.threshold),
        "threshold_percent": _number(row.threshold_percent),
        "reference_price": _price(row.reference_price),
        "lower": _price(row.lower),
        "upper": _price(row.upper),
        "window_s": row.window_s,
        "way": row.way if row.kind == Kind.MOVES else None,
        "stale_after_s": row.stale_after_s,
        "sessions": row.sessions,
        "mode": row.mode,
        "rearm_band": number(row.rearm_band),
        "cooldown_s": row.cooldown_s,
        "expires_at": _time(row.expires_at),
    }


def trigger_payload(row: Trigger) -> dict[str, Any]:
    """One fire with its whole evidence. Needs its notifications and their deliveries fetched."""
    return {
        "id": row.pk,
        "fire": row.fire_seq,
        "version": row.rule_version,
        "rule": row.rule,
        "reproduced": reproduced(row),
        "source": row.source,
        "price": _price(row.price),
        "provider": row.provider,
        "session": row.session,
        "trade_id": row.trade_id,
        "before": _tick(row.before),
        "tick": _tick(row.tick),
        "extra": row.extra,
        "armed_price": _price(row.armed_price),
        "armed_at": time_text(row.armed_at),
        "local_day": row.local_day.isoformat() if row.local_day else None,
        "exchange_at": _time(row.exchange_at),
        "received_at": _time(row.received_at),
        "evaluated_at": time_text(row.evaluated_at),
        "committed_at": time_text(row.committed_at),
        "retracted_at": _time(row.retracted_at),
        "retraction": row.retraction,
        "notifications": [_notification(one) for one in row.notifications.all()],
    }


def _notification(row: Any) -> dict[str, Any]:
    deliveries = [
        {
            "channel": one.channel_id,
            "state": one.state,
            "attempts": one.attempts,
            "sent_at": _time(one.sent_at),
        }
        for one in row.deliveries.all()
    ]
    return {"id": row.pk, "kind": row.kind, "deliveries": deliveries}


def reproduced(row: Trigger) -> bool | None:
    """Whether the rule as it was, evaluated once more on what was kept, fires; None: it cannot be evaluated."""
    try:
        rule = evidence.rule_of(row.rule)
        return evidence.reproduces(rule, row.armed_price, row.before, row.tick, row.extra)
    except (KeyError, ValueError, TypeError, ArithmeticError):
        # What an older version kept may lack what today's evaluation needs.
        return None


def _tick(kept: dict[str, Any] | None) -> dict[str, Any] | None:
    """Its times are kept in microseconds, and told so fine."""
    if kept is None:
        return None
    told = {name: value for name, value in kept.items() if name not in ("as_of", "received")}
    return {**told, "as_of": _exact(kept.get("as_of")), "received_at": _exact(kept.get("received"))}


def _exact(microseconds: int | None) -> str | None:
    if microseconds is None:
        return None
    return moment(microseconds).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def backtest_payload(found: Result | NoBars) -> dict[str, Any]:
    if isinstance(found, NoBars):
        return {"source": None, "reason": found.why.value, "count": None, "fires": []}
    advice = found.advice
    return {
        "source": found.source.value,
        "reason": None,
        "count": len(found.fires),
        "days": found.days,
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        "per_day": f"{found.per_day:.4f}",
        "counted_as": found.counted_as.value,
        "with_band": [
            {"rearm_band": number(band), "count": count} for band, count in found.fires_with_band.items()
        ],
        "advice": {
            "warning": advice.warning,
            "rearm_band": None if advice.band is None else number(advice.band),
            "count": advice.fires,
        },
        "fires": [
            {"at": time_text(fire.at), "price": price_text(fire.price)} for fire in found.fires[-FIRES_TOLD:]
        ],
    }


def _level(kind: str, value: Decimal | None) -> str | None:
    """Percent and factors are no prices."""
    return _number(value) if kind in (Kind.MOVES, Kind.VOLUME) else _price(value)


def _price(value: Decimal | None) -> str | None:
    return None if value is None else price_text(value)


def _number(value: Decimal | None) -> str | None:
    return None if value is None else number(value)


def _time(value: datetime | None) -> str | None:
    return None if value is None else time_text(value)
