"""Buys what is ordered: claimed in one short transaction, asked outside of any, kept and settled in another.

One buyer per process does it, with a few threads that wait for answers. Whatever a model does, an order ends as bought,
is asked once more by itself, rests for a reason, or is given up; and each call is one row, written before it is made.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.db import connections, transaction

from core import clock, metrics
from core.outages import DATABASE_ERRORS
from marketdata.providers import breakers
from marketdata.providers.breakers import State
from summaries import batching, grounding, matter, orders, spending, storing
from summaries.drafts import Draft, EarningsDraft
from summaries.grounding import Checked
from summaries.kinds import Lane, Outcome, Task
from summaries.llm import prompts
from summaries.llm.base import Answer, Finish, Item, ModelError, Question, Usage
from summaries.models import ModelCall, Order
from summaries.orders import Claim
from summaries.spending import NoModel, OverBudget, Reservation

logger = logging.getLogger(__name__)

CALLS_AT_ONCE = 4
BUDGET_S = 40.0
# All below LEASE_S: an order is never claimed again while we may still get its answer.
TIMEOUT_S = {Lane.INTERACTIVE: 20.0, Lane.MINUTES: 30.0, Lane.OVERNIGHT: 30.0}
# Raised budgets and new prices are noticed after that, at the latest.
REST = timedelta(minutes=15)
DOWN_REST = timedelta(seconds=30)
# A question that was sent and not answered may have been billed: each time the rest is twice as long, up to 16 min.
MOST_DOUBLINGS = 5
# What was answered of a part of a long call is not paid for again within this time.
PART_KEPT_S = 86_400
# How long a database may be away that is to keep an answer: less than is left of the claim.
AGAIN_S = (0.5, 1.5, 3.0)
TAKEN = "somebody else has taken the order over"
REFUSED_S = 600.0
# They say something about the server, not about the question.
OF_THE_SERVER = {Outcome.DOWN, Outcome.RATE_LIMITED, Outcome.UNAUTHORIZED}
"""A call that ends so is asked again later, for nobody's fault."""

_one_buyer = threading.Lock()
_pause = threading.Event()


class _Useless(Exception):
    """What came back cannot be used; the message says why."""


class _Ending(Exception):
    """This process is about to end: others are to ask."""


def breaker_name() -> str:
    return f"model:{settings.LLM_VENDOR}"


def run(budget_s: float = BUDGET_S) -> int:
    """Buy until nothing is ready or soon will be, or the time is over; how many calls were begun.

    One at a time in each process: a second call returns at once. Raises nothing for a database that is away.
    """
    if not _one_buyer.acquire(blocking=False):
        return 0
    try:
        with ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="buyer") as pool:
            return _run(pool, clock.monotonic() + budget_s)
    except DATABASE_ERRORS:
        metrics.database_failures.labels(used_by="summaries").inc()
        return 0
    finally:
        _one_buyer.release()


def stop() -> None:
    """Begin no further call: this process is about to end."""
    _pause.set()


def _run(pool: ThreadPoolExecutor, until: float) -> int:
    begun = 0
    running: set[Future[None]] = set()
    while clock.monotonic() < until and not _pause.is_set():
        found = _next() if len(running) < CALLS_AT_ONCE else None
        if isinstance(found, tuple):
            running.add(pool.submit(_in_thread, *found))
            begun += 1
        elif running:
            _, running = wait(running, timeout=orders.GATHER_S, return_when=FIRST_COMPLETED)
        elif found is State.OPEN or not _wait_for_others():
            break
    wait(running)
    return begun


def _next() -> tuple[Claim, breakers.Reading] | State | None:
    """What to ask now; None: nothing is ready. OPEN: nobody is to ask, or somebody finds out whether it is back."""
    before = breakers.allows(breaker_name())
    if before.state is State.OPEN:
        return before.state
    found = orders.claim()
    if found is not None:
        return found, before
    _give_probe_back(before)
    return None


def _wait_for_others() -> bool:
    """Whether it is worth staying: something will be ready within the time in which articles gather."""
    soon = orders.next_at()
    if soon is None or soon > clock.now() + timedelta(seconds=orders.GATHER_S):
        return False
    left_s = (soon - clock.now()).total_seconds()
    _pause.wait(max(left_s, 0.05))
    return True


def _in_thread(claim: Claim, before: breakers.Reading) -> None:
    try:
        buy(claim, before)
    except DATABASE_ERRORS:
        # The claim runs out and somebody else asks; the call counts as lost.
        metrics.database_failures.labels(used_by="summaries").inc()
    finally:
        connections.close_all()


