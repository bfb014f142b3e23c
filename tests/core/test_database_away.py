"""A database that lets wait: who can do without it waits once, not each time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import OperationalError

from core import clock, database
from core.database import LEFT_ALONE_S, SLOW_S, if_there


class Database:
    """Takes its time to fail; counts who asks."""

    def __init__(self, monkeypatch) -> None:
        self.now, self.asked, self.takes_s, self.away = clock.monotonic(), 0, SLOW_S, True
        monkeypatch.setattr(clock, "monotonic", lambda: self.now)

    def answer(self) -> int:
        self.asked += 1
        self.now += self.takes_s
        if self.away:
            raise OperationalError("away")
        return 7

    def ask(self) -> int | None:
        try:
            return if_there(self.answer)
        except OperationalError:
            return None


@pytest.fixture
def slow(monkeypatch) -> Iterator[Database]:
    database.forget_outage()
    yield Database(monkeypatch)
    database.forget_outage()


def test_after_one_slow_failure_nobody_asks_for_a_while(slow):
    assert [slow.ask() for _ in range(3)] == [None] * 3
    assert slow.asked == 1


def test_a_failure_that_costs_no_time_is_no_reason_to_stop_asking(slow):
    slow.takes_s = 0.0

    assert [slow.ask() for _ in range(3)] == [None] * 3
    assert slow.asked == 3


def test_later_one_caller_looks_again_and_the_others_go_on_without(slow):
    slow.ask()
    slow.now += LEFT_ALONE_S
    others = []
    answer = slow.answer
    slow.answer = lambda: (others.append(slow.ask()), answer())[1] if not others else answer()

    assert slow.ask() is None

    assert others == [None]
    assert slow.asked == 2


def test_when_it_answers_again_everybody_asks(slow):
    slow.ask()
    slow.now += LEFT_ALONE_S
    slow.away = False

    assert [slow.ask() for _ in range(3)] == [7] * 3


def test_a_failure_that_began_before_the_latest_answer_stops_nobody(slow):
    answer = slow.answer

    def overtaken() -> int:
        slow.away, slow.answer = False, answer
        assert slow.ask() == 7
        slow.now += SLOW_S
        raise OperationalError("away")

    slow.answer = overtaken
    assert slow.ask() is None

    assert slow.ask() == 7
