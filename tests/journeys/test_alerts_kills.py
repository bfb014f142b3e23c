"""Whoever decides alerts and delivers them may die at any moment, and nothing is lost or told twice."""

from __future__ import annotations

import os
from urllib.parse import quote

import pytest
from django.db import connection, connections

from core.redis import client
from marketdata.accepted import key_of
from tests.faults.history import EXTERNAL, FED, PUT, TAKE, TOLD, History, check
from tests.faults.storm import Plan, run


@pytest.fixture
def database(transactional_db):
    """Where it is, for processes and for libpq; none of our own connections is open while others are ended."""
    base, _, _ = os.environ["DATABASE_URL"].rpartition("/")
    yield f"{base}/{quote(connection.settings_dict['NAME'])}"
    connections.close_all()
    client().delete(key_of(0))


# `make faults` does the same with 5,000 crossings.
@pytest.mark.timeout(900)  # the storm's own patience comes first
def test_known_crossings_are_told_once_and_delivered_while_processes_are_killed(database, tmp_path):
    plan = Plan(symbols=5, rounds=15, round_s=0.6, lease_s=3, seed=int.from_bytes(os.urandom(2)))

    outcome = run(plan, tmp_path, {"DATABASE_URL": database}, database)

    told, external = outcome.told, outcome.external
    log = (tmp_path / "processes.log").read_text()[-3_000:]
    assert (told.lost, told.duplicated, told.unexpected) == ([], [], []), (plan.seed, log)
    assert (external.lost, external.duplicated, external.unexpected) == ([], [], []), (plan.seed, log)
    assert (told.acknowledged, told.delivered, external.delivered) == (300, 300, 300)
    assert sum(outcome.kills.values()) > 0


# --- who judges it


def history_of(path, *events: tuple[str, str, str, str]) -> History:
    history = History(path / "history")
    for kind, queue, value, key in events:
        if kind == "invoke":
            history.invoke(queue, PUT, value)
        else:
            history.ok(queue, TAKE if queue != FED else PUT, value, key)
    return history


def put(value: str) -> list[tuple[str, str, str, str]]:
    return [("invoke", FED, value, ""), ("ok", FED, value, "")]


def test_a_history_tells_what_was_lost_doubled_and_never_put_in(tmp_path):
    history = history_of(
        tmp_path,
        *put("a"), *put("b"), *put("c"), ("invoke", FED, "d", ""), ("invoke", FED, "e", ""),
        ("ok", TOLD, "a", ""), ("ok", TOLD, "b", ""), ("ok", TOLD, "b", ""), ("ok", TOLD, "d", ""),
        ("ok", TOLD, "x", ""), ("ok", EXTERNAL, "c", ""),
    )  # fmt: skip

    found = check(history.path, FED, TOLD)

    assert (found.attempted, found.acknowledged, found.delivered) == (5, 3, 4)
    assert (found.lost, found.duplicated, found.unexpected, found.recovered) == (["c"], ["b"], ["x"], 1)
    assert not found.is_good
    history.close()


def test_what_is_repeated_under_one_key_counts_once(tmp_path):
    history = history_of(
        tmp_path,
        *put("a"),
        ("ok", EXTERNAL, "a", "1"),
        ("ok", EXTERNAL, "a", "1"),
        ("ok", EXTERNAL, "a", "1"),
    )

    found = check(history.path, FED, EXTERNAL)

    assert (found.is_good, found.repeated) == (True, 2)
    history.close()


def test_the_same_under_two_keys_is_twice_the_same(tmp_path):
    history = history_of(tmp_path, *put("a"), ("ok", EXTERNAL, "a", "1"), ("ok", EXTERNAL, "a", "2"))

    assert check(history.path, FED, EXTERNAL).duplicated == ["a"]
    history.close()


def test_a_line_that_was_cut_off_is_no_event(tmp_path):
    history = history_of(tmp_path, *put("a"), ("ok", TOLD, "a", ""))
    with history.path.open("a") as file:
        file.write('{"t": 1, "q": "to')

    assert check(history.path, FED, TOLD).is_good
    history.close()
