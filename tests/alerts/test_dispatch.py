from __future__ import annotations

import threading
from datetime import time, timedelta

import pytest

from alerts import claiming, dispatch, marking, outbox
from alerts.deliveries.base import Outcome
from alerts.dispatch import Dispatcher
from alerts.kinds import Priority
from alerts.models import ChannelKind, ChannelState, Delivery, Notification
from alerts.quiet import MOST_ATTEMPTS, SCHEDULE_S
from core import metrics
from core.encryption import Undecryptable
from tests.alerts.mailing import START, FakeSender, StillClock, drain, make_channel, make_notification, states
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def still(monkeypatch):
    return StillClock(monkeypatch)


@pytest.fixture(autouse=True)
def sender(monkeypatch):
    return FakeSender(monkeypatch)


@pytest.fixture
def user():
    return make_user(time_zone="America/New_York")


# --- sending


def test_a_notification_is_sent_and_marked(user, sender, settings):
    settings.PUBLIC_URL = "https://onetape.example.com"
    channel = make_channel(user)
    news = make_notification(user, Priority.HIGH, "AAPL is above 190", symbol="AAPL", body="190.10")

    drain()

    ((_, message),) = sender.messages
    assert (message.key, message.title, message.body) == (f"ot-{news.pk}-{channel.pk}", news.title, "190.10")
    assert (message.kind, message.priority, message.symbol) == ("alert", Priority.HIGH, "AAPL")
    assert message.url == f"https://onetape.example.com/notifications/{news.pk}/"
    assert message.user_email == user.email
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.sent_at) == ("sent", 1, START)
    channel.refresh_from_db()
    assert (channel.state, channel.last_success_at) == (ChannelState.OK, START)


def test_nothing_is_sent_twice(user, sender):
    make_channel(user)
    make_notification(user)

    drain()
    drain()

    assert len(sender.messages) == 1


def test_the_most_urgent_goes_first(user, sender):
    make_channel(user)
    for priority in (Priority.LOW, Priority.MEDIUM, Priority.CRITICAL, Priority.HIGH):
        make_notification(user, priority, priority.name)

    drain(threads=1)

    assert [message.title for _, message in sender.messages] == ["CRITICAL", "HIGH", "MEDIUM", "LOW"]


def test_an_urgent_one_that_comes_later_overtakes_what_waits(user, sender):
    channels = [make_channel(make_user()) for _ in range(3)]
    for channel in channels:
        make_notification(channel.user, Priority.LOW)
    gate = threading.Event()
    sender.gates = {channel.pk: gate for channel in channels}
    dispatcher = Dispatcher(1)
    dispatcher._step(takes=True)
    assert sender.wait_for(1)
    urgent = make_channel(user)
    make_notification(user, Priority.CRITICAL)

    dispatcher._step(takes=True)
    gate.set()
    assert dispatcher.drain(60)

    assert sender.messages[1][0] == urgent.pk
    assert len(sender.messages) == 4


def test_how_long_it_took_is_measured_by_kind(user):
    make_channel(user, ChannelKind.WEBHOOK)
    make_notification(user, created_at=START - timedelta(seconds=3))
    histogram = metrics.alerts_sent_s.labels(kind="webhook")
    before = histogram._sum.get()

    drain()

    assert histogram._sum.get() - before == 3


# --- failing


def test_a_failed_attempt_is_made_again_by_the_schedule(user, sender, still):
    channel = make_channel(user)
    make_notification(user)
    sender.answers[channel.pk] = [Outcome.retry("HTTP 500"), Outcome.retry("HTTP 500")]

    drain()
    delivery = Delivery.objects.get()
    first_wait = delivery.next_attempt_at - START
    still.later(seconds=4)
    drain()
    assert len(sender.messages) == 1
    still.later(seconds=3)
    drain()
    still.later(minutes=7)
    drain()

    assert timedelta(seconds=5) <= first_wait <= timedelta(seconds=6)
    assert sender.keys == [delivery.key] * 3
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.first_attempt_at) == ("sent", 3, START)


def test_who_asks_for_time_gets_it(user, sender):
    channel = make_channel(user)
    make_notification(user)
    sender.answers[channel.pk] = [Outcome.retry("HTTP 429", after_s=600)]

    drain()

    delivery = Delivery.objects.get()
    assert delivery.next_attempt_at == START + timedelta(seconds=600)
    assert delivery.last_error == "HTTP 429"


