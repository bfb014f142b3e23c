from __future__ import annotations

from collections import Counter

from subscriptions.cadence import PHASES, TICK_S, Phases, pause_after


def test_a_quick_flush_keeps_the_beat():
    assert pause_after(0.0) == TICK_S / PHASES
    assert pause_after(0.004) + 0.004 == TICK_S / PHASES


def test_a_slow_flush_stretches_the_beat_and_never_uses_the_whole_core():
    assert pause_after(0.2) == 0.05
    assert pause_after(1.0) == 0.25


def test_phases_stay_equally_full():
    phases = Phases()
    assert set(Counter(phases.next() for _ in range(PHASES * 7)).values()) == {7}
