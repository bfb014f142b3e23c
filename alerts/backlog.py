"""Whether what is to be told gets out: for `/readyz` and `doctor`.

What was claimed and never marked is due again when its claim has run out, so whatever is overdue for a minute says
that nobody delivers, or too slowly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from alerts.models import Channel, ChannelState, Delivery, DeliveryState, Outbox
from core import checks, clock, doctor
from core.checks import Finding
from core.doctor import Line, Verdict

LATE_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Backlog:
    unexpanded: int
    """Outbox rows that should be deliveries for a minute."""
    overdue: int
    """Deliveries that should have been tried for a minute; also those claimed by who died."""
    dead: int
    failing: int
    switched_off: int

    @property
    def is_late(self) -> bool:
        return bool(self.unexpanded or self.overdue)


def backlog() -> Backlog:
    before = clock.now() - LATE_AFTER
    due = Delivery.objects.filter(state=DeliveryState.QUEUED, digest=None, next_attempt_at__lt=before)
    channels = Channel.objects.filter(is_enabled=True)
    return Backlog(
        unexpanded=Outbox.objects.filter(due_at__lt=before).count(),
        overdue=due.count(),
        dead=Delivery.objects.filter(state=DeliveryState.DEAD).count(),
        failing=channels.filter(state=ChannelState.FAILING).count(),
        switched_off=channels.filter(state=ChannelState.DISABLED).count(),
    )


def finding() -> Finding:
    """Not required: nobody is served worse while messages wait."""
    found = backlog()
    figures = {"unexpanded": found.unexpanded, "overdue": found.overdue, "dead": found.dead}
    return Finding(ok=not found.is_late, figures=figures)


def lines(_asks: bool) -> Iterator[Line]:
    found = backlog()
    if found.is_late:
        text = f"{found.unexpanded + found.overdue} messages have been due for more than a minute"
        yield Line("deliveries", Verdict.BAD, text, "A worker for the queue `realtime` and beat must run.")
    else:
        yield Line("deliveries", Verdict.OK, "nothing is overdue")
    if found.failing or found.switched_off or found.dead:
        text = (
            f"{found.failing} channels fail, {found.switched_off} were switched off by an error; "
            f"{found.dead} messages were given up"
        )
        yield Line("deliveries", Verdict.WARN, text, "The administration can send them again.")


def register() -> None:
    checks.register("deliveries", finding)
    doctor.register("deliveries", lines)