def test_health_is_kept_and_forgotten_with_the_next_success(user, sender, still):
    channel = make_channel(user)
    make_notification(user)
    sender.answers[channel.pk] = [Outcome.retry("nobody answers")] * 3

    for _ in range(3):
        drain()
        still.later(hours=1)
    channel.refresh_from_db()
    assert (channel.state, channel.failures_in_a_row, channel.last_error) == ("failing", 3, "nobody answers")
    drain()

    channel.refresh_from_db()
    assert (channel.state, channel.failures_in_a_row) == ("ok", 0)


def test_after_the_last_attempt_it_is_a_dead_letter_and_its_owner_is_told(user, sender, still):
    channel = make_channel(user)
    news = [make_notification(user), make_notification(user)]
    sender.always[channel.pk] = Outcome.retry("HTTP 500")

    for _ in SCHEDULE_S:
        drain()
        still.later(hours=30)

    assert [states(notification=one) for one in news] == [["dead"], ["dead"]]
    assert set(Delivery.objects.filter(notification__in=news).values_list("attempts", flat=True)) == {
        MOST_ATTEMPTS
    }
    told = Notification.objects.get(kind="channel")
    assert (told.user_id, told.title) == (user.pk, f"{channel.name} does not work")
    assert "HTTP 500" in told.body
    channel.refresh_from_db()
    assert channel.state == ChannelState.FAILING


def test_a_permanent_error_switches_the_channel_off_and_its_owner_is_told(user, sender):
    channel = make_channel(user)
    other = make_channel(user)
    sender.always[channel.pk] = Outcome.permanent("HTTP 410")
    news, later = make_notification(user, title="first"), make_notification(user, title="second")

    drain(threads=1)

    channel.refresh_from_db()
    assert (channel.state, channel.last_error) == (ChannelState.DISABLED, "HTTP 410")
    assert states(channel=channel) == ["dead", "dead"]
    assert states(notification__in=[news, later], channel=other) == ["sent", "sent"]
    told = Notification.objects.get(kind="channel")
    assert told.title == f"{channel.name} was switched off"
    assert told.title in sender.titles(other)


def test_a_success_that_began_before_the_permanent_error_switches_nothing_on(user, sender):
    channel = make_channel(user)
    for _ in range(2):
        make_notification(user)
    sender.answers[channel.pk] = [Outcome.permanent("HTTP 410"), Outcome.sent()]

    drain(threads=1)

    channel.refresh_from_db()
    assert channel.state == ChannelState.DISABLED
    assert sorted(states(notification__kind="alert")) == ["dead", "sent"]


def test_where_one_of_a_share_fails_the_others_are_not_tried_until_later(user, sender, still):
    channel = make_channel(user)
    for _ in range(40):
        make_notification(user)
    sender.always[channel.pk] = Outcome.retry("away")

    dispatcher = Dispatcher()
    dispatcher._step(takes=True)
    while dispatcher._held:
        dispatcher._wait(1)
    dispatcher._mark()

    assert len(sender.messages) == dispatch.THREADS_OF_CHANNEL
    assert sorted(Delivery.objects.values_list("attempts", flat=True)) == [0] * 36 + [1] * 4
    sender.always.clear()
    still.later(seconds=10)
    drain()
    assert set(states()) == {"sent"}
    assert len(sender.messages) == 44


def test_a_mistake_in_a_sender_costs_one_attempt_and_tells_no_secret(user, sender, caplog):
    channel = make_channel(user)
    make_notification(user)
    sender.answers[channel.pk] = [ValueError("https://hooks.example.com/secret")]

    drain()

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.last_error) == ("queued", "Our sender failed (ValueError).")
    assert "secret" not in caplog.text


def test_an_address_that_nobody_can_decrypt_holds_nobody_up(user, sender, settings):
    lost = make_channel(user)
    settings.FIELD_ENCRYPTION_KEYS = ["another key"]
    fine = make_channel(user)
    make_notification(user)

    drain()

    assert states(channel=fine) == ["sent"]
    assert Delivery.objects.get(channel=lost).last_error == dispatch.UNREADABLE
    with pytest.raises(Undecryptable):
        lost.refresh_from_db()


# --- nobody wants it


