from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from django.db import OperationalError, connection, connections, transaction

from alerts import committing, evidence, outbox, sweep, telling
from alerts.kinds import Kind, Mode, Phase, Priority, Sessions
from alerts.models import Alert, Notification, Outbox, Position, Sweep, Trigger
from core import clock, live
from marketdata.models import CorporateAction, MinuteBar, Ticker
from tests.alerts.crowds import fill
from tests.alerts.plans import MODES, explained
from tests.alerts.waiting import address, until_somebody_waits
from tests.factories import make_alert, make_armed_alert, make_quote, make_ticker, make_user

# Monday, ten past ten in New York.
NOW = datetime(2026, 3, 2, 15, 10, 30, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
BAR = NOW.replace(second=0) - 2 * MINUTE
LONG_AGO = NOW - timedelta(hours=1)
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
    return quoted("ZZZZ")


def quoted(symbol: str, provider: str = "alpaca", **fields) -> Ticker:
    ticker = make_ticker(symbol)
    make_quote(ticker, "100", as_of=NOW + timedelta(hours=1), provider=provider, **fields)
    return ticker


def bar(ticker: Ticker, high: str = "101", low: str = "99", start: datetime = BAR) -> MinuteBar:
    return MinuteBar.objects.create(
        ticker=ticker, start=start, open=D(low), high=D(high), low=D(low), close=D(low), volume=1
    )


def armed(ticker: Ticker, threshold: str = "100", **fields) -> Alert:
    values = {"armed_at": LONG_AGO, "armed_price": D(99), "mode": Mode.REPEAT.value, **fields}
    return make_armed_alert(values.pop("user", None) or make_user(), ticker, threshold, **values)


def looked_until(moment: datetime = BAR) -> None:
    Sweep.objects.update_or_create(name="levels", defaults={"until": moment})


def run() -> int:
    """Fires of one pass that had looked through everything before the bar."""
    if not Sweep.objects.exists():
        looked_until()
    return len(sweep.run().told)


# --- what fires


def test_browsers_are_told_and_deliveries_asked_for_after_the_commit(ticker, monkeypatch):
    messages, asked = [], []

    async def tell_users(some):
        messages.extend(some)

    monkeypatch.undo()
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(live, "tell_users", tell_users)
    monkeypatch.setattr(outbox, "wake", lambda: asked.append(connection.in_atomic_block))
    user = make_user()
    armed(ticker, user=user)
    bar(ticker)

    run()

    ((who, payload),) = messages
    assert (who, payload["id"], payload["kind"]) == (user.pk, Notification.objects.get().pk, "alert")
    assert asked == [False]


def test_a_level_that_a_bar_has_exceeded_fires_with_the_bar_as_evidence(ticker, told):
    user = make_user()
    alert = armed(ticker, user=user, priority=Priority.CRITICAL.value, category="mine", note="Sell!")
    bar(ticker, high="101.5", low="98")

    assert run() == 1

    trigger, notification = Trigger.objects.get(), Notification.objects.get()
    assert (trigger.alert, trigger.fire_seq, trigger.source, trigger.price) == (alert, 1, "sweep", D("101.5"))
    assert trigger.extra == {
        "start": "2026-03-02T15:08:00+00:00", "low": "98.00000000", "high": "101.50000000",
    }  # fmt: skip
    assert (trigger.armed_at, trigger.armed_price, trigger.tick) == (LONG_AGO, D(99), None)
    assert evidence.reproduces(evidence.rule_of(trigger.rule), trigger.armed_price, None, None, trigger.extra)
    assert (notification.user, notification.trigger, notification.priority) == (user, trigger, 1)
    assert (notification.category, notification.symbol) == ("mine", "ZZZZ")
    assert Outbox.objects.get().notification == notification
    assert told == [notification.title]


def test_the_alert_waits_for_the_price_to_come_back_and_the_runner_reads_it_again(ticker):
    alert = armed(ticker, edited_at=LONG_AGO)
    bar(ticker)

    run()

    alert.refresh_from_db()
    assert (alert.phase, alert.fire_seq, alert.active) == (Phase.WAITING, 1, True)
    assert (alert.armed_at, alert.last_fired_at, alert.edited_at) == (BAR + MINUTE, BAR + MINUTE, NOW)


def test_an_alert_that_fires_once_is_done(ticker):
    alert = armed(ticker, mode=Mode.ONCE.value)
    bar(ticker)

    run()

    assert Alert.objects.get(pk=alert.pk).active is False


@pytest.mark.parametrize("kind", [Kind.BELOW, Kind.CROSSES_BELOW])
def test_downwards_the_low_counts(ticker, kind):
    armed(ticker, "98.5", kind=kind, direction=-1)
    bar(ticker, high="101", low="98.4")

    assert run() == 1
    assert Trigger.objects.get().price == D("98.4")


@pytest.mark.parametrize(("kind", "direction"), [(Kind.ABOVE, 1), (Kind.CROSSES_ABOVE, 1), (Kind.BELOW, -1)])
def test_a_price_that_is_equal_has_not_exceeded_anything(ticker, kind, direction):
    armed(ticker, "100", kind=kind, direction=direction)
    bar(ticker, high="100", low="100")

    assert run() == 0


def test_the_first_bar_that_exceeds_is_the_evidence(ticker):
    armed(ticker)
    bar(ticker, high="100")
    bar(ticker, high="105", start=BAR + MINUTE)
    looked_until(BAR - 3 * MINUTE)
    bar(ticker, high="102", start=BAR - MINUTE)

    run()

    assert Trigger.objects.get().price == D(102)


def test_other_kinds_are_decided_by_ticks_alone(ticker):
    for kind in (Kind.MOVES, Kind.VOLUME, Kind.HIGH_52W, Kind.LEAVES_CHANNEL, Kind.STALE):
        make_alert(make_user(), ticker, kind, "1", phase=Phase.ARMED.value, armed_at=LONG_AGO, mode="repeat")
    bar(ticker)

    assert run() == 0


@pytest.mark.parametrize("phase", [Phase.FRESH, Phase.WAITING])
def test_what_is_not_armed_does_not_fire(ticker, phase):
    Alert.objects.filter(pk=armed(ticker).pk).update(phase=phase)
    bar(ticker)

    assert run() == 0


def test_a_resting_alert_does_not_fire(ticker):
    armed(ticker, active=False)
    bar(ticker)

    assert run() == 0


# --- extremes from before the alert (trap 5)


@pytest.mark.parametrize(("armed_at", "fires"), [(BAR, 1), (BAR + timedelta(microseconds=1), 0)])
def test_an_alert_sees_only_bars_that_began_after_it_was_armed(ticker, armed_at, fires):
    armed(ticker, armed_at=armed_at)
    bar(ticker)

    assert run() == fires


def test_an_alert_that_was_armed_after_the_peak_fires_for_a_later_bar_only(ticker):
    armed(ticker, armed_at=BAR + 30 * SECOND)
    bar(ticker, high="120")
    bar(ticker, high="100.01", start=BAR + MINUTE)

    run()

    assert Trigger.objects.get().price == D("100.01")


# --- back and forth (trap 6)


def test_a_price_that_keeps_oscillating_fires_once_until_somebody_arms_again(ticker, at):
    alert = armed(ticker)
    bar(ticker)
    bar(ticker, start=BAR + MINUTE)

    assert run() == 1
    at.now += 10 * MINUTE
    bar(ticker, start=NOW.replace(second=0) + 5 * MINUTE)

    assert run() == 0
    Alert.objects.filter(pk=alert.pk).update(phase=Phase.ARMED, armed_at=NOW.replace(second=0) + 10 * MINUTE)
    at.now += 10 * MINUTE
    bar(ticker, start=NOW.replace(second=0) + 11 * MINUTE)
    assert run() == 1
    assert list(Trigger.objects.order_by("fire_seq").values_list("fire_seq", flat=True)) == [1, 2]


# --- which prices count (trap 7)


def test_a_halted_ticker_is_left_alone(db):
    ticker = quoted("ZZZZ", halted=True)
    armed(ticker)
    bar(ticker)

    assert run() == 0


def test_a_ticker_without_a_bar_in_the_window_is_left_alone_however_far_its_last_price(ticker):
    armed(ticker, "5")

    assert run() == 0


@pytest.mark.parametrize(
    ("sessions", "start", "fires"),
    [
        (Sessions.REGULAR, datetime(2026, 3, 2, 14, 30, tzinfo=UTC), 1),
        (Sessions.REGULAR, datetime(2026, 3, 2, 14, 29, tzinfo=UTC), 0),
        (Sessions.REGULAR, datetime(2026, 3, 2, 20, 59, tzinfo=UTC), 1),
        (Sessions.REGULAR, datetime(2026, 3, 2, 21, 0, tzinfo=UTC), 0),
        (Sessions.EXTENDED, datetime(2026, 3, 2, 14, 29, tzinfo=UTC), 1),
        (Sessions.EXTENDED, datetime(2026, 3, 2, 21, 0, tzinfo=UTC), 1),
    ],
)  # fmt: skip
def test_a_bar_counts_in_its_session(db, at, sessions, start, fires):
    at.now = start + 3 * MINUTE
    ticker = make_ticker("ZZZZ")
    make_quote(ticker, as_of=at.now, provider="alpaca")
    armed(ticker, sessions=sessions.value, armed_at=start - timedelta(days=1))
    bar(ticker, start=start)
    looked_until(start)

    assert run() == fires


def test_a_window_over_the_open_counts_what_came_after_it(db, at):
    opens = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
    at.now = opens + 3 * MINUTE
    ticker = make_ticker("ZZZZ")
    make_quote(ticker, as_of=at.now, provider="alpaca")
    armed(ticker, armed_at=opens - timedelta(days=1))
    bar(ticker, high="150", start=opens - MINUTE)
    bar(ticker, high="101", start=opens)
    looked_until(opens - 2 * MINUTE)

    run()

    assert Trigger.objects.get().price == D(101)


@pytest.mark.parametrize(("asset_class", "provider"), [("crypto", "alpaca"), ("stock", "simulator")])
def test_what_trades_always_has_a_regular_session_always(db, at, asset_class, provider):
    night = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
    at.now = night + 3 * MINUTE
    ticker = make_ticker("ZZZZ", asset_class=asset_class)
    make_quote(ticker, as_of=at.now, provider=provider)
    armed(ticker, armed_at=night - timedelta(days=1))
    bar(ticker, start=night)
    looked_until(night)

    assert run() == 1


def test_minutes_of_a_delayed_ticker_are_found_when_they_come(db):
    ticker = quoted("ZZZZ", delayed_s=900)
    armed(ticker, armed_at=LONG_AGO)
    bar(ticker, start=BAR - 15 * MINUTE)

    assert run() == 1


# --- splits


def split(ticker: Ticker, day: date) -> None:
    CorporateAction.objects.create(
        ticker=ticker, kind="split", ex_date=day, split_from=1, split_to=4, provider="operator", loaded_at=NOW
    )


def test_a_ticker_that_is_split_within_the_window_is_left_out(db, at):
    morning = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
    at.now = morning + 3 * MINUTE
    ticker, other = make_ticker("ZZZZ"), make_ticker("YYYY")
    for one in (ticker, other):
        make_quote(one, as_of=at.now, provider="simulator")
        armed(one, armed_at=morning - timedelta(days=1), splits_until=date(2026, 3, 2))
        bar(one, start=morning - MINUTE)
    split(ticker, date(2026, 3, 2))
    looked_until(morning - 2 * MINUTE)

    assert run() == 1
    assert Notification.objects.get().symbol == "YYYY"


def test_an_alert_that_is_not_yet_restated_for_a_split_is_left_out(ticker):
    split(ticker, date(2026, 3, 2))
    armed(ticker, splits_until=date(2026, 3, 1))
    right = armed(ticker, splits_until=date(2026, 3, 2))
    bar(ticker)

    assert run() == 1
    assert Trigger.objects.get().alert == right


# --- whether the fire is wanted


@pytest.mark.parametrize(
    "fields",
    [
        {"expires_at": BAR + 30 * SECOND},
        {"snoozed_until": BAR + MINUTE},
        {"last_fired_at": BAR - 20 * SECOND, "cooldown_s": 80},
        {"snoozed_until": BAR + 30 * SECOND, "last_fired_at": BAR - 20 * SECOND, "cooldown_s": 80},
        {"mode": Mode.DAILY.value, "last_fired_day": date(2026, 3, 2)},
    ],
)
def test_a_fire_that_is_not_wanted_only_makes_the_alert_wait(ticker, fields):
    alert = armed(ticker, **fields)
    bar(ticker)

    assert run() == 0

    alert.refresh_from_db()
    assert (alert.phase, alert.fire_seq) == (Phase.WAITING, 0)
    assert not Trigger.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"expires_at": BAR + MINUTE},
        {"snoozed_until": BAR},
        {"last_fired_at": BAR - 40 * SECOND, "cooldown_s": 40},
        {"mode": Mode.DAILY.value, "last_fired_day": date(2026, 3, 1)},
    ],
)
def test_at_the_edge_of_a_rule_the_fire_is_wanted(ticker, fields):
    armed(ticker, **fields)
    bar(ticker)

    assert run() == 1


