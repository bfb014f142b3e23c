from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest

from alerts import inbox
from alerts.models import Notification, Trigger
from core import clock
from tests.factories import make_alert, make_ticker, make_user

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
_fires = count(1)


@pytest.fixture(autouse=True)
def _at(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def alice():
    return make_user("alice")


def make_notification(user, **fields):
    return Notification.objects.create(
        user=user, **{"title": "IBM crossed above 190.00", "scheduled_at": NOW, "created_at": NOW, **fields}
    )


def make_trigger(alert):
    number = next(_fires)
    return Trigger.objects.create(
        alert=alert, fire_seq=number, rule_version=1, rule={}, source="tick", armed_at=NOW, evaluated_at=NOW,
        committed_at=NOW,
    )  # fmt: skip


def test_a_notification_has_one_shape(alice):
    trigger = make_trigger(make_alert(alice, make_ticker("IBM")))
    row = make_notification(
        alice,
        trigger=trigger,
        body="at last",
        symbol="IBM",
        current_price=Decimal("190.02000000"),
        priority=1,
    )

    (told,) = inbox.since(alice.pk, 0, 10)

    assert told == {
        "id": row.pk,
        "kind": "alert",
        "priority": "critical",
        "category": "",
        "title": "IBM crossed above 190.00",
        "body": "at last",
        "symbol": "IBM",
        "current_price": "190.02",
        "scheduled_at": "2026-03-04T15:00:00.000Z",
        "created_at": "2026-03-04T15:00:00.000Z",
        "read_at": None,
        "alert": trigger.alert_id,
        "trigger": trigger.pk,
        "url": f"/notifications/{row.pk}/",
    }


def test_what_no_alert_made_has_no_alert(alice):
    make_notification(alice, kind="channel")

    (told,) = inbox.since(alice.pk, 0, 10)

    assert (told["alert"], told["trigger"], told["current_price"]) == (None, None, None)


def test_what_was_missed_comes_oldest_first_and_is_ones_own(alice):
    rows = [make_notification(alice) for _ in range(4)]
    make_notification(make_user("bob"))

    assert [one["id"] for one in inbox.since(alice.pk, rows[0].pk, 2)] == [rows[1].pk, rows[2].pk]


def test_it_costs_one_query(alice, django_assert_num_queries):
    alert = make_alert(alice, make_ticker())
    for _ in range(3):
        make_notification(alice, trigger=make_trigger(alert))

    with django_assert_num_queries(1):
        assert len(inbox.since(alice.pk, 0, 10)) == 3


def test_after_thirty_days_it_is_over(alice):
    make_notification(alice, created_at=NOW - timedelta(days=30, seconds=1))

    assert (inbox.unread_count(alice), inbox.since(alice.pk, 0, 10)) == (0, [])


def test_what_was_read_stays_read_since_then(alice, monkeypatch):
    first, second, third = (make_notification(alice) for _ in range(3))
    foreign = make_notification(make_user("bob"))

    assert inbox.mark_read(alice, [first.pk, foreign.pk]) == 1
    assert inbox.unread_count(alice) == 2
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(hours=1))
    assert inbox.mark_read(alice, inbox.ALL) == 2

    rows = dict(Notification.objects.values_list("pk", "read_at"))
    later = NOW + timedelta(hours=1)
    assert rows == {first.pk: NOW, second.pk: later, third.pk: later, foreign.pk: None}


def test_how_mails_that_ask_are_counted_is_not_told(alice):
    make_notification(alice, kind="channel", category="confirmation 7")
    make_notification(alice, category="ideas")

    assert [told["category"] for told in inbox.since(alice.pk, 0, 10)] == ["", "ideas"]
