"""What is kept of a fire, and whether it bears the fire out. Pure.

Times are integer microseconds since 1970, prices text: a JSON column keeps both exactly.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from alerts.conditions import ZERO, beyond, counts_in, level_of
from alerts.kinds import Kind, Mode, Rule, Sessions, Way
from alerts.series import Reference, TickLike, against, moved

# Of the others a level says enough, or the value when it was armed is not the price.
NEED_THE_NEAR_SIDE = (Kind.CROSSES_ABOVE, Kind.CROSSES_BELOW, Kind.LEAVES_CHANNEL, Kind.ENTERS_CHANNEL)


def tick_json(tick: TickLike) -> dict[str, Any]:
    return {
        "price": str(tick.price), "as_of": tick.as_of_us, "received": tick.received_us, "provider": tick.provider,
        "session": tick.session, "volume": tick.volume, "trade_id": tick.trade_id, "replay": tick.replay,
        "delayed_s": tick.delayed_s,
    }  # fmt: skip


RULE = tuple(one.name for one in fields(Rule))


def rule_json(rule: Rule) -> dict[str, Any]:
    """What is not set is left out."""
    values = ((name, getattr(rule, name)) for name in RULE)
    return {name: _plain(value) for name, value in values if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return value.isoformat() if isinstance(value, datetime) else value


def rule_of(kept: dict[str, Any]) -> Rule:
    """The rule again; raises KeyError or ValueError for what `rule_json` did not write."""
    return Rule(
        kind=Kind(kept["kind"]),
        threshold=_decimal(kept.get("threshold")),
        lower=_decimal(kept.get("lower")),
        upper=_decimal(kept.get("upper")),
        window_s=kept.get("window_s"),
        way=Way(kept["way"]),
        stale_after_s=kept.get("stale_after_s"),
        sessions=Sessions(kept["sessions"]),
        mode=Mode(kept["mode"]),
        rearm_band=Decimal(kept["rearm_band"]),
        cooldown_s=kept["cooldown_s"],
        expires_at=_moment(kept.get("expires_at")),
        snoozed_until=_moment(kept.get("snoozed_until")),
        time_zone=kept["time_zone"],
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def value_of(rule: Rule, tick: dict[str, Any], extra: dict[str, Any]) -> Decimal | None:
    """What the alert looked at, from what was kept."""
    price = Decimal(tick["price"])
    if rule.kind is Kind.MOVES:
        before = Decimal(extra["from_price"])
        way = rule.way if rule.way is not Way.EITHER else (Way.UP if price >= before else Way.DOWN)
        return moved(before, price, way)
    if rule.kind in (Kind.VOLUME, Kind.HIGH_52W, Kind.LOW_52W):
        high, low, volume = (_decimal(extra.get(name)) for name in ("high_52w", "low_52w", "average_volume"))
        return against(rule.kind, Reference(high, low, volume), price, tick["volume"])
    return price


def reproduces(
    rule: Rule,
    armed_price: Decimal | None,
    before: dict[str, Any] | None,
    tick: dict[str, Any] | None,
    extra: dict[str, Any],
) -> bool:
    """Whether the rule, evaluated again on what was kept, fires.

    The tick lies beyond the level, in a session that counts; of a kind that needs the near side first, the price that
    armed it lies there. Of silence, it has lasted long enough; of a minute bar, its range reaches beyond.
    """
    if rule.kind is Kind.STALE:
        return Decimal(extra["silent_s"]) >= level_of(rule)
    if tick is None:
        return _bar_reaches(rule, extra)
    value = value_of(rule, tick, extra)
    if value is None or not counts_in(rule, tick["session"]) or not beyond(rule, value):
        return False
    return rule.kind not in NEED_THE_NEAR_SIDE or _was_near(rule, armed_price, before)


def _was_near(rule: Rule, armed_price: Decimal | None, before: dict[str, Any] | None) -> bool:
    if armed_price is None or beyond(rule, armed_price):
        return False
    return before is None or not beyond(rule, Decimal(before["price"]))


def _bar_reaches(rule: Rule, extra: dict[str, Any]) -> bool:
    """What the sweep found."""
    low, high = Decimal(extra.get("low", ZERO)), Decimal(extra.get("high", ZERO))
    return low > ZERO and (beyond(rule, low) or beyond(rule, high))
