"""How many turns of the conflator are said, and when."""

from __future__ import annotations

import pytest

from core import clock
from marketdata.tape.conflation import Conflator
from marketdata.tape.history import History
from marketdata.tape.outlet import Outlet

TURN_S = 0.01


class Counted(Conflator):
    """Nothing ever waits in it."""

    turns = 0

    def drain(self, turns: int = 1) -> list:
        self.turns += turns
        return []


@pytest.mark.parametrize(
    ("cycle_s", "turns"), [(0.010, 100), (0.011, 110), (0.014, 140), (0.016, 160), (0.037, 370)]
)
async def test_a_second_has_its_hundred_turns_however_long_each_call_takes(cycle_s, turns, monkeypatch):
    now = [1_000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    conflator = Counted()
    outlet = Outlet(0, 1, conflator, History(), TURN_S)

    for _ in range(100):
        now[0] += cycle_s
        await outlet.say_next()

    assert conflator.turns == turns


async def test_who_calls_too_often_does_not_have_to_wait_for_it_later(monkeypatch):
    now = [1_000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    conflator = Counted()
    outlet = Outlet(0, 1, conflator, History(), TURN_S)
    for _ in range(100):
        await outlet.say_next()

    now[0] += 50.5 * TURN_S
    await outlet.say_next()

    assert conflator.turns == 100 + 50
