"""Alerts from PostgreSQL for the engine: all of a shard at the start, those that were edited since."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from redis.exceptions import RedisError

from alerts.engine import Watched
from alerts.kinds import Kind, Mode, Phase, Rule, Sessions, Way
from core import metrics
from core.redis import client
from marketdata.models import Ticker
from marketdata.tape.sharding import shard_of

CHANGED_CHANNEL = "alerts:changed"
CHUNK = 20_000

COLUMNS = """
SELECT a.id, a.active, t.symbol, a.kind, a.threshold, a.lower, a.upper, a.window_s, a.way, a.stale_after_s,
       a.sessions, a.mode, a.rearm_band, a.cooldown_s, a.expires_at, a.snoozed_until, u.time_zone,
       a.phase, a.version, a.priority, (extract(epoch from a.armed_at) * 1000000)::bigint, a.armed_price,
       coalesce((extract(epoch from a.last_fired_at) * 1000000)::bigint, 0), a.last_fired_day, a.fire_seq
  FROM alerts_alert AS a
  JOIN marketdata_ticker AS t ON t.id = a.ticker_id
  JOIN accounts_user AS u ON u.id = a.user_id
"""
# A dictionary is several times faster than calling the enum, a million times over.
KINDS = {member.value: member for member in Kind}
WAYS = {member.value: member for member in Way}
SESSIONS = {member.value: member for member in Sessions}
MODES = {member.value: member for member in Mode}
PHASES = {member.value: member for member in Phase}


def tell_changed() -> None:
    """On commit: somebody has made or edited alerts. A wake-up that is lost costs at most a second."""
    transaction.on_commit(_tell)


def _tell() -> None:
    try:
        client().publish(CHANGED_CHANNEL, b"")
    except RedisError:
        metrics.redis_failures.labels(used_by="alerts").inc()


def load(shard: int, shards: int) -> Iterator[list[Watched]]:
    """All active alerts of the shard, in chunks, of one moment."""
    tickers = [
        pk for pk, symbol in Ticker.objects.values_list("pk", "symbol") if shard_of(symbol, shards) == shard
    ]
    where = "WHERE a.active" if shards == 1 else "WHERE a.active AND a.ticker_id = ANY (%s)"
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(COLUMNS + where, [tickers] if shards > 1 else [])
        while rows := cursor.fetchmany(CHUNK):
            yield [watched(row) for row in rows]


def edited_since(since: datetime) -> dict[int, Watched | None]:
    """Those that were made or edited at this moment or later; None: not to be evaluated any more."""
    return _read("WHERE a.edited_at >= %s", since)


def again(ids: Collection[int]) -> dict[int, Watched | None]:
    """These as they are now; None: not to be evaluated any more, or gone."""
    gone: dict[int, Watched | None] = dict.fromkeys(ids)
    return gone | _read("WHERE a.id = ANY (%s)", list(ids))


def _read(where: str, value: Any) -> dict[int, Watched | None]:
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS + where, [value])
        return {row[0]: watched(row) if row[1] else None for row in cursor.fetchall()}


def watched(row: tuple[Any, ...]) -> Watched:
    """From COLUMNS."""
    (
        alert_id, _, symbol, kind, threshold, lower, upper, window_s, way, stale_after_s, sessions, mode, rearm_band,
        cooldown_s, expires_at, snoozed_until, time_zone, phase, version, priority, armed_us, armed_price,
        last_fired_us, last_fired_day, fire_seq,
    ) = row  # fmt: skip
    rule = Rule(
        KINDS[kind], threshold, lower, upper, window_s, WAYS[way], stale_after_s, SESSIONS[sessions], MODES[mode],
        rearm_band, cooldown_s, expires_at, snoozed_until, time_zone,
    )  # fmt: skip
    return Watched(
        alert_id, symbol, rule, PHASES[phase], version, priority, armed_us, armed_price, fire_seq, last_fired_us,
        last_fired_day,
    )  # fmt: skip
