"""What the owner reports about itself: counts in memory, one row per provider in PostgreSQL for the admin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core import clock, metrics
from marketdata.models import Upstream as UpstreamRow
from marketdata.quotes import EPOCH, Tick
from marketdata.tape.upstream import Upstream


@dataclass
class Counts:
    """Ticks of one provider in this term; refusals by reason."""

    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    last_tick_us: int = 0

    def accept(self, tick: Tick, now_us: int) -> None:
        self.accepted += 1
        self.last_tick_us = now_us
        metrics.ticks_accepted.labels(provider=tick.provider).inc()

    def refuse(self, tick: Tick, reason: str) -> None:
        self.refused[reason] += 1
        metrics.ticks_refused.labels(provider=tick.provider, reason=reason).inc()

    @property
    def last_tick_at(self) -> datetime | None:
        return EPOCH + timedelta(microseconds=self.last_tick_us) if self.last_tick_us else None


def rows(
    shard: int, epoch: int, holder: str, upstreams: Mapping[str, Upstream], counts: Mapping[str, Counts]
) -> list[UpstreamRow]:
    now = clock.now()
    return [
        UpstreamRow(
            shard=str(shard),
            provider=name,
            state=upstream.state,
            holder=holder,
            epoch=epoch,
            symbols_open=len(upstream.subscribed),
            ticks_accepted=counts[name].accepted,
            ticks_refused=counts[name].refused.total(),
            last_tick_at=counts[name].last_tick_at,
            since=upstream.since,
            last_error=upstream.last_error,
            reported_at=now,
        )
        for name, upstream in upstreams.items()
    ]


_UPDATED = [
    field.name
    for field in UpstreamRow._meta.concrete_fields  # noqa: SLF001 -- Django's documented model API
    if field.name not in {"id", "shard", "provider"}
]


def write(reported: list[UpstreamRow]) -> None:
    UpstreamRow.objects.bulk_create(
        reported, update_conflicts=True, unique_fields=["shard", "provider"], update_fields=_UPDATED
    )
