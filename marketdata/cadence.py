"""How often a wanted ticker that nobody streams is asked for, and how urgently. Pure.

Money goes where somebody looks: a ticker on a screen is asked each time to live, one that is only on somebody's
list every five minutes, one that an alert waits for as often as the alert needs it, the nearer the threshold the
oftener. Outside the session nothing moves, shortly before the open everything is asked once, and when a budget
runs low all of it slows down.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from marketdata.quotes import Session

# The words of marketdata.quota.Priority.
Rank = Literal["alert", "visible", "held", "warm"]

# Nobody looks, or the market is closed.
IDLE_FRESH = timedelta(minutes=5)
# So long before the open all that is wanted is asked once, so that the first readers of the day find a price.
WARM_BEFORE_OPEN = timedelta(minutes=5)
# How far the price is from an alert, as a part of the price, and how often it is asked compared with what the alert
# says it needs: within 0.2 % one of the next prices may be the one.
NEAR, FAR = 0.002, 0.02
NEAR_PACE, FAR_PACE = 0.5, 2.0
# Budget left, as a part, below which everything is asked so many times more seldom.
SLOWDOWNS = ((0.05, 4), (0.10, 2))


@dataclass(frozen=True, slots=True)
class Need:
    """What is known of one wanted ticker at one moment."""

    session: Session
    ttl: timedelta
    """How long its quote is good at this moment."""
    looked_at: bool = False
    fresh: timedelta | None = None
    """How fresh those who look want it, where that is more than the time to live."""
    alert_fresh: timedelta | None = None
    """How fresh an alert needs it; None: there is none."""
    alert_distance: float | None = None
    """How far the nearest alert is, as a part of the price; None: not known."""
    budget_left: float = 1.0
    """The smallest part that is left of any budget of its provider."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Ask when the last answer is older than this, and with this priority."""

    max_age: timedelta
    rank: Rank


def pace_of(need: Need, now: datetime, next_open: datetime | None, beat: timedelta) -> Pace:
    """`beat` is how often the caller looks: a ticker is asked at the beat nearest to when it is due.

    `next_open` is that of a market with opening hours, None for any other.
    """
    usual = _usual(need)
    due = max(usual.max_age * _slowdown(need.budget_left) - beat / 2, timedelta(0))
    warm_for = _warm_for(now, next_open) if need.session is not Session.REGULAR else None
    # Once: what has been asked since the time of warming began is warm.
    if warm_for is not None and warm_for < due:
        return Pace(warm_for, "warm" if usual.rank == "held" else usual.rank)
    return Pace(due, usual.rank)


def _usual(need: Need) -> Pace:
    """Without the open and the budget."""
    if need.session is not Session.REGULAR:
        rank: Rank = "visible" if need.looked_at else "held"
        return Pace(max(IDLE_FRESH, need.ttl), rank)
    seen = max(need.ttl, need.fresh or need.ttl) if need.looked_at else IDLE_FRESH
    if need.alert_fresh is None:
        return Pace(seen, "visible" if need.looked_at else "held")
    return Pace(min(seen, need.alert_fresh * _alert_pace(need.alert_distance)), "alert")


def _alert_pace(distance: float | None) -> float:
    if distance is None:
        return 1.0
    if distance <= NEAR:
        return NEAR_PACE
    return FAR_PACE if distance > FAR else 1.0


def _warm_for(now: datetime, next_open: datetime | None) -> timedelta | None:
    """Since when before the open it is time to warm; None: it is not."""
    if next_open is None or next_open - now > WARM_BEFORE_OPEN:
        return None
    return now - (next_open - WARM_BEFORE_OPEN)


def _slowdown(budget_left: float) -> int:
    return next((times for below, times in SLOWDOWNS if budget_left < below), 1)