IN_THE_MIDDLE = [
    {"snoozed_until": BAR + 30 * SECOND},
    {"snoozed_until": BAR + MINUTE - timedelta(microseconds=1)},
    {"last_fired_at": BAR - 20 * SECOND, "cooldown_s": 40},
]


@pytest.mark.parametrize("fields", IN_THE_MIDDLE)
def test_in_the_minute_in_which_a_fire_becomes_wanted_nothing_is_decided(ticker, fields):
    alert = armed(ticker, **fields)
    bar(ticker)

    assert run() == 0

    alert.refresh_from_db()
    assert (alert.phase, alert.fire_seq, alert.armed_at) == (Phase.ARMED, 0, LONG_AGO)


@pytest.mark.parametrize("fields", IN_THE_MIDDLE)
def test_the_minute_after_it_fires(ticker, fields):
    armed(ticker, **fields)
    bar(ticker, high="105")
    bar(ticker, high="102", start=BAR + MINUTE)

    assert run() == 1
    assert Trigger.objects.get().price == D(102)


@pytest.mark.parametrize(("time_zone", "fires"), [("America/New_York", 1), ("Asia/Tokyo", 2), ("UTC", 2)])
def test_once_a_day_counts_the_days_of_the_owner(db, at, time_zone, fires):
    """Trap 8: ten in the morning and half past nine in the evening in New York, where summer time began that day."""
    ticker = quoted("ZZZZ", provider="simulator")
    user = make_user(time_zone=time_zone)
    alert = armed(ticker, user=user, mode=Mode.DAILY.value)
    total = 0
    for start in (datetime(2026, 3, 8, 14, 0, tzinfo=UTC), datetime(2026, 3, 9, 1, 30, tzinfo=UTC)):
        Alert.objects.filter(pk=alert.pk).update(phase=Phase.ARMED, armed_at=start)
        ticker.quote.as_of = at.now = start + 3 * MINUTE
        ticker.quote.save()
        bar(ticker, start=start)
        looked_until(start)
        total += run()

    assert total == fires


