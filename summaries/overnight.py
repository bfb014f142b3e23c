"""The lane that waits until tomorrow: questions handed in together at half the price, answers fetched later.

Handed-in orders stay claimed by their batch, for as long as the vendor may take. A model without such an offer answers
them in the lane of minutes.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import NamedTuple, cast

from django.db import transaction

from core import clock, metrics
from summaries import buying, modelbook, orders, spending
from summaries.kinds import Lane, OrderState, Outcome, Step, Task
from summaries.llm.base import Answer, BatchModel, Collected, CollectState, ModelError, Question
from summaries.models import BatchState, ModelCall, Order, RemoteBatch
from summaries.orders import Claim
from summaries.spending import NoModel, OverBudget, Reservation

logger = logging.getLogger(__name__)

MOST_CALLS = 200
TIMEOUT_S = 30.0
# Vendors promise a day; what has not come then never will.
GIVEN_UP_AFTER = timedelta(hours=26)
REST = timedelta(hours=1)


class _Sheet(NamedTuple):
    """One call of a batch."""

    claim: Claim
    question: Question
    reservation: Reservation


def send() -> int:
    """Hand in what waits in the lane; how many calls. Raises DATABASE_ERRORS."""
    waiting = Order.objects.filter(state=OrderState.QUEUED, lane=Lane.OVERNIGHT)
    if not waiting.filter(not_before__lte=clock.now()).exists():
        return 0
    try:
        model = modelbook.pick(Step.NORMAL)
    except NoModel:
        return 0
    if not hasattr(model, "submit"):
        waiting.update(lane=Lane.MINUTES)
        orders.wake()
        return 0
    sheets = _sheets()
    for name in dict.fromkeys(sheet.reservation.model.name for sheet in sheets):
        _hand_in([sheet for sheet in sheets if sheet.reservation.model.name == name])
    return len(sheets)


def _sheets() -> list[_Sheet]:
    found: list[_Sheet] = []
    while len(found) < MOST_CALLS and (claim := orders.claim([Lane.OVERNIGHT])) is not None:
        if claim.task is Task.EARNINGS:  # long ones are asked about in steps
            orders.hurry(claim.orders)
            continue
        question = buying.question_of(claim)
        try:
            reservation = spending.reserve(
                question, lane=Lane.OVERNIGHT, tier=claim.tier, is_renewal=claim.is_renewal,
                symbols=claim.symbols,
            )  # fmt: skip
        except (OverBudget, NoModel) as reason:
            orders.rest(claim.orders, clock.now() + REST, str(reason))
            break
        orders.note_call(claim.orders, reservation.call)
        found.append(_Sheet(claim, question, reservation))
    return found


def _hand_in(sheets: list[_Sheet]) -> None:
    model = cast("BatchModel", sheets[0].reservation.model)
    try:
        external = model.submit(
            {str(sheet.reservation.call.pk): sheet.question for sheet in sheets}, timeout_s=TIMEOUT_S
        )
    except ModelError as error:
        logger.warning("an overnight batch could not be handed in: %s", error)
        for sheet in sheets:
            spending.settle(sheet.reservation.call, error.outcome, error.usage, error=str(error))
            orders.rest(sheet.claim.orders, clock.now() + REST, str(error))
        return
    with transaction.atomic():
        batch = RemoteBatch.objects.create(model=model.name, external_id=external, sent_at=clock.now())
        ModelCall.objects.filter(pk__in=[sheet.reservation.call.pk for sheet in sheets]).update(batch=batch)
        for sheet in sheets:
            orders.hand_over(sheet.claim.orders, batch)


def collect() -> int:
    """Fetch the answers that are there; how many batches have ended. Raises DATABASE_ERRORS."""
    return sum(_collect(batch) for batch in RemoteBatch.objects.filter(state=BatchState.SENT))


def _collect(batch: RemoteBatch) -> bool:
    try:
        model = cast("BatchModel", modelbook.model_of(batch.model))
        found = model.collect(batch.external_id, timeout_s=TIMEOUT_S)
    except (ModelError, NoModel) as error:
        found = Collected(CollectState.WAITING, error=str(error))
    now = clock.now()
    RemoteBatch.objects.filter(pk=batch.pk).update(polled_at=now, error=found.error[:300])
    if found.state is CollectState.WAITING and now - batch.sent_at < GIVEN_UP_AFTER:
        return False
    for call in ModelCall.objects.filter(batch=batch, outcome=Outcome.OPEN):
        _finish(call, found.answers.get(str(call.pk)))
    is_done = found.state is CollectState.DONE
    state = BatchState.DONE if is_done else BatchState.FAILED
    RemoteBatch.objects.filter(pk=batch.pk).update(state=state, ended_at=now)
    return True


def _finish(call: ModelCall, answer: Answer | ModelError | None) -> None:
    rows = Order.objects.filter(call=call, state=OrderState.RUNNING)
    claimed = tuple(rows.select_related("article", "analysis__ticker").order_by("pk"))
    if isinstance(answer, Answer) and claimed:
        claim = Claim(claimed)
        buying.finish(claim, buying.question_of(claim), call, answer, 0)
        return
    error = answer if isinstance(answer, ModelError) else ModelError("no answer came", Outcome.LOST)
    spending.settle(call, error.outcome, error.usage, error=str(error))
    metrics.model_calls.labels(task=call.task, outcome=error.outcome.value).inc()
    orders.hurry(claimed)
