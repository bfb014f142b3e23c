"""Who sends what next: deliveries are claimed for a while by one dispatcher among many.

A channel has one turn at a time: its row is locked with SKIP LOCKED while it is decided what it gets (`quiet.plan`),
so that any number of dispatchers together keep its digest limit. A claim is `attempts` + 1 and a `next_attempt_at`
that lies a lease ahead: who dies holding one lets it run out, and whoever claims then is told apart by `attempts`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction

from alerts import handing_on
from alerts.conditions import zone_of
from alerts.kinds import Priority
from alerts.models import ChannelKind, ChannelState
from alerts.quiet import MINUTE, MOST_ATTEMPTS, Manners, Plan, QuietHours, Recent, Waiting, plan

# Longer than it takes to renew it, shorter than anybody wants to wait for what a killed process held.
LEASE_S = 20.0
# Looked at for each priority to find whose turn it is, and taken into one turn of a channel.
LOOKED_AT = 500
IN_ONE_TURN = 300
# Of one channel, claimed for one turn; of one that has failed, a single message.
PER_CHANNEL = 32
LOST = "The process that sent this ended each time before it knew how it went."
SWITCHED_OFF = "The channel is switched off."
UNCONFIRMED = "Nobody has confirmed the address of the channel."
NOT_SENT = {ChannelState.DISABLED.value: SWITCHED_OFF, ChannelState.UNCONFIRMED.value: UNCONFIRMED}

DUE = """
WITH due AS MATERIALIZED (
  SELECT found.channel_id, found.priority, found.next_attempt_at
    FROM unnest(%(priorities)s) AS wanted (priority)
   CROSS JOIN LATERAL (
     SELECT d.channel_id, d.priority, d.next_attempt_at
       FROM alerts_delivery d JOIN alerts_channel c ON c.id = d.channel_id
      WHERE d.state = 'queued' AND d.priority = wanted.priority AND d.next_attempt_at <= %(now)s
        AND d.digest_id IS NULL AND d.channel_id <> ALL (%(busy)s) AND c.kind <> ALL (%(full)s::text[])
        AND (%(take_failing)s OR c.failures_in_a_row = 0)
      ORDER BY d.next_attempt_at LIMIT %(looked_at)s) found
), turns AS (
  SELECT channel_id, min(priority) AS priority, min(next_attempt_at) AS since FROM due GROUP BY channel_id
)
"""
IS_ANYTHING_DUE = f"{DUE} SELECT EXISTS (SELECT FROM turns)"  # noqa: S608 -- constants
LOCK_CHANNELS = f"""{DUE}
SELECT c.id, c.kind, c.is_enabled AND u.is_active AS is_wanted, c.state, c.failures_in_a_row > 0 AS is_failing,
       c.digest_above, c.quiet_from, c.quiet_until, c.quiet_lets_critical, u.time_zone
  FROM turns t JOIN alerts_channel c ON c.id = t.channel_id JOIN accounts_user u ON u.id = c.user_id
 ORDER BY t.priority, t.since LIMIT %(room)s
   FOR NO KEY UPDATE OF c SKIP LOCKED
"""  # noqa: S608 -- constants
# A statement of its own, so that it sees what the former holder of the channel has claimed.
WAITING = """
SELECT found.* FROM unnest(%(channels)s) AS turn (id) CROSS JOIN LATERAL (
  SELECT d.channel_id, d.id, d.priority, d.attempts, d.first_attempt_at IS NOT NULL AS is_tried,
         d.next_attempt_at > d.created_at AS is_held
    FROM alerts_delivery d
   WHERE d.channel_id = turn.id AND d.state = 'queued' AND d.digest_id IS NULL AND d.next_attempt_at <= %(now)s
   ORDER BY d.priority, d.next_attempt_at, d.id LIMIT %(rows)s) found
"""
RECENT = """
SELECT d.channel_id, d.first_attempt_at, EXISTS (SELECT FROM alerts_delivery m WHERE m.digest_id = d.id),
       d.priority = %(critical)s
  FROM alerts_delivery d
 WHERE d.channel_id = ANY (%(channels)s) AND d.first_attempt_at > %(since)s AND d.digest_id IS NULL