# --- which minutes


@pytest.mark.parametrize(("seconds", "fires"), [(9, 0), (10, 1)])
def test_a_minute_is_looked_at_when_it_has_settled(ticker, at, seconds, fires):
    armed(ticker)
    bar(ticker)
    at.now = BAR + MINUTE + seconds * SECOND

    assert run() == fires


def test_what_a_runner_has_not_read_yet_is_left_to_it(ticker, at):
    armed(ticker)
    bar(ticker)
    Position.objects.create(shard="0/2", epoch=1, at=BAR + 3 * MINUTE)
    behind = Position.objects.create(shard="1/2", epoch=1, at=BAR + 30 * SECOND)
    at.now = BAR + 2 * MINUTE

    assert run() == 0
    Position.objects.filter(pk=behind.pk).update(at=BAR + MINUTE + 10 * SECOND)
    assert run() == 1


def test_a_runner_that_is_down_is_not_waited_for(ticker, at):
    armed(ticker)
    bar(ticker)
    Position.objects.create(shard="0/1", epoch=1, at=BAR)
    at.now = BAR + MINUTE + 75 * SECOND

    assert run() == 1


def test_each_minute_is_looked_at_once_in_four_passes(ticker, at):
    armed(ticker)
    looked_until()
    run()
    until = Sweep.objects.get().until
    bar(ticker, start=until - MINUTE)
    at.now += 15 * SECOND

    assert run() == 0
    assert Sweep.objects.get().until == until


