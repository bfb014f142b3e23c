"""Rules and fires in words, for pages, messages and the API. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from alerts.kinds import Kind, Mode, Rule, Sessions, Way
from marketdata.quotes import price_text

SPANS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
MODES = {Mode.ONCE: "once", Mode.DAILY: "once a day", Mode.REPEAT: "every time"}
WAYS = {Way.UP: "rises by", Way.DOWN: "falls by", Way.EITHER: "moves by"}


def span(seconds: int) -> str:
    """In the largest unit that fits: "5 minutes", "1 day"."""
    size, unit = next((size, unit) for size, unit in SPANS if seconds % size == 0 or size == 1)
    count = seconds // size
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def number(value: Decimal | None) -> str:
    """Without idle zeros: 1.5, 20."""
    return "" if value is None else format(value.normalize(), "f")


def price(value: Decimal | None) -> str:
    return "" if value is None else price_text(value)


def condition(rule: Rule) -> str:
    """What must happen, to be read after a symbol: "crosses above 190.00"."""
    match rule.kind:
        case Kind.ABOVE:
            return f"is above {price(rule.threshold)}"
        case Kind.BELOW:
            return f"is below {price(rule.threshold)}"
        case Kind.CROSSES_ABOVE:
            return f"crosses above {price(rule.threshold)}"
        case Kind.CROSSES_BELOW:
            return f"crosses below {price(rule.threshold)}"
        case _:
            return _longer_condition(rule)


def _longer_condition(rule: Rule) -> str:
    channel = f"{price(rule.lower)} to {price(rule.upper)}"
    words = {
        Kind.MOVES: f"{WAYS[rule.way]} {number(rule.threshold)} % or more within {span(rule.window_s or 0)}",
        Kind.LEAVES_CHANNEL: f"leaves {channel}",
        Kind.ENTERS_CHANNEL: f"enters {channel}",
        Kind.VOLUME: f"trades more than {number(rule.threshold)} times its average volume",
        Kind.HIGH_52W: "is at a new 52-week high",
        Kind.LOW_52W: "is at a new 52-week low",
        Kind.STALE: f"has had no price for {span(rule.stale_after_s or 0)}",
    }
    return words[rule.kind]


def describe(rule: Rule) -> str:
    """The whole rule: "crosses above 190.00, regular session, every time, re-armed 0.5 % below"."""
    parts = [condition(rule)]
    parts.append("regular session" if rule.sessions is Sessions.REGULAR else "with extended hours")
    parts.append(MODES[rule.mode])
    if rule.mode is not Mode.ONCE and rule.rearm_band:
        parts.append(f"armed again {number(rule.rearm_band)} % back")
    if rule.mode is not Mode.ONCE and rule.cooldown_s:
        parts.append(f"at most every {span(rule.cooldown_s)}")
    return ", ".join(parts)


def title_and_body(
    rule: Rule, symbol: str, at: Decimal | None, extra: dict[str, Any] | None = None, note: str = ""
) -> tuple[str, str]:
    """Of a fire: ("AAPL crossed above 190.00: 190.02", what made it and the owner's note)."""
    now = f": {price_text(at)}" if at is not None and rule.kind is not Kind.STALE else ""
    title = f"{symbol} {_happened(rule)}{now}"
    return title, "\n".join(part for part in (_because(rule, extra or {}), note) if part)


def _happened(rule: Rule) -> str:
    said = condition(rule)
    present = {"crosses": "crossed", "leaves": "left", "enters": "entered", "trades": "has traded"}
    first, _, rest = said.partition(" ")
    if rule.kind is Kind.MOVES:
        return f"moved {number(rule.threshold)} % or more within {span(rule.window_s or 0)}"
    return f"{present.get(first, first)} {rest}"


def _because(rule: Rule, extra: dict[str, Any]) -> str:
    if rule.kind is Kind.MOVES and "from_price" in extra:
        return f"From {price_text(Decimal(extra['from_price']))}."
    if rule.kind is Kind.VOLUME and "average_volume" in extra:
        return f"Its average of 20 days is {Decimal(extra['average_volume']):,.0f} shares."
    name = {Kind.HIGH_52W: "high_52w", Kind.LOW_52W: "low_52w"}.get(rule.kind)
    if name in extra:
        return f"The old one was {price_text(Decimal(extra[name]))}."
    if "high" in extra and "low" in extra:
        low, high = (price_text(Decimal(extra[one])) for one in ("low", "high"))
        return f"Found in the bar of that minute, {low} to {high}."
    return ""


def split_words(symbol: str, old: str, new: str, ratio: str) -> tuple[str, str]:
    return (
        f"{symbol} was split {ratio}: your alert is now at {new}",
        f"It was at {old} before the split. The price after the split is compared with the new level.",
    )


def retraction_words(symbol: str, reason: str) -> tuple[str, str]:
    return (
        f"{symbol}: an alert was fired by a trade that has been taken back",
        f"{reason} The alert of that trade should not have been fired; see the evidence.",
    )
