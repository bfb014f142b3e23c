from __future__ import annotations

from datetime import date, datetime, time

import pytest
from django.db import connection
from django.urls import reverse

from core import clock, metrics
from marketdata import market_hours
from marketdata.calendar import NEW_YORK, SpecialDay
from marketdata.models import CalendarException
from marketdata.quotes import Session
from tests.factories import make_staff
from tests.outages import postgres_switch

pytestmark = pytest.mark.django_db
DAY = date(2026, 7, 14)
NOON = datetime(2026, 7, 14, 12, tzinfo=NEW_YORK)


@pytest.fixture(autouse=True)
def _as_a_new_process(monkeypatch):
    monkeypatch.setattr(market_hours, "_read_at", None)
    market_hours.use([])
    yield
    market_hours.use([])


@pytest.fixture
def later(monkeypatch):
    """Set the process's stop watch this many seconds on."""
    start = clock.monotonic()
    return lambda seconds: monkeypatch.setattr(clock, "monotonic", lambda: start + seconds)


def test_an_operators_exception_counts_after_the_next_reading_a_minute_later(later):
    later(0)
    market_hours.refresh()
    CalendarException.objects.create(day=DAY, note="Mourning")

    later(59)
    market_hours.refresh()
    assert market_hours.calendar().session_at(NOON) is Session.REGULAR

    later(61)
    market_hours.refresh()
    assert market_hours.calendar().session_at(NOON) is Session.CLOSED


def test_asking_often_reads_once(later, django_assert_num_queries):
    later(0)
    with django_assert_num_queries(2):  # the exceptions, and today's splits
        for _ in range(10):
            market_hours.refresh()


def test_asking_for_the_calendar_asks_no_database(django_assert_num_queries):
    with django_assert_num_queries(0):
        market_hours.calendar().session_at(NOON)


def test_exceptions_that_did_not_change_keep_the_calendar(later):
    CalendarException.objects.create(day=DAY)
    market_hours.refresh()
    before = market_hours.calendar()

    later(61)
    market_hours.refresh()

    assert market_hours.calendar() is before


@pytest.mark.django_db(transaction=True)
def test_while_the_database_is_away_the_last_known_calendar_stays():
    market_hours.use([SpecialDay(DAY)])
    before = metrics.database_failures.labels(used_by="calendar")._value.get()

    connection.close()
    with postgres_switch() as postgres:
        postgres.off()
        market_hours.refresh()

    assert market_hours.calendar().session_at(NOON) is Session.CLOSED
    assert metrics.database_failures.labels(used_by="calendar")._value.get() == before + 1


def form(**fields):
    return {"day": "2026-07-14", "opens_at": "", "closes_at": "", "note": "Storm", **fields}


def add(client, **fields):
    client.force_login(make_staff())
    return client.post(reverse("admin:marketdata_calendarexception_add"), form(**fields))


def test_an_operator_enters_a_closed_day_which_counts_at_once(client):
    assert add(client, closed="on").status_code == 302

    assert not market_hours.calendar().is_trading_day(DAY)


def test_an_operator_enters_other_hours(client):
    assert add(client, closes_at="14:00").status_code == 302

    row = CalendarException.objects.get()
    assert (row.closed, row.opens_at, row.closes_at) == (False, None, time(14))
    closes = market_hours.calendar().closes(DAY)
    assert closes is not None
    assert closes.astimezone(NEW_YORK).time() == time(14)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"closed": "on", "closes_at": "14:00"}, "A closed day has no hours"),
        ({"opens_at": "15:00", "closes_at": "14:00"}, "must open before it closes"),
        ({"opens_at": "16:00"}, "must open before it closes"),
        ({"closes_at": "09:30"}, "must open before it closes"),
        ({"closes_at": "25:00"}, "Enter a valid time"),
    ],
)
def test_hours_that_make_no_sense_are_refused(client, fields, words):
    response = add(client, **fields)

    assert response.status_code == 200
    assert words in response.content.decode()
    assert not CalendarException.objects.exists()


def test_taking_an_exception_back_restores_the_usual_hours(client):
    add(client, closed="on")
    row = CalendarException.objects.get()

    client.post(reverse("admin:marketdata_calendarexception_delete", args=[row.pk]), {"post": "yes"})

    assert market_hours.calendar().is_trading_day(DAY)


def test_taking_several_back_together_does_so_too(client):
    add(client, closed="on")
    row = CalendarException.objects.get()

    data = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    client.post(reverse("admin:marketdata_calendarexception_changelist"), data)

    assert market_hours.calendar().is_trading_day(DAY)


def test_the_list_shows_kind_hours_and_what_it_replaces(client):
    client.force_login(make_staff())
    CalendarException.objects.create(day=DAY, closed=False, closes_at=time(14), note="Storm")
    CalendarException.objects.create(day=date(2026, 12, 24))

    page = client.get(reverse("admin:marketdata_calendarexception_changelist")).content.decode()

    for words in ("Other hours", "09:30–14:00", "09:30–16:00", "Storm", "Closed", "09:30–13:00"):
        assert words in page
