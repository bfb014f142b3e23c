"""Rows deleted when they are too old: small steps, each committed by itself. What is left over, the next run takes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db.models import Exists, Manager, OuterRef, Q, QuerySet

from core import clock
from summaries.kinds import OrderState
from summaries.models import Analysis, Article, ModelCall, Order, RemoteBatch

logger = logging.getLogger(__name__)

# Rows of one statement: nothing waits long for its locks, and a lost run loses little.
ROWS = 500
# Well below the time limit of a task.
RUN_S = 30.0
ENDED_KEPT = timedelta(days=30)
# Of figures that are shown no more; the newest of each style stays, as does the newest that a model explained.
ANALYSES_KEPT = timedelta(days=30)


def delete_old() -> dict[str, int]:
    """Delete what is older than is kept; rows by kind. Each kind has its share of the time.

    Transcripts and their summaries are kept for ever.
    """
    now, until = clock.now(), clock.monotonic() + RUN_S
    steps: dict[str, Callable[[], int]] = {
        "articles": partial(_delete_articles, now - timedelta(days=settings.NEWS_DAYS)),
        "orders": partial(_delete_orders, now - ENDED_KEPT),
        "analyses": partial(_delete_analyses, now - ANALYSES_KEPT),
        "model calls": partial(_delete_calls, now - timedelta(days=settings.LEDGER_DAYS)),
        "remote batches": partial(_delete_batches, now - timedelta(days=settings.LEDGER_DAYS)),
    }
    deleted = {}
    for number, (what, step) in enumerate(steps.items()):
        share_s = (until - clock.monotonic()) / (len(steps) - number)
        deleted[what] = _by_and_by(step, clock.monotonic() + share_s)
    for what, rows in deleted.items():
        if rows:
            logger.info("deleted %d old %s", rows, what)
    return deleted


def _delete_articles(before: datetime) -> int:
    """With their summaries and orders. What came late, from a file of old news, is kept as long as any other."""
    old = Article.objects.filter(published_at__lt=before, loaded_at__lt=before)
    return _delete(Article.objects, old.order_by("published_at"))


def _delete_orders(before: datetime) -> int:
    ended = Order.objects.filter(state__in=[OrderState.DONE, OrderState.DEAD], done_at__lt=before)
    return _delete(Order.objects, ended.order_by("done_at"))


def _delete_analyses(before: datetime) -> int:
    """Those that have a newer one of their ticker, style and model, and that nobody is just having explained."""
    newer = Analysis.objects.filter(
        ticker=OuterRef("ticker"),
        persona=OuterRef("persona"),
        model=OuterRef("model"),
        created_at__gt=OuterRef("created_at"),
    )
    going_on = Order.objects.filter(~Q(state__in=[OrderState.DONE, OrderState.DEAD]), analysis=OuterRef("pk"))
    old = Analysis.objects.filter(Exists(newer), ~Exists(going_on), created_at__lt=before)
    return _delete(Analysis.objects, old.order_by("created_at"))


def _delete_calls(before: datetime) -> int:
    return _delete(ModelCall.objects, ModelCall.objects.filter(at__lt=before).order_by("at"))


def _delete_batches(before: datetime) -> int:
    return _delete(RemoteBatch.objects, RemoteBatch.objects.filter(sent_at__lt=before).order_by("sent_at"))


def _delete(manager: Manager[Any], rows: QuerySet[Any]) -> int:
    """Some of these, with what hangs on them, in a transaction of their own."""
    ids = list(rows.values_list("pk", flat=True)[:ROWS])
    if ids:
        manager.filter(pk__in=ids).delete()
    return len(ids)


def _by_and_by(step: Callable[[], int], until: float) -> int:
    """Steps until one finds less than it may take, or the time is up."""
    done = 0
    while clock.monotonic() < until:
        rows = step()
        done += rows
        if rows < ROWS:
            break
    return done
