from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection

from config.celery import app
from core import clock, metrics
from core.redis import client
from marketdata import backfill, cache, lookup, tasks
from marketdata.errors import NotFound, ProviderDown, RateLimited
from marketdata.models import DailyBar, MinuteBar, Ticker
from marketdata.providers import chain, registry
from marketdata.providers.base import Interval
from marketdata.quotes import Bar
from tests.factories import make_subscription, make_ticker, make_user
from tests.providers import Scripted, make_quote

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 2, 14, 30, 42, tzinfo=UTC)


@pytest.fixture(autouse=True)
def provider(monkeypatch, settings) -> Iterator[Scripted]:
    client().flushall()
    cache.forget_memory()
    settings.DEMO_SYMBOLS = []
    scripted = Scripted()
    with registry.override(scripted):
        yield scripted
    lookup.fetcher.close()


@pytest.fixture
def at_now(monkeypatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(clock, "now_us", lambda: int(NOW.timestamp() * 1_000_000))


def bar(start: datetime, symbol: str = "AAPL") -> Bar:
    return Bar(symbol, start, Decimal(10), Decimal(12), Decimal(9), Decimal(11), 1000)


def test_past_days_and_the_minutes_of_today_are_stored(provider, at_now):
    ticker = make_ticker("AAPL")
    provider.outcomes = {"AAPL": make_quote("AAPL", as_of=NOW)}
    provider.bars = [
        bar(datetime(2026, 2, 27, tzinfo=UTC)),
        bar(NOW.replace(second=0) - timedelta(minutes=1)),
    ]

    assert backfill.load("AAPL") == 2

    assert DailyBar.objects.get().day == date(2026, 2, 27)
    assert MinuteBar.objects.get().start == NOW.replace(second=0) - timedelta(minutes=1)
    assert Ticker.objects.get(pk=ticker.pk).bars_loaded_at == NOW
    (_, day, since, until), (_, minute, start, end) = provider.bar_requests
    assert (day, until.date(), (until - since).days) == (Interval.DAY, NOW.date(), 5 * 366)
    assert (minute, start, end) == (Interval.MINUTE, NOW - timedelta(days=1), NOW.replace(second=0))
    assert backfill.load("AAPL") == 0


def test_a_replayed_ticker_gets_the_days_before_the_replayed_one(provider, at_now):
    make_ticker("AAPL")
    provider.outcomes = {"AAPL": make_quote("AAPL", as_of=NOW, replay_date=date(2012, 10, 25))}

    backfill.load("AAPL")

    assert provider.bar_requests[0][3] == datetime(2012, 10, 25, tzinfo=UTC)


def test_a_symbol_without_a_ticker_or_a_provider_is_no_error(provider):
    assert backfill.load("NONE") == 0

    make_ticker("AAPL")
    with registry.override(Scripted(bars=False)):
        assert backfill.load("AAPL") == 0
    assert Ticker.objects.get().bars_loaded_at is not None


@pytest.mark.parametrize("failure", [ProviderDown(), RateLimited()])
def test_a_provider_that_is_down_is_asked_again_soon(provider, failure):
    make_subscription(make_user(), make_ticker("AAPL"))
    failed = metrics.provider_failures.labels(provider="scripted", reason=failure.kind.value)._value.get
    before = failed()
    provider.failure = failure

    assert backfill.load("AAPL") == 0
    assert failed() >= before + 1  # a provider that asks us to wait is asked for nothing more
    assert backfill.overdue(["AAPL"]) == ["AAPL"]

    provider.failure = None
    client().flushall()  # what it asked us to wait is over
    backfill.load("AAPL")
    assert backfill.overdue(["AAPL"]) == []


def test_a_ticker_that_the_provider_does_not_know_is_not_asked_all_the_time(provider):
    make_subscription(make_user(), make_ticker("AAPL"))
    provider.failure = NotFound()

    assert backfill.load("AAPL") == 0
    assert backfill.overdue(["AAPL"]) == []


@pytest.mark.parametrize("at_once", [False, True])
def test_any_number_of_tasks_for_one_ticker_ask_a_provider_once(provider, at_once):
    make_ticker("AAPL")
    if at_once:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(in_a_thread(backfill.load), ["AAPL"] * 3))
    else:
        for _ in range(3):
            backfill.load("AAPL")

    assert len(provider.bar_requests) == 2