def buy(claim: Claim, before: breakers.Reading) -> None:
    """Ask for the orders of one claim and settle each. Raises DATABASE_ERRORS."""
    try:
        if claim.task is Task.EARNINGS:
            _buy_call(claim, before)
        else:
            _buy_items(claim, before)
    except (OverBudget, NoModel, _Ending) as reason:
        _give_probe_back(before)
        orders.rest(claim.orders, _until(reason), str(reason))
    except ModelError as error:
        _after_error(claim, error)
    except _Useless as useless:
        orders.failed(claim.orders, str(useless))
    except DATABASE_ERRORS:
        raise
    except Exception:
        # A fault of ours must not be asked for again and again, and must not end the other threads' work.
        logger.exception("an order could not be carried out")
        orders.failed(claim.orders, "an unforeseen fault")


def _until(reason: OverBudget | NoModel | _Ending) -> datetime:
    if isinstance(reason, _Ending):
        return clock.now()
    latest = clock.now() + REST
    return min(reason.until, latest) if isinstance(reason, OverBudget) else latest


def _give_probe_back(before: breakers.Reading) -> None:
    if before.state is State.HALF_OPEN:
        breakers.release(breaker_name())


def _after_error(claim: Claim, error: ModelError) -> None:
    if error.outcome not in OF_THE_SERVER:
        orders.failed(claim.orders, str(error))
        return
    before = max(order.claims for order in claim.orders) - 1
    is_billed = error.usage != Usage()
    rest = DOWN_REST * 2 ** min(before, MOST_DOUBLINGS) if is_billed else DOWN_REST
    # A slow server may be quick enough for less.
    apart = is_billed and before > 0
    orders.rest(claim.orders, error.retry_at or clock.now() + rest, str(error), apart=apart)


# --- articles and analyses: one call


def _buy_items(claim: Claim, before: breakers.Reading) -> None:
    question = question_of(claim)
    reservation, answer, took_ms = _ask(claim, question, before)

    def keep() -> int:
        orders.renew(claim.orders)  # checking takes its time on a busy machine
        return finish(claim, question, reservation.call, answer, took_ms)

    if _surely(keep) or len(claim.orders) == 1:
        breakers.succeeded(breaker_name(), before)
    else:  # nothing of many was of use: that is the model, not what it was asked about
        breakers.failed(breaker_name())


def _surely(keep: Callable[[], int]) -> int:
    """What was answered is paid for: a database that is restarted just then must not lose it."""
    for pause_s in AGAIN_S:
        try:
            return keep()
        except DATABASE_ERRORS:
            metrics.database_failures.labels(used_by="summaries").inc()
            connections.close_all()
            threading.Event().wait(pause_s)
    return keep()


def question_of(claim: Claim) -> Question:
    """One item for each order, in their order."""
    items = [matter.item_of(order) for order in claim.orders]
    return matter.question_of(claim.task, items, matter.persona_of(claim.orders[0]))


def finish(claim: Claim, question: Question, call: ModelCall, answer: Answer, took_ms: int) -> int:
    """Keep what is good, have the rest asked again, and settle the call, in one transaction; how many were good."""
    checked = _checked(answer, question)
    with transaction.atomic():
        mine = orders.are_ours(claim.orders)
        good: list[Order] = []
        bad: list[Order] = []
        for order, id_ in zip(claim.orders, question.ids, strict=True):
            found = checked.get(id_)
            (good if found is not None and found.draft is not None else bad).append(order)
            if found is not None and found.draft is not None and order.pk in mine:
                storing.keep(order, found, call.model, call.prompt_version)
        _settle(call, answer, len(good), len(claim.orders), took_ms)
        orders.done(good)
        orders.failed(bad, _why(answer, checked))
    return len(good)


def _checked(answer: Answer, question: Question) -> dict[str, Checked]:
    """By id. What a model refused, or was cut off in, may still hold items that are whole."""
    reading = batching.read(answer.text, question)
    items = {item.id: item for item in question.items}
    return {id_: _grounded(draft, items[id_], question) for id_, draft in reading.found.items()}


def _grounded(draft: Draft, item: Item, question: Question) -> Checked:
    others = [other for other in question.items if other.id != item.id]
    return grounding.check(draft, item, others=others, prompt=prompts.text(question.task, question.persona))


def _why(answer: Answer, checked: dict[str, Checked]) -> str:
    if answer.finish is Finish.REFUSAL:
        return "the model refused"
    if answer.finish is Finish.LENGTH:
        return "the answer was cut off"
    faults = sorted({fault for one in checked.values() for fault in one.faults if one.draft is None})
    return "; ".join(faults) or "missing or of another shape in the answer"


# --- earnings calls: in parts where they are long


