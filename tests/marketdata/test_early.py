from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp
from random import Random

import pytest

from marketdata.early import BETA, should_refresh

TTL_S, FETCH_S, READS_PER_S = 15.0, 0.4, 200
CYCLES = 200


@dataclass
class Result:
    loads: int = 0
    stale: int = 0
    reads: int = 0

    @property
    def loads_per_ttl(self) -> float:
        return self.loads / CYCLES


def simulate(is_due: Callable[[float], bool], *, single_flight: bool) -> Result:
    """One ticker that is read 200 times a second; whoever finds it due loads it, which takes 0.4 s."""
    result = Result()
    expires, arriving = TTL_S, []
    for read in range(int(CYCLES * TTL_S * READS_PER_S)):
        now = read / READS_PER_S
        while arriving and arriving[0] <= now:
            expires = arriving.pop(0) + TTL_S
        result.reads += 1
        result.stale += now >= expires
        if is_due(expires - now) and not (single_flight and arriving):
            arriving.append(now + FETCH_S)
            result.loads += 1
    return result


def lots(seed: int = 7) -> Callable[[float], bool]:
    rng = Random(seed).random
    return lambda remaining: should_refresh(remaining, FETCH_S, rng)


def test_with_single_flight_a_ticker_is_loaded_about_once_per_time_to_live_and_never_read_stale():
    result = simulate(lots(), single_flight=True)

    assert 1.0 <= result.loads_per_ttl <= 1.1
    assert result.stale / result.reads < 0.0005


def test_without_lots_and_single_flight_every_read_in_the_gap_loads():
    result = simulate(lambda remaining: remaining <= 0, single_flight=False)

    assert result.loads_per_ttl > 70


def test_single_flight_alone_lets_reads_see_an_old_price():
    result = simulate(lambda remaining: remaining <= 0, single_flight=True)

    assert result.loads_per_ttl < 1.0
    assert result.stale / result.reads > 0.02


def test_lots_alone_still_load_several_times():
    result = simulate(lots(), single_flight=False)

    assert result.loads_per_ttl > 2


@pytest.mark.parametrize("remaining", [0.0, -1.0])
def test_what_has_run_out_is_always_renewed(remaining):
    assert should_refresh(remaining, FETCH_S, lambda: 0.999999)


def test_the_chance_falls_with_what_remains():
    chance = exp(-1.0 / (BETA * FETCH_S))

    assert should_refresh(1.0, FETCH_S, lambda: chance * 0.99)
    assert not should_refresh(1.0, FETCH_S, lambda: chance * 1.01)


def test_a_fetch_that_takes_no_time_needs_no_lead():
    assert not should_refresh(0.001, 0.0, lambda: 0.0)