def test_a_bar_that_was_written_late_is_found_by_the_next_passes(ticker, at):
    armed(ticker)
    run()
    bar(ticker)
    at.now += MINUTE

    assert run() == 1


def test_the_first_pass_ever_looks_at_nothing_that_is_over(ticker):
    armed(ticker)
    bar(ticker)

    assert sweep.run().told == []
    assert Sweep.objects.get().until == NOW.replace(second=0)


def test_after_a_long_pause_it_looks_through_a_day_and_no_more(ticker):
    armed(ticker, armed_at=NOW - timedelta(days=9))
    other = quoted("YYYY")
    armed(other, armed_at=NOW - timedelta(days=9))
    looked_until(NOW - timedelta(days=8))
    bar(ticker, start=datetime(2026, 3, 2, 14, 40, tzinfo=UTC))
    bar(other, start=datetime(2026, 2, 27, 15, 40, tzinfo=UTC))

    assert run() == 1
    assert Trigger.objects.get().alert.ticker == ticker


def test_more_alerts_than_one_transaction_takes_fire_in_one_run(ticker, monkeypatch):
    monkeypatch.setattr(sweep, "MOST", 2)
    for _ in range(5):
        armed(ticker)
    bar(ticker)

    assert run() == 5
    assert Trigger.objects.count() == 5