def test_a_channel_that_was_switched_off_meanwhile_gets_nothing(user, sender):
    channel = make_channel(user)
    make_notification(user)
    outbox.expand()
    type(channel).objects.update(is_enabled=False)

    drain()

    assert (states(), sender.messages) == (["skipped"], [])


def test_somebody_who_was_deactivated_meanwhile_is_told_nothing(user, sender):
    make_channel(user)
    make_notification(user)
    outbox.expand()
    type(user).objects.update(is_active=False)

    drain()

    assert (states(), sender.messages) == (["skipped"], [])


# --- standing in


def test_another_channel_stands_in_after_three_attempts(user, sender, still):
    stand_in = make_channel(user, lowest_priority=Priority.CRITICAL)
    channel = make_channel(user, failover=stand_in)
    news = make_notification(user)
    sender.always[channel.pk] = Outcome.retry("HTTP 502")

    for _ in range(3):
        assert sender.titles(stand_in) == []
        drain()
        still.later(minutes=6)

    assert states(channel=channel) == ["failed_over"]
    assert [(d.state, d.key) for d in stand_in.deliveries.all()] == [("sent", f"ot-{news.pk}-{stand_in.pk}")]


def test_a_critical_one_is_handed_on_seconds_earlier(user, sender, still):
    stand_in = make_channel(user, lowest_priority=Priority.CRITICAL)
    channel = make_channel(user, failover=stand_in)
    outcome = Outcome.retry("HTTP 502")
    sender.always[channel.pk] = outcome
    sender.always[stand_in.pk] = outcome
    make_notification(user, Priority.CRITICAL)

    drain()
    still.later(seconds=10)
    drain()

    assert states(channel=channel) == ["queued"]
    assert len(sender.titles(stand_in)) == 2


def test_what_a_switched_off_channel_has_is_handed_on_at_once(user, sender):
    stand_in = make_channel(user, lowest_priority=Priority.CRITICAL)
    channel = make_channel(user, failover=stand_in)
    sender.always[channel.pk] = Outcome.permanent("HTTP 410")
    make_notification(user, title="one")
    make_notification(user, title="two")

    drain(threads=1)

    assert sorted(sender.titles(stand_in)) == [f"{channel.name} was switched off", "one", "two"]
    assert states(channel=channel) == ["failed_over"] * 3


def test_two_that_stand_in_for_each_other_hand_nothing_round_and_lose_nothing(user, sender, still):
    one = make_channel(user)
    other = make_channel(user, failover=one)
    type(one).objects.filter(pk=one.pk).update(failover=other)
    sender.always[one.pk] = sender.always[other.pk] = Outcome.retry("HTTP 500")
    make_notification(user)

    for _ in range(5):
        drain()
        still.later(hours=3)
    assert states() == ["queued", "queued"]
    sender.always.clear()
    still.later(hours=24)
    drain()

    assert sorted(states()) == ["sent", "sent"]


def test_a_ring_of_three_ends_where_somebody_takes_it(user, sender):
    last = make_channel(user, lowest_priority=Priority.CRITICAL)
    middle = make_channel(user, lowest_priority=Priority.CRITICAL, failover=last)
    first = make_channel(user, failover=middle)
    type(last).objects.filter(pk=last.pk).update(failover=first)
    for channel in (first, middle):
        sender.answers[channel.pk] = [Outcome.permanent("gone")]
    make_notification(user)

    drain(threads=1)

    assert [states(channel=one)[0] for one in (first, middle, last)] == ["failed_over", "failed_over", "sent"]


def test_what_nobody_takes_any_more_is_dead_and_not_lost(user, sender):
    stand_in = make_channel(user, lowest_priority=Priority.CRITICAL)
    channel = make_channel(user, failover=stand_in)
    for one in (channel, stand_in):
        sender.answers[one.pk] = [Outcome.permanent("gone")]
    news = make_notification(user)

    drain(threads=1)

    assert states(notification=news) == ["failed_over", "dead"]


# --- quiet hours and digests


def test_in_quiet_hours_a_channel_waits_for_the_morning_and_critical_ones_go(user, sender, still):
    still.moment = START.replace(hour=6)  # one o'clock in New York
    channel = make_channel(user, quiet_from=time(22), quiet_until=time(7))
    make_notification(user, Priority.HIGH, "high")
    make_notification(user, Priority.CRITICAL, "critical")

    drain()
    assert sender.titles(channel) == ["critical"]
    still.moment = START.replace(hour=12)
    drain()

    assert sender.titles(channel) == ["critical", "high"]
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}


