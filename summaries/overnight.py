"""The lane that waits until tomorrow: questions handed in together at half the price, answers fetched later.

Handed-in orders stay claimed by their batch, for as long as the vendor may take. A batch is a row, with a key that the
vendor is told, before it is handed in: of one whose sender has died, or has heard nothing, the vendor is asked whether
it has it, so that nothing is bought twice. A model without such an offer answers them in the lane of minutes.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import NamedTuple, cast
from uuid import uuid4

from django.db import transaction

from core import clock, metrics
from core.outages import DATABASE_ERRORS
from summaries import buying, modelbook, orders, spending
from summaries.kinds import Lane, OrderState, Outcome, Step, Task
from summaries.llm.base import Answer, BatchModel, Collected, CollectState, ModelError, Question, Usage
from summaries.models import BatchState, ModelCall, Order, RemoteBatch
from summaries.orders import Claim
from summaries.spending import NoModel, OverBudget, Reservation

logger = logging.getLogger(__name__)

MOST_CALLS = 200
# Below the term of a claim, together with the next one: what is claimed is handed in while it is ours.
GATHER_S = 10.0
TIMEOUT_S = 30.0
# Vendors promise a day; what has not come then never will.
GIVEN_UP_AFTER = timedelta(hours=26)
REST = timedelta(hours=1)
# Nobody takes as long to hand in a batch: of one that has no name of the vendor's by then, he is asked.
UNKNOWN_AFTER = timedelta(minutes=5)
NOT_THERE = "the vendor has no such batch"


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
    until = clock.monotonic() + GATHER_S
    while (
        len(found) < MOST_CALLS
        and clock.monotonic() < until
        and (claim := orders.claim([Lane.OVERNIGHT])) is not None
    ):
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
    sheets = [sheet for sheet in sheets if _is_ours(sheet)]
    if not sheets:
        return
    model = cast("BatchModel", sheets[0].reservation.model)
    if not hasattr(model, "submit"):  # the cheaper one, which the budget demands by now
        _keep_back(sheets, ModelError("the model takes no overnight batches", Outcome.BAD_REQUEST))
        return
    batch = _intend(sheets, model.name)
    try:
        external = model.submit(
            {str(sheet.reservation.call.pk): sheet.question for sheet in sheets},
            key=batch.external_id, timeout_s=TIMEOUT_S,
        )  # fmt: skip
    except ModelError as error:
        logger.warning("an overnight batch could not be handed in: %s", error)
        if error.usage == Usage():  # else the vendor may have it, and is asked later
            with transaction.atomic():
                _keep_back(sheets, error)
                batch.delete()
        return
    _is_called(batch, external)


def _intend(sheets: list[_Sheet], model: str) -> RemoteBatch:
    """From here on the orders are the batch's, whatever becomes of us."""
    with transaction.atomic():
        batch = RemoteBatch.objects.create(
            model=model, external_id=f"onetape-{uuid4().hex}", state=BatchState.SENDING, sent_at=clock.now()
        )
        ModelCall.objects.filter(pk__in=[sheet.reservation.call.pk for sheet in sheets]).update(batch=batch)
        for sheet in sheets:
            orders.hand_over(sheet.claim.orders, batch)
    return batch


def _is_called(batch: RemoteBatch, external: str) -> None:
    """The vendor has it, under this name."""
    unknown = RemoteBatch.objects.filter(pk=batch.pk, state=BatchState.SENDING)
    unknown.update(external_id=external, state=BatchState.SENT)


def _is_ours(sheet: _Sheet) -> bool:
    """For as long again as at first; what somebody else has taken over is not handed in."""
    if orders.renew(sheet.claim.orders):
        return True
    spending.settle(sheet.reservation.call, Outcome.DOWN, Usage(), error=buying.TAKEN)
    return False


def _keep_back(sheets: list[_Sheet], error: ModelError) -> None:
    """What nobody can be asked for now rests; what is refused is asked in another lane."""
    for sheet in sheets:
        spending.settle(sheet.reservation.call, error.outcome, Usage(), error=str(error))
        if error.outcome in {Outcome.DOWN, Outcome.RATE_LIMITED}:
            orders.rest(sheet.claim.orders, clock.now() + REST, str(error))
        else:
            orders.hurry(sheet.claim.orders)


