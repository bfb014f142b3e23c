"""How many fires were false: taken back afterwards, or not borne out by what was kept of them.

A fire is evaluated again from its own row, so whoever doubts one sees the same. One that is not reproduced is a
mistake of ours; one that was retracted is a mistake of the feed that we believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Count, Q

from alerts import evidence
from alerts.models import Trigger
from core import clock, doctor
from core.doctor import Line, Verdict

# So many are evaluated again, the newest; a second's work of more would say hardly anything else.
MOST = 2_000
EXAMINED = timedelta(days=1)
NEEDED = ("rule", "armed_price", "before", "tick", "extra", "retracted_at")


@dataclass(frozen=True, slots=True)
class Quality:
    """Of the fires of a span."""

    fires: int
    retracted: int
    looked_at: int
    """Of the newest, which the three numbers below are of."""
    unreproduced: int
    unreadable: int
    """Kept by another version, so that nobody can tell."""
    false: int
    """Retracted or not reproduced."""

    @property
    def false_percent(self) -> Decimal | None:
        if not self.looked_at:
            return None
        return (Decimal(100 * self.false) / self.looked_at).quantize(Decimal("0.01"))


def over(span: timedelta) -> Quality:
    """Of the last `span`; two queries."""
    return since(clock.now() - span)


def since(moment: datetime) -> Quality:
    rows = Trigger.objects.filter(committed_at__gte=moment)
    counted = rows.aggregate(fires=Count("pk"), retracted=Count("pk", filter=Q(retracted_at__isnull=False)))
    verdicts = [
        (bears_out(trigger), trigger.retracted_at is not None)
        for trigger in rows.only(*NEEDED).order_by("-committed_at", "-pk")[:MOST]
    ]
    return Quality(
        fires=counted["fires"],
        retracted=counted["retracted"],
        looked_at=len(verdicts),
        unreproduced=sum(borne_out is False for borne_out, _ in verdicts),
        unreadable=sum(borne_out is None for borne_out, _ in verdicts),
        false=sum(borne_out is False or retracted for borne_out, retracted in verdicts),
    )


def bears_out(trigger: Trigger) -> bool | None:
    """Whether what was kept, evaluated again, fires; None: it lacks what today's rules need."""
    try:
        rule = evidence.rule_of(trigger.rule)
        return evidence.reproduces(rule, trigger.armed_price, trigger.before, trigger.tick, trigger.extra)
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return None


def lines(_asks: bool) -> Iterator[Line]:
    found = over(EXAMINED)
    if not found.false:
        text = f"{found.fires} fired within a day, and what was kept bears them out"
        yield Line("alert quality", Verdict.OK, text if found.fires else "nothing fired within a day")
        return
    text = (
        f"of {found.looked_at} fires within a day {found.retracted} were taken back "
        f"and {found.unreproduced} are not reproduced ({found.false_percent} % false)"
    )
    yield Line("alert quality", Verdict.WARN, text, "The administration shows each with its evidence.")


def register() -> None:
    doctor.register("alert quality", lines)
