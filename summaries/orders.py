"""What is to be bought of a language model: wanted by whoever and however many, ordered once, claimed by one.

An order's key names what is asked of whom: content, prompt and model. It stays when the order has ended, so that the
same is never bought again. A claim is a conditional update; each settlement names the claim it belongs to, so that a
process that was away for longer than its claim lasts changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Min, Q, QuerySet
from kombu.exceptions import OperationalError as QueueAway
from redis.exceptions import RedisError

from core import clock, metrics
from core.waking import Waker
from summaries import modelbook
from summaries.kinds import EXTRACTIVE, Lane, OrderState, Task
from summaries.llm import prompts
from summaries.models import (
    Analysis,
    Article,
    EarningsSummary,
    ModelCall,
    Order,
    RemoteBatch,
    Summary,
    Transcript,
)
from summaries.texts import pick

# Articles that are asked about in one call, and how long an article waits for others.
BATCH = 10
GATHER_S = 5.0
# Longer than the longest call may take. Who has died is succeeded after that.
LEASE_S = 45.0
# An answer of no use is asked for once more.
MOST_FAILURES = 2
# What has a text is not bought anew within this time, whatever has changed in prompts and models.
KEPT_FOR = timedelta(hours=24)
# An article of fewer characters has nothing that could be left out.
WORTH_CHARS = 200
# Whoever is willing to wait for it may have a dead order tried again after so long.
DEAD_FOR = timedelta(hours=1)
# By itself it is tried again once, a few at a time.
REVIVED_WITHIN = timedelta(days=3)
REVIVED_AT_ONCE = 50
CLAIM_LOCK = 0x4F54_0001


# --- wanting


def want_summaries(articles: Iterable[Article], *, lane: Lane = Lane.MINUTES, tier: str = "") -> int:
    """Order what these articles lack; how many orders are new. Nothing is ordered while no model is configured."""
    worth = {article.pk: article for article in articles if len(article.text) >= WORTH_CHARS}
    model = modelbook.wanted_model()
    if not model or not worth:
        return 0
    version = prompts.version(Task.SUMMARY)
    written = Summary.objects.filter(article_id__in=worth).exclude(model=EXTRACTIVE)
    held = pick(written, lambda row: row.article_id)
    lacking = [one for one in worth.values() if _lacks(held.get(one.pk), version)]
    symbols = _symbols_of(lacking)
    return _add(
        Order(
            key=f"summary:{article.content_hash}:{version}:{model}",
            task=Task.SUMMARY,
            lane=lane,
            tier=tier,
            article=article,
            symbols=symbols.get(article.pk, []),
            is_renewal=article.pk in held,
        )
        for article in lacking
    )


def want_earnings(transcript: Transcript, *, lane: Lane = Lane.MINUTES, tier: str = "") -> Order | None:
    """Order its summary, once for ever; None while no model is configured or when there is one."""
    model = modelbook.wanted_model()
    rows = EarningsSummary.objects.filter(transcript=transcript).exclude(model=EXTRACTIVE)
    if not model or rows.exists():
        return None
    key = f"earnings:{transcript.content_hash}:{prompts.version(Task.EARNINGS)}:{model}"
    order = Order(
        key=key, task=Task.EARNINGS, lane=lane, tier=tier, transcript=transcript,
        symbols=[transcript.ticker.symbol],
    )  # fmt: skip
    return _one(order)


def want_analysis(analysis: Analysis, *, lane: Lane = Lane.INTERACTIVE, tier: str = "") -> Order | None:
    """Order the words for figures that we have computed; None while no model is configured or when there are some."""
    model = modelbook.wanted_model()
    version = prompts.version(Task.ANALYSIS)
    alike = Analysis.objects.filter(ticker=analysis.ticker_id, persona=analysis.persona)
    written = alike.exclude(model=EXTRACTIVE)
    if not model or written.filter(inputs_hash=analysis.inputs_hash, prompt_version=version).exists():
        return None
    order = Order(
        key=f"analysis:{analysis.ticker_id}:{analysis.inputs_hash}:{version}:{model}",
        task=Task.ANALYSIS,
        lane=lane,
        tier=tier,
        analysis=analysis,
        symbols=[analysis.ticker.symbol],
        is_renewal=written.exists(),
    )
    return _one(order)


def _lacks(held: Summary | None, version: str) -> bool:
    if held is None:
        return True
    return held.prompt_version != version and clock.now() - held.created_at >= KEPT_FOR


def _symbols_of(articles: Sequence[Article]) -> dict[int, list[str]]:
    """In one query, of however many."""
    links = Article.tickers.through.objects.filter(article__in=articles).order_by("ticker__symbol")
    found: dict[int, list[str]] = {}
    for article, symbol in links.values_list("article_id", "ticker__symbol"):
        found.setdefault(article, []).append(symbol)
    return found


def _one(order: Order) -> Order:
    _add([order])
    return Order.objects.get(key=order.key)


def _add(wanted: Iterable[Order]) -> int:
    """How many are new. What is there already is brought forward where somebody waits for it now."""
    rows = {row.key: row for row in wanted}
    if not rows:
        return 0
    now = clock.now()
    for row in rows.values():
        row.created_at = row.not_before = now
    with transaction.atomic():
        before = set(Order.objects.filter(key__in=rows).values_list("key", flat=True))
        Order.objects.bulk_create(
            [row for key, row in rows.items() if key not in before], ignore_conflicts=True
        )
        for row in [rows[key] for key in before if rows[key].lane == Lane.INTERACTIVE]:
            _bring_forward(row, now)
        wake()
    return len(rows) - len(before)


def _bring_forward(row: Order, now: datetime) -> None:
    there = Order.objects.filter(key=row.key)
    there.filter(state=OrderState.QUEUED).exclude(lane=Lane.INTERACTIVE).update(
        lane=Lane.INTERACTIVE, tier=row.tier, not_before=now
    )
    dead = there.filter(state=OrderState.DEAD, done_at__lt=now - DEAD_FOR)
    dead.update(state=OrderState.QUEUED, failures=MOST_FAILURES - 1, not_before=now, done_at=None)


# --- claiming


@dataclass(frozen=True, slots=True)
class Claim:
    """Orders of one kind that are asked about in one call. Their `claims` says that they are ours."""

    orders: tuple[Order, ...]

    @property
    def task(self) -> Task:
        return Task(self.orders[0].task)

    @property
    def lane(self) -> Lane:
        return Lane(self.orders[0].lane)

    @property
    def tier(self) -> str:
        return self.orders[0].tier

    @property
    def is_renewal(self) -> bool:
        return self.orders[0].is_renewal

    @property
    def symbols(self) -> list[str]:
        return sorted({symbol for order in self.orders for symbol in order.symbols})


@transaction.atomic
def claim(lanes: Sequence[Lane] = (Lane.INTERACTIVE, Lane.MINUTES)) -> Claim | None:
    """What is to be asked next, as many orders as one call takes; None: nothing is ready now.

    One process at a time looks, so that two of them never share what would have filled one call.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CLAIM_LOCK])
    now = clock.now()
    _take_back(now)
    for lane in lanes:
        if found := _next_of(_due(now).filter(lane=lane), lane, now):
            return _take(found, now)
    return None


