"""How the providers and the prices stand, for the status page, `doctor` and the administration.

Everything here is read from PostgreSQL and Redis; nobody who bills is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db.models import Avg, Count, Max, Q
from prometheus_client import Counter
from redis.exceptions import RedisError

from core import clock, metrics
from core.redis import client
from marketdata import demand, quota
from marketdata.cache import BEATS_KEY, alive_shards
from marketdata.errors import Kind
from marketdata.models import ProviderCall, Quote, Upstream, UpstreamState
from marketdata.providers import breakers, registry
from marketdata.providers.base import Provider
from marketdata.providers.breakers import Reading, State
from marketdata.providers.chain import breaker_name
from marketdata.providers.registry import Purpose
from marketdata.quota import Budget
from marketdata.tape import openset

# What a page shows as "lately".
LATELY = timedelta(hours=1)
# An owner reports every two seconds.
REPORT_MISSED_AFTER = timedelta(seconds=15)


class Condition(StrEnum):
    """One word for a provider as it stands."""

    OK = "ok"
    IDLE = "idle"
    WAITING = "waiting"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Lately:
    """Its calls of the last hour."""

    calls: int = 0
    failed: int = 0
    latency_ms: float | None = None
    last_at: datetime | None = None
    last_ok_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """One provider; `until` is when a WAITING or DOWN one is asked again."""

    provider: Provider
    condition: Condition
    why: str = ""
    until: datetime | None = None
    budgets: Sequence[Budget] = ()
    breakers: Mapping[Purpose, Reading] = field(default_factory=dict)
    upstreams: Sequence[Upstream] = ()
    lately: Lately = field(default_factory=Lately)


@dataclass(frozen=True, slots=True)
class PriceHealth:
    """The prices of what is wanted now; `oldest` counts what does not stream, since when it was last checked."""

    wanted: int
    streaming: int
    without_quote: int
    oldest_symbol: str = ""
    oldest: timedelta | None = None


def providers() -> list[ProviderHealth]:
    """All configured ones in their order; raises RedisError or a database error."""
    calls = _lately()
    upstreams = list(Upstream.objects.all())
    return [_provider(one, calls.get(one.name, Lately()), upstreams) for one in registry.providers()]


def _provider(provider: Provider, lately: Lately, upstreams: Sequence[Upstream]) -> ProviderHealth:
    readings = {
        purpose: breakers.reading(breaker_name(provider, purpose))
        for purpose in Purpose
        if registry.can(provider.capabilities, purpose)
    }
    budgets = quota.budgets(provider)
    own = [row for row in upstreams if row.provider == provider.name]
    condition, why, until = _condition(readings, quota.blocked_until(provider), own, lately)
    return ProviderHealth(provider, condition, why, until, budgets, readings, own, lately)


def _condition(
    readings: Mapping[Purpose, Reading],
    blocked_until: datetime | None,
    upstreams: Sequence[Upstream],
    lately: Lately,
) -> tuple[Condition, str, datetime | None]:
    opened = {purpose: one for purpose, one in readings.items() if one.state is State.OPEN}
    if opened:
        purposes = ", ".join(purpose.value.replace("_", " ") for purpose in opened)
        until = max(one.open_until for one in opened.values() if one.open_until)
        return Condition.DOWN, f"no usable answer: {purposes}", until
    if blocked_until:
        return Condition.WAITING, "rate-limited", blocked_until
    for row in upstreams:
        if row.state == UpstreamState.WAITING:
            return Condition.DOWN, "stream lost, reconnecting", None
    streams = any(row.state == UpstreamState.OPEN and _reported_lately(row) for row in upstreams)
    if not streams and not lately.calls:
        return Condition.IDLE, "", None
    return Condition.OK, "", None


def _reported_lately(row: Upstream) -> bool:
    return clock.now() - row.reported_at < REPORT_MISSED_AFTER


def _lately() -> dict[str, Lately]:
    good = Q(outcome__in=[Kind.OK.value, Kind.NOT_FOUND.value])
    rows = (
        ProviderCall.objects.filter(at__gt=clock.now() - LATELY)
        .exclude(cause="stream")
        .values("provider")
        .annotate(
            calls=Count("id"),
            failed=Count("id", filter=~good),
            latency=Avg("latency_ms"),
            last_at=Max("at"),
            last_ok_at=Max("at", filter=good),
        )
    )
    return {
        row["provider"]: Lately(
            row["calls"], row["failed"], row["latency"], row["last_at"], row["last_ok_at"]
        )
        for row in rows
    }


def prices() -> PriceHealth:
    """Raises a database error; Redis away counts nothing as streaming."""
    wanted = demand.wanted()
    streaming = openset.streaming(list(wanted)) or set()
    checked = _checked(symbol for symbol in wanted if symbol not in streaming)
    quoted = Quote.objects.filter(ticker_id__in=[one.ticker_id for one in wanted.values()]).count()
    oldest = min(checked, key=lambda symbol: checked[symbol], default="")
    return PriceHealth(
        wanted=len(wanted),
        streaming=len(streaming),
        without_quote=len(wanted) - quoted,
        oldest_symbol=oldest,
        oldest=clock.now() - checked[oldest] if oldest else None,
    )


def _checked(symbols: Any) -> dict[str, datetime]:
    rows = Quote.objects.filter(ticker__symbol__in=list(symbols))
    return dict(rows.values_list("ticker__symbol", "received_at"))


def hit_rate() -> float | None:
    """The part of this process's quote reads that no provider was asked for; None before the first."""
    asked = _total(metrics.quotes_asked)
    return 1 - _total(metrics.quote_reads, tier="provider") / asked if asked else None


def _total(counter: Counter, **labels: str) -> float:
    return sum(
        sample.value
        for metric in counter.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels.items() >= labels.items()
    )


def tape_alive() -> bool:
    """Whether any owner of the tape has beaten lately; False also while Redis is away."""
    try:
        beats: dict[Any, Any] = client().hgetall(BEATS_KEY)
        return bool(alive_shards(beats, client().time()))
    except RedisError:
        metrics.redis_failures.labels(used_by="health").inc()
        return False