# --- a hole in the stream


def test_a_hole_is_swept_without_moving_the_regular_window(ticker):
    other = quoted("YYYY")
    for one in (ticker, other):
        armed(one)
        bar(one, start=NOW.replace(second=0))
    looked_until()

    written = sweep.over(["ZZZZ"], NOW - 5 * SECOND, NOW)

    assert [one.symbol for one in written.told] == ["ZZZZ"]
    assert Sweep.objects.get().until == BAR


def test_what_a_hole_was_swept_for_does_not_fire_again(ticker):
    armed(ticker)
    bar(ticker)

    assert len(sweep.over(["ZZZZ"], BAR, BAR + MINUTE).told) == 1
    assert run() == 0


# --- plans (trap 1)


@pytest.fixture
def crowd(db):
    fill(make_user(), tickers=300, each=100)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO marketdata_quote (ticker_id, price, as_of, received_at, expires_at, provider, session, "
            "halted, delayed_s, epoch, seq) "
            "SELECT id, 100, %s, %s, %s, 'alpaca', 'regular', false, 0, 0, 0 FROM marketdata_ticker",
            [NOW, NOW, NOW],
        )
        cursor.execute(
            "INSERT INTO marketdata_minutebar (ticker_id, start, open, high, low, close, volume) "
            "SELECT id, %s - n * interval '1 minute', 100, 100, 100, 100, 1 "
            "FROM marketdata_ticker, generate_series(0, 30) AS n",
            [BAR],
        )
        for table in ("marketdata_quote", "marketdata_minutebar", "accounts_user"):
            cursor.execute(f"ANALYZE {table}")


def values(**more):
    return {**sweep.Window(BAR - 5 * MINUTE, BAR + MINUTE).values(), **more}


@pytest.mark.parametrize("mode", MODES)
def test_reached_levels_are_found_without_reading_all_alerts(crowd, mode):
    plan = explained(sweep.statement("reached"), values(after=0, most=10_000), mode)

    assert "Seq Scan on alerts_alert" not in plan
    assert "alert_up" in plan
    assert "alert_down" in plan


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("count", [1, 1_000])
def test_what_is_decided_is_read_by_its_key(crowd, mode, count):
    ids = list(Alert.objects.order_by("pk").values_list("pk", flat=True)[:count])

    plan = explained(sweep.statement("missed"), values(ids=ids), mode)

    assert "Seq Scan on alerts_alert" not in plan
    assert "LockRows" in plan


