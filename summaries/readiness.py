"""Whether texts get bought, within what budget and from whom: for `/readyz` and `doctor`.

What nothing may be bought of rests with a later time, so an order that has been due for long says that nobody buys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Min, Q

from core import checks, clock, doctor
from core.checks import Finding
from core.doctor import Line, Verdict
from summaries import modelbook, spending
from summaries.budget import usd_of, worst
from summaries.kinds import Lane, OrderState, Outcome, Step
from summaries.llm import registry
from summaries.models import ModelCall, ModelEntry, Order

LATE_AFTER = timedelta(minutes=10)
# Of what may wait until tomorrow, and of batches that a vendor has a day for.
OVERNIGHT_LATE_AFTER = timedelta(days=2)
LATELY = timedelta(hours=1)
MANY_IN_VAIN = 3
WARNED_BEFORE = timedelta(days=90)
URGENT_BEFORE = timedelta(days=7)
WORKED = (Outcome.OK, Outcome.PARTLY)


@dataclass(frozen=True, slots=True)
class Queue:
    """How the orders stand."""

    waiting: int
    late: int
    """That should have been asked for long ago."""
    oldest: datetime | None
    """When the first of those that wait was ordered."""
    dead: int


def queue(now: datetime) -> Queue:
    """One query."""
    queued = Q(state=OrderState.QUEUED)
    soon = queued & ~Q(lane=Lane.OVERNIGHT) & Q(not_before__lt=now - LATE_AFTER)
    overnight = queued & Q(lane=Lane.OVERNIGHT, not_before__lt=now - OVERNIGHT_LATE_AFTER)
    pending = Order.objects.exclude(state=OrderState.DONE)
    found = pending.aggregate(
        waiting=Count("pk", filter=queued), late=Count("pk", filter=soon | overnight),
        oldest=Min("created_at", filter=queued), dead=Count("pk", filter=Q(state=OrderState.DEAD)),
    )  # fmt: skip
    return Queue(**found)


def last_success() -> datetime | None:
    """Of any model; when it was asked."""
    found: datetime | None = ModelCall.objects.filter(outcome__in=WORKED).aggregate(last=Max("at"))["last"]
    return found


def finding() -> Finding:
    """Not required: pages show the last text, or sentences of the source itself."""
    now = clock.now()
    found, last = queue(now), last_success()
    step = worst(one.step for one in spending.standing())
    figures: dict[str, Any] = {
        "waiting": found.waiting,
        "oldest_waiting_s": _seconds(now, found.oldest),
        "dead": found.dead,
        "budget_step": step.name.lower(),
        "last_success_s": _seconds(now, last),
    }
    return Finding(ok=not found.late, figures=figures)


def _seconds(now: datetime, since: datetime | None) -> int | None:
    return None if since is None else round((now - since).total_seconds())


def lines(_asks: bool) -> Iterator[Line]:
    now = clock.now()
    yield _model_line()
    yield from _end_lines(now)
    yield from _queue_lines(now)
    yield from _call_lines(now)
    yield from _budget_lines()


def _model_line() -> Line:
    if not registry.is_configured():
        text = "no model is configured: texts are sentences of the sources themselves"
        return Line("summaries", Verdict.OK, text)
    try:
        model = modelbook.pick(Step.NORMAL)
    except modelbook.NoModel as error:
        return Line("summaries", Verdict.BAD, f"no model can be asked: {error}")
    text = f"{model.name} is asked"
    if model.name == settings.LLM_MODEL:
        return Line("summaries", Verdict.OK, text)
    return Line(
        "summaries", Verdict.WARN, f"{text} in the place of {settings.LLM_MODEL}", "Set LLM_MODEL to it."
    )


def _end_lines(now: datetime) -> Iterator[Line]:
    """Of the models that may be asked."""
    for entry in modelbook.in_use() if registry.is_configured() else ():
        if entry.end_of_life is None or entry.end_of_life > (now + WARNED_BEFORE).date():
            continue
        days = (entry.end_of_life - now.date()).days
        when = f"ends in {days} days" if days > 0 else f"has ended on {entry.end_of_life}"
        verdict = Verdict.BAD if days <= URGENT_BEFORE.days and not entry.fallback_id else Verdict.WARN
        yield Line(
            "summaries", verdict, f"{entry.name} {when}; {_instead(entry)}", "Choose another LLM_MODEL."
        )


def _instead(entry: ModelEntry) -> str:
    return f"then {entry.fallback.name} is asked" if entry.fallback else "nothing is asked in its place"


def _queue_lines(now: datetime) -> Iterator[Line]:
    found = queue(now)
    if found.late:
        text = f"{found.late} orders have been due for long, of {found.waiting} that wait"
        yield Line("summaries", Verdict.BAD, text, "A worker and beat must run, and the model must answer.")
    else:
        yield Line("summaries", Verdict.OK, f"{found.waiting} orders wait, none for long")
    if found.dead:
        text = f"{found.dead} orders were given up"
        yield Line("summaries", Verdict.WARN, text, "The administration shows why, and can try them again.")


def _call_lines(now: datetime) -> Iterator[Line]:
    lately = ModelCall.objects.filter(at__gte=now - LATELY).exclude(outcome=Outcome.OPEN)
    calls = lately.aggregate(all=Count("pk"), worked=Count("pk", filter=Q(outcome__in=WORKED)))
    last = last_success()
    if calls["all"] and not calls["worked"]:
        since = "never" if last is None else f"{(now - last).total_seconds() / 3600:.1f} h ago"
        text = f"none of {calls['all']} calls within an hour worked; the last that did was {since}"
        yield Line("summaries", Verdict.BAD, text, "The administration shows each call with its error.")
    elif last is not None:
        yield _last_line(now, last, in_vain=lately.filter(at__gt=last).exclude(outcome__in=WORKED).count())


def _last_line(now: datetime, last: datetime, *, in_vain: int) -> Line:
    minutes = (now - last).total_seconds() / 60
    text = f"the last call that worked was {minutes:.0f} min ago"
    if in_vain < MANY_IN_VAIN:
        return Line("summaries", Verdict.OK, text)
    text += f"; {in_vain} since then did not"
    return Line("summaries", Verdict.WARN, text, "The administration shows each call with its error.")


def _budget_lines() -> Iterator[Line]:
    for one in spending.standing() if registry.is_configured() else ():
        what = f"the budget {one.scope} {one.name}".strip()
        if one.step < Step.WARN:
            text = f"${usd_of(one.used_femto):.2f} of {what} are used today (${one.limit_usd.normalize():f})"
            yield Line("summaries", Verdict.OK, text)
        else:
            text = f"{what} is used up so far today that {BITES[one.step]} (${one.limit_usd.normalize():f} a day)"
            yield Line("summaries", Verdict.WARN, text, "The administration has the budgets.")


BITES = {
    Step.WARN: "it is warned",
    Step.CHEAPER: "the cheaper model is asked",
    Step.CACHED_ONLY: "nothing is bought that has a text already",
    Step.EXTRACTIVE: "nothing is bought",
}


def register() -> None:
    checks.register("summaries", finding)
    doctor.register("summaries", lines)
