"""Several dispatchers on real servers: each delivery goes out once, urgent ones first, and digests stay digests."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from alerts import claiming, dispatch, marking, outbox
from alerts.deliveries.base import Outcome
from alerts.dispatch import Dispatcher
from alerts.kinds import Priority
from alerts.models import Delivery, DeliveryState, Notification, Outbox
from core import clock
from core.database import forget_outage
from tests.alerts.mailing import START, FakeSender, StillClock, drain, make_channel, make_notification, states
from tests.factories import make_user
from tests.outages import postgres_switch

pytestmark = pytest.mark.django_db(transaction=True)
DISPATCHERS = 4


@pytest.fixture(autouse=True)
def sender(monkeypatch):
    return FakeSender(monkeypatch)


def together(*, each: threading.Event | None = None) -> list[Dispatcher]:
    start = threading.Barrier(DISPATCHERS)

    def work(_: int) -> Dispatcher:
        try:
            start.wait(30)
            return drain(120, threads=8)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(DISPATCHERS) as pool:
        return list(pool.map(work, range(DISPATCHERS)))


def write_news(users, number: int) -> None:
    now = clock.now()
    rows = Notification.objects.bulk_create(
        [
            Notification(
                user=users[n % len(users)],
                title=f"news {n}",
                priority=1 + n % 4,
                scheduled_at=now,
                created_at=now,
            )
            for n in range(number)
        ]
    )
    Outbox.objects.bulk_create([Outbox(notification=one, priority=one.priority, due_at=now) for one in rows])


def test_four_dispatchers_send_each_delivery_once(sender):
    users = [make_user() for _ in range(20)]
    for user in users:
        make_channel(user)
        make_channel(user)
    write_news(users, 300)

    used = together()

    assert len(sender.keys) == len(set(sender.keys)) == 600
    assert set(states()) == {DeliveryState.SENT}
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}
    assert sum(one.sent for one in used) == 600
    assert not Outbox.objects.exists()


def test_four_dispatchers_keep_the_digest_limit_of_a_channel(sender, monkeypatch):
    still = StillClock(monkeypatch)
    user = make_user()
    channel = make_channel(user, digest_above=5)
    for _ in range(40):
        make_notification(user)

    together()
    assert len(sender.titles(channel)) == 5
    still.later(seconds=61)
    together()

    assert sender.titles(channel)[5:] == ["35 notifications"]
    assert sorted(set(states())) == ["digested", "sent"]


def test_failures_among_four_dispatchers_are_counted_once_each(sender, monkeypatch):
    StillClock(monkeypatch)
    channels = [make_channel(make_user()) for _ in range(12)]
    for channel in channels:
        sender.answers[channel.pk] = [Outcome.retry("no")]
        make_notification(channel.user)

    together()

    assert set(Delivery.objects.values_list("state", "attempts")) == {("queued", 1)}
    assert {type(one).objects.get(pk=one.pk).failures_in_a_row for one in channels} == {1}


def test_a_second_run_in_one_process_has_the_first_look_again(sender, monkeypatch):
    monkeypatch.setattr(dispatch, "_runs", dispatch._Runs())
    monkeypatch.setattr(outbox, "wake", lambda: None)
    channel, other = make_channel(make_user()), make_channel(make_user())
    make_notification(channel.user)
    sender.gates[channel.pk] = gate = threading.Event()

    def run() -> int:
        try:
            return dispatch.run(120)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(run)
        assert sender.begun.wait(30)
        make_notification(other.user)
        assert dispatch.run(120) == 0
        gate.set()
        assert first.result(60) == 2

    assert states() == ["sent", "sent"]


def test_a_run_whose_budget_is_over_asks_for_another(sender, monkeypatch):
    monkeypatch.setattr(dispatch, "_runs", dispatch._Runs())
    asked = []
    monkeypatch.setattr(outbox, "wake", lambda: asked.append(True))
    make_channel(user := make_user())
    make_notification(user)

    assert dispatch.run(0) == 0

    assert asked == [True]
    assert dispatch.run(60) == 1


def test_a_worker_that_is_about_to_end_takes_nothing_more(sender, monkeypatch):
    monkeypatch.setattr(dispatch, "_runs", dispatch._Runs())
    make_channel(user := make_user())
    make_notification(user)

    dispatch.stop()

    assert dispatch.run(60) == 0
    assert sender.messages == []


def test_a_process_that_ends_does_not_wait_for_what_hangs(sender, monkeypatch):
    monkeypatch.setattr(dispatch, "GOODBYE_S", 0.05)
    channel = make_channel(make_user())
    make_notification(channel.user)
    sender.gates[channel.pk] = gate = threading.Event()
    dispatcher = Dispatcher()
    dispatcher._step(takes=True)
    over = threading.Event()
    over.set()

    assert dispatcher.drain(120, is_over=over) is False

    assert states() == ["queued"]
    gate.set()
    assert dispatcher.drain(120)
    assert (len(sender.messages), states()) == (1, ["sent"])


def test_while_the_database_is_away_what_was_sent_is_kept_and_marked_afterwards(sender, monkeypatch):
    monkeypatch.setattr(dispatch, "AWAY_S", 0.05)
    channel = make_channel(make_user())
    make_notification(channel.user)
    sender.gates[channel.pk] = gate = threading.Event()
    failed = threading.Event()
    monkeypatch.setattr(dispatch.logger, "warning", lambda *_: failed.set())
    dispatcher = Dispatcher()
    dispatcher._step(takes=True)
    connections.close_all()

    with postgres_switch() as switch:
        switch.off()
        gate.set()
        with ThreadPoolExecutor(1) as pool:
            draining = pool.submit(_drain, dispatcher)
            assert failed.wait(30)
            switch.on()
            assert draining.result(60)

    forget_outage()
    assert states() == ["sent"]
    assert len(sender.messages) == 1


def _drain(dispatcher: Dispatcher) -> bool:
    try:
        return dispatcher.drain(120)
    finally:
        connections.close_all()


def test_two_that_mark_the_same_channels_in_any_order_do_not_block_each_other(sender, monkeypatch):
    still = StillClock(monkeypatch)
    channels = [make_channel(make_user()) for _ in range(6)]
    for channel in channels:
        for _ in range(2):
            make_notification(channel.user)
    outbox.expand()
    claims = claiming.claim(Dispatcher()._room(), START).claims
    halves = claims[::2], list(reversed(claims[1::2]))
    start = threading.Barrier(2)

    def work(some) -> None:
        try:
            start.wait(30)
            marking.mark([marking.Finished(one, Outcome.retry("no")) for one in some], still.moment)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, halves))

    assert {type(one).objects.get(pk=one.pk).failures_in_a_row for one in channels} == {2}


def test_critical_ones_are_sent_before_all_others(sender):
    users = [make_user() for _ in range(10)]
    for user in users:
        make_channel(user)
    write_news(users, 80)

    drain(120, threads=1)

    priorities = [message.priority for _, message in sender.messages]
    assert priorities == sorted(priorities)
    assert priorities[0] == Priority.CRITICAL
