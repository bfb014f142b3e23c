from __future__ import annotations

from celery import shared_task

from marketdata import backfill, demand, polling


@shared_task(name="marketdata.fetch_wanted", expires=5)
def fetch_wanted() -> None:
    polling.fetch_wanted()


# A message that waited a minute is worth nothing: the periodic task has asked again.
@shared_task(name="marketdata.load_bars", expires=60)
def load_bars(symbol: str) -> None:
    backfill.load(symbol)


@shared_task(name="marketdata.load_overdue_bars", expires=60)
def load_overdue_bars() -> None:
    backfill.ask_for(demand.wanted())
