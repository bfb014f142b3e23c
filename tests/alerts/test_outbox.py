from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from alerts import outbox, tasks, telling
from alerts.kinds import Priority
from alerts.models import ChannelState, Delivery, Notification, Outbox
from core import metrics, waking
from tests.alerts.mailing import START, StillClock, make_channel, make_notification
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def still(monkeypatch):
    return StillClock(monkeypatch)


def pairs():
    return set(Delivery.objects.values_list("notification_id", "channel_id"))


def test_each_enabled_channel_gets_a_delivery_and_the_row_is_gone():
    user = make_user()
    one, other, off = make_channel(user), make_channel(user), make_channel(user, is_enabled=False)
    make_channel(make_user())
    news = make_notification(user, Priority.HIGH)

    assert outbox.expand() == 1

    assert pairs() == {(news.pk, one.pk), (news.pk, other.pk)}
    delivery = Delivery.objects.get(channel=one)
    assert (delivery.key, delivery.state, delivery.priority) == (f"ot-{news.pk}-{one.pk}", "queued", 2)
    assert (delivery.attempts, delivery.next_attempt_at, delivery.created_at) == (0, START, START)
    assert not Outbox.objects.exists()
    assert off.deliveries.count() == 0


def test_a_channel_gets_nothing_less_urgent_than_it_wants():
    user = make_user()
    picky = make_channel(user, lowest_priority=Priority.HIGH)
    wanted = [make_notification(user, priority).pk for priority in Priority][:2]

    outbox.expand()

    assert pairs() == {(news, picky.pk) for news in wanted}


def test_what_is_not_due_yet_waits(still):
    user = make_user()
    make_channel(user)
    make_notification(user, scheduled_at=START + timedelta(minutes=5))

    assert outbox.expand() == 0
    still.later(minutes=5)
    assert outbox.expand() == 1


def test_somebody_whose_account_is_switched_off_is_told_nothing():
    user = make_user(is_active=False)
    make_channel(user)
    make_notification(user)

    assert outbox.expand() == 1
    assert pairs() == set()


def test_a_channel_that_an_error_switched_off_counts_only_with_a_stand_in():
    user = make_user()
    stand_in = make_channel(user)
    broken = make_channel(user, state=ChannelState.DISABLED, failover=stand_in)
    make_channel(user, state=ChannelState.DISABLED)
    news = make_notification(user)

    outbox.expand()

    assert pairs() == {(news.pk, stand_in.pk), (news.pk, broken.pk)}


def test_the_most_urgent_come_first():
    user = make_user()
    make_channel(user)
    low, critical = make_notification(user, Priority.LOW), make_notification(user, Priority.CRITICAL)

    assert outbox.expand(1) == 1

    assert list(Delivery.objects.values_list("notification_id", flat=True)) == [critical.pk]
    assert Outbox.objects.get().notification_id == low.pk


def test_a_delivery_that_is_there_is_not_made_twice():
    user = make_user()
    channel = make_channel(user)
    news = make_notification(user)
    outbox.expand()
    Outbox.objects.create(notification=news, priority=1, due_at=START)

    assert outbox.expand() == 1
    assert channel.deliveries.count() == 1


def test_a_thousand_rows_are_one_statement():
    users = [make_user() for _ in range(10)]
    for user in users:
        make_channel(user)
    rows = Notification.objects.bulk_create(
        [
            Notification(user=users[n % 10], title=f"n{n}", scheduled_at=START, created_at=START)
            for n in range(1_000)
        ]
    )
    Outbox.objects.bulk_create([Outbox(notification=row, priority=3, due_at=START) for row in rows])

    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert outbox.expand() == 1_000

    assert len([one for one in queries if "SAVEPOINT" not in one["sql"]]) == 1
    assert Delivery.objects.count() == 1_000


@pytest.mark.django_db(transaction=True)
def test_what_another_has_locked_is_left_to_him():
    user = make_user()
    channel = make_channel(user)
    taken, free = make_notification(user), make_notification(user)
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Outbox.objects.select_for_update().get(pk=taken.pk)
            locked.set()
            assert done.wait(30)
        connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        assert locked.wait(30)
        assert outbox.expand() == 1
        assert pairs() == {(free.pk, channel.pk)}
        done.set()
        holding.result()

    assert outbox.expand() == 1


@pytest.mark.django_db(transaction=True)
def test_what_is_said_of_a_channel_stands_in_the_inbox_goes_out_and_is_told_to_open_pages(monkeypatch):
    told = []
    monkeypatch.setattr(telling, "tell_and_wait", lambda _, written: told.extend(written.told))
    user = make_user()
    channel = make_channel(user)

    with transaction.atomic():
        made = outbox.post(user.pk, "desk was switched off", "It answers 410.", START)
        assert told == []

    assert told == [made]
    assert (made.kind, made.priority, made.read_at) == ("channel", Priority.HIGH, None)
    outbox.expand()
    assert pairs() == {(made.pk, channel.pk)}


# --- asking for a dispatcher


@pytest.fixture
def asked(monkeypatch):
    """How often the task was sent; the pause of the asking thread ends when the test says so."""
    found = Asked()
    monkeypatch.setattr(tasks.deliver, "apply_async", found.send)
    monkeypatch.setattr(outbox, "_waker", waking.Waker(outbox._ask_for_delivery))
    monkeypatch.setattr(waking, "WAKE_EVERY_S", 0.02)
    return found


class Asked:
    def __init__(self) -> None:
        self.times = 0
        self.was = threading.Condition()

    def send(self, **_) -> None:
        with self.was:
            self.times += 1
            self.was.notify_all()

    def wait_for(self, times: int) -> bool:
        with self.was:
            return self.was.wait_for(lambda: self.times >= times, timeout=30)


@pytest.mark.django_db(transaction=True)
def test_a_dispatcher_is_asked_for_after_the_commit_and_not_before(asked):
    with transaction.atomic():
        outbox.wake()
        assert asked.times == 0

    assert asked.wait_for(1)


def test_nobody_is_asked_when_nothing_is_committed(asked):
    outbox.wake()

    assert asked.times == 0


def test_many_commits_ask_at_once_and_once_more(asked):
    asking = outbox._waker
    with asked.was:  # the first one is being sent meanwhile
        for _ in range(100):
            asking.now()

    assert asked.wait_for(2)
    for thread in threading.enumerate():
        if thread.name == "waker":
            thread.join(30)
    assert asked.times == 2


@pytest.mark.django_db(transaction=True)
def test_a_queue_that_is_away_is_counted_and_nobody_notices(monkeypatch):
    counter = metrics.redis_failures.labels(used_by="queue")
    before = counter._value.get()
    monkeypatch.setattr(tasks.deliver, "apply_async", _refuse)

    outbox._ask_for_delivery()

    assert counter._value.get() == before + 1


def _refuse(**_) -> None:
    from kombu.exceptions import OperationalError  # noqa: PLC0415 -- as it comes from the broker

    raise OperationalError("away")


def test_a_database_that_is_away_does_not_keep_the_sender_from_being_asked(monkeypatch):
    """Outside of a transaction Django asks for a connection first."""
    asked = []

    def away(*_, **__):
        raise OperationalError("away")

    monkeypatch.setattr(transaction, "on_commit", away)
    monkeypatch.setattr(outbox._waker, "now", lambda: asked.append(True))
    outbox.wake()
    assert asked == [True]
