"""What the engine decided, made true in one transaction: the alert's row, the trigger with its evidence, the
notification, the outbox row, and how far the tick stream was read.

Guarantees: all of it or nothing; nothing twice, since an alert is claimed only in the phase and version in which it
was decided and UNIQUE(alert, fire_seq) stands behind that; nothing by an owner that was replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db import connection, transaction

from alerts import evidence, retraction
from alerts.conditions import moment
from alerts.engine import Effect
from alerts.models import Notification, NotificationKind, Position, Trigger
from alerts.wording import title_and_body
from core import clock
from core.database import binary_cursor
from marketdata.quotes import Correction

SQL = Path(__file__).parent / "sql" / "commit.sql"
# More in one statement would hold the locks of many alerts for long.
MOST = 10_000


class LeaseLost(Exception):
    """A newer owner has taken the shard's alerts over: nothing was written."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far the tick stream was read."""

    entry: str = "0-0"
    tape_epoch: int = 0
    batch: int = 0
    at: datetime | None = None

    def named(self, shard: str) -> str:
        return f"{shard} {self.tape_epoch}:{self.batch} {self.entry}"


class Told(NamedTuple):
    """A notification that was written."""

    id: int
    trigger_id: int
    user_id: UUID
    priority: int
    category: str
    title: str
    body: str
    symbol: str
    current_price: Decimal | None
    created_at: datetime


class Written:
    """`claimed` alerts went along; of the others somebody else has decided since. `told` is what was written of them.

    Notifications are made of their rows when they are asked for: after the commit, which must not wait for that.
    """

    def __init__(self, claimed: set[int], told: list[Notification]) -> None:
        self.claimed = claimed
        self._told = told
        self._rows: list[tuple[Any, ...]] = []

    @property
    def told(self) -> list[Notification]:
        rows, self._rows = self._rows, []
        self._told += [_notification(Told(*row), alert_id) for alert_id, *row in rows]
        return self._told

    def take(self, rows: list[tuple[Any, ...]]) -> None:
        """What the statement has returned."""
        self.claimed.update(row[0] for row in rows)
        self._rows += [row for row in rows if row[1] is not None]

    def add(self, more: Written) -> None:
        self.claimed |= more.claimed
        self._told += more._told
        self._rows += more._rows


@lru_cache(maxsize=1)
def statement() -> str:
    return SQL.read_text()


