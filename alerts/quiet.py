"""When a channel gets what waits for it: quiet hours, digests, and how long after a failure. Pure.

A digest keeps a channel from being flooded. Up to `digest_above` messages a minute go out one by one; what is beyond
waits until the minute is over and then becomes one message. What had to wait for the end of quiet hours is collected
likewise. Critical ones are never held for a digest, and what failed is tried again by itself.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from alerts.kinds import Priority

# Of Standard Webhooks, for every kind of channel: how long before each attempt, the first one at once.
SCHEDULE_S = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
MOST_ATTEMPTS = len(SCHEDULE_S)
# Later by up to this share, so that what failed together does not come back together.
JITTER = 0.2
# Whoever asks us to come back later than this is not asked for longer than that.
LONGEST_S = 86_400.0
MINUTE = timedelta(minutes=1)


def delay_s(attempts: int, rng: random.Random, after_s: float | None = None) -> float | None:
    """How long to wait when so many attempts have failed; None: it was the last. `after_s`: not sooner, as asked."""
    if attempts >= MOST_ATTEMPTS:
        return None
    wait = SCHEDULE_S[attempts] * (1 + JITTER * rng.random())
    return max(wait, min(after_s or 0.0, LONGEST_S))


# --- quiet hours


@dataclass(frozen=True, slots=True)
class QuietHours:
    """By the clock on the owner's wall: `start` is quiet, `end` is not, and it may lie on the next day."""

    start: time
    end: time
    zone: ZoneInfo

    def cover(self, moment: datetime) -> bool:
        local = moment.astimezone(self.zone).time()
        if self.start <= self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end

    def over_at(self, moment: datetime) -> datetime | None:
        """The first moment from then on that is not quiet; None: it is not quiet."""
        if not self.cover(moment):
            return None
        today = moment.astimezone(self.zone).date()
        days = [today + timedelta(days=later) for later in range(3)]
        ends = [end for day in days for end in self._ends_on(day) if end > moment and not self.cover(end)]
        return min(ends)

    def _ends_on(self, day: date) -> list[datetime]:
        """Two on a day whose clocks go back over `end`; where they leap over it, the moment of the leap as well."""
        once, again = (
            datetime.combine(day, self.end.replace(fold=fold), self.zone).astimezone(UTC) for fold in (0, 1)
        )
        return [once, again] if again >= once else [_leap(self.zone, again, once), once]


def _leap(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """When the clocks are put forward between these; to the second."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0) if middle.replace(microsecond=0) > before else middle
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


# --- digests


@dataclass(frozen=True, slots=True)
class Manners:
    """How a channel wants to be told."""

    digest_above: int = 0
    """Messages per minute; 0: never a digest."""
    quiet: QuietHours | None = None
    quiet_lets_critical: bool = True


class Waiting(NamedTuple):
    """A delivery that is due."""

    id: int
    priority: int
    is_tried: bool = False
    is_held: bool = False
    """It has waited on purpose: for the end of quiet hours, or for a digest."""


class Recent(NamedTuple):
    """A message whose first attempt was made within the last minute."""

    at: datetime
    is_digest: bool = False
    is_critical: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    singles: list[int] = field(default_factory=list)
    digest: list[int] = field(default_factory=list)
    """To be sent as one message; none or at least two."""
    later: dict[int, datetime] = field(default_factory=dict)


def plan(manners: Manners, waiting: Sequence[Waiting], recent: Sequence[Recent], now: datetime) -> Plan:
    """What becomes of the deliveries that are due, given in the order in which they should go."""
    found = Plan()
    quiet_until = manners.quiet.over_at(now) if manners.quiet else None
    fresh: list[int] = []
    held: list[int] = []
    for one in waiting:
        is_critical = one.priority == Priority.CRITICAL
        if quiet_until and not (is_critical and manners.quiet_lets_critical):
            found.later[one.id] = quiet_until
        elif one.is_tried or is_critical or not manners.digest_above:
            found.singles.append(one.id)
        else:
            (held if one.is_held else fresh).append(one.id)
    untried = {one.id for one in waiting if not one.is_tried}
    room = manners.digest_above - len(recent) - sum(one in untried for one in found.singles)
    _collect(found, held, fresh, _Window(room, manners.digest_above, recent, now))
    return found


@dataclass(frozen=True, slots=True)
class _Window:
    """The last minute of a channel."""

    room: int
    """How many more may go out by themselves."""
    most: int
    """How many may in a minute."""
    recent: Sequence[Recent]
    now: datetime

    @property
    def digests(self) -> list[datetime]:
        return [one.at for one in self.recent if one.is_digest]

    @property
    def others(self) -> list[datetime]:
        """Those that are not critical: what had to wait is one more than the most of these, never two more."""
        return [one.at for one in self.recent if not one.is_critical]

    @property
    def is_digest_allowed(self) -> bool:
        return not self.digests and len(self.others) <= self.most

    @property
    def next_digest_at(self) -> datetime:
        """A minute after what stands in its way; when nothing does, a minute after the first of the window."""
        if self.is_digest_allowed:
            return min([self.now, *(one.at for one in self.recent)]) + MINUTE
        in_the_way = self.digests + (sorted(self.others)[:1] if len(self.others) > self.most else [])
        return max(in_the_way) + MINUTE


def _collect(found: Plan, held: list[int], fresh: list[int], window: _Window) -> None:
    is_time = bool(held) and window.is_digest_allowed
    room = max(0, window.room - is_time)
    alone, rest = fresh[:room], fresh[room:]
    found.singles.extend(alone)
    together = [*held, *rest]
    if is_time and len(together) == 1:
        found.singles.extend(together)
    elif is_time:
        found.digest.extend(together)
    else:
        found.later.update(dict.fromkeys(together, window.next_digest_at))
