from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection

from core import clock
from core.tasks import clear_sessions
from marketdata import store, tasks, upkeep
from marketdata.models import MinuteBar, ProviderCall
from tests.factories import make_minute_bar, make_ticker

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _at_now(monkeypatch, settings):
    monkeypatch.setattr(clock, "now", lambda: NOW)
    settings.MINUTE_BARS_DAYS, settings.LEDGER_DAYS = 30, 400


@pytest.fixture
def at_most(monkeypatch):
    """So many rows in one statement."""
    return lambda rows: monkeypatch.setattr(upkeep, "ROWS", rows)


def make_call(at):
    return ProviderCall.objects.create(
        at=at, provider="alpaca", endpoint="quotes", cause="request", outcome="ok"
    )


def partitions():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'marketdata_dailybar'::regclass"
        )
        return {name for (name,) in cursor.fetchall()}


def test_the_coming_months_are_made_over_the_end_of_a_year():
    store._made.clear()

    tasks.make_months()
    tasks.make_months()

    assert {f"marketdata_dailybar_{month}" for month in ("2026_11", "2026_12", "2027_01")} <= partitions()


@pytest.mark.parametrize(
    ("day", "firsts"),
    [
        (date(2026, 1, 31), [(2026, 1), (2026, 2), (2026, 3)]),
        (date(2026, 12, 31), [(2026, 12), (2027, 1), (2027, 2)]),
    ],
)
def test_months_follow_each_other_from_any_day(day, firsts):
    assert upkeep.months_from(day, 2) == [date(year, month, 1) for year, month in firsts]


def test_minute_bars_are_deleted_when_they_are_older_than_the_setting_says(at_most):
    at_most(3)
    one, two, empty = make_ticker(), make_ticker(), make_ticker()
    limit = NOW - timedelta(days=30)
    for ticker in (one, two):
        make_minute_bar(ticker, limit)
        for minutes in range(1, 6):
            make_minute_bar(ticker, limit - timedelta(minutes=minutes))

    assert upkeep.delete_old() == {"minute bars": 10, "ledger rows": 0}

    assert list(MinuteBar.objects.order_by("ticker_id").values_list("ticker_id", "start")) == [
        (one.pk, limit),
        (two.pk, limit),
    ]
    assert not empty.minute_bars.exists()


def test_more_tickers_than_one_statement_looks_through_are_all_cleaned(monkeypatch):
    monkeypatch.setattr(upkeep, "TICKERS", 2)
    for _ in range(5):
        make_minute_bar(make_ticker(), NOW - timedelta(days=31))

    assert upkeep.delete_old()["minute bars"] == 5


def test_ledger_rows_are_deleted_when_they_are_older_than_the_setting_says(at_most):
    at_most(2)
    kept = make_call(NOW - timedelta(days=399))
    for days in range(401, 406):
        make_call(NOW - timedelta(days=days))

    assert upkeep.delete_old() == {"minute bars": 0, "ledger rows": 5}

    assert list(ProviderCall.objects.all()) == [kept]


def test_a_run_stops_when_its_time_is_up_and_the_next_one_goes_on(at_most, monkeypatch, caplog):
    at_most(2)
    ticker, moments = make_ticker(), iter(range(1000))
    for minutes in range(6):
        make_minute_bar(ticker, NOW - timedelta(days=31, minutes=minutes))
    monkeypatch.setattr(clock, "monotonic", lambda: float(next(moments)))
    monkeypatch.setattr(upkeep, "RUN_S", 3.0)

    assert upkeep.delete_old()["minute bars"] == 4
    assert "the next one goes on" in caplog.text
    assert upkeep.delete_old()["minute bars"] == 2


def test_a_run_fits_into_the_time_limit_of_its_task(settings):
    assert upkeep.RUN_S + 10 < settings.CELERY_TASK_SOFT_TIME_LIMIT


@pytest.mark.parametrize(("statement", "params"), [(upkeep.OLD_MINUTES, True), (upkeep.OLD_CALLS, False)])
def test_old_rows_are_found_through_an_index_however_large_the_table(statement, params):
    make_minute_bar(make_ticker(), NOW)
    make_call(NOW)
    before = NOW - timedelta(days=30)
    values = [[1, 2, 3], before, 10, 10] if params else [before, 10]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {statement}", values)
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "Seq Scan" not in plan
    assert "Tid Scan" in plan


def test_sessions_whose_time_is_over_are_deleted():
    for days in (-1, 1):
        session = SessionStore()
        session.create()
        Session.objects.filter(pk=session.session_key).update(expire_date=NOW + timedelta(days=days))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.utils.timezone.now", lambda: NOW)
        clear_sessions()

    assert [row.expire_date for row in Session.objects.all()] == [NOW + timedelta(days=1)]
