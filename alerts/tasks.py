from __future__ import annotations

from celery import shared_task
from celery.signals import worker_shutting_down

from alerts import dispatch, splits, sweep, upkeep


# Asked for with each commit that tells somebody something; beat only makes good what was lost.
@shared_task(name="alerts.deliver", expires=5)
def deliver() -> None:
    dispatch.run()


@worker_shutting_down.connect
def end_deliveries(**_: object) -> None:
    """What is under way is sent and marked; nothing more is begun."""
    dispatch.stop()


@shared_task(name="alerts.expire", expires=60)
def expire() -> None:
    upkeep.expire()


@shared_task(name="alerts.pause_all_beyond_limit", expires=300)
def pause_all_beyond_limit() -> None:
    upkeep.pause_all_beyond_limit()


@shared_task(name="alerts.delete_old", expires=3_600)
def delete_old() -> None:
    upkeep.delete_old()


@shared_task(name="alerts.sweep", expires=15)
def look_for_missed() -> None:
    sweep.run()


@shared_task(name="alerts.follow_actions", expires=60)
def follow_actions() -> None:
    splits.follow()