def _due(now: datetime) -> QuerySet[Order]:
    return Order.objects.filter(state=OrderState.QUEUED, not_before__lte=now).order_by("not_before", "id")


def _next_of(due: QuerySet[Order], lane: Lane, now: datetime) -> list[int]:
    alone = due.filter(~Q(task=Task.SUMMARY) | Q(is_alone=True)).values_list("pk", flat=True)[:1]
    if alone:
        return list(alone)
    together = due.filter(task=Task.SUMMARY, is_alone=False)
    head = together.first()
    if head is None:
        return []
    alike = together.filter(tier=head.tier, is_renewal=head.is_renewal)
    found = list(alike.values_list("pk", flat=True)[:BATCH])
    is_ready = len(found) == BATCH or lane == Lane.INTERACTIVE or _has_waited(head, now)
    return found if is_ready else []


def _has_waited(head: Order, now: datetime) -> bool:
    return head.not_before <= now - timedelta(seconds=GATHER_S)


def _take(ids: Collection[int], now: datetime) -> Claim | None:
    mine = Order.objects.filter(pk__in=ids, state=OrderState.QUEUED)
    mine.update(
        state=OrderState.RUNNING, claims=F("claims") + 1, batch=None,
        claimed_until=now + _lease(),
    )  # fmt: skip
    # Without those that staff gave up, or an edited article took along, since they were looked at.
    rows = Order.objects.filter(pk__in=ids, state=OrderState.RUNNING).select_related(
        "article", "transcript__ticker", "analysis__ticker"
    )
    found = tuple(rows.order_by("not_before", "id"))
    return Claim(found) if found else None


def _lease() -> timedelta:
    return timedelta(seconds=LEASE_S * settings.TIME_FACTOR)


def _take_back(now: datetime) -> None:
    """Of those who have died; what a vendor answers overnight is waited for elsewhere."""
    over = Q(claimed_until__lt=now) | Q(claimed_until=None)
    lost = Order.objects.filter(over, state=OrderState.RUNNING, batch=None)
    lost.update(state=OrderState.QUEUED, claimed_until=None)