def test_a_time_zone_that_is_none_counts_as_utc(user, sender, still):
    still.moment = START.replace(hour=23)
    type(user).objects.update(time_zone="Mars/Olympus")
    make_channel(user, quiet_from=time(22), quiet_until=time(7))
    make_notification(user)

    drain()

    assert Delivery.objects.get().next_attempt_at == START.replace(day=5, hour=7)


def test_a_flood_becomes_one_message_a_minute_later(user, sender, still):
    channel = make_channel(user, digest_above=3)
    for number in range(10):
        make_notification(user, title=f"news {number}")
        still.later(milliseconds=1)

    drain()
    assert sender.titles(channel) == ["news 0", "news 1", "news 2"]
    still.later(seconds=61)
    drain()

    digest = sender.messages[-1][1]
    assert digest.title == "7 notifications"
    assert [item.title for item in digest.items] == [f"news {number}" for number in range(3, 10)]
    assert digest.body.splitlines() == [item.title for item in digest.items]
    assert states() == ["sent"] * 4 + ["digested"] * 6
    leader = Delivery.objects.get(key=digest.key)
    assert set(Delivery.objects.filter(state="digested").values_list("digest", flat=True)) == {leader.pk}


def test_a_digest_that_fails_is_the_same_message_again(user, sender, still):
    channel = make_channel(user, digest_above=1)
    for number in range(4):
        make_notification(user, title=f"news {number}")
    drain()
    still.later(seconds=61)
    sender.answers[channel.pk] = [Outcome.retry("HTTP 500")]
    drain()
    make_notification(user, title="news 4")
    still.later(seconds=10)
    drain()

    first, second = (message for _, message in sender.messages[1:3])
    assert first == second
    assert [item.title for item in second.items] == ["news 1", "news 2", "news 3"]


def test_a_digest_that_is_given_up_takes_what_it_holds_along(user, sender, still):
    stand_in = make_channel(user, lowest_priority=Priority.CRITICAL)
    channel = make_channel(user, digest_above=1, failover=stand_in)
    for number in range(4):
        make_notification(user, title=f"news {number}")
    drain()
    still.later(seconds=61)
    sender.answers[channel.pk] = [Outcome.permanent("HTTP 410")]
    drain(threads=1)

    assert sorted(sender.titles(stand_in)) == [
        f"{channel.name} was switched off",
        "news 1",
        "news 2",
        "news 3",
    ]
    assert states(channel=channel, notification__kind="alert") == ["sent", *["failed_over"] * 3]


# --- bulkheads


def test_a_target_that_hangs_gets_few_threads_and_the_others_go_on(user, sender):
    hanging = make_channel(user, ChannelKind.WEBHOOK)
    sender.gates[hanging.pk] = gate = threading.Event()
    for _ in range(20):
        make_notification(user, Priority.CRITICAL)
    others = [make_channel(make_user(), ChannelKind.WEBHOOK) for _ in range(10)]
    for channel in others:
        make_notification(channel.user, Priority.LOW)
    dispatcher = Dispatcher()

    while states(channel__in=others) != ["sent"] * 10:
        dispatcher._wait(dispatcher._step(takes=True))

    assert sender.wait_for(dispatch.THREADS_OF_CHANNEL, hanging)
    assert sender.most_at_once[hanging.pk] == dispatch.THREADS_OF_CHANNEL
    gate.set()
    assert dispatcher.drain(60)
    assert states(channel=hanging) == ["sent"] * 20


def test_a_channel_that_has_failed_gets_one_thread(user, sender):
    channel = make_channel(user, failures_in_a_row=1)
    for _ in range(4):
        make_notification(user)
    sender.always[channel.pk] = Outcome.retry("no")

    drain()

    assert (sender.most_at_once[channel.pk], len(sender.messages)) == (1, 4)


