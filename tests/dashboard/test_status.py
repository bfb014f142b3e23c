from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.redis import client as redis
from dashboard import status
from marketdata import cache
from marketdata.models import Quote
from marketdata.providers import attempts, breakers, registry
from marketdata.providers.attempts import Attempt, Skip
from marketdata.providers.base import Window
from marketdata.providers.chain import Asking, breaker_name
from marketdata.providers.registry import Purpose
from tests.factories import make_staff, make_subscription, make_ticker, make_user
from tests.outages import redis_away
from tests.providers import Scripted

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def provider(settings):
    redis().flushall()
    cache.forget_memory()
    status._kept.clear()
    settings.DEMO_SYMBOLS = []
    one = Scripted(name="one", windows=(Window(10, 60),))
    with registry.override(one):
        yield one


def page(client) -> str:
    answer = client.get("/status/")
    assert (answer.status_code, answer["Cache-Control"].split(",")[0]) == (200, "max-age=0")
    return answer.content.decode()


def skipped_once() -> None:
    tried = [Attempt("one", 1, skip=Skip.CIRCUIT_OPEN, detail="one failed lately"), Attempt("other", 1)]
    attempts.remember(Purpose.QUOTES, Asking(), ["AAPL"], tried)


def test_a_visitor_sees_how_the_providers_stand_and_no_quota(client):
    skipped_once()

    found = page(client)

    assert "<h1>Status</h1>" in found
    assert "One" in found
    for private in ("Quota left", "10 of 10", "failed lately"):
        assert private not in found


def test_staff_sees_quotas_and_what_the_chain_did(client):
    client.force_login(make_staff())
    skipped_once()

    found = page(client)

    assert "10 of 10 per minute" in found
    assert "one: circuit_open (one failed lately) → other: ok" in found


def test_somebody_logged_in_is_no_staff(client):
    client.force_login(make_user())

    assert "Quota left" not in page(client)


def test_a_provider_that_is_away_is_a_problem_told_in_words(client, provider):
    breakers.hold(breaker_name(provider, Purpose.QUOTES), 60)

    found = page(client)

    assert "Not everything is well" in found
    assert "One gives no usable answer; the next provider is asked, or prices stay as they were." in found


def test_a_tape_that_stands_still_is_told(client):
    assert "The live feed stands still: prices are the last known ones." in page(client)


def test_with_redis_away_the_page_still_answers_and_says_so(client):
    make_subscription(make_user(), make_ticker("AAPL"))
    with redis_away():
        found = page(client)

    assert "The cache does not answer: pages show stored prices, and nothing moves." in found


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (datetime(2026, 11, 20, 15, 0, tzinfo=UTC), "Open until 16:00"),
        (datetime(2026, 11, 27, 15, 0, tzinfo=UTC), "Open until 13:00"),  # the day after Thanksgiving
        (datetime(2026, 11, 20, 13, 0, tzinfo=UTC), "Before the open; opens 09:30"),
        (datetime(2026, 11, 20, 22, 0, tzinfo=UTC), "After the close; opens Monday 09:30"),
        (datetime(2026, 11, 25, 3, 0, tzinfo=UTC), "Closed; opens Wednesday 09:30"),
        (datetime(2026, 11, 26, 15, 0, tzinfo=UTC), "Closed; opens Friday 09:30"),  # Thanksgiving
    ],
)
def test_the_market_is_told_in_its_own_time(moment, words):
    assert status.market_words(moment) == words


def test_an_old_price_is_a_problem(client):
    ticker = make_ticker("AAPL")
    make_subscription(make_user(), ticker)
    now = datetime.now(UTC)
    Quote.objects.create(
        ticker=ticker,
        price=1,
        as_of=now,
        received_at=now - timedelta(hours=1),
        expires_at=now,
        provider="one",
    )

    assert "The price of AAPL has not been checked for a while." in page(client)


def test_many_visitors_cost_one_look(client, monkeypatch):
    looks = []
    look = status.status_of
    monkeypatch.setattr(status, "KEPT_S", 600.0)
    monkeypatch.setattr(status, "status_of", lambda **whose: looks.append(whose) or look(**whose))

    for _ in range(3):
        page(client)
    client.force_login(make_staff())
    page(client)

    assert looks == [{"staff": False}, {"staff": True}]
