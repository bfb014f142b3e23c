from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from alerts import quality, retraction
from alerts.models import Notification, Outbox
from core.doctor import Verdict
from tests.alerts.fires import make_fire
from tests.factories import make_alert, make_ticker, make_user

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def alert():
    return make_alert(make_user("alice"), make_ticker("AAPL"), threshold="190", mode="repeat")


def test_fires_that_were_taken_back_or_are_not_reproduced_are_false(alert, django_assert_num_queries):
    for price in ("191", "192", "193"):
        make_fire(alert, price)
    make_fire(alert, "189")  # that is not above 190
    make_fire(alert, "194", retracted_at=timezone.now(), retraction="Cancelled.")
    make_fire(alert, "195", rule={"kind": "of a later version"})
    make_fire(alert, "196", retraction="Corrected, and stands.")
    make_fire(alert, "100", committed_at=timezone.now() - 2 * DAY)

    with django_assert_num_queries(2):
        found = quality.over(DAY)

    assert found == quality.Quality(fires=7, retracted=1, looked_at=7, unreproduced=1, unreadable=1, false=2)
    assert found.false_percent == Decimal("28.57")


def test_only_the_newest_are_evaluated_again(alert, monkeypatch):
    monkeypatch.setattr(quality, "MOST", 2)
    make_fire(alert, "189", committed_at=timezone.now() - timedelta(hours=1))
    for _ in range(3):
        make_fire(alert, "191")

    found = quality.over(DAY)

    assert (found.fires, found.looked_at, found.unreproduced) == (4, 2, 0)


def test_where_nothing_fired_there_is_no_rate():
    assert quality.over(DAY).false_percent is None
    (line,) = quality.lines(False)
    assert (line.verdict, line.text) == (Verdict.OK, "nothing fired within a day")


def test_the_doctor_tells_of_a_fire_that_is_not_borne_out(alert):
    make_fire(alert, "191")
    (fine,) = quality.lines(False)
    make_fire(alert, "189")
    (doubted,) = quality.lines(False)

    assert (fine.verdict, doubted.verdict) == (Verdict.OK, Verdict.WARN)
    assert doubted.text == (
        "of 2 fires within a day 0 were taken back and 1 are not reproduced (50.00 % false)"
    )


def test_a_fire_is_retracted_by_hand_once_and_its_owner_is_told(alert):
    fire = make_fire(alert, "191")

    told = retraction.by_hand(fire, "AAPL", "It was found to be wrong.")

    assert retraction.by_hand(fire, "AAPL", "Again.") is None
    fire.refresh_from_db()
    assert (fire.retraction, fire.retracted_at is None) == ("It was found to be wrong.", False)
    assert Notification.objects.get() == told
    assert (told.user, told.trigger, told.kind) == (alert.user, fire, "retraction")
    assert Outbox.objects.get().notification == told