def take_office(shard: str, epoch: int) -> Reached:
    """From now on only this epoch writes; returns how far the former one came."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO alerts_position AS p (shard, epoch, entry, tape_epoch, batch, saved_at) "
            "VALUES (%s, %s, '0-0', 0, 0, clock_timestamp()) "
            "ON CONFLICT (shard) DO UPDATE SET epoch = greatest(p.epoch, excluded.epoch) "
            "RETURNING epoch, entry, tape_epoch, batch, at",
            [shard, epoch],
        )
        found, *reached = cursor.fetchone()
    if found > epoch:
        raise LeaseLost
    return Reached(*reached)


def commit(
    shard: str,
    epoch: int,
    reached: Reached,
    effects: Sequence[Effect],
    corrections: Iterable[Correction] = (),
) -> Written:
    """Raises LeaseLost, DATABASE_ERRORS; either way nothing was written, as far as the server has told."""
    written = Written(set(), [])
    with transaction.atomic():
        if not _save(shard, epoch, reached):
            raise LeaseLost
        if effects:
            written.add(write(effects, reached.named(shard)))
        for correction in corrections:
            written.told.extend(retraction.retract(correction))
    return written


def _save(shard: str, epoch: int, reached: Reached) -> bool:
    """Also the lock that keeps a new owner waiting until this transaction has ended."""
    return bool(
        Position.objects.filter(shard=shard, epoch=epoch).update(
            entry=reached.entry,
            tape_epoch=reached.tape_epoch,
            batch=reached.batch,
            at=reached.at,
            saved_at=clock.now(),
        )
    )


def write(
    effects: Sequence[Effect], position: str, edited_at: datetime | None = None, *, most: int = MOST
) -> Written:
    """Inside a transaction; effects in the order in which they happened, so many in one statement.

    `edited_at`: who is not the shard's runner says so here, and it reads these alerts again.
    """
    written = Written(set(), [])
    with binary_cursor() as cursor:
        # Whatever the planner thinks of arrays: never the whole table.
        cursor.execute("SET LOCAL enable_seqscan = off")
        for parameters in _prepared(list(_rounds(effects, most)), position):
            cursor.execute(statement(), {**parameters, "edited_at": edited_at})
            written.take(cursor.fetchall())
    return written


def _prepared(rounds: Sequence[list[Effect]], position: str) -> Iterable[dict[str, Any]]:
    """While the server works on one round, the next one is made ready."""
    if len(rounds) == 1:
        yield _parameters(rounds[0], position)
        return
    with ThreadPoolExecutor(1) as ahead:
        yield from ahead.map(_parameters, rounds, repeat(position))


def _rounds(effects: Sequence[Effect], most: int) -> Iterable[list[Effect]]:
    """Each alert at most once per round, and its effects in their order."""
    rest = list(effects)
    while rest:
        seen: set[int] = set()
        now: list[Effect] = []
        later: list[Effect] = []
        for effect in rest:
            fits = effect.alert_id not in seen and len(now) < most
            (now if fits else later).append(effect)
            seen.add(effect.alert_id)
        yield now
        rest = later


def _parameters(effects: list[Effect], position: str) -> dict[str, Any]:
    """Rows in the order of their ids: who locks many alerts, locks them in this order."""
    ordered = sorted(enumerate(effects), key=lambda pair: pair[1].alert_id)
    rows = [_row(order, effect) for order, effect in ordered]
    columns = zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True)
    return {**dict(columns), "evaluated_at": clock.now(), "position": position}


COLUMNS = (
    "id", "ord", "version", "fire_seq", "was", "phase", "fires", "ends", "at", "price", "day", "symbol", "title",
    "body", "rule", "before", "tick", "extra", "source", "provider", "session", "trade_id", "exchange_at", "armed_at",
    "armed_price",
)  # fmt: skip
NO_EVIDENCE = ("{}", None, None, "{}", "", "", "", "", None)


def _row(order: int, effect: Effect) -> tuple[Any, ...]:
    title, body = (
        title_and_body(effect.rule, effect.symbol, effect.price, effect.extra) if effect.fires else ("", "")
    )
    return (
        effect.alert_id, order, effect.version, effect.fire_seq, int(effect.before_phase), int(effect.phase),
        effect.fires, effect.is_last, moment(effect.at_us), effect.price, effect.day, effect.symbol, title[:200], body,
        *(_evidence(effect) if effect.fires else NO_EVIDENCE), moment(effect.armed_us), effect.armed_price,
    )  # fmt: skip


def _evidence(effect: Effect) -> tuple[Any, ...]:
    tick, before = effect.tick, effect.before
    provider, session, trade_id, exchange_at = (
        (tick.provider, str(tick.session), tick.trade_id, moment(tick.as_of_us))
        if tick
        else ("", "", "", None)
    )
    return (
        _json(evidence.rule_json(effect.rule)),
        _json(evidence.tick_json(before)) if before else None,
        _json(evidence.tick_json(tick)) if tick else None,
        _json(effect.extra), effect.source, provider, session, trade_id, exchange_at,
    )  # fmt: skip


def _json(value: dict[str, Any]) -> str:
    return orjson.dumps(value).decode()


# Made as Django makes them of rows, which takes a third of the time of naming each field.
FIELDS = tuple(field.attname for field in Notification._meta.concrete_fields)  # noqa: SLF001 -- Django's own word for it


def _notification(told: Told, alert_id: int) -> Notification:
    """As it would be read."""
    at = told.created_at
    values = {
        **told._asdict(), "kind": NotificationKind.ALERT.value, "scheduled_at": at, "read_at": None,
    }  # fmt: skip
    made = Notification.from_db(connection.alias, FIELDS, [values[name] for name in FIELDS])
    made.trigger = Trigger.from_db(connection.alias, ("id", "alert_id"), (told.trigger_id, alert_id))
    return made
