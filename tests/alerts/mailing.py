"""Channels, notifications and a sender that does as it is told."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import count

from accounts.models import User
from alerts.deliveries import base
from alerts.deliveries.base import Message, Outcome
from alerts.dispatch import Dispatcher
from alerts.kinds import Priority
from alerts.models import Channel, ChannelKind, Delivery, Notification, Outbox
from core import clock

START = datetime(2026, 3, 4, 17, 0, tzinfo=UTC)
_numbers = count(1)


class StillClock:
    """Moves when it is told to."""

    def __init__(self, monkeypatch, moment: datetime = START) -> None:
        self.moment = moment
        monkeypatch.setattr(clock, "now", lambda: self.moment)

    def later(self, **span: float) -> datetime:
        self.moment += timedelta(**span)
        return self.moment


class FakeSender:
    """Every attempt, in order; `answers` of a channel are used up one by one, then it is SENT."""

    def __init__(self, monkeypatch) -> None:
        self.messages: list[tuple[int, Message]] = []
        self.answers: dict[int, list[Outcome | BaseException]] = defaultdict(list)
        self.always: dict[int, Outcome] = {}
        self.gates: dict[int, threading.Event] = {}
        self.begun = threading.Event()
        self._came = threading.Condition()
        self.at_once = Counter()
        self.most_at_once = Counter()
        monkeypatch.setattr(base, "sender_of", lambda _kind: self)

    def send(self, channel: Channel, message: Message) -> Outcome:
        with self._came:
            self.messages.append((channel.pk, message))
            self.begun.set()
            self.at_once[channel.pk] += 1
            self.most_at_once[channel.pk] = max(self.most_at_once[channel.pk], self.at_once[channel.pk])
            self._came.notify_all()
            answer = self.answers[channel.pk].pop(0) if self.answers[channel.pk] else None
        if gate := self.gates.get(channel.pk):
            assert gate.wait(30)
        with self._came:
            self.at_once[channel.pk] -= 1
        if isinstance(answer, BaseException):
            raise answer
        return answer or self.always.get(channel.pk) or Outcome.sent()

    def wait_for(self, number: int, channel: Channel | None = None) -> bool:
        """Whether so many attempts have begun: the threads that make them come when the machine lets them."""
        with self._came:
            return self._came.wait_for(
                lambda: sum(channel is None or pk == channel.pk for pk, _ in self.messages) >= number,
                timeout=30,
            )

    @property
    def keys(self) -> list[str]:
        return [message.key for _, message in self.messages]

    def titles(self, channel: Channel) -> list[str]:
        return [message.title for pk, message in self.messages if pk == channel.pk]


def make_channel(user: User, kind: ChannelKind = ChannelKind.EMAIL, **fields) -> Channel:
    number = next(_numbers)
    values = {
        "kind": kind.value, "name": f"channel {number}", "address": f"a{number}@example.com",
        "label": f"a{number}@example.com", "digest_above": 0, **fields,
    }  # fmt: skip
    return Channel.objects.create(user=user, **values)


def make_notification(
    user: User, priority: Priority = Priority.MEDIUM, title: str = "", **fields
) -> Notification:
    """With its outbox row, as a fire commits it."""
    now = clock.now()
    values = {
        "priority": int(priority), "title": title or f"news {next(_numbers)}", "body": "", "scheduled_at": now,
        "created_at": now, **fields,
    }  # fmt: skip
    notification = Notification.objects.create(user=user, **values)
    Outbox.objects.create(notification=notification, priority=int(priority), due_at=notification.scheduled_at)
    return notification


def drain(budget_s: float = 60, threads: int = 4) -> Dispatcher:
    """A dispatcher of its own until nothing is due."""
    dispatcher = Dispatcher(threads)
    assert dispatcher.drain(budget_s)
    return dispatcher


def states(**which) -> list[str]:
    return list(Delivery.objects.filter(**which).order_by("id").values_list("state", flat=True))
