from __future__ import annotations

import pytest

from accounts.models import User
from core import clock, retention
from tests.factories import make_user


class Watch:
    """A clock that only work moves: each step takes a second."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def steps(self, *found: int) -> retention.Step:
        left = iter(found)

        def step() -> int:
            self.now += 1.0
            return next(left)

        return step


@pytest.fixture
def watch(monkeypatch) -> Watch:
    made = Watch()
    monkeypatch.setattr(clock, "monotonic", lambda: made.now)
    return made


def test_it_goes_on_until_a_step_finds_less_than_it_may_take(watch):
    assert retention.by_and_by(watch.steps(10, 10, 3, 10), 10, watch.now + 100) == 23


def test_a_step_that_finds_nothing_is_the_last(watch):
    assert retention.by_and_by(watch.steps(10, 0, 10), 10, watch.now + 100) == 10


def test_it_ends_when_the_time_is_up(watch):
    assert retention.by_and_by(watch.steps(*[10] * 9), 10, watch.now + 4) == 40


def test_without_any_time_nothing_is_done(watch):
    assert retention.by_and_by(watch.steps(10), 10, watch.now) == 0


def test_each_kind_has_its_share_and_who_needs_less_leaves_the_rest_to_those_after_it(watch):
    steps = {"some": watch.steps(*[10] * 99), "few": watch.steps(2), "many": watch.steps(*[10] * 99)}

    # Of nine seconds the first kind has three; the second needs one, and leaves five.
    assert retention.in_turns(steps, 10, 9.0) == {"some": 30, "few": 2, "many": 50}


def test_what_was_deleted_is_told_and_what_was_not_is_not(watch, caplog):
    caplog.set_level("INFO")

    retention.in_turns({"letters": watch.steps(2), "stamps": watch.steps(0)}, 10, 9.0)

    assert [record.getMessage() for record in caplog.records if record.name == "core.retention"] == [
        "deleted 2 old letters"
    ]


@pytest.mark.django_db
def test_the_first_ones_are_deleted_and_no_more_than_wanted(django_assert_num_queries):
    users = [make_user() for _ in range(5)]
    by_age = User.objects.order_by("username")
    first = sorted(users, key=lambda user: user.username)

    assert retention.delete_some(User.objects, by_age, 2) == 2

    assert list(by_age) == first[2:]
    assert [retention.delete_some(User.objects, by_age, 2) for _ in range(3)] == [2, 1, 0]
    with django_assert_num_queries(1):
        assert retention.delete_some(User.objects, by_age, 2) == 0
