from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, get_ident

import pytest
from redis.exceptions import RedisError

from accounts import tickets
from accounts.credentials import Login
from core.redis import client
from tests.outages import redis_away

ALICE = Login(uuid.uuid4(), "pro", session_key="s" * 32)
ROBOT = Login(uuid.uuid4(), "free", api_key_id=7)


@pytest.fixture(autouse=True)
def _nothing_left():
    """Nor of tests before these, which ask for tickets and do not come with them."""
    _forget_tickets()
    yield
    _forget_tickets()


def _forget_tickets() -> None:
    if keys := client().keys("ticket:*"):
        client().delete(*keys)


def test_a_ticket_brings_its_login_once():
    one, other = tickets.issue(ALICE), tickets.issue(ROBOT)

    assert tickets.redeem([one, other, one]) == {one: ALICE, other: ROBOT}
    assert tickets.redeem([one, other]) == {}


def test_a_ticket_ends_by_itself_and_redis_does_not_know_its_text():
    ticket = tickets.issue(ALICE)

    (key,) = client().keys("ticket:*")

    assert 0 < client().ttl(key) <= 60
    assert ticket.encode() not in key + client().get(key)


def test_of_twenty_who_come_with_one_ticket_at_once_one_gets_in():
    ticket, together = tickets.issue(ALICE), Barrier(20)

    def come(_: int) -> dict[str, Login]:
        together.wait(timeout=30)
        return tickets.redeem([ticket])

    with ThreadPoolExecutor(20) as people:
        answers = list(people.map(come, range(20)))

    assert [answer for answer in answers if answer] == [{ticket: ALICE}]


def test_many_tickets_are_redeemed_in_one_round_trip(monkeypatch):
    issued = [tickets.issue(ALICE) for _ in range(50)]
    trips, ask = [], client().silence.ask
    monkeypatch.setattr(
        client().silence, "ask", lambda operation: trips.append(get_ident()) or ask(operation)
    )

    assert len(tickets.redeem(issued)) == 50
    assert trips.count(get_ident()) == 1


HOSTILE = [
    "",
    "a" * 42,
    "a" * 44,
    "a" * 1_000_000,
    "\ud800" * 43,
    "\x00" * 43,
    "é" * 43,
    "a" * 42 + "\n",
    "*" * 43,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_cannot_be_a_ticket_is_not_looked_up(text):
    with redis_away():
        assert tickets.redeem([text]) == {}


def test_an_unknown_ticket_lets_nobody_in():
    assert tickets.redeem(["a" * 43]) == {}


def test_two_tickets_of_one_login_differ():
    assert tickets.issue(ALICE) != tickets.issue(ALICE)


def test_a_ticket_is_never_made_over_another(monkeypatch):
    taken = tickets.issue(ALICE)
    texts = iter([taken, "b" * 43])
    monkeypatch.setattr(tickets.secrets, "token_urlsafe", lambda _: next(texts))

    assert tickets.issue(ROBOT) == "b" * 43
    assert tickets.redeem([taken]) == {taken: ALICE}


def test_without_redis_there_are_no_tickets():
    with redis_away():
        with pytest.raises(RedisError):
            tickets.issue(ALICE)
        with pytest.raises(RedisError):
            tickets.redeem(["a" * 43])
