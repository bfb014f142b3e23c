from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections, transaction

from accounts.plan_changes import change_tier
from accounts.tiers import LIMITS, Limits, Tier
from alerts import upkeep
from alerts.kinds import Kind
from alerts.models import Alert, Channel, Delivery, Notification, Outbox, Trigger
from core import clock, retention
from marketdata import demand
from tests.alerts.crowds import fill
from tests.alerts.plans import MODES, explained
from tests.alerts.waiting import until_somebody_waits
from tests.factories import make_alert, make_ticker, make_user

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def at(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch):
    """A busy machine is no reason to leave something for the next run."""
    monkeypatch.setattr(upkeep, "RUN_S", 3_000.0)


def make_trigger(alert: Alert, seq: int = 1) -> Trigger:
    return Trigger.objects.create(
        alert=alert, fire_seq=seq, rule_version=1, rule={}, source="tick",
        armed_at=NOW, evaluated_at=NOW, committed_at=NOW,
    )  # fmt: skip


def make_notification(user, created_at: datetime, trigger: Trigger | None = None) -> Notification:
    return Notification.objects.create(
        user=user, trigger=trigger, title="Told", created_at=created_at, scheduled_at=created_at
    )


# --- demand


@pytest.mark.django_db
def test_a_ticker_with_an_active_alert_is_wanted_as_fresh_as_alerts_need_it():
    user, ticker = make_user(), make_ticker("ZZZZ")
    make_alert(user, ticker)
    make_alert(user, ticker)

    assert demand.wanted()["ZZZZ"] == demand.Wanted(ticker.pk, "ZZZZ", 1, 15, 15)


@pytest.mark.django_db
def test_a_ticker_whose_alerts_rest_is_not_wanted():
    make_alert(make_user(), make_ticker("ZZZZ"), active=False)

    assert "ZZZZ" not in demand.wanted()


@pytest.mark.django_db
@pytest.mark.parametrize("mode", MODES)
def test_the_demand_of_many_alerts_is_found_without_reading_them(mode):
    fill(make_user(), tickers=200, each=100)
    sql, params = upkeep.wanted_by_alerts().query.sql_with_params()

    assert "Seq Scan on alerts_alert" not in explained(sql, params, mode)
    assert len(upkeep.wanted_by_alerts()) == 200


# --- expiry


@pytest.mark.django_db
def test_an_alert_whose_time_is_over_rests_and_the_others_go_on():
    user, ticker = make_user(), make_ticker()
    over = make_alert(user, ticker, expires_at=NOW, edited_at=NOW - DAY)
    later = make_alert(user, ticker, expires_at=NOW + timedelta(microseconds=1))
    never = make_alert(user, ticker)

    assert upkeep.expire() == 1

    over.refresh_from_db()
    assert (over.active, over.edited_at) == (False, NOW)
    assert list(Alert.objects.filter(active=True).order_by("pk")) == [later, never]


@pytest.mark.django_db
def test_more_than_one_statement_may_take_expire_in_one_run(monkeypatch):
    monkeypatch.setattr(upkeep, "ROWS", 2)
    user, ticker = make_user(), make_ticker()
    for _ in range(5):
        make_alert(user, ticker, expires_at=NOW)

    assert upkeep.expire() == 5
    assert not Alert.objects.filter(active=True).exists()


@pytest.mark.django_db(transaction=True)
def test_an_alert_that_gets_a_later_end_in_the_same_moment_goes_on():
    alert = make_alert(make_user(), make_ticker(), expires_at=NOW)

    def run() -> int:
        try:
            return upkeep.expire()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Alert.objects.filter(pk=alert.pk).update(expires_at=NOW + DAY)
            expired = pool.submit(run)
            until_somebody_waits()
        assert expired.result(30) == 0
    assert Alert.objects.get(pk=alert.pk).active is True


@pytest.mark.django_db
@pytest.mark.parametrize("mode", MODES)
def test_what_expires_is_found_without_reading_all_alerts(mode):
    fill(make_user(), tickers=200, each=100)

    plan = explained(upkeep.EXPIRE, {"now": NOW, "rows": 1_000}, mode)

    assert "Seq Scan on alerts_alert" not in plan
    assert "alert_expiry" in plan


# --- the tier's limit


@pytest.fixture
def three(monkeypatch):
    """The free tier has room for three alerts."""
    free = LIMITS[Tier.FREE]
    few = Limits(**{name: getattr(free, name) for name in free.__slots__} | {"max_alerts": 3})
    monkeypatch.setitem(LIMITS, Tier.FREE, few)


@pytest.mark.django_db(transaction=True)
def test_after_a_smaller_plan_the_oldest_alerts_go_on_and_the_rest_is_paused(three):
    user, ticker = make_user(tier="pro"), make_ticker()
    alerts = [make_alert(user, ticker) for _ in range(5)]

    change_tier(user, Tier.FREE)

    assert list(Alert.objects.filter(active=True).order_by("pk")) == alerts[:3]
    assert list(Alert.objects.filter(is_paused=True).order_by("pk")) == alerts[3:]
    assert {alert.edited_at for alert in Alert.objects.filter(is_paused=True)} == {NOW}


