from __future__ import annotations

from celery import shared_task
from celery.signals import worker_shutting_down

from core import clock
from summaries import analyses, buying, news, orders, overnight, spending, sunset, transcripts, upkeep


# Asked for with each commit that orders something; beat only makes good what was lost.
@shared_task(name="summaries.buy", expires=5)
def buy() -> None:
    buying.run()


@worker_shutting_down.connect
def end_buying(**_: object) -> None:
    """What was asked is waited for and kept; nothing more is asked."""
    buying.stop()


@shared_task(name="summaries.load_news", expires=60)
def load_news() -> None:
    news.fetch_wanted()


@shared_task(name="summaries.load_news_of", expires=600)
def load_news_of(symbol: str) -> None:
    news.fetch(symbol)


@shared_task(name="summaries.load_calls", expires=3_600)
def load_calls() -> None:
    transcripts.fetch_wanted()


@shared_task(name="summaries.load_calls_of", expires=3_600)
def load_calls_of(symbol: str) -> None:
    transcripts.fetch(symbol)


@shared_task(name="summaries.order_overnight", expires=3_600)
def order_overnight() -> None:
    analyses.want_overnight(clock.now())


@shared_task(name="summaries.send_overnight", expires=600)
def send_overnight() -> None:
    overnight.send()


@shared_task(name="summaries.collect_overnight", expires=300)
def collect_overnight() -> None:
    overnight.collect()


@shared_task(name="summaries.lose_calls", expires=60)
def lose_calls() -> None:
    spending.lose_old(clock.now())


@shared_task(name="summaries.revive", expires=3_600)
def revive() -> None:
    orders.revive()


@shared_task(name="summaries.check_models", expires=3_600)
def check_models() -> None:
    sunset.check(clock.now())


@shared_task(name="summaries.delete_old", expires=3_600)
def delete_old() -> None:
    upkeep.delete_old()
