from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from alerts import levels
from alerts.series import Reference
from core import clock
from marketdata import store
from marketdata.models import CorporateAction, DailyBar, Ticker
from tests.factories import make_quote, make_ticker

pytestmark = pytest.mark.django_db

# Half past eight in the evening in New York, the next day in UTC.
NOW = datetime(2026, 3, 3, 1, 30, tzinfo=UTC)
TODAY = date(2026, 3, 2)
D = Decimal


@pytest.fixture(autouse=True)
def at(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)
    store._made.clear()
    store.ensure_months(TODAY - timedelta(days=20 * n) for n in range(20))


def bar(ticker: Ticker, days_ago: int, high: str, low: str, volume: int = 1_000, today: date = TODAY) -> None:
    DailyBar.objects.create(
        ticker=ticker, day=today - timedelta(days=days_ago), open=D(low), high=D(high), low=D(low), close=D(high),
        volume=volume,
    )  # fmt: skip


def split(ticker: Ticker, days_ago: int, old: int, new: int, today: date = TODAY) -> None:
    CorporateAction.objects.create(
        ticker=ticker, kind="split", ex_date=today - timedelta(days=days_ago), split_from=old, split_to=new,
        provider="operator", loaded_at=timezone.now(),
    )  # fmt: skip


def test_today_is_not_compared_with_itself_and_what_is_older_than_a_year_does_not_count():
    ticker = make_ticker("AAPL")
    bar(ticker, 0, "500", "1")
    bar(ticker, 1, "110", "100")
    bar(ticker, 364, "120", "90")
    bar(ticker, 365, "900", "1")

    assert levels.references(["AAPL"]) == {
        "AAPL": Reference(D(120), D(90), D(1_000), TODAY - timedelta(days=1))
    }


def test_the_average_volume_is_of_the_last_twenty_days():
    ticker = make_ticker("AAPL")
    for days_ago in range(1, 26):
        bar(ticker, days_ago, "110", "100", volume=days_ago if days_ago <= 20 else 1_000_000)

    assert levels.references(["AAPL"])["AAPL"].average_volume == D("10.5")


def test_days_before_a_split_are_restated_in_the_shares_of_today():
    ticker = make_ticker("AAPL")
    bar(ticker, 10, "400.00000002", "360", volume=100)
    split(ticker, 5, 1, 4)
    bar(ticker, 5, "101", "95", volume=800)

    assert levels.references(["AAPL"]) == {
        # 400.00000002 / 4, rounded to the even one.
        "AAPL": Reference(D(101), D(90), D(600), TODAY - timedelta(days=5))
    }


def test_the_highest_day_may_lie_before_two_splits():
    ticker = make_ticker("AAPL")
    bar(ticker, 30, "10", "9", volume=1_000)
    split(ticker, 20, 50, 1)
    bar(ticker, 15, "480", "400", volume=20)
    split(ticker, 10, 1, 20)
    bar(ticker, 1, "24", "20", volume=400)

    assert levels.references(["AAPL"]) == {"AAPL": Reference(D(25), D(20), D(400), TODAY - timedelta(days=1))}


def test_a_split_of_this_morning_counts_and_one_of_tomorrow_does_not():
    ticker = make_ticker("AAPL")
    bar(ticker, 1, "400", "360")
    split(ticker, 0, 1, 2)
    split(ticker, -1, 1, 10)

    assert levels.references(["AAPL"])["AAPL"].high_52w == D(200)


def test_a_replayed_ticker_is_compared_with_the_days_before_the_replayed_one():
    ticker, replayed = make_ticker("AAPL"), date(2025, 11, 20)
    make_quote(ticker, replay_date=replayed)
    bar(ticker, 1, "999", "900")
    bar(ticker, 1, "110", "100", today=replayed)
    split(ticker, 3, 1, 4)

    assert levels.references(["AAPL"])["AAPL"].high_52w == D(110)


def test_a_ticker_without_bars_has_no_reference():
    make_ticker("AAPL")

    assert levels.references(["AAPL", "NONE"]) == {}
    assert levels.references([]) == {}


def test_two_queries_whatever_the_number_of_tickers(django_assert_num_queries):
    for number in range(5):
        ticker = make_ticker(f"T{number}")
        bar(ticker, 1, "110", "100")
        bar(ticker, 9, "110", "100")
        split(ticker, 5, 1, 2)

    with django_assert_num_queries(2):
        assert len(levels.references([f"T{number}" for number in range(5)])) == 5
