from __future__ import annotations

import itertools

import pytest

from accounts.tiers import LIMITS
from subscriptions.cadence import (
    INTERVAL_S,
    MODES,
    PHASES,
    REST_SHARE,
    SAYABLE,
    TICK_S,
    Cadence,
    Mode,
    Why,
    faster,
    pause_after,
    slower,
)


def test_a_quick_flush_keeps_the_beat():
    beat = TICK_S / PHASES[Mode.LIVE]
    assert pause_after(0.0) == beat
    assert pause_after(0.004) + 0.004 == beat


def test_a_slow_flush_stretches_the_beat_and_never_uses_the_whole_core():
    assert pause_after(0.2) == 0.2 * REST_SHARE > 0
    assert pause_after(1.0) == REST_SHARE


def test_slower_and_faster_go_step_by_step_and_neither_pauses_nor_leaves_the_scale():
    assert [slower(mode) for mode in MODES] == ["1s", "5s", "30s", "30s", "30s"]
    assert [faster(mode) for mode in MODES] == ["live", "live", "1s", "5s", "30s"]


def test_every_mode_but_paused_has_an_interval_and_phases_and_the_scale_goes_from_fast_to_slow():
    sending = [mode for mode in MODES if mode is not Mode.PAUSED]
    assert sending == list(INTERVAL_S) == list(PHASES)
    assert [INTERVAL_S[mode] for mode in sending] == sorted(INTERVAL_S[mode] for mode in sending)


def test_every_tier_names_a_mode_that_sends():
    assert {limits.fastest for limits in LIMITS.values()} <= set(INTERVAL_S)


def expected(chosen: Mode, why: Why, bearable: Mode, fastest: Mode) -> tuple[Mode, Why]:
    """The rule once more, as a table would say it: from the slowest mode up, the first who asks for it."""
    for mode in reversed(MODES):
        for whose, asks in ((why, chosen), (Why.SLOW_CLIENT, bearable), (Why.TIER, fastest)):
            if asks is mode:
                return mode, whose
    raise AssertionError


# A measured connection and a tier never pause anybody.
@pytest.mark.parametrize("why", sorted(SAYABLE))
def test_the_slowest_of_wish_connection_and_tier_counts_and_its_reason_is_told(why):
    told = {
        (chosen, bearable, fastest): Cadence(chosen, why, fastest, bearable).effective
        for chosen, bearable, fastest in itertools.product(MODES, MODES[:-1], MODES[:-1])
    }
    assert told == {
        (chosen, bearable, fastest): expected(chosen, why, bearable, fastest)
        for chosen, bearable, fastest in told
    }
    assert len(told) == 5 * 4 * 4


def test_a_new_client_is_live_because_nobody_chose_otherwise():
    assert Cadence().effective == (Mode.LIVE, Why.CHOSEN)


def test_a_client_may_not_say_of_itself_what_we_measure_or_know():
    assert set(Why) - SAYABLE == {Why.SLOW_CLIENT, Why.TIER}
