from __future__ import annotations

from celery import shared_task

from subscriptions import watchlist


@shared_task(name="subscriptions.end_expired", expires=60)
def end_expired() -> None:
    watchlist.end_expired()


@shared_task(name="subscriptions.trim_all", expires=60)
def trim_all() -> None:
    watchlist.trim_all()
