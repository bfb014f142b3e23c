"""The Celery application and the one table of periodic jobs."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("onetape")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_ready.connect
def _tell_figures(sender: Any, **_more: object) -> None:
    from core import scraping  # noqa: PLC0415 -- needs the settings

    scraping.keep_telling(f"worker {sender.hostname.partition('@')[0]}")


@worker_process_init.connect
def _tell_figures_of_child(**_more: object) -> None:
    from core import scraping  # noqa: PLC0415 -- likewise

    scraping.keep_telling("worker child")


# The one table of periodic jobs. It is copied into the database, where staff can switch a job off; an entry that is
# deleted here is deleted there at the next start of beat. A job that is late is worth nothing: each
# task says in its decorator when its message expires, at the latest when the next one is due.
app.conf.beat_schedule = {
    "fetch wanted tickers that do not stream": {"task": "marketdata.fetch_wanted", "schedule": 5.0},
    "load past bars that are missing": {"task": "marketdata.load_overdue_bars", "schedule": 60.0},
    "load dividends, splits and renames once a day": {"task": "marketdata.load_actions", "schedule": 3_600.0},
    "load fundamentals once a day": {"task": "marketdata.load_fundamentals", "schedule": 3_600.0},
    "make the coming months of daily bars": {"task": "marketdata.make_months", "schedule": 86_400.0},
    "delete old minute bars and ledger rows": {"task": "marketdata.delete_old", "schedule": 3_600.0},
    "delete sessions whose time is over": {"task": "core.clear_sessions", "schedule": 86_400.0},
    "make watchlists fit their tier": {"task": "subscriptions.trim_all", "schedule": 60.0},
    "send notifications that are due": {"task": "alerts.deliver", "schedule": 5.0},
    "look for alerts that were missed": {"task": "alerts.sweep", "schedule": 15.0},
    "restate alerts after splits and renames": {"task": "alerts.follow_actions", "schedule": 60.0},
    "end alerts whose time is over": {"task": "alerts.expire", "schedule": 60.0},
    "make alerts fit their tier": {"task": "alerts.pause_all_beyond_limit", "schedule": 300.0},
    "delete old notifications and alerts": {"task": "alerts.delete_old", "schedule": 3_600.0},
    "ask language models for what is ordered": {"task": "summaries.buy", "schedule": 5.0},
    "load news of wanted tickers": {"task": "summaries.load_news", "schedule": 60.0},
    "load earnings calls of wanted tickers": {"task": "summaries.load_calls", "schedule": 3_600.0},
    "order analyses whose figures have changed": {"task": "summaries.order_overnight", "schedule": 86_400.0},
    "hand in what may wait until tomorrow": {"task": "summaries.send_overnight", "schedule": 600.0},
    "fetch what models answered overnight": {"task": "summaries.collect_overnight", "schedule": 300.0},
    "give up calls of models that nobody waits for": {"task": "summaries.lose_calls", "schedule": 60.0},
    "try once more what models had no use of": {"task": "summaries.revive", "schedule": 3_600.0},
    "look when models end": {"task": "summaries.check_models", "schedule": 86_400.0},
    "delete old articles, orders and calls": {"task": "summaries.delete_old", "schedule": 3_600.0},
    "end streamed tickers whose time is over": {"task": "subscriptions.end_expired", "schedule": 60.0},
}
