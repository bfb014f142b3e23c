from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from config.celery import app
from core import clock
from core.redis import client
from marketdata import attention, cache
from marketdata.errors import NotFound, PlanLocked, ProviderDown, RateLimited
from marketdata.providers import registry
from summaries import modelbook, news, orders, tasks
from summaries.models import Article, Order
from tests.factories import make_subscription, make_ticker, make_user
from tests.providers import Scripted
from tests.summaries.making import article, ticker
from tests.summaries.telling import Telling, told

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def provider() -> Iterator[Telling]:
    client().flushall()
    cache.forget_memory()
    attention.forget()
    telling = Telling()
    with registry.override(telling):
        yield telling


@pytest.fixture
def later(time_machine):
    time_machine.move_to(clock.now(), tick=False)

    def move(**how) -> None:
        """Redis has a clock of its own: what would have run out by then is deleted."""
        time_machine.shift(timedelta(**how))
        client().delete(*[f"cache:1:news:claim:{symbol}" for symbol in ("AAPL", "MSFT", "KO")])

    return move


@pytest.fixture
def queued(monkeypatch) -> list[str]:
    symbols: list[str] = []
    monkeypatch.setattr(tasks.load_news_of, "delay", symbols.append)
    return symbols


def want(*symbols: str) -> None:
    user = make_user(tier="expert")
    for symbol in symbols:
        make_subscription(user, ticker(symbol))


def test_what_a_provider_tells_becomes_articles(provider):
    make_ticker("AAPL")
    provider.news = [told(1), told(2)]

    assert news.fetch("AAPL").new == 2

    assert set(Article.objects.values_list("provider", flat=True)) == {"telling"}


def test_the_first_time_a_week_is_asked_for_then_what_is_new(provider, later):
    make_ticker("AAPL")
    began = clock.now()
    news.fetch("AAPL")
    later(hours=3)
    news.fetch("AAPL")

    assert provider.news_requests == [
        ("AAPL", began - timedelta(days=7)),
        ("AAPL", began - news.TOLD_LATE),
    ]


def test_nobody_asks_again_at_once(provider):
    make_ticker("AAPL")

    assert [news.fetch("AAPL") is None for _ in range(2)] == [False, True]
    assert len(provider.news_requests) == 1


def test_a_ticker_that_is_not_there_is_not_asked_for(provider):
    assert news.fetch("NOPE") is None
    assert provider.news_requests == []


def test_only_what_can_be_told_again_is_asked_for_soon_after_a_failure(provider, later, queued):
    want("AAPL", "MSFT", "KO")
    for symbol, failure in (("AAPL", ProviderDown()), ("MSFT", NotFound()), ("KO", PlanLocked())):
        provider.failure = failure
        assert news.fetch(symbol) is None
    later(minutes=10)

    news.fetch_wanted()

    assert queued == ["AAPL"]


def test_a_failure_loses_no_news(provider, later):
    make_ticker("AAPL")
    began = clock.now()
    news.fetch("AAPL")
    later(hours=5)
    provider.failure = RateLimited()
    news.fetch("AAPL")
    later(hours=5)
    provider.failure = None
    news.fetch("AAPL")

    assert provider.news_requests[-1] == ("AAPL", began - news.TOLD_LATE)


def test_another_provider_is_asked_where_the_first_is_down(provider):
    make_ticker("AAPL")
    second = Telling(name="second")
    second.news = [told(1)]
    provider.failure = ProviderDown()

    with registry.override(provider, second):
        news.fetch("AAPL")

    assert Article.objects.get().provider == "second"


# --- which, and when


def test_wanted_tickers_are_asked_for_every_hour(later, queued):
    want("AAPL")
    ticker("KO")
    news.fetch("AAPL")

    found = []
    for minutes in (30, 29, 1):
        later(minutes=minutes)
        found.append(news.fetch_wanted())

    assert (found, queued) == ([0, 0, 1], ["AAPL"])


def test_what_is_looked_at_is_asked_for_every_ten_minutes(later, queued):
    want("AAPL", "MSFT")
    news.fetch("AAPL")
    news.fetch("MSFT")
    later(minutes=10)
    attention.look(["MSFT"])

    news.fetch_wanted()

    assert queued == ["MSFT"]


def test_what_is_looked_at_comes_first_then_what_has_waited_longest(later, queued):
    want("AAPL", "MSFT", "KO")
    news.fetch("MSFT")
    later(minutes=5)
    news.fetch("KO")
    news.fetch("AAPL")
    later(hours=2)
    attention.look(["AAPL"])

    news.fetch_wanted()

    assert queued == ["AAPL", "MSFT", "KO"]


def test_one_run_queues_no_more_than_can_be_asked(queued, monkeypatch):
    monkeypatch.setattr(news, "QUEUED_AT_ONCE", 2)
    want("AAPL", "MSFT", "KO")

    assert news.fetch_wanted() == 2
    assert queued == ["AAPL", "KO"]


def test_nothing_is_queued_where_no_provider_has_news(queued):
    want("AAPL")

    with registry.override(Scripted()):
        assert news.fetch_wanted() == 0

    assert queued == []


def test_the_periodic_task_leads_to_articles(provider, settings):
    want("AAPL")
    provider.news = [told(1)]
    app.conf.task_always_eager = True
    try:
        tasks.load_news()
    finally:
        app.conf.task_always_eager = False

    assert Article.objects.count() == 1


def test_a_ticker_that_is_newly_wanted_has_its_recent_articles_summarized(monkeypatch, later):
    monkeypatch.setattr(modelbook, "wanted_model", lambda: "gpt-6-luna")
    monkeypatch.setattr(orders, "wake", lambda: None)
    want("AAPL")
    recent = article(days_ago=2)
    article(days_ago=9)

    news.fetch("AAPL")

    assert [order.article for order in Order.objects.all()] == [recent]