def collect() -> int:
    """Fetch the answers that are there; how many batches have ended. Raises DATABASE_ERRORS."""
    unknown = RemoteBatch.objects.filter(state=BatchState.SENDING, sent_at__lte=clock.now() - UNKNOWN_AFTER)
    for batch in unknown.order_by("sent_at", "id"):
        _look_for(batch)
    waiting = RemoteBatch.objects.filter(state=BatchState.SENT).order_by("sent_at", "id")
    return sum(_collect(batch) for batch in waiting)


def _look_for(batch: RemoteBatch) -> None:
    """Ask the vendor under which name he has it, for as long as an answer of his may come."""
    now = clock.now()
    try:
        model = cast("BatchModel", modelbook.model_of(batch.model))
        found = model.find(batch.external_id, timeout_s=TIMEOUT_S)
    except (ModelError, NoModel) as error:
        RemoteBatch.objects.filter(pk=batch.pk).update(polled_at=now, error=str(error)[:300])
        # A server that cannot tell never will.
        if getattr(error, "outcome", None) != Outcome.BAD_REQUEST and now - batch.sent_at < GIVEN_UP_AFTER:
            return
        found = ""
    if found:
        _is_called(batch, found)
    else:
        _give_back(batch)


def _give_back(batch: RemoteBatch) -> None:
    """It was never begun, or nobody will ever know: its calls count in full, and its orders are handed in anew."""
    unknown = RemoteBatch.objects.filter(pk=batch.pk, state=BatchState.SENDING)
    with transaction.atomic():
        if unknown.update(state=BatchState.FAILED, ended_at=clock.now(), error=NOT_THERE):
            for call in ModelCall.objects.filter(batch=batch, outcome=Outcome.OPEN):
                _settle(call, Outcome.LOST, Usage(), NOT_THERE)
            waiting = Order.objects.filter(batch=batch, state=OrderState.RUNNING)
            orders.rest(tuple(waiting), clock.now(), NOT_THERE)


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
        _finish(call, found.answers.get(str(call.pk), _none_of(found)))
    is_done = found.state is CollectState.DONE
    state = BatchState.DONE if is_done else BatchState.FAILED
    RemoteBatch.objects.filter(pk=batch.pk).update(state=state, ended_at=now)
    return True


def _none_of(found: Collected) -> ModelError:
    """What came of a question that has no answer. One that was given up may yet be billed."""
    if found.state is CollectState.FAILED:
        return ModelError(found.error or "the batch was refused", Outcome.BAD_REQUEST)
    return ModelError("no answer came", Outcome.LOST)


def _finish(call: ModelCall, answer: Answer | ModelError) -> None:
    rows = Order.objects.filter(call=call, batch=call.batch_id, state=OrderState.RUNNING)
    claimed = tuple(rows.select_related("article", "analysis__ticker").order_by("pk"))
    if isinstance(answer, ModelError):
        _settle(call, answer.outcome, answer.usage, str(answer))
        orders.hurry(claimed)
    elif claimed:
        _keep(call, answer, claimed)
    else:
        _settle(call, Outcome.USELESS, answer.usage, "nobody waits for it any more")


def _keep(call: ModelCall, answer: Answer, claimed: tuple[Order, ...]) -> None:
    claim = Claim(claimed)
    try:
        buying.finish(claim, buying.question_of(claim), call, answer, 0)
    except DATABASE_ERRORS:
        raise
    except Exception:
        # A fault of ours must not be met again at each collection, nor keep the other answers from being read.
        logger.exception("an overnight answer could not be kept")
        _settle(call, Outcome.USELESS, answer.usage, "an unforeseen fault")
        orders.failed(claimed, "an unforeseen fault")


def _settle(call: ModelCall, outcome: Outcome, usage: Usage, error: str) -> None:
    spending.settle(call, outcome, usage, error=error)
    metrics.model_calls.labels(task=call.task, outcome=outcome.value).inc()
    buying.count_tokens(usage)
