from __future__ import annotations

from datetime import timedelta

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from accounts.tiers import Tier, cheapest_with
from core import clock
from summaries import allowance
from summaries.errors import PersonaLocked, TooManyRefreshes
from tests.factories import make_user

pytestmark = pytest.mark.django_db


class Hand:
    """A clock that is set by hand, in microseconds."""

    def __init__(self) -> None:
        self.us = 1_800_000_000_000_000

    def forward(self, span: timedelta) -> None:
        self.us += span // timedelta(microseconds=1)


@pytest.fixture(autouse=True)
def hand(monkeypatch):
    made = Hand()
    monkeypatch.setattr(clock, "now_us", lambda: made.us)
    return made


def use_up(user):
    for _ in range(user.limits.analyses_per_hour):
        allowance.take(user)


@pytest.mark.parametrize(("tier", "limit"), [("free", 5), ("pro", 20), ("expert", 60)])
def test_each_tier_has_so_many_an_hour_and_then_none(tier, limit):
    user = make_user(tier=tier)
    assert user.limits.analyses_per_hour == limit

    use_up(user)

    with pytest.raises(TooManyRefreshes) as refused:
        allowance.take(user)
    assert (refused.value.limit, refused.value.wait_s) == (limit, 3600)


def test_the_window_slides_so_that_each_comes_back_an_hour_after_it_was_taken(hand):
    user = make_user()
    for _ in range(5):
        allowance.take(user)
        hand.forward(timedelta(minutes=10))

    with pytest.raises(TooManyRefreshes) as refused:
        allowance.take(user)
    assert refused.value.wait_s == 600
    assert str(refused.value) == (
        "Your Free plan has 5 new analyses an hour, and all are used. Try again in 10 minutes."
    )
    hand.forward(timedelta(minutes=10))
    allowance.take(user)
    with pytest.raises(TooManyRefreshes) as again:
        allowance.take(user)
    assert again.value.wait_s == 600


def test_a_refusal_takes_nothing(hand):
    user = make_user()
    use_up(user)
    for _ in range(20):
        with pytest.raises(TooManyRefreshes):
            allowance.take(user)

    hand.forward(timedelta(hours=1))

    use_up(user)


def test_one_user_takes_nothing_from_another():
    use_up(make_user())

    allowance.take(make_user())


def test_after_a_smaller_plan_those_that_are_too_many_have_to_leave_the_hour(hand):
    user = make_user(tier="pro")
    for _ in range(6):
        allowance.take(user)
        hand.forward(timedelta(minutes=5))
    user.tier = "free"

    with pytest.raises(TooManyRefreshes) as refused:
        allowance.take(user)

    # The second of six has to be gone; it was taken 25 minutes ago.
    assert refused.value.wait_s == 35 * 60


def test_without_redis_nobody_is_refused(monkeypatch):
    class Away:
        def eval(self, *_):
            raise RedisConnectionError

    user = make_user()
    use_up(user)
    monkeypatch.setattr(allowance, "client", Away)

    allowance.take(user)


def test_each_persona_says_which_plan_has_it():
    assert {name: cheapest_with(name) for name in ("basic", "buffett", "lynch", "dcf")} == {
        "basic": Tier.FREE,
        "buffett": Tier.PRO,
        "lynch": Tier.PRO,
        "dcf": Tier.EXPERT,
    }
    assert str(PersonaLocked("dcf", "Discounted cash flow")) == (
        "The analysis “Discounted cash flow” comes with the Expert plan."
    )
