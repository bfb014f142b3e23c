from __future__ import annotations

from celery import shared_task

from marketdata import actions, backfill, demand, fundamentals, polling, upkeep


@shared_task(name="marketdata.fetch_wanted", expires=5)
def fetch_wanted() -> None:
    polling.fetch_wanted()


# A message that waited a minute is worth nothing: the periodic task has asked again.
@shared_task(name="marketdata.load_bars", expires=60)
def load_bars(symbol: str) -> None:
    """The ticker was opened: actions and fundamentals come along, if they were not asked for today."""
    backfill.load(symbol)
    actions.ask_for([symbol])
    fundamentals.ask_for([symbol])


@shared_task(name="marketdata.load_overdue_bars", expires=60)
def load_overdue_bars() -> None:
    backfill.ask_for(demand.wanted())


@shared_task(name="marketdata.load_actions_of", expires=600)
def load_actions_of(symbol: str) -> None:
    actions.load(symbol)


@shared_task(name="marketdata.load_actions", expires=600)
def load_actions() -> None:
    """Once a day for each wanted ticker; looked at more often, so that a lost message costs an hour and no day."""
    actions.follow_due()
    actions.ask_for(demand.wanted())


@shared_task(name="marketdata.load_fundamentals_of", expires=600)
def load_fundamentals_of(symbol: str) -> None:
    fundamentals.load(symbol)


@shared_task(name="marketdata.load_fundamentals", expires=600)
def load_fundamentals() -> None:
    """Once a day for each wanted ticker; looked at more often, so that a lost message costs an hour and no day."""
    fundamentals.ask_for(demand.wanted())


@shared_task(name="marketdata.make_months", expires=3_600)
def make_months() -> None:
    upkeep.make_months()


@shared_task(name="marketdata.delete_old", expires=3_600)
def delete_old() -> None:
    upkeep.delete_old()
