"""What the owner reports about itself: counts in memory, one row per provider in PostgreSQL for the admin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core import clock, metrics
from marketdata.models import Upstream as UpstreamRow
from marketdata.quotes import EPOCH, StreamEvent
from marketdata.tape.lines import Lines

MAX_TEXT = 300


@dataclass
class Counts:
    """Ticks of one provider in this term; refusals by reason."""

    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    last_tick_us: int = 0
    _measured: int = 0

    def accept(self, now_us: int) -> None:
        self.accepted += 1
        self.last_tick_us = now_us

    def measure(self, provider: str) -> None:
        """For the metrics, once in a while: each time costs as much as judging a tick."""
        if self.accepted > self._measured:
            metrics.ticks_accepted.labels(provider=provider).inc(self.accepted - self._measured)
            self._measured = self.accepted

    def refuse(self, event: StreamEvent, reason: str) -> None:
        self.refused[reason] += 1
        metrics.ticks_refused.labels(provider=event.provider, reason=reason).inc()

    @property
    def last_tick_at(self) -> datetime | None:
        return EPOCH + timedelta(microseconds=self.last_tick_us) if self.last_tick_us else None


@dataclass(frozen=True, slots=True)
class Office:
    """Whose report it is."""

    shard: int
    epoch: int
    holder: str


def rows(
    office: Office,
    lines: Mapping[str, Lines],
    counts: Mapping[str, Counts],
    over: Mapping[str, int],
) -> list[UpstreamRow]:
    """`over`: how many symbols each provider had no room for."""
    now = clock.now()
    return [
        UpstreamRow(
            shard=str(office.shard),
            provider=name,
            state=one.state,
            holder=office.holder,
            epoch=office.epoch,
            symbols_open=len(one.subscribed),
            ticks_accepted=counts[name].accepted,
            ticks_refused=counts[name].refused.total(),
            last_tick_at=counts[name].last_tick_at,
            since=one.since,
            last_error=trouble(one, over.get(name, 0)),
            reported_at=now,
        )
        for name, one in lines.items()
    ]


def trouble(lines: Lines, over: int) -> str:
    """What an operator should know: the last error, when it is tried again, what found no room."""
    parts = [lines.last_error] if lines.last_error else []
    if lines.retry_at is not None:
        parts.append(f"next try at {lines.retry_at:%H:%M:%S} UTC")
    if lines.connections > 1:
        parts.append(f"{lines.connections} connections")
    if over:
        parts.append(f"{over} symbols over its limit")
    if refused := len(lines.refused):
        parts.append(f"{refused} symbols refused")
    return "; ".join(parts)[:MAX_TEXT]


_UPDATED = [
    field.name
    for field in UpstreamRow._meta.concrete_fields  # noqa: SLF001 -- Django's documented model API
    if field.name not in {"id", "shard", "provider"}
]


def write(reported: list[UpstreamRow]) -> None:
    UpstreamRow.objects.bulk_create(
        reported, update_conflicts=True, unique_fields=["shard", "provider"], update_fields=_UPDATED
    )