def test_a_mail_server_that_hangs_leaves_room_for_webhooks(sender):
    gate = threading.Event()
    for _ in range(40):
        channel = make_channel(make_user())
        sender.gates[channel.pk] = gate
        make_notification(channel.user, Priority.CRITICAL)
    webhook = make_channel(make_user(), ChannelKind.WEBHOOK)
    make_notification(webhook.user, Priority.LOW)
    dispatcher = Dispatcher()

    while states(channel=webhook) != ["sent"]:
        dispatcher._wait(dispatcher._step(takes=True))

    assert sender.wait_for(dispatch.THREADS + 1)
    assert len(sender.messages) == dispatch.THREADS + 1
    gate.set()
    assert dispatcher.drain(60)
    assert len(sender.messages) == 41


# --- dying


class Killed(BaseException):
    """As if the process had ended here."""


def test_who_dies_between_sending_and_marking_costs_a_repetition_and_no_loss(
    user, sender, still, monkeypatch
):
    make_channel(user)
    make_notification(user)
    with monkeypatch.context() as patch:
        patch.setattr(marking, "mark", _die_if_finished)
        with pytest.raises(Killed):
            drain()
    assert states() == ["queued"]

    drain()
    assert len(sender.messages) == 1  # the claim still stands
    still.later(seconds=claiming.LEASE_S)
    drain()

    assert sender.keys == [Delivery.objects.get().key] * 2
    assert states() == ["sent"]


def _die_if_finished(finished, _now):
    if finished:
        raise Killed


def test_who_dies_before_sending_loses_nothing(user, sender, still, monkeypatch):
    make_channel(user)
    make_notification(user)
    with monkeypatch.context() as patch:
        patch.setattr(dispatch, "_attempt", _die)
        with pytest.raises(Killed):
            drain()

    still.later(seconds=claiming.LEASE_S)
    drain()

    assert (len(sender.messages), states()) == (1, ["sent"])


def _die(*_):
    raise Killed


def test_what_kills_its_process_each_time_is_given_up(user, sender, still, monkeypatch):
    make_channel(user)
    make_notification(user)
    monkeypatch.setattr(dispatch, "_attempt", _die)
    for _ in range(MOST_ATTEMPTS):
        with pytest.raises(Killed):
            drain()
        still.later(seconds=claiming.LEASE_S)

    drain()

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.last_error) == ("dead", claiming.LOST)


def test_who_slept_past_his_claim_sends_no_more(user, sender, still):
    make_channel(user)
    make_notification(user)
    dispatcher = Dispatcher()
    outbox.expand()
    (claim,) = claiming.claim(dispatcher._room(), still.moment).claims

    dispatcher._submit([claim], good_until=0.0)
    while dispatcher._held:
        dispatcher._wait(1)
        dispatcher._mark()

    assert (sender.messages, states()) == ([], ["queued"])


def test_a_failure_that_is_reported_late_changes_nothing_of_a_later_attempt(user, sender, still):
    channel = make_channel(user)
    make_notification(user)
    outbox.expand()
    room = Dispatcher()._room
    (old,) = claiming.claim(room(), still.moment).claims
    still.later(seconds=claiming.LEASE_S)
    (new,) = claiming.claim(room(), still.moment).claims

    marking.mark([marking.Finished(old, Outcome.permanent("old"))], still.moment)
    channel.refresh_from_db()
    assert (states(), channel.state) == (["queued"], ChannelState.UNTRIED)
    marking.mark([marking.Finished(new, Outcome.sent())], still.moment)

    assert states() == ["sent"]


def test_a_success_that_is_reported_late_counts(user, still):
    make_channel(user)
    make_notification(user)
    outbox.expand()
    (old,) = claiming.claim(Dispatcher()._room(), still.moment).claims
    still.later(seconds=claiming.LEASE_S)
    claiming.claim(Dispatcher()._room(), still.moment)

    marking.mark([marking.Finished(old, Outcome.sent())], still.moment)

    assert states() == ["sent"]


def test_a_claim_is_renewed_while_it_is_under_way(user, sender, still, monkeypatch):
    channel = make_channel(user)
    make_notification(user)
    sender.gates[channel.pk] = gate = threading.Event()
    dispatcher = Dispatcher()
    dispatcher._step(takes=True)
    still.later(seconds=15)
    monkeypatch.setattr(dispatcher, "_renewed_at", -1e9)

    dispatcher._step(takes=True)
    still.later(seconds=15)
    drain()

    assert Delivery.objects.get().attempts == 1
    gate.set()
    assert dispatcher.drain(60)
    assert (len(sender.messages), states()) == (1, ["sent"])
