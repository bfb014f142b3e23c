from __future__ import annotations

from datetime import timedelta

import pytest

from core import clock, metrics
from core.redis import client
from marketdata.providers import breakers, chain
from marketdata.providers.breakers import FAIL_MAX, State
from tests.marketdata.rush import rush
from tests.outages import redis_away

NAME = "dead:quotes"


@pytest.fixture(autouse=True)
def empty():
    client().flushall()


def fail(times: int = FAIL_MAX) -> None:
    for _ in range(times):
        breakers.failed(NAME)


def pass_window() -> None:
    """As when the time has run out."""
    client().delete(f"breaker:{NAME}:open")


def states(times: int) -> list[State]:
    return [breakers.allows(NAME).state for _ in range(times)]


def test_failures_below_the_limit_leave_it_closed():
    fail(FAIL_MAX - 1)

    assert breakers.allows(NAME) == breakers.Reading(State.CLOSED, FAIL_MAX - 1)


def test_failures_in_a_row_open_it_for_a_while_and_it_says_until_when():
    before = clock.now()
    fail()

    found = breakers.allows(NAME)

    assert (found.state, found.failures) == (State.OPEN, FAIL_MAX)
    assert before < found.open_until <= clock.now() + timedelta(seconds=breakers.OPEN_S)


def test_a_success_between_failures_counts_them_anew():
    fail(FAIL_MAX - 1)
    breakers.succeeded(NAME, breakers.allows(NAME))
    fail(FAIL_MAX - 1)

    assert breakers.allows(NAME).state is State.CLOSED


def test_after_the_window_one_probe_is_let_through_and_nobody_else():
    fail()
    pass_window()

    assert states(5) == [State.HALF_OPEN] + [State.OPEN] * 4
    assert breakers.allows(NAME).open_until > clock.now()


def test_a_failed_probe_opens_it_anew():
    fail()
    pass_window()
    breakers.allows(NAME)
    breakers.failed(NAME)
    assert breakers.allows(NAME).state is State.OPEN

    pass_window()

    assert states(2) == [State.HALF_OPEN, State.OPEN]


def test_a_good_probe_closes_it_for_all():
    fail()
    pass_window()

    breakers.succeeded(NAME, breakers.allows(NAME))

    assert breakers.allows(NAME) == breakers.Reading(State.CLOSED)


def test_a_probe_given_back_may_be_made_by_the_next_one():
    fail()
    pass_window()
    breakers.allows(NAME)

    breakers.release(NAME)

    assert states(2) == [State.HALF_OPEN, State.OPEN]


def test_a_success_where_nothing_was_wrong_asks_nothing_of_redis():
    before = breakers.allows(NAME)
    failures = metrics.redis_failures.labels(used_by="breakers")._value.get
    count = failures()

    with redis_away():
        breakers.succeeded(NAME, before)

    assert failures() == count


def test_a_hold_keeps_it_open_without_a_failure_and_says_who_was_first():
    assert [breakers.hold(NAME, 600) for _ in range(3)] == [True, False, False]

    found = breakers.allows(NAME)
    assert (found.state, found.failures) == (State.OPEN, 0)
    assert clock.now() + timedelta(seconds=590) < found.open_until


def test_after_a_hold_it_is_closed():
    breakers.hold(NAME, 600)
    pass_window()

    assert breakers.allows(NAME).state is State.CLOSED


def test_the_administration_closes_it_by_hand():
    breakers.hold(NAME, 600)

    breakers.reset(NAME)

    assert breakers.allows(NAME).state is State.CLOSED


def test_looking_takes_no_probe():
    fail()
    assert breakers.reading(NAME).state is State.OPEN
    pass_window()

    assert [breakers.reading(NAME).state for _ in range(2)] == [State.HALF_OPEN] * 2
    assert breakers.allows(NAME).state is State.HALF_OPEN


def test_breakers_of_two_purposes_do_not_mind_each_other():
    fail()

    assert breakers.allows("dead:search").state is State.CLOSED


def test_the_window_ends_by_itself(settings):
    settings.TIME_FACTOR = 0.001
    fail()

    found = breakers.allows(NAME)
    while found.state is State.OPEN:
        found = breakers.allows(NAME)
    assert found.state is State.HALF_OPEN


def test_a_probe_outlives_every_budget_of_the_chain():
    assert max(chain.BULK_BUDGET_S, chain.QUOTE_BUDGET_S) < breakers.PROBE_S


def test_among_many_processes_one_makes_the_probe():
    fail()
    pass_window()

    assert sorted(rush("probe", NAME)) == ["half_open"] + ["open"] * 63


def test_one_reading_is_one_round_trip(monkeypatch):
    sent = []
    execute = client().execute_command
    monkeypatch.setattr(
        client(), "execute_command", lambda *args, **named: (sent.append(args[0]), execute(*args, **named))[1]
    )

    breakers.allows(NAME)

    assert sent == ["EVAL"]


# --- while Redis is away each process has its own


def test_without_redis_this_process_counts_by_itself(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    with redis_away():
        fail()
        assert breakers.allows(NAME).state is State.OPEN
        now += breakers.OPEN_S
        assert states(2) == [State.HALF_OPEN, State.OPEN]
        breakers.succeeded(NAME, breakers.Reading(State.HALF_OPEN, FAIL_MAX))
        assert breakers.allows(NAME).state is State.CLOSED


def test_without_redis_a_probe_can_be_given_back(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    with redis_away():
        fail()
        now += breakers.OPEN_S
        breakers.allows(NAME)
        breakers.release(NAME)

        assert states(2) == [State.HALF_OPEN, State.OPEN]


def test_without_redis_a_hold_holds_and_says_who_was_first():
    with redis_away():
        assert [breakers.hold(NAME, 600) for _ in range(2)] == [True, False]
        assert breakers.allows(NAME).state is State.OPEN


def test_what_failed_while_redis_was_there_is_known_when_it_goes():
    fail()

    with redis_away():
        assert breakers.allows(NAME).state is State.OPEN
