from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, connections, transaction

from alerts import conditions, splits, telling
from alerts.kinds import Kind, Phase, Priority
from alerts.models import Alert, Notification, Outbox
from core import clock
from marketdata.models import CorporateAction, Ticker
from tests.alerts.crowds import fill
from tests.alerts.plans import MODES, explained
from tests.alerts.waiting import until_somebody_waits
from tests.factories import make_alert, make_armed_alert, make_quote, make_ticker, make_user

# One minute past midnight in New York.
NOW = datetime(2026, 3, 2, 5, 1, tzinfo=UTC)
TODAY = date(2026, 3, 2)
YESTERDAY = TODAY - timedelta(days=1)
D = Decimal


@dataclass
class Watch:
    now: datetime = NOW


@pytest.fixture(autouse=True)
def at(monkeypatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(clock, "now", lambda: watch.now)
    return watch


@pytest.fixture(autouse=True)
def told(monkeypatch) -> list[str]:
    titles: list[str] = []
    monkeypatch.setattr(
        telling, "tell_and_wait", lambda _, written: titles.extend(one.title for one in written.told)
    )
    return titles


@pytest.fixture
def ticker(db) -> Ticker:
    return make_ticker("ZZZZ")


def split(ticker: Ticker, old: int = 1, new: int = 4, day: date = TODAY, loaded_at: datetime = NOW):
    return CorporateAction.objects.create(
        ticker=ticker, kind="split", ex_date=day, split_from=old, split_to=new, provider="operator",
        loaded_at=loaded_at,
    )  # fmt: skip


def rename(ticker: Ticker, new: str, day: date = TODAY):
    return CorporateAction.objects.create(
        ticker=ticker, kind="rename", ex_date=day, new_symbol=new, provider="operator", loaded_at=NOW
    )


def armed(ticker: Ticker, threshold: str = "400", **fields) -> Alert:
    values = {"splits_until": YESTERDAY, "armed_at": NOW - timedelta(days=9), "armed_price": D(380), **fields}
    return make_armed_alert(values.pop("user", None) or make_user(), ticker, threshold, **values)


@pytest.mark.parametrize(
    ("ratio", "threshold", "expected", "words"),
    [
        ((1, 4), "400", "100", "4:1"),
        ((1, 20), "2190.01", "109.5005", "20:1"),
        ((50, 1), "0.51", "25.5", "1:50"),
        ((3, 2), "100", "150", "2:3"),
        ((1, 3), "100", "33.33333333", "3:1"),
    ],
)
def test_a_threshold_is_restated_in_the_new_shares_and_the_owner_is_told(
    ticker, told, ratio, threshold, expected, words
):
    user = make_user()
    alert = armed(ticker, threshold, user=user, reference_price=D(threshold), priority=Priority.HIGH.value)
    split(ticker, *ratio)

    assert splits.follow() == 1

    alert.refresh_from_db()
    assert (alert.threshold, alert.reference_price) == (D(expected), D(expected))
    assert (alert.version, alert.phase, alert.armed_at, alert.edited_at) == (2, Phase.FRESH, NOW, NOW)
    assert (alert.splits_until, alert.active) == (TODAY, True)
    notification = Notification.objects.get()
    assert (notification.user, notification.kind, notification.symbol) == (user, "split", "ZZZZ")
    assert (notification.priority, notification.trigger) == (Priority.HIGH, None)
    assert notification.title.startswith(f"ZZZZ was split {words}: your alert at ")
    assert Outbox.objects.get().notification == notification
    assert told == [notification.title]


def test_both_thresholds_are_told(ticker):
    armed(ticker)
    split(ticker)

    splits.follow()

    notification = Notification.objects.get()
    assert notification.title == "ZZZZ was split 4:1: your alert at 400.00 is now at 100.00"
    assert notification.body == "It goes on as: crosses above 100.00, regular session, once."


def test_the_edges_of_a_channel_are_restated(ticker):
    alert = make_alert(
        make_user(), ticker, Kind.LEAVES_CHANNEL, None, lower=D(360), upper=D(440), splits_until=YESTERDAY
    )
    split(ticker)

    splits.follow()

    alert.refresh_from_db()
    assert (alert.lower, alert.upper, alert.threshold) == (D(90), D(110), None)
    assert Notification.objects.get().title.endswith(
        "your alert at 360.00 to 440.00 is now at 90.00 to 110.00"
    )


def test_the_price_at_which_it_was_armed_is_restated(ticker):
    alert = armed(ticker, armed_price=D(380))
    split(ticker)

    splits.follow()

    assert Alert.objects.get(pk=alert.pk).armed_price == D(95)


@pytest.mark.parametrize("kind", [Kind.MOVES, Kind.VOLUME, Kind.HIGH_52W, Kind.STALE])
def test_what_is_no_price_stays_as_it_is_and_nobody_is_told(ticker, kind):
    alert = make_alert(
        make_user(),
        ticker,
        kind,
        "3",
        phase=Phase.ARMED.value,
        reference_price=D(400),
        splits_until=YESTERDAY,
    )
    split(ticker)

    splits.follow()

    alert.refresh_from_db()
    assert (alert.threshold, alert.reference_price) == (D(3), D(100))
    assert (alert.version, alert.phase, alert.splits_until) == (1, Phase.ARMED, TODAY)
    assert not Notification.objects.exists()


@pytest.mark.parametrize("kind", [Kind.ABOVE, Kind.BELOW, Kind.CROSSES_ABOVE, Kind.CROSSES_BELOW])
@pytest.mark.parametrize("price", ["5", "100", "5000"])
def test_the_first_price_after_it_never_fires(ticker, kind, price):
    alert = armed(ticker, kind=kind)
    split(ticker)
    splits.follow()
    alert.refresh_from_db()

    assert conditions.step(alert.rule, Phase(alert.phase), D(price)).fires is False


def test_the_same_split_counts_once(ticker, at):
    alert = armed(ticker)
    split(ticker)

    assert splits.follow() == 1
    at.now += timedelta(minutes=1)
    assert splits.follow() == 0

    alert.refresh_from_db()
    assert (alert.threshold, alert.version) == (D(100), 2)
    assert Notification.objects.count() == 1


def test_a_split_that_is_loaded_late_is_followed_late(ticker):
    alert = armed(ticker, splits_until=TODAY - timedelta(days=40))
    split(ticker, day=TODAY - timedelta(days=30), loaded_at=NOW - timedelta(minutes=5))

    splits.follow()

    alert.refresh_from_db()
    assert (alert.threshold, alert.splits_until) == (D(100), TODAY)


def test_a_second_split_only_counts_by_itself(ticker, at):
    alert = armed(ticker)
    split(ticker)
    splits.follow()
    at.now += timedelta(days=1)
    split(ticker, 10, 1, day=TODAY + timedelta(days=1))

    splits.follow()

    alert.refresh_from_db()
    assert (alert.threshold, alert.version) == (D(1000), 3)
    assert Notification.objects.order_by("pk")[1].title == (
        "ZZZZ was split 1:10: your alert at 100.00 is now at 1000.00"
    )


def test_two_splits_that_were_missed_count_both(ticker):
    alert = armed(ticker, splits_until=TODAY - timedelta(days=9))
    split(ticker, 1, 4, day=TODAY - timedelta(days=2))
    split(ticker, 10, 1)

    splits.follow()

    alert.refresh_from_db()
    assert (alert.threshold, alert.version) == (D(1000), 2)
    assert Notification.objects.get().title.startswith("ZZZZ was split 4:1 and 1:10: ")


def test_a_split_of_tomorrow_does_not_count_yet(ticker, at):
    alert = armed(ticker)
    split(ticker, day=TODAY)
    at.now = NOW - timedelta(minutes=2)

    assert splits.follow() == 0
    assert Alert.objects.get(pk=alert.pk).threshold == D(400)


def test_an_alert_that_was_made_after_the_split_is_in_new_prices_already(ticker):
    alert = armed(ticker, splits_until=TODAY)
    split(ticker)

    assert splits.follow() == 0
    assert Alert.objects.get(pk=alert.pk).threshold == D(400)


def test_a_replayed_ticker_is_split_when_its_replayed_day_comes(ticker):
    replayed = date(2025, 11, 20)
    quote = make_quote(ticker, replay_date=replayed)
    alert = armed(ticker, splits_until=replayed)
    split(ticker, day=replayed + timedelta(days=1))

    assert splits.follow() == 0
    quote.replay_date = replayed + timedelta(days=1)
    quote.save()
    assert splits.follow() == 1
    assert Alert.objects.get(pk=alert.pk).splits_until == replayed + timedelta(days=1)


@pytest.mark.parametrize(
    ("fields", "messages"),
    [
        ({"active": False, "is_paused": True}, 1),
        ({"active": False}, 0),
        ({"active": False, "deleted_at": NOW}, 0),
    ],
)
def test_what_rests_is_restated_and_who_still_has_it_in_mind_is_told(ticker, fields, messages):
    alert = armed(ticker, **fields)
    split(ticker)

    splits.follow()

    alert.refresh_from_db()
    assert (alert.threshold, alert.active) == (D(100), False)
    assert Notification.objects.count() == messages


@pytest.mark.parametrize(
    ("old", "new", "fields"),
    [
        (1, 4, {"threshold": "0.00000001"}),
        (50, 1, {"threshold": "900000000000"}),
    ],
)
def test_a_threshold_that_no_price_can_have_pauses_its_alert_alone(ticker, old, new, fields):
    extreme = armed(ticker, **fields)
    usual = armed(ticker, "100")
    split(ticker, old, new)

    splits.follow()

    extreme.refresh_from_db()
    assert (extreme.active, extreme.is_paused, extreme.threshold) == (False, True, D(fields["threshold"]))
    assert extreme.splits_until == TODAY
    assert Alert.objects.get(pk=usual.pk).threshold == D(100) * old / new
    assert Notification.objects.filter(title__endswith="is paused").count() == 1


def test_other_tickers_are_left_alone(ticker):
    other = armed(make_ticker("YYYY"))
    armed(ticker)
    split(ticker)

    assert splits.follow() == 1
    assert Alert.objects.get(pk=other.pk).threshold == D(400)


def test_more_alerts_than_one_transaction_takes_are_all_restated(ticker, monkeypatch, told):
    monkeypatch.setattr(splits, "ROWS", 2)
    for _ in range(5):
        armed(ticker)
    split(ticker)

    assert splits.follow() == 5
    assert len(told) == 5


@pytest.mark.django_db(transaction=True)
def test_an_edit_in_new_prices_that_comes_first_is_left_alone():
    ticker = make_ticker("ZZZZ")
    alert = armed(ticker)
    split(ticker)

    def run() -> int:
        try:
            return splits.follow()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Alert.objects.filter(pk=alert.pk).update(threshold=D(111), splits_until=TODAY, version=2)
            changed = pool.submit(run)
            until_somebody_waits()
        assert changed.result(30) == 0

    alert.refresh_from_db()
    assert (alert.threshold, alert.version) == (D(111), 2)


@pytest.mark.django_db
@pytest.mark.parametrize("mode", MODES)
def test_splits_are_found_without_reading_all_alerts(mode):
    fill(make_user(), tickers=200, each=100)
    for ticker in Ticker.objects.all()[:20]:
        split(ticker)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE marketdata_corporateaction")
    values = {"today": TODAY, "oldest": 366, "lately": 3, "loaded": NOW - timedelta(hours=1)}

    plan = explained(splits.SPLIT, values, mode)

    assert "Seq Scan on alerts_alert" not in plan
    assert "alert_active" in plan
    assert "alert_resting" in plan


# --- renames


def test_an_alert_follows_its_ticker_to_a_new_symbol(ticker):
    alert = armed(ticker)
    resting = armed(ticker, active=False, is_paused=True)
    new = make_ticker("NEWZ")
    rename(ticker, "NEWZ")
    Ticker.objects.filter(pk=ticker.pk).update(is_active=False)

    assert splits.follow() == 2
    assert splits.follow() == 0

    alert.refresh_from_db()
    assert (alert.ticker, alert.version, alert.phase) == (new, 2, Phase.FRESH)
    assert (alert.armed_at, alert.armed_price, alert.edited_at) == (NOW, None, NOW)
    assert (alert.threshold, alert.active) == (D(400), True)
    assert Alert.objects.get(pk=resting.pk).ticker == new


def test_an_alert_stays_where_the_directory_has_no_successor(ticker):
    alert = armed(ticker)
    rename(ticker, "NEWZ")
    Ticker.objects.filter(pk=ticker.pk).update(is_active=False)

    assert splits.follow() == 0
    assert Alert.objects.get(pk=alert.pk).ticker == ticker


def test_a_split_and_a_rename_of_the_same_morning_both_count(ticker):
    alert = armed(ticker)
    new = make_ticker("NEWZ")
    split(ticker)
    rename(ticker, "NEWZ")
    Ticker.objects.filter(pk=ticker.pk).update(is_active=False)

    splits.follow()

    alert.refresh_from_db()
    assert (alert.ticker, alert.threshold) == (new, D(100))
