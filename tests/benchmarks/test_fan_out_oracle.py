"""The oracle of the fan-out: a value that was lost, fell back or is wrong must make the run incorrect."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.fan_out.oracle import judge, right_finals
from benchmarks.fan_out.values import Held, right_millionths

SYMBOLS = ["ACME", "BOLT"]
CLEAN = {"falling": 0, "repeated": 0, "changed": 0, "wrong": 0, "foreign": 0, "broken": 0}
RIGHT = right_finals(SYMBOLS, 1, [7, 9])


def held(symbol: str, number: int, **other) -> Held:
    ticker = SYMBOLS.index(symbol)
    found = Held(0, 0, True, 0, symbol, (1, number), right_millionths(ticker, number))
    return replace(found, **other)


def judged(*held_in_the_end, **status):
    return judge(CLEAN | status, held_in_the_end, RIGHT).complaints


def test_who_holds_the_last_values_is_right():
    assert judged(held("ACME", 7), held("BOLT", 9)) == []


def test_a_lost_last_value_is_found():
    (complaint,) = judged(held("ACME", 6), held("BOLT", 9))

    assert complaint.startswith("1 last values were lost")


def test_a_value_that_never_came_is_found():
    (complaint,) = judged(held("ACME", 7), held("BOLT", 9, position=None, price=None))

    assert complaint.startswith("1 last values were lost")


def test_a_wrong_last_price_is_found():
    assert judged(held("ACME", 7, price=1)) == ["1 last values have a wrong price"]


@pytest.mark.parametrize("told", sorted(CLEAN))
def test_what_the_load_client_saw_on_the_way_is_found(told):
    assert len(judged(held("ACME", 7), **{told: 2})) == 1


def test_who_was_closed_holds_nothing():
    assert judged(held("ACME", 7), held("BOLT", 3, open=False)) == []


def test_an_end_at_which_nobody_is_left_is_found():
    assert judged(held("ACME", 7, open=False)) == ["nobody was left to hold a last value"]


def test_what_was_never_published_is_expected_of_nobody():
    assert right_finals(SYMBOLS, 1, [0, 2]) == {"BOLT": ((1, 2), right_millionths(1, 2))}