"""
CLAIM = """
UPDATE alerts_delivery d
   SET attempts = d.attempts + 1, next_attempt_at = %(until)s,
       first_attempt_at = coalesce(d.first_attempt_at, %(now)s)
  FROM unnest(%(ids)s, %(attempts)s) AS mine (id, attempts)
 WHERE d.id = mine.id AND d.attempts = mine.attempts AND d.state = 'queued'
RETURNING d.id
"""
JOIN_DIGEST = """
UPDATE alerts_delivery SET digest_id = %(leader)s, first_attempt_at = %(now)s
 WHERE id = ANY (%(ids)s) AND state = 'queued'
"""
HOLD = """
UPDATE alerts_delivery d SET next_attempt_at = held.until
  FROM unnest(%(ids)s, %(untils)s) AS held (id, until) WHERE d.id = held.id AND d.state = 'queued'
"""
RENEW = """
UPDATE alerts_delivery d SET next_attempt_at = %(until)s
  FROM unnest(%(ids)s, %(attempts)s) AS mine (id, attempts)
 WHERE d.id = mine.id AND d.attempts = mine.attempts AND d.state = 'queued'
RETURNING d.id
"""
GIVE_BACK = """
UPDATE alerts_delivery d
   SET attempts = d.attempts - 1, next_attempt_at = %(now)s
  FROM unnest(%(ids)s, %(attempts)s) AS mine (id, attempts)
 WHERE d.id = mine.id AND d.attempts = mine.attempts AND d.state = 'queued'
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt of one delivery."""

    id: int
    channel_id: int
    kind: str
    priority: int
    attempts: int
    """With this one."""
    is_failing: bool
    """Of the channel: its last attempt failed."""
    was_held: bool
    """On purpose, so that its age says nothing about us."""


@dataclass(slots=True)
class Room:
    """What a dispatcher can take."""

    total: int
    failing: int
    of_kind: Counter[str] = field(default_factory=Counter)
    busy: Sequence[int] = ()
    """Channels whose turn goes on."""
    of_channel: Counter[int] = field(default_factory=Counter)
    """What has been taken of each."""

    def takes(self, turn: Turn) -> bool:
        """Whether there is room for one more message of this channel; it is used up then."""
        most = 1 if turn.is_failing else PER_CHANNEL
        if self.total <= 0 or self.of_kind[turn.kind] <= 0 or self.of_channel[turn.id] >= most:
            return False
        if turn.is_failing and self.failing <= 0:
            return False
        self.total -= 1
        self.failing -= turn.is_failing
        self.of_kind[turn.kind] -= 1
        self.of_channel[turn.id] += 1
        return True


class Turn(NamedTuple):
    """A channel of which something is due, its row locked."""

    id: int
    kind: str
    is_wanted: bool
    state: str
    is_failing: bool
    digest_above: int
    quiet_from: time | None
    quiet_until: time | None
    quiet_lets_critical: bool
    time_zone: str

    @property
    def manners(self) -> Manners:
        quiet = None
        if self.quiet_from is not None and self.quiet_until is not None:
            quiet = QuietHours(self.quiet_from, self.quiet_until, zone_of(self.time_zone))
        return Manners(self.digest_above, quiet, self.quiet_lets_critical)


class Row(NamedTuple):
    id: int
    priority: int
    attempts: int
    is_tried: bool
    is_held: bool


@dataclass(slots=True)
class Claimed:
    claims: list[Claim] = field(default_factory=list)
    is_more_due: bool = False
    """Something is, or was a moment ago, even if others have it."""


def claim(room: Room, now: datetime) -> Claimed:
    """Take what is due, the most urgent first, and settle what needs no sending. Raises DATABASE_ERRORS."""
    parameters = _parameters(room, now)
    found = Claimed()
    with transaction.atomic():
        turns = [Turn(*row) for row in _rows(LOCK_CHANNELS, parameters)]
        if turns:
            found.is_more_due = True
            found.claims = _claim(turns, room, now)
        else:
            found.is_more_due = bool(_rows(IS_ANYTHING_DUE, parameters)[0][0])
    return found


def _parameters(room: Room, now: datetime) -> dict[str, Any]:
    full = [kind for kind in ChannelKind.values if room.of_kind[kind] <= 0]
    return {
        "now": now, "priorities": [int(one) for one in Priority], "busy": list(room.busy), "full": full,
        "take_failing": room.failing > 0, "looked_at": LOOKED_AT, "room": room.total,
    }  # fmt: skip


def _waiting(channels: list[int], now: datetime) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for channel, *row in _rows(WAITING, {"channels": channels, "now": now, "rows": IN_ONE_TURN}):
        found.setdefault(channel, []).append(Row(*row))
    return found


def _recent(channels: list[int], now: datetime) -> dict[int, list[Recent]]:
    found: dict[int, list[Recent]] = {}
    parameters = {"channels": channels, "since": now - MINUTE, "critical": int(Priority.CRITICAL)}
    for channel, *recent in _rows(RECENT, parameters):
        found.setdefault(channel, []).append(Recent(*recent))
    return found


class Wish(NamedTuple):
    """A message that could go out now."""

    turn: Turn
    row: Row
    members: Sequence[int]
    """Of a digest, besides the first."""


def _claim(turns: Sequence[Turn], room: Room, now: datetime) -> list[Claim]:
    waiting = _waiting([turn.id for turn in turns], now)
    recent = _recent([turn.id for turn in turns if turn.digest_above], now)
    wishes: list[Wish] = []
    held: dict[int, datetime] = {}
    for turn in turns:
        rows = _alive(turn, waiting.get(turn.id, []), now)
        found = plan(turn.manners, _as_waiting(rows), recent.get(turn.id, []), now)
        wishes += _wishes(turn, {row.id: row for row in rows}, found)
        held |= found.later
    if held:
        _execute(HOLD, {"ids": list(held), "untils": list(held.values())})
    wishes.sort(key=lambda wish: wish.row.priority)
    return _take([wish for wish in wishes if room.takes(wish.turn)], now)


def _alive(turn: Turn, rows: list[Row], now: datetime) -> list[Row]:
    """Those that can be sent; the others are settled."""
    if not turn.is_wanted:
        handing_on.skip([row.id for row in rows])
        return []
    if turn.state in NOT_SENT:
        handing_on.hand_on([row.id for row in rows], NOT_SENT[turn.state], now)
        return []
    spent = [row.id for row in rows if row.attempts >= MOST_ATTEMPTS]
    if spent:
        handing_on.hand_on(spent, LOST, now)
    return [row for row in rows if row.attempts < MOST_ATTEMPTS]


def _as_waiting(rows: Iterable[Row]) -> list[Waiting]:
    return [Waiting(row.id, row.priority, row.is_tried, row.is_held) for row in rows]


def _wishes(turn: Turn, rows: Mapping[int, Row], found: Plan) -> list[Wish]:
    """The digest before the singles of its urgency: what it holds has waited longest."""
    wishes = [Wish(turn, rows[one], ()) for one in found.singles]
    if found.digest:
        wishes.insert(0, Wish(turn, rows[found.digest[0]], found.digest[1:]))
    return wishes


def _take(wishes: Sequence[Wish], now: datetime) -> list[Claim]:
    if not wishes:
        return []
    parameters = {
        "ids": [wish.row.id for wish in wishes], "attempts": [wish.row.attempts for wish in wishes],
        "until": now + timedelta(seconds=LEASE_S), "now": now,
    }  # fmt: skip
    mine = {one for (one,) in _rows(CLAIM, parameters)}
    taken = [wish for wish in wishes if wish.row.id in mine]
    for wish in taken:
        if wish.members:
            _execute(JOIN_DIGEST, {"leader": wish.row.id, "ids": list(wish.members), "now": now})
    return [
        Claim(
            wish.row.id, wish.turn.id, wish.turn.kind, wish.row.priority, wish.row.attempts + 1,
            wish.turn.is_failing, wish.row.is_held,
        )
        for wish in taken
    ]  # fmt: skip


def give_back(claims: Iterable[Claim], now: datetime) -> None:
    """These were not tried after all."""
    held = list(claims)
    if held:
        ids, attempts = [one.id for one in held], [one.attempts for one in held]
        _execute(GIVE_BACK, {"ids": ids, "attempts": attempts, "now": now})


def renew(claims: Iterable[Claim], now: datetime) -> set[int]:
    """Hold these for another lease; which of them are still ours."""
    held = list(claims)
    if not held:
        return set()
    parameters = {
        "ids": [one.id for one in held], "attempts": [one.attempts for one in held],
        "until": now + timedelta(seconds=LEASE_S),
    }  # fmt: skip
    return {one for (one,) in _rows(RENEW, parameters)}


def _rows(statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def _execute(statement: str, parameters: Mapping[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