def _buy_call(claim: Claim, before: breakers.Reading) -> None:
    order = claim.orders[0]
    whole = matter.item_of(order)
    parts = matter.parts_of(whole)
    item = whole
    if len(parts) > 1:
        drafts = [_ask_part(claim, part, before) for part in parts]
        item = matter.merged(whole, drafts)
    question = matter.question_of(claim.task, [item])
    reservation, answer, took_ms = _ask(claim, question, before)
    breakers.succeeded(breaker_name(), before)
    draft = batching.read(answer.text, question).found.get(item.id)
    # Against the whole call, not against what was made of its parts.
    checked = grounding.check(draft, whole, prompt=prompts.text(claim.task, "")) if draft else None
    with transaction.atomic():
        mine = orders.are_ours(claim.orders)
        is_good = checked is not None and checked.draft is not None
        if checked is not None and is_good and order.pk in mine:
            storing.keep(order, checked, reservation.call.model, question.prompt_version)
        _settle(reservation.call, answer, int(is_good), 1, took_ms)
        if is_good:
            orders.done([order])
        else:
            orders.failed([order], _why(answer, {item.id: checked} if checked else {}))


def _ask_part(claim: Claim, part: Item, before: breakers.Reading) -> EarningsDraft:
    """Raises _Useless. A part that was answered before is not asked about again."""
    name = f"call-part:{claim.orders[0].key}:{hashlib.sha256(part.text.encode()).hexdigest()}"
    if isinstance(known := cache.get(name), EarningsDraft):
        return known
    question = matter.question_of(claim.task, [part])
    reservation, answer, took_ms = _ask(claim, question, before)
    breakers.succeeded(breaker_name(), before)
    checked = _checked(answer, question).get(part.id)
    draft = checked.draft if checked is not None else None
    _settle(reservation.call, answer, int(draft is not None), 1, took_ms)
    if not isinstance(draft, EarningsDraft):
        raise _Useless(_why(answer, {part.id: checked} if checked else {}))
    cache.set(name, draft, PART_KEPT_S)
    return draft


# --- one call


def _ask(claim: Claim, question: Question, before: breakers.Reading) -> tuple[Reservation, Answer, int]:
    """Raises OverBudget and NoModel when nothing was asked, ModelError when nothing came back; settled then."""
    if _pause.is_set():
        raise _Ending("the process that asked has ended")
    reservation = spending.reserve(
        question, lane=claim.lane, tier=claim.tier, is_renewal=claim.is_renewal, symbols=claim.symbols
    )
    if not orders.note_call(claim.orders, reservation.call):  # whoever waited for too long
        spending.settle(reservation.call, Outcome.DOWN, Usage(), error=TAKEN)
        raise _Useless(TAKEN)
    began = clock.monotonic()
    try:
        answer = reservation.model.ask(question, timeout_s=TIMEOUT_S[claim.lane])
    except ModelError as error:
        _tell_breaker(error, before)
        spending.settle(
            reservation.call, error.outcome, error.usage, error=str(error), request_id=error.request_id,
            took_ms=_ms_since(began),
        )  # fmt: skip
        metrics.model_calls.labels(task=claim.task.value, outcome=error.outcome.value).inc()
        raise
    return reservation, answer, _ms_since(began)


def _tell_breaker(error: ModelError, before: breakers.Reading) -> None:
    match error.outcome:
        case Outcome.DOWN:
            breakers.failed(breaker_name())
        case Outcome.RATE_LIMITED:
            until = error.retry_at or clock.now() + DOWN_REST
            breakers.hold(breaker_name(), max((until - clock.now()).total_seconds(), 1.0))
        case Outcome.UNAUTHORIZED:
            if breakers.hold(breaker_name(), REFUSED_S):
                logger.error("the server of language models refuses our key")
        case _:
            breakers.succeeded(breaker_name(), before)


def _settle(call: ModelCall, answer: Answer, answered: int, asked: int, took_ms: int) -> None:
    outcome = outcome_of(answer, answered, asked)
    spending.settle(
        call, outcome, answer.usage, answered=answered, request_id=answer.request_id, took_ms=took_ms
    )
    metrics.model_calls.labels(task=call.task, outcome=outcome.value).inc()
    count_tokens(answer.usage)


def outcome_of(answer: Answer, answered: int, asked: int) -> Outcome:
    if answered == asked:
        return Outcome.OK
    if answer.finish is Finish.REFUSAL:
        return Outcome.REFUSED
    if answer.finish is Finish.LENGTH:
        return Outcome.CUT
    return Outcome.PARTLY if answered else Outcome.USELESS


def count_tokens(usage: Usage) -> None:
    for kind, number in (("input", usage.input), ("cached", usage.cached), ("output", usage.output)):
        metrics.model_tokens.labels(kind=kind).inc(number)


def _ms_since(began: float) -> int:
    return round((clock.monotonic() - began) * 1000)
