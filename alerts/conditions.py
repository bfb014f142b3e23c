"""When an alert fires, and when it is armed again. Pure.

An alert looks at one value: the price; of `moves` the percent it moved, of `volume` how many times the average, of the
52-week kinds by how many percent the price is above the old high (below the old low: negative), of `stale` the
seconds since the last tick. *Beyond* is where it fires, *back* where it is armed again; between the two nothing
happens.

Above is a price > t, below a price < t, never equal. `crosses_above` needs one accepted tick at or below t before: that
is what FRESH is for. A channel holds its edges. A move of p percent is one of at least p.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from alerts.kinds import Kind, Mode, Phase, Rule, Sessions

# Prices have eight decimals: one of them further is the next price there can be.
STEP = Decimal("0.00000001")
NOWHERE = Decimal("Infinity")
ZERO, ONE, HUNDRED = Decimal(0), Decimal(1), Decimal(100)

Quiet = tuple[Decimal | None, Decimal | None]


class Outcome(NamedTuple):
    """Of one value: the phase from now on, and whether the alert fires."""

    phase: Phase
    fires: bool


def level_of(rule: Rule) -> Decimal:
    """What an alert with one level compares its value with."""
    if rule.kind is Kind.STALE:
        return Decimal(rule.stale_after_s or 0)
    return ZERO if rule.threshold is None else rule.threshold


def beyond(rule: Rule, value: Decimal) -> bool:
    return _BEYOND[rule.kind](rule, value)


def back(rule: Rule, value: Decimal) -> bool:
    return _BACK[rule.kind](rule, value)


def step(rule: Rule, phase: Phase, value: Decimal) -> Outcome:
    """One accepted value later."""
    if phase is Phase.ARMED:
        return Outcome(Phase.WAITING, True) if beyond(rule, value) else Outcome(phase, False)
    if phase is Phase.WAITING:
        return Outcome(Phase.ARMED if back(rule, value) else phase, False)
    return Outcome(_first(rule, value), False)


def rebased(rule: Rule, phase: Phase, value: Decimal) -> Outcome:
    """The price stands on another base: it has not moved, so nothing fires.

    A level that is exceeded now says so with the next tick; a crossing needs the near side first.
    """
    if phase is Phase.ARMED and beyond(rule, value):
        return Outcome(_first(rule, value), False)
    return step(rule, phase, value)


def _first(rule: Rule, value: Decimal) -> Phase:
    if rule.kind in (Kind.ABOVE, Kind.BELOW) or not beyond(rule, value):
        return Phase.ARMED
    return Phase.WAITING


# --- the two questions of each kind


def _band(rule: Rule, side: int) -> Decimal:
    """What a level is multiplied with, on its way back."""
    return ONE + side * rule.rearm_band / HUNDRED


def _above(rule: Rule, value: Decimal) -> bool:
    return value > level_of(rule)


def _back_below(rule: Rule, value: Decimal) -> bool:
    return value <= level_of(rule) * _band(rule, -1)


def _below(rule: Rule, value: Decimal) -> bool:
    return value < level_of(rule)


def _back_above(rule: Rule, value: Decimal) -> bool:
    return value >= level_of(rule) * _band(rule, 1)


def _moved(rule: Rule, value: Decimal) -> bool:
    return value >= level_of(rule)


def _moved_back(rule: Rule, value: Decimal) -> bool:
    return value < level_of(rule) * _band(rule, -1)


def _old_high(rule: Rule, value: Decimal) -> bool:
    return value <= -rule.rearm_band


def _old_low(rule: Rule, value: Decimal) -> bool:
    return value >= rule.rearm_band


def _edges(rule: Rule, side: int = 0) -> tuple[Decimal, Decimal]:
    """Of the channel; narrower by the band for 1, wider for -1."""
    assert rule.lower is not None
    assert rule.upper is not None
    return rule.lower * _band(rule, side), rule.upper * _band(rule, -side)


def _outside(rule: Rule, value: Decimal) -> bool:
    lower, upper = _edges(rule)
    return value < lower or value > upper


def _back_inside(rule: Rule, value: Decimal) -> bool:
    lower, upper = _edges(rule, 1)
    return lower <= value <= upper


def _inside(rule: Rule, value: Decimal) -> bool:
    return not _outside(rule, value)


def _back_outside(rule: Rule, value: Decimal) -> bool:
    lower, upper = _edges(rule, -1)
    return value < lower or value > upper


Question = Callable[[Rule, Decimal], bool]
_BEYOND: dict[Kind, Question] = {
    Kind.ABOVE: _above, Kind.CROSSES_ABOVE: _above, Kind.VOLUME: _above, Kind.STALE: _moved,
    Kind.BELOW: _below, Kind.CROSSES_BELOW: _below,
    Kind.MOVES: _moved,
    Kind.LEAVES_CHANNEL: _outside, Kind.ENTERS_CHANNEL: _inside,
    Kind.HIGH_52W: _above, Kind.LOW_52W: _below,
}  # fmt: skip
_BACK: dict[Kind, Question] = {
    Kind.ABOVE: _back_below, Kind.CROSSES_ABOVE: _back_below, Kind.VOLUME: _back_below, Kind.STALE: _moved_back,
    Kind.BELOW: _back_above, Kind.CROSSES_BELOW: _back_above,
    Kind.MOVES: _moved_back,
    Kind.LEAVES_CHANNEL: _back_inside, Kind.ENTERS_CHANNEL: _back_outside,
    Kind.HIGH_52W: _old_high, Kind.LOW_52W: _old_low,
}  # fmt: skip


# --- where nothing can happen


UPWARDS = {Kind.ABOVE, Kind.CROSSES_ABOVE, Kind.VOLUME, Kind.MOVES, Kind.STALE, Kind.HIGH_52W}
AT_ONCE: Quiet = (NOWHERE, None)


def quiet(rule: Rule, phase: Phase, value: Decimal | None = None) -> Quiet:
    """Between which values (edges included) `step` would change nothing; None: no edge on that side.

    It may be narrower than the truth, never wider. `value` is the last one, where it is known.
    """
    if phase is Phase.FRESH:
        return AT_ONCE
    if rule.kind in (Kind.LEAVES_CHANNEL, Kind.ENTERS_CHANNEL):
        return _quiet_channel(rule, phase, value)
    if (rule.kind in UPWARDS) is (phase is Phase.ARMED):
        return None, _quiet_up_to(rule, phase)
    return _quiet_down_to(rule, phase), None


def _quiet_up_to(rule: Rule, phase: Phase) -> Decimal:
    """Strictly beyond a level: the level itself is quiet. At or beyond it: the step before it is."""
    if phase is Phase.ARMED:
        level = level_of(rule)
        return level - STEP if rule.kind in (Kind.MOVES, Kind.STALE) else level
    if rule.kind is Kind.LOW_52W:
        return rule.rearm_band - STEP
    return _down(level_of(rule) * _band(rule, 1)) - STEP


def _quiet_down_to(rule: Rule, phase: Phase) -> Decimal:
    if phase is Phase.ARMED:
        return level_of(rule)
    if rule.kind is Kind.HIGH_52W:
        return STEP - rule.rearm_band
    return _up(level_of(rule) * _band(rule, -1)) + STEP


def _quiet_channel(rule: Rule, phase: Phase, value: Decimal | None) -> Quiet:
    leaves, armed = rule.kind is Kind.LEAVES_CHANNEL, phase is Phase.ARMED
    if leaves is armed:  # inside, as far as it can tell
        lower, upper = _edges(rule, 0 if armed else -1)
        return _up(lower), _down(upper)
    lower, upper = _edges(rule, 0 if armed else 1)
    if value is None:
        return AT_ONCE
    if value < lower:
        return None, _down(lower) - STEP
    return (_up(upper) + STEP, None) if value > upper else AT_ONCE


def _up(value: Decimal) -> Decimal:
    return value.quantize(STEP, ROUND_CEILING)


def _down(value: Decimal) -> Decimal:
    return value.quantize(STEP, ROUND_FLOOR)


# --- whether a fire is wanted now


class Allowance(NamedTuple):
    """`refusal` is empty or says why nobody is told; `day` is the owner's, of alerts that fire once a day."""

    refusal: str
    day: date | None = None


def allowed(
    rule: Rule, at: datetime, last_fired_at: datetime | None, last_fired_day: date | None
) -> Allowance:
    """A fire that is not wanted is gone: the alert waits for the price to come back, as after any other."""
    if rule.expires_at is not None and at >= rule.expires_at:
        return Allowance("expired")
    if rule.snoozed_until is not None and at < rule.snoozed_until:
        return Allowance("snoozed")
    if last_fired_at is not None and at < last_fired_at + timedelta(seconds=rule.cooldown_s):
        return Allowance("cooldown")
    if rule.mode is not Mode.DAILY:
        return Allowance("")
    day = at.astimezone(zone_of(rule.time_zone)).date()
    return Allowance("once_a_day" if last_fired_day is not None and day <= last_fired_day else "", day)


@cache
def zone_of(name: str) -> ZoneInfo:
    """An owner whose zone this machine does not know, or no longer, must not hold up everybody."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of zones is no zone
        return ZoneInfo("UTC")


def counts_in(rule: Rule, session: str) -> bool:
    """Whether a tick of this session is looked at."""
    return rule.sessions is Sessions.EXTENDED or session == "regular"


def moment(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