def test_the_plans_hold_when_nothing_is_reached(crowd):
    looked_until()

    assert sweep.run().told == []


# --- races


def in_thread(function, *arguments):
    def call():
        try:
            return function(*arguments)
        finally:
            connections.close_all()

    return ThreadPoolExecutor(1).submit(call)


@pytest.mark.django_db(transaction=True)
def test_a_pass_waits_for_an_edit_and_takes_what_it_left():
    """Trap 2: the lock is held during the one pass whose window holds the crossing."""
    ticker = quoted("ZZZZ")
    alert = armed(ticker)
    bar(ticker)
    looked_until()
    with transaction.atomic():
        Alert.objects.filter(pk=alert.pk).update(note="Hello")
        fired = in_thread(run)
        until_somebody_waits()

    assert fired.result(30) == 1
    assert Notification.objects.get().body.endswith("Hello")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "edit",
    [
        {"threshold": D(200)},
        {"active": False, "is_paused": True},
        {"phase": Phase.FRESH, "version": 2, "armed_at": NOW},
    ],
)
def test_an_edit_that_comes_first_wins(edit):
    ticker = quoted("ZZZZ")
    alert = armed(ticker)
    bar(ticker)
    looked_until()
    with transaction.atomic():
        Alert.objects.filter(pk=alert.pk).update(**edit)
        fired = in_thread(run)
        until_somebody_waits()

    assert fired.result(30) == 0
    assert not Trigger.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_pass_leaves_another_one_alone_and_nothing_is_lost():
    """Trap 3: one owner at a time."""
    ticker = quoted("ZZZZ")
    armed(ticker)
    bar(ticker)
    looked_until()
    with transaction.atomic():
        Sweep.objects.select_for_update().get()
        assert in_thread(run).result(30) == 0

    assert run() == 1


@pytest.mark.django_db(transaction=True)
def test_a_pass_and_a_hole_swept_at_once_fire_once():
    ticker = quoted("ZZZZ")
    alerts = [armed(ticker) for _ in range(20)]
    bar(ticker)
    looked_until()
    with transaction.atomic():
        Alert.objects.select_for_update(no_key=True).get(pk=alerts[10].pk)
        fired = [in_thread(run), in_thread(lambda: len(sweep.over(["ZZZZ"], BAR, BAR).told))]
        until_somebody_waits(2)

    assert sum(one.result(30) for one in fired) == 20
    assert Trigger.objects.count() == 20


@pytest.mark.django_db(transaction=True)
def test_a_backend_that_is_killed_before_the_commit_loses_nothing(monkeypatch):
    """Trap 4: the window stays until the commit."""
    ticker = quoted("ZZZZ")
    for _ in range(50):
        armed(ticker)
    bar(ticker)
    looked_until()
    write = committing.write

    def killed(*args, **kwargs):
        written = write(*args, **kwargs)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        with psycopg.connect(**address(), autocommit=True) as own:
            own.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
        return written

    monkeypatch.setattr(committing, "write", killed)
    with pytest.raises(OperationalError):
        run()
    connection.close()
    assert not Trigger.objects.exists()
    assert Sweep.objects.get().until == BAR

    monkeypatch.setattr(committing, "write", write)
    assert run() == 50
    assert run() == 0
    assert Trigger.objects.count() == Notification.objects.count() == Outbox.objects.count() == 50


def test_a_fire_has_the_key_by_which_a_receiver_knows_it_again(ticker):
    """Trap 9."""
    alert = armed(ticker, fire_seq=7)
    bar(ticker)

    run()

    assert str(Trigger.objects.get()) == f"{alert.pk}:8"


def test_critical_alerts_are_told_first_however_many_statements_it_takes(ticker, monkeypatch, told):
    monkeypatch.setattr(sweep, "AT_ONCE", 2)
    for priority in (Priority.LOW, Priority.CRITICAL, Priority.MEDIUM, Priority.CRITICAL, Priority.HIGH):
        armed(ticker, priority=priority.value)
    bar(ticker)

    run()

    assert list(Notification.objects.order_by("pk").values_list("priority", flat=True)) == [1, 1, 2, 3, 4]
    assert len(told) == 5
