"""What an alert can watch for, and how: the words of models, API and pages. Pure.

A rule says when an alert fires; whose it is, and where the news goes, is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum


class Kind(StrEnum):
    ABOVE = "above"
    BELOW = "below"
    CROSSES_ABOVE = "crosses_above"
    CROSSES_BELOW = "crosses_below"
    MOVES = "moves"
    LEAVES_CHANNEL = "leaves_channel"
    ENTERS_CHANNEL = "enters_channel"
    VOLUME = "volume"
    HIGH_52W = "high_52w"
    LOW_52W = "low_52w"
    STALE = "stale"


class Sessions(StrEnum):
    REGULAR = "regular"
    EXTENDED = "extended"
    """Before and after the regular session as well."""


class Mode(StrEnum):
    ONCE = "once"
    DAILY = "daily"
    REPEAT = "repeat"


class Way(StrEnum):
    """Of a move."""

    UP = "up"
    DOWN = "down"
    EITHER = "either"


class Priority(IntEnum):
    """The lower, the sooner."""

    CRITICAL = 1
    HIGH = 2
    MEDIUM = 3
    LOW = 4


class Phase(IntEnum):
    """Where an alert stands between two fires."""

    FRESH = 0
    """The first accepted tick decides between the other two, and fires nothing."""
    ARMED = 1
    WAITING = 2
    """For the price to come back."""


LEVELS = (Kind.ABOVE, Kind.BELOW, Kind.CROSSES_ABOVE, Kind.CROSSES_BELOW)
CHANNELS = (Kind.LEAVES_CHANNEL, Kind.ENTERS_CHANNEL)
# What a level kind looks for; the SQL of the sweep finds alerts by it.
DIRECTIONS = {Kind.ABOVE: 1, Kind.CROSSES_ABOVE: 1, Kind.BELOW: -1, Kind.CROSSES_BELOW: -1}
# Spans over which a move is measured, in seconds.
WINDOWS = (60, 300, 900, 3_600, 14_400, 86_400)


def first_phase(kind: Kind) -> Phase:
    """Of an alert that was just made, edited or resumed: a level fires on the first accepted tick beyond it."""
    return Phase.ARMED if kind in (Kind.ABOVE, Kind.BELOW) else Phase.FRESH


@dataclass(
    slots=True, unsafe_hash=True
)  # frozen, a million would take three times as long to load; nobody changes one
class Rule:
    """Of one version of one alert. Prices and percent are Decimal; what a kind does not need is None."""

    kind: Kind
    threshold: Decimal | None = None
    """A price; of `moves` percent, of `volume` how many times the average of 20 days."""
    lower: Decimal | None = None
    upper: Decimal | None = None
    """The channel, its edges included."""
    window_s: int | None = None
    way: Way = Way.EITHER
    stale_after_s: int | None = None
    sessions: Sessions = Sessions.REGULAR
    mode: Mode = Mode.ONCE
    rearm_band: Decimal = Decimal(0)
    """In percent of the threshold: how far the price must come back before the alert is armed again."""
    cooldown_s: int = 0
    expires_at: datetime | None = None
    snoozed_until: datetime | None = None
    time_zone: str = "UTC"
    """The owner's: `daily` counts his days."""