def in_a_thread(function):
    def run(*args):
        try:
            return function(*args)
        finally:
            connection.close()

    return run


def test_the_claim_of_a_task_that_was_killed_runs_out(provider, monkeypatch):
    make_ticker("AAPL")
    start, passed = clock.now(), timedelta(0)
    monkeypatch.setattr(clock, "now", lambda: start + passed)

    async def killed(*_):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(provider, "fetch_bars", killed)
        with pytest.raises(SystemExit):
            backfill.load("AAPL")

    backfill.load("AAPL")
    assert provider.bar_requests == []

    passed = backfill.CLAIMED_FOR
    backfill.load("AAPL")
    assert len(provider.bar_requests) == 2


def test_a_provider_that_never_answers_is_left_after_its_budget(provider, monkeypatch):
    make_ticker("AAPL")

    async def never(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr(chain, "BULK_BUDGET_S", 0.05)
    monkeypatch.setattr(provider, "fetch_bars", never)

    assert backfill.load("AAPL") == 0
    assert backfill.overdue(["AAPL"]) == ["AAPL"]


def test_a_whole_load_fits_into_the_time_limit_of_its_task(settings):
    assert 2 * chain.BULK_BUDGET_S + 10 < settings.CELERY_TASK_SOFT_TIME_LIMIT
    assert timedelta(seconds=settings.CELERY_TASK_TIME_LIMIT) < backfill.CLAIMED_FOR < backfill.LOADED_FOR


def test_only_tickers_that_were_not_loaded_lately_are_overdue():
    ages = {"NEVER": None, "OLD": backfill.LOADED_FOR + timedelta(minutes=1), "NEW": timedelta(minutes=1)}
    for symbol, age in ages.items():
        when = None if age is None else clock.now() - age
        make_ticker(symbol, bars_loaded_at=when)
    make_ticker("OTHER")

    assert backfill.overdue([*ages, "UNKNOWN"]) == ["NEVER", "OLD"]


@pytest.fixture
def broker_away() -> Iterator[None]:
    url, options = app.conf.broker_write_url, app.conf.broker_transport_options
    app.conf.broker_transport_options = {**options, "max_retries": 0}
    _send_to("redis+socket:///nonexistent/redis.sock", retry=False)
    yield
    app.conf.broker_transport_options = options
    _send_to(url, retry=True)


def _send_to(url: str, *, retry: bool) -> None:
    app.conf.update(broker_write_url=url, task_publish_retry=retry)
    app._pool = None
    app.amqp._producer_pool = None


def queued() -> list[str]:
    key = f"{app.conf.broker_transport_options['global_keyprefix']}slow"
    messages = [json.loads(raw) for raw in client().lrange(key, 0, -1)]
    assert all(message["headers"]["expires"] for message in messages)
    return sorted(json.loads(base64.b64decode(message["body"]))[0][0] for message in messages)


def test_each_overdue_ticker_is_a_task_of_its_own():
    for symbol, age in (("NEVER", None), ("OLD", backfill.LOADED_FOR), ("NEW", timedelta(minutes=1))):
        make_ticker(symbol, bars_loaded_at=clock.now() - age if age is not None else None)

    backfill.ask_for(["NEVER", "OLD", "NEW", "UNKNOWN"])

    assert queued() == ["NEVER", "OLD"]


def test_the_periodic_task_asks_for_what_is_wanted():
    make_subscription(make_user(), make_ticker("WANTED"))
    make_ticker("UNWANTED")

    tasks.load_overdue_bars()

    assert queued() == ["WANTED"]


def test_a_queue_that_is_away_is_no_error(broker_away):
    make_ticker("AAPL")
    before = metrics.redis_failures.labels(used_by="queue")._value.get()

    backfill.ask_for(["AAPL"])

    assert metrics.redis_failures.labels(used_by="queue")._value.get() == before + 1
