"""Levels over tickers, Zipf-like: a few tickers have most of them. In memory for the oracle, and in the table."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction

from accounts.tiers import Tier
from alerts.kinds import Kind, Mode, Phase, Sessions
from benchmarks.harness.population import make_tickers, make_users
from benchmarks.harness.report import say
from core import clock

# Each ticker has at least so many, so that each has some to fire.
LEAST_EACH = 20
ALERTS_OF_ONE = 500
# From there on each side of the price, in parts of ten thousand.
NEAREST, FURTHEST = 100, 3_000
ARMED_FOR = timedelta(days=1)
KINDS = {1: (Kind.ABOVE, Kind.CROSSES_ABOVE), -1: (Kind.BELOW, Kind.CROSSES_BELOW)}
COLUMNS = (
    "id", "user_id", "ticker_id", "kind", "threshold", "way", "sessions", "mode", "rearm_band", "cooldown_s",
    "priority", "category", "note", "is_paused", "active", "phase", "direction", "version", "fire_seq", "armed_at",
    "armed_price", "splits_until", "edited_at", "created_at",
)  # fmt: skip


class Level(NamedTuple):
    """One alert. `place` is its ticker's."""

    id: int
    place: int
    direction: int
    threshold: Decimal
    is_last: bool


@dataclass
class Field:
    symbols: list[str]
    ids: list[int]
    prices: list[Decimal]
    """At which nothing happens."""
    levels: list[list[Level]] = field(default_factory=list)
    """By ticker; upwards from the price, then downwards, the nearest first."""

    def everyone(self) -> Iterator[Level]:
        return (level for some in self.levels for level in some)

    def upwards(self, place: int) -> list[Level]:
        return [level for level in self.levels[place] if level.direction > 0]


def make(alerts: int, tickers: int, rng: random.Random) -> Field:
    say(f"{alerts:,} alerts on {tickers:,} tickers")
    rows = make_tickers(tickers, "AP")
    prices = [Decimal(rng.randrange(1_000, 100_000)).scaleb(-2) for _ in rows]
    made = Field([row.symbol for row in rows], [row.pk for row in rows], prices)
    number = 0
    for place, count in enumerate(_counts(alerts, tickers)):
        made.levels.append(_levels(place, number, count, prices[place], rng))
        number += count
    _store(made, [user.pk for user in make_users(alerts // ALERTS_OF_ONE, "alerted", [Tier.EXPERT])])
    return made


def _counts(alerts: int, tickers: int) -> list[int]:
    """The first ticker has twice as many as the second, and so on."""
    spread = alerts - LEAST_EACH * tickers
    weights = [1 / (rank + 1) for rank in range(tickers)]
    total = sum(weights)
    counts = [LEAST_EACH + int(spread * weight / total) for weight in weights]
    counts[0] += alerts - sum(counts)
    return counts


def _levels(place: int, number: int, count: int, price: Decimal, rng: random.Random) -> list[Level]:
    """Half on each side, no two at the same threshold; every fourth is done when it has fired."""
    found = []
    for direction, some in ((1, count - count // 2), (-1, count // 2)):
        parts = sorted(rng.sample(range(NEAREST * 1_000, FURTHEST * 1_000), some))
        for part in parts:
            number += 1
            threshold = (price * (1 + direction * Decimal(part) / 10_000_000)).quantize(Decimal("0.00000001"))
            found.append(Level(number, place, direction, threshold, is_last=number % 4 == 0))
    return found


def _store(made: Field, users: list[UUID]) -> None:
    """Without its indexes meanwhile: they are made afterwards, as for any large import."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes "
            "WHERE tablename = 'alerts_alert' AND indexname <> 'alerts_alert_pkey'"
        )
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
        with cursor.copy(f"COPY alerts_alert ({', '.join(COLUMNS)}) FROM STDIN") as copy:
            for row in _rows(made, users):
                copy.write_row(row)
        for _, definition in indexes:
            cursor.execute(definition)
        cursor.execute("SELECT setval('alerts_alert_id_seq', (SELECT max(id) FROM alerts_alert))")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE alerts_alert")
        cursor.execute("ANALYZE marketdata_ticker")
        cursor.execute("ANALYZE accounts_user")


def _rows(made: Field, users: list[UUID]) -> Iterator[tuple[object, ...]]:
    now = clock.now()
    since: datetime = now - ARMED_FOR
    for level in made.everyone():
        kind = KINDS[level.direction][level.id % 2]
        sessions = (Sessions.REGULAR, Sessions.EXTENDED)[level.id // 2 % 2]
        mode = Mode.ONCE if level.is_last else Mode.REPEAT
        yield (
            level.id, users[level.id % len(users)], made.ids[level.place], kind.value, level.threshold, "either",
            sessions.value, mode.value, 0, 0, level.id % 4 + 1, "", "", False, True, Phase.ARMED.value, level.direction,
            1, 0, since, made.prices[level.place], now.date(), since, since,
        )  # fmt: skip
