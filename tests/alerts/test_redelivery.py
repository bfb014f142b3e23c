from __future__ import annotations

from datetime import timedelta

import pytest

from alerts import backlog, redelivery
from alerts.deliveries.base import Outcome
from alerts.models import ChannelState, Delivery, Outbox
from core.doctor import Verdict
from tests.alerts.mailing import FakeSender, StillClock, drain, make_channel, make_notification, states
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def still(monkeypatch):
    return StillClock(monkeypatch)


@pytest.fixture(autouse=True)
def sender(monkeypatch):
    return FakeSender(monkeypatch)


@pytest.fixture
def channel():
    return make_channel(make_user())


def ids(**which) -> list[int]:
    return list(Delivery.objects.filter(**which).order_by("id").values_list("pk", flat=True))


def test_a_dead_letter_is_sent_again_with_its_key(channel, sender):
    make_notification(channel.user)
    drain()
    Delivery.objects.update(state="dead", attempts=10)

    assert redelivery.send_again(ids()) == 1
    drain()

    assert len(set(sender.keys)) == 1
    assert len(sender.keys) == 2
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("sent", 1)


def test_many_are_not_collected_into_a_digest(channel, sender):
    type(channel).objects.update(digest_above=1)
    for _ in range(4):
        make_notification(channel.user)
    drain()
    Delivery.objects.update(state="dead")

    assert redelivery.send_again(ids()) == 4
    drain()

    assert states() == ["sent"] * 4
    assert all(not message.items for _, message in sender.messages)


def test_what_is_queued_stays_as_it_is(channel, sender):
    make_notification(channel.user)
    sender.answers[channel.pk] = [Outcome.retry("no")]
    drain()

    assert redelivery.send_again(ids()) == 0
    assert Delivery.objects.get().attempts == 1


@pytest.fixture
def dead_digest(channel, sender, still):
    type(channel).objects.update(digest_above=1)
    for _ in range(4):
        make_notification(channel.user)
    drain()
    still.later(seconds=61)
    sender.answers[channel.pk] = [Outcome.permanent("gone")]
    drain()
    type(channel).objects.update(state=ChannelState.OK)
    dead = Delivery.objects.filter(state="dead", notification__kind="alert")
    return list(dead.order_by("id").values_list("pk", flat=True))


def test_a_dead_digest_is_sent_again_as_it_was(dead_digest, sender):
    assert len(dead_digest) == 3

    assert redelivery.send_again(dead_digest) == 1
    drain()

    first, second = (message for _, message in sender.messages[1:3])
    assert first == second
    assert [Delivery.objects.get(pk=one).state for one in dead_digest] == ["sent", "digested", "digested"]


def test_a_part_of_a_digest_that_was_sent_goes_by_itself(dead_digest, sender):
    redelivery.send_again(dead_digest)
    drain()

    redelivery.send_again(dead_digest[1:2])
    drain()

    message = sender.messages[-1][1]
    assert (message.key, message.items) == (Delivery.objects.get(pk=dead_digest[1]).key, ())
    assert Delivery.objects.get(pk=dead_digest[1]).state == "sent"


# --- the backlog


def test_nothing_is_overdue_while_messages_wait_for_their_time(channel, sender, still):
    make_notification(channel.user)
    sender.answers[channel.pk] = [Outcome.retry("no")] * 3
    drain()

    assert backlog.finding().ok
    assert [line.verdict for line in backlog.lines(False)] == [Verdict.OK]


def test_what_nobody_expands_or_sends_for_a_minute_is_told(channel, sender, still):
    make_notification(channel.user)
    still.later(seconds=61)

    found = backlog.finding()

    assert (found.ok, found.figures["unexpanded"], found.figures["overdue"]) == (False, 1, 0)
    (line,) = backlog.lines(False)
    assert (line.verdict, line.topic) == (Verdict.BAD, "deliveries")


def test_what_was_claimed_and_never_marked_is_told(channel, still):
    news = make_notification(channel.user)
    Outbox.objects.all().delete()
    Delivery.objects.create(
        notification=news, channel=channel, key="k", priority=3, attempts=1, first_attempt_at=still.moment,
        next_attempt_at=still.moment + timedelta(seconds=20),
    )  # fmt: skip
    assert backlog.finding().ok

    still.later(seconds=81)

    assert backlog.backlog().overdue == 1


def test_channels_that_fail_and_dead_letters_are_told(channel, sender):
    make_notification(channel.user)
    sender.answers[channel.pk] = [Outcome.permanent("gone")]
    drain()

    line = list(backlog.lines(False))[-1]

    assert line.verdict == Verdict.WARN
    assert line.text.startswith("0 channels fail, 1 were switched off by an error; 1 messages were given up")
