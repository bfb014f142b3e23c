"""What counts as keeping up, and which step of a climb is the best."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.fan_out.audience import Audience
from benchmarks.fan_out.compare import best_of, climb, keeps_up
from benchmarks.fan_out.size import Size, asked
from benchmarks.fan_out.stage import Step

FINE = Step(
    rate=100, offered_per_s=1_000, deliveries_per_s=1_000, frames_per_s=500, mb_per_s=0.1, p50_ms=20, p95_ms=50,
    p99_ms=60, max_ms=90, server_cpu_percent=50, client_cpu_percent=5, publisher_cpu_percent=5, publisher_late_ms=1,
)  # fmt: skip
SIZE = Size(10, (), 0.0)


class Stage:
    """Delivers up to so many updates per second, the first so many times less."""

    def __init__(self, most: float, disturbed: int = 0, late: int = 0):
        self.most, self.disturbed, self.late, self.rates = most, disturbed, late, []
        self.audience = Audience(["ACME"], [])

    def window(self, rate, seconds, *, warm_up_s=0.0):
        self.rates.append(rate)
        self.disturbed -= 1
        self.late -= 1
        most = 1 if self.disturbed >= 0 else self.most
        return replace(
            FINE,
            rate=rate,
            offered_per_s=rate * 10,
            deliveries_per_s=min(rate, most) * 10,
            p95_ms=5_000 if self.late >= 0 else 50,
        )

    def rest(self, seconds):
        """Nothing to wait for."""


def test_ninety_five_percent_of_what_is_offered_is_enough():
    assert keeps_up(replace(FINE, deliveries_per_s=950))
    assert not keeps_up(replace(FINE, deliveries_per_s=949))


def test_values_that_are_too_old_are_not_kept_up_with():
    assert not keeps_up(replace(FINE, p95_ms=3_001))


def test_a_climb_ends_at_the_first_rate_that_fails_twice_and_looks_between_it_and_the_one_before():
    stage = Stage(most=250)

    steps = climb(stage, (100, 200, 300, 400), SIZE)

    assert stage.rates == [100, 200, 300, 300, 250]
    assert best_of(steps).rate == 250


def test_a_step_that_was_disturbed_is_measured_again():
    steps = climb(Stage(most=250, disturbed=1), (100, 200), SIZE)

    assert [keeps_up(step) for step in steps] == [True, True]


def test_what_was_late_once_is_measured_again_as_well():
    (step,) = climb(Stage(most=250, late=1), (100,), SIZE)

    assert keeps_up(step)


def test_a_quick_climb_does_not_look_between():
    stage = Stage(most=250)

    climb(stage, (100, 300), replace(SIZE, thorough=False))

    assert stage.rates == [100, 300, 300]


@pytest.mark.parametrize(("said", "rates"), [("700,900", (700, 900)), (None, (1,))])
def test_the_command_line_says_what_is_different(said, rates):
    size = asked(Size(10, (1,), 2.0), rates=said, server=None, connections=20)

    assert size == Size(20, rates, 2.0)