def next_at(lanes: Sequence[Lane] = (Lane.INTERACTIVE, Lane.MINUTES)) -> datetime | None:
    """When the next order is due; those that wait for others, when they have waited. None: there is none."""
    found: datetime | None = Order.objects.filter(state=OrderState.QUEUED, lane__in=lanes).aggregate(
        first=Min("not_before")
    )["first"]
    if found is None:
        return None
    now = clock.now()
    return found if found > now else max(now, found + timedelta(seconds=GATHER_S))


# --- settling: each says how many orders were still ours


def _ours(orders: Iterable[Order]) -> QuerySet[Order]:
    mine = Q(pk__in=[])
    for order in orders:
        mine |= Q(pk=order.pk, claims=order.claims)
    return Order.objects.filter(mine, state=OrderState.RUNNING)


def are_ours(orders: Sequence[Order]) -> set[int]:
    """Which of them nobody has taken from us; they stay ours until the running transaction ends."""
    return set(_ours(orders).select_for_update().values_list("pk", flat=True))


def renew(orders: Iterable[Order]) -> int:
    """They are ours for as long again as at first."""
    return _ours(orders).update(claimed_until=clock.now() + _lease())


def note_call(orders: Iterable[Order], call: ModelCall) -> int:
    """Which call asks for them, as staff sees it, and as an overnight answer is led back to them.

    The call is yet to be made, so they are ours for as long again.
    """
    return _ours(orders).update(call=call, claimed_until=clock.now() + _lease())


def done(orders: Iterable[Order]) -> int:
    """Bought and kept."""
    return _ours(orders).update(state=OrderState.DONE, done_at=clock.now(), claimed_until=None, last_error="")


def failed(orders: Iterable[Order], error: str) -> int:
    """The answer was of no use: each is asked once more by itself, then given up."""
    found, now = list(orders), clock.now()
    again = [order for order in found if order.failures + 1 < MOST_FAILURES]
    over = [order for order in found if order.failures + 1 >= MOST_FAILURES]
    common = {"failures": F("failures") + 1, "claimed_until": None, "last_error": error[:300]}
    queued = _ours(again).update(state=OrderState.QUEUED, is_alone=True, not_before=now, batch=None, **common)
    buried = _ours(over).update(state=OrderState.DEAD, done_at=now, **common)
    metrics.orders_failed.labels(reason="useless").inc(queued + buried)
    return queued + buried


def rest(orders: Iterable[Order], until: datetime, why: str, *, apart: bool = False) -> int:
    """Nothing was asked, or nobody answered: no fault of theirs. `apart`: each is asked by itself from now on."""
    more = {"is_alone": True} if apart else {}
    return _ours(orders).update(
        state=OrderState.QUEUED,
        not_before=until,
        claimed_until=None,
        batch=None,
        last_error=why[:300],
        **more,
    )


def hand_over(orders: Iterable[Order], batch: RemoteBatch) -> int:
    """To a vendor that answers until tomorrow: they stay claimed until the batch has ended."""
    return _ours(orders).update(batch=batch, claimed_until=None)


def hurry(orders: Iterable[Order]) -> int:
    """Out of the lane that waits until tomorrow: nobody answers them there."""
    return _ours(orders).update(
        state=OrderState.QUEUED, lane=Lane.MINUTES, batch=None, claimed_until=None, not_before=clock.now()
    )


def retry(ids: Collection[int]) -> int:
    """Have dead or resting ones tried now; staff asks for it."""
    there = Order.objects.filter(pk__in=ids)
    now = clock.now()
    dead = there.filter(state=OrderState.DEAD).update(
        state=OrderState.QUEUED, failures=0, is_alone=True, not_before=now, done_at=None
    )
    resting = there.filter(state=OrderState.QUEUED, not_before__gt=now).update(not_before=now)
    wake()
    return dead + resting


def revive() -> int:
    """Once, after an hour: what a model that wrote nonsense for a while had no use of may go well with it now."""
    now = clock.now()
    # Who was revived has failed more often; who was given up by a person has not.
    dead = Order.objects.filter(state=OrderState.DEAD, failures=MOST_FAILURES)
    lately = dead.filter(done_at__lt=now - DEAD_FOR, done_at__gt=now - REVIVED_WITHIN).order_by("-done_at")
    ids = list(lately.values_list("pk", flat=True)[:REVIVED_AT_ONCE])
    revived = Order.objects.filter(pk__in=ids, state=OrderState.DEAD).update(
        state=OrderState.QUEUED, is_alone=True, not_before=now, done_at=None
    )
    if revived:
        wake()
    return revived


# --- asking for somebody who buys


def wake() -> None:
    """Have somebody look soon after the running transaction is committed; a loss costs seconds."""
    _waker.after_commit()


def _ask() -> None:
    from summaries.tasks import buy  # noqa: PLC0415 -- tasks import this module

    try:
        buy.apply_async(retry=False)
    except (QueueAway, RedisError, OSError):
        metrics.redis_failures.labels(used_by="queue").inc()


_waker = Waker(_ask)
