"""Before a model is asked, what that can cost at most is set aside; afterwards it becomes what it did cost.

Whoever sets aside holds one lock for one short transaction, in which what was spent and set aside today is summed from
the rows themselves: no counter can drift, and no number of processes together can exceed a limit. A call whose process
died counts in full.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, Sum

from core import clock, metrics
from marketdata import pricebook
from marketdata.pricing import Book, TokenCall, cost_of_tokens, most_of_tokens
from summaries import modelbook
from summaries.budget import Percents, allows, femto_of, step_of, usd_of, worst
from summaries.kinds import Lane, Outcome, Step
from summaries.llm.base import LanguageModel, Question, Usage
from summaries.modelbook import NoModel
from summaries.modelprices import BATCH
from summaries.models import Budget, BudgetScope, ModelCall

__all__ = [
    "NoModel",
    "OverBudget",
    "Reservation",
    "Standing",
    "lose_old",
    "reserve",
    "settle",
    "standing",
    "tokens_of",
]
logger = logging.getLogger(__name__)

BUDGET_LOCK = 0x4F54_0002
# No call takes so long; whoever made it has died.
LOST_AFTER = timedelta(minutes=15)
# When a refusal is only due to what others have set aside, most of which they will not use.
SOON = timedelta(minutes=1)
_INSTANT = timedelta(microseconds=1)
_OTHER = "chat"


class OverBudget(Exception):
    """Nothing may be bought for this now. `until`: when it is worth another try."""

    def __init__(self, step: Step, until: datetime) -> None:
        super().__init__(f"the budget does not allow it (step {step.name.lower()})")
        self.step = step
        self.until = until


@dataclass(frozen=True, slots=True)
class Reservation:
    """One call that may be made, once, of this model."""

    model: LanguageModel
    call: ModelCall
    step: Step


@dataclass(frozen=True, slots=True)
class Standing:
    """How one budget stands today."""

    scope: str
    name: str
    limit_femto: int
    percents: Percents
    spent_femto: int
    """What was used, and what may have been by calls that were lost."""
    open_femto: int
    """Set aside by calls that have not ended."""

    @property
    def limit_usd(self) -> Decimal:
        return usd_of(self.limit_femto)

    @property
    def used_femto(self) -> int:
        return self.spent_femto + self.open_femto

    @property
    def step(self) -> Step:
        return step_of(self.limit_femto, self.used_femto, self.percents)

    @property
    def settled_step(self) -> Step:
        """As if nothing were set aside."""
        return step_of(self.limit_femto, self.spent_femto, self.percents)


# --- setting aside


def reserve(
    question: Question, *, lane: Lane, tier: str, is_renewal: bool, symbols: Sequence[str]
) -> Reservation:
    """Choose the model and set aside what it can cost; raises OverBudget or NoModel. To be settled when it has ended.

    Not within another transaction: the call must be on record before it is made.
    """
    with transaction.atomic(durable=True):
        _wait_for_turn()
        now = clock.now()  # only here: who waited past midnight spends of the new day
        budgets = _standing(now, _counts_for(lane, tier))
        step = _allowed_step(budgets, is_renewal=is_renewal, now=now)
        book = modelbook.book_at(now)
        model = modelbook.pick_from(book, step, now)
        call = _call_of(question, model, now)
        most = most_of_tokens(tokens_of(call), book)
        if most is None:
            raise NoModel(f"no price for {call.vendor} {call.model}")
        _must_fit(budgets, most, step, now)
        call.lane, call.tier, call.symbols, call.counted_femto = (
            lane.value,
            tier,
            list(symbols),
            Decimal(most),
        )
        call.save(force_insert=True)
    return Reservation(model, call, step)


def _wait_for_turn() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [BUDGET_LOCK])


def _allowed_step(budgets: Sequence[Standing], *, is_renewal: bool, now: datetime) -> Step:
    step = worst(one.step for one in budgets)
    if not allows(step, is_renewal=is_renewal):
        settled = worst(one.settled_step for one in budgets)
        raise OverBudget(step, _until(now, lasts=not allows(settled, is_renewal=is_renewal)))
    return step


def _must_fit(budgets: Sequence[Standing], most: int, step: Step, now: datetime) -> None:
    if any(one.used_femto + most > one.limit_femto for one in budgets):
        lasts = any(one.spent_femto + most > one.limit_femto for one in budgets)
        raise OverBudget(step, _until(now, lasts=lasts))


def _until(now: datetime, *, lasts: bool) -> datetime:
    tomorrow = _day_of(now) + timedelta(days=1)
    return tomorrow if lasts else min(tomorrow, now + SOON)


def _call_of(question: Question, model: LanguageModel, now: datetime) -> ModelCall:
    """With the most that it can use, so that one that is lost counts as if all of it had been."""
    most = model.most(question)
    return ModelCall(
        at=now,
        vendor=settings.LLM_VENDOR,
        model=model.name,
        task=question.task.value,
        prompt_version=question.prompt_version,
        asked=len(question.items),
        input_tokens=most.input,
        output_tokens=most.output,
    )


def tokens_of(call: ModelCall) -> TokenCall:
    """As the price book prices it: those of a batch have a price of their own."""
    endpoint = BATCH if call.batch_id is not None else _OTHER
    return TokenCall(
        call.at, call.vendor, call.model, endpoint, call.input_tokens, call.cached_tokens, call.output_tokens
    )


# --- settling


def settle(  # noqa: PLR0913 -- what is written of a call, each by its name
    call: ModelCall,
    outcome: Outcome,
    usage: Usage,
    *,
    answered: int = 0,
    error: str = "",
    request_id: str = "",
    took_ms: int = 0,
) -> None:
    """What the call used, once: whoever comes later, or after it was given up for lost, changes nothing."""
    if outcome is Outcome.OPEN:
        raise ValueError("a call is settled with how it ended")
    row = ModelCall.objects.get(pk=call.pk)  # as it was sent: meanwhile it may belong to a batch
    if outcome is not Outcome.LOST:  # of which nobody knows more than the most
        row.input_tokens, row.output_tokens = max(usage.input, usage.cached, 0), max(usage.output, 0)
        row.cached_tokens = max(usage.cached, 0)
    cost = cost_of_tokens(tokens_of(row), _book_of(row))
    if cost is None:
        logger.error("a call of %s %s has no price any more: what was set aside stays", row.vendor, row.model)
    if cost is not None and cost > row.counted_femto:
        logger.error("a call of %s cost more than the most that was set aside for it", row.model)
    ModelCall.objects.filter(pk=row.pk, outcome=Outcome.OPEN).update(
        outcome=outcome,
        input_tokens=row.input_tokens,
        cached_tokens=row.cached_tokens,
        output_tokens=row.output_tokens,
        counted_femto=row.counted_femto if cost is None else Decimal(cost),
        answered=answered,
        error=error[:300],
        request_id=request_id[:200],
        took_ms=min(max(took_ms, 0), 2**31 - 1),
    )


def _book_of(call: ModelCall) -> Book:
    """The prices of the moment in which the call was made."""
    return pricebook.book_of(call.at, call.at + _INSTANT, provider=call.vendor)


def lose_old(now: datetime) -> int:
    """Give up calls that nobody will settle any more; they keep counting. How many there were."""
    old = ModelCall.objects.filter(outcome=Outcome.OPEN, batch=None, at__lte=now - LOST_AFTER)
    tasks = list(old.values_list("pk", "task"))
    lost = 0
    for key, task in tasks:
        if ModelCall.objects.filter(pk=key, outcome=Outcome.OPEN, batch=None).update(outcome=Outcome.LOST):
            metrics.model_calls.labels(task=task, outcome=Outcome.LOST.value).inc()
            lost += 1
    return lost


# --- how it stands


def standing() -> list[Standing]:
    """Every budget and what was used of it today: that for everything first."""
    return _standing(clock.now(), Q())


def _counts_for(lane: Lane, tier: str) -> Q:
    """The budgets that a call counts in."""
    found = Q(scope=BudgetScope.DAY) | Q(scope=BudgetScope.LANE, name=lane.value)
    return found | Q(scope=BudgetScope.TIER, name=tier) if tier else found


def _standing(now: datetime, which: Q) -> list[Standing]:
    rows = list(Budget.objects.filter(which).order_by("scope", "name"))
    if not any(row.scope == BudgetScope.DAY for row in rows):
        rows.insert(0, Budget(scope=BudgetScope.DAY, usd_per_day=settings.LLM_BUDGET_USD))
    sums = _sums(rows, now)
    return [_stand(row, *sums[number]) for number, row in enumerate(rows)]


def _stand(row: Budget, spent: int, still_open: int) -> Standing:
    percents = Percents(row.warn_percent, row.cheaper_percent, row.cached_only_percent)
    return Standing(row.scope, row.name, femto_of(row.usd_per_day), percents, spent, still_open)


def _sums(rows: Iterable[Budget], now: datetime) -> list[tuple[int, int]]:
    """Of each budget what was spent and what is set aside on this day (UTC), in one query."""
    day = _day_of(now)
    wanted: dict[str, Sum] = {}
    filters = [_calls_of(row) for row in rows]
    for number, calls in enumerate(filters):
        wanted[f"spent_{number}"] = Sum("counted_femto", filter=calls & ~Q(outcome=Outcome.OPEN))
        wanted[f"open_{number}"] = Sum("counted_femto", filter=calls & Q(outcome=Outcome.OPEN))
    found = ModelCall.objects.filter(at__gte=day, at__lt=day + timedelta(days=1)).aggregate(**wanted)
    return [
        (int(found[f"spent_{number}"] or 0), int(found[f"open_{number}"] or 0))
        for number in range(len(filters))
    ]


def _calls_of(row: Budget) -> Q:
    return {
        BudgetScope.DAY: Q(),
        BudgetScope.LANE: Q(lane=row.name),
        BudgetScope.TIER: Q(tier=row.name),
    }[BudgetScope(row.scope)]


def _day_of(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
