"""What is deleted when it is too old: articles, orders, analyses, what models were asked."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db.models import Exists, OuterRef, Q

from core import clock, retention
from summaries.kinds import OrderState
from summaries.models import Analysis, Article, ModelCall, Order, RemoteBatch

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
    now = clock.now()
    steps = {
        "articles": partial(_delete_articles, now - timedelta(days=settings.NEWS_DAYS)),
        "orders": partial(_delete_orders, now - ENDED_KEPT),
        "analyses": partial(_delete_analyses, now - ANALYSES_KEPT),
        "model calls": partial(_delete_calls, now - timedelta(days=settings.LEDGER_DAYS)),
        "remote batches": partial(_delete_batches, now - timedelta(days=settings.LEDGER_DAYS)),
    }
    return retention.in_turns(steps, ROWS, RUN_S)


def _delete_articles(before: datetime) -> int:
    """With their summaries and orders. What came late, from a file of old news, is kept as long as any other."""
    old = Article.objects.filter(published_at__lt=before, loaded_at__lt=before)
    return retention.delete_some(Article.objects, old.order_by("published_at"), ROWS)


def _delete_orders(before: datetime) -> int:
    ended = Order.objects.filter(state__in=[OrderState.DONE, OrderState.DEAD], done_at__lt=before)
    return retention.delete_some(Order.objects, ended.order_by("done_at"), ROWS)


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
    return retention.delete_some(Analysis.objects, old.order_by("created_at"), ROWS)


def _delete_calls(before: datetime) -> int:
    old = ModelCall.objects.filter(at__lt=before).order_by("at")
    return retention.delete_some(ModelCall.objects, old, ROWS)


def _delete_batches(before: datetime) -> int:
    old = RemoteBatch.objects.filter(sent_at__lt=before).order_by("sent_at")
    return retention.delete_some(RemoteBatch.objects, old, ROWS)