@pytest.mark.django_db
def test_what_rests_or_was_deleted_does_not_count_against_the_limit(three):
    user, ticker = make_user(), make_ticker()
    make_alert(user, ticker, active=False, is_paused=True)
    make_alert(user, ticker, active=False, deleted_at=NOW)
    going = [make_alert(user, ticker) for _ in range(3)]

    assert upkeep.pause_beyond_limit(user.pk) == 0
    assert list(Alert.objects.filter(active=True).order_by("pk")) == going


@pytest.mark.django_db
def test_whoever_has_too_many_without_a_signal_is_found_and_nobody_else(three):
    ticker = make_ticker()
    too_many, just_right, pro = make_user(), make_user(), make_user(tier="pro")
    for user, count in ((too_many, 5), (just_right, 3), (pro, 5)):
        for _ in range(count):
            make_alert(user, ticker)

    assert upkeep.pause_all_beyond_limit() == 2
    assert upkeep.pause_all_beyond_limit() == 0
    assert Alert.objects.filter(is_paused=True, user=too_many).count() == 2


@pytest.mark.django_db
def test_nobody_is_trimmed_who_is_gone():
    user = make_user()
    gone = user.pk
    user.delete()

    assert upkeep.pause_beyond_limit(gone) == 0


# --- retention


@pytest.mark.django_db
def test_notifications_are_deleted_after_thirty_days_with_their_deliveries():
    user = make_user()
    old, kept = make_notification(user, NOW - 31 * DAY), make_notification(user, NOW - 29 * DAY)
    channel = Channel.objects.create(
        user=user, kind="email", name="Mine", address="a@example.com", label="a@…"
    )
    Outbox.objects.create(notification=old, priority=3, due_at=NOW)
    digest = Delivery.objects.create(
        notification=old, channel=channel, key="one", priority=3, next_attempt_at=NOW
    )
    Delivery.objects.create(
        notification=kept, channel=channel, key="two", priority=3, next_attempt_at=NOW, digest=digest
    )

    assert upkeep.delete_old()["notifications"] == 1

    assert list(Notification.objects.all()) == [kept]
    assert [(one.key, one.digest) for one in Delivery.objects.all()] == [("two", None)]
    assert not Outbox.objects.exists()


@pytest.mark.django_db
def test_a_deleted_alert_goes_with_its_triggers_after_thirty_days():
    user, ticker = make_user(), make_ticker()
    old = make_alert(user, ticker, active=False, deleted_at=NOW - 31 * DAY)
    lately = make_alert(user, ticker, active=False, deleted_at=NOW - 29 * DAY)
    never = make_alert(user, ticker)
    for alert in (old, lately, never):
        make_notification(user, NOW, make_trigger(alert))

    deleted = upkeep.delete_old()

    assert deleted == {"notifications": 0, "triggers": 1, "old triggers": 0, "alerts": 1}
    assert set(Alert.objects.all()) == {lately, never}
    assert Trigger.objects.count() == 2


@pytest.mark.django_db
def test_an_alert_with_more_triggers_than_one_step_takes_goes_as_well(monkeypatch):
    monkeypatch.setattr(upkeep, "ROWS", 2)
    alert = make_alert(make_user(), make_ticker(), Kind.ABOVE, active=False, deleted_at=NOW - 31 * DAY)
    for seq in range(5):
        make_trigger(alert, seq)

    assert upkeep.delete_old() == {"notifications": 0, "triggers": 5, "old triggers": 0, "alerts": 1}


@pytest.mark.django_db
def test_the_fires_of_an_alert_are_kept_for_a_year():
    alert = make_alert(make_user(), make_ticker())
    old, kept = make_trigger(alert, 1), make_trigger(alert, 2)
    Trigger.objects.filter(pk=old.pk).update(committed_at=NOW - 366 * DAY)
    Trigger.objects.filter(pk=kept.pk).update(committed_at=NOW - 364 * DAY)

    assert upkeep.delete_old()["old triggers"] == 1
    assert list(Trigger.objects.all()) == [kept]


@pytest.mark.django_db
def test_a_run_stops_when_its_time_is_up(monkeypatch, caplog):
    seconds, delete_some = [0.0], retention.delete_some

    def delete_slowly(*given) -> int:
        seconds[0] += 1.0
        return delete_some(*given)

    monkeypatch.setattr(clock, "monotonic", lambda: seconds[0])
    monkeypatch.setattr(retention, "delete_some", delete_slowly)
    monkeypatch.setattr(upkeep, "ROWS", 1)
    monkeypatch.setattr(upkeep, "RUN_S", 12.0)
    user = make_user()
    for _ in range(5):
        make_notification(user, NOW - 31 * DAY)

    assert upkeep.delete_old()["notifications"] == 3  # a quarter of the time
    assert "the next one goes on" in caplog.text


@pytest.mark.django_db
@pytest.mark.parametrize("mode", MODES)
def test_deleted_alerts_are_found_without_reading_the_others(mode):
    fill(make_user(), tickers=200, each=100)
    gone = Alert.objects.filter(deleted_at__lt=NOW, triggers=None).order_by("deleted_at")[:10]
    sql, params = gone.query.sql_with_params()

    assert "Seq Scan on alerts_alert" not in explained(sql, params, mode)
