from __future__ import annotations

from celery import shared_task

from alerts import upkeep


@shared_task(name="alerts.expire", expires=60)
def expire() -> None:
    upkeep.expire()


@shared_task(name="alerts.pause_all_beyond_limit", expires=300)
def pause_all_beyond_limit() -> None:
    upkeep.pause_all_beyond_limit()


@shared_task(name="alerts.delete_old", expires=3_600)
def delete_old() -> None:
    upkeep.delete_old()
