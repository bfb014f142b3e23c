"""What each kind means, value by value."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.conditions import NOWHERE, allowed, beyond, quiet, rebased, step
from alerts.kinds import Kind, Mode, Phase, Rule, first_phase

LEVEL, CHANNEL = {"threshold": Decimal(100)}, {"lower": Decimal(90), "upper": Decimal(110)}
NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)


def walk(rule: Rule, *values: str) -> list[str]:
    """The values at which it fires."""
    phase, fired = first_phase(rule.kind), []
    for value in values:
        phase, fires = step(rule, phase, Decimal(value))
        if fires:
            fired.append(value)
    return fired


@pytest.mark.parametrize(
    ("rule", "values", "fired"),
    [
        (Rule(Kind.ABOVE, **LEVEL), ["100", "100.01", "105", "100", "101"], ["100.01", "101"]),
        (Rule(Kind.ABOVE, **LEVEL), ["101", "102"], ["101"]),
        (Rule(Kind.BELOW, **LEVEL), ["100", "99.99", "95", "100", "99"], ["99.99", "99"]),
        (Rule(Kind.CROSSES_ABOVE, **LEVEL), ["101", "102", "100", "101"], ["101"]),
        (Rule(Kind.CROSSES_ABOVE, **LEVEL), ["99", "100", "100.01", "100.02"], ["100.01"]),
        (Rule(Kind.CROSSES_BELOW, **LEVEL), ["99", "100", "99"], ["99"]),
        (Rule(Kind.LEAVES_CHANNEL, **CHANNEL), ["80", "90", "110", "110.01", "80", "100", "89"], ["110.01", "89"]),
        (Rule(Kind.ENTERS_CHANNEL, **CHANNEL), ["100", "120", "80", "90", "100", "111", "110"], ["90", "110"]),
        (Rule(Kind.MOVES, threshold=Decimal(5)), ["0", "4.99", "5", "6", "5", "4.9", "5.1"], ["5", "5.1"]),
        (Rule(Kind.VOLUME, threshold=Decimal(3)), ["1", "3", "3.1", "4"], ["3.1"]),
        (Rule(Kind.HIGH_52W), ["-1", "0", "0.01", "0.5", "0", "0.2"], ["0.01", "0.2"]),
        (Rule(Kind.LOW_52W), ["1", "0", "-0.01", "0", "-1"], ["-0.01", "-1"]),
        (Rule(Kind.STALE, stale_after_s=60), ["0", "59", "60", "300", "0", "61"], ["60", "61"]),
    ],
    ids=lambda one: one.kind.value if isinstance(one, Rule) else "",
)  # fmt: skip
def test_a_kind_fires_at(rule, values, fired):
    assert walk(rule, *values) == fired


def test_a_band_asks_for_more_than_the_level():
    rule = Rule(Kind.ABOVE, **LEVEL, rearm_band=Decimal("0.5"))
    assert walk(rule, "101", "100", "99.6", "101", "99.5", "101") == ["101", "101"]


def test_a_new_base_fires_nothing_and_a_crossing_needs_the_near_side_again():
    rule = Rule(Kind.CROSSES_ABOVE, **LEVEL)
    assert rebased(rule, Phase.ARMED, Decimal(101)) == (Phase.WAITING, False)
    assert rebased(rule, Phase.ARMED, Decimal(99)) == (Phase.ARMED, False)
    assert rebased(rule, Phase.WAITING, Decimal(99)) == (Phase.ARMED, False)


def test_a_level_that_is_exceeded_on_a_new_base_stays_armed_for_the_next_tick():
    assert rebased(Rule(Kind.ABOVE, **LEVEL), Phase.ARMED, Decimal(101)) == (Phase.ARMED, False)


cents = st.integers(1, 30_000).map(lambda n: Decimal(n) / 100)
bands = st.sampled_from([Decimal(0), Decimal("0.1"), Decimal("0.5"), Decimal("3.3333")])


@st.composite
def rules(draw) -> Rule:
    kind = draw(st.sampled_from([kind for kind in Kind if kind not in (Kind.HIGH_52W, Kind.LOW_52W)]))
    lower = draw(cents)
    return Rule(
        kind,
        draw(cents),
        lower,
        lower + draw(cents),
        stale_after_s=draw(st.integers(1, 300)),
        rearm_band=draw(bands),
    )


@given(rules(), st.sampled_from([Phase.ARMED, Phase.WAITING]), cents, cents)
def test_within_the_quiet_interval_nothing_changes(rule, phase, last, value):
    """What the engine relies on: from wherever it stands, no value within the edges does anything."""
    phase = step(rule, phase, last).phase
    below, above = quiet(rule, phase, last)
    is_quiet = (below is None or value >= below) and (above is None or value <= above) and above != NOWHERE
    if is_quiet:
        assert step(rule, phase, value) == (phase, False)


@given(rules(), cents)
def test_what_fires_lies_beyond(rule, value):
    assert step(rule, Phase.ARMED, value).fires == beyond(rule, value)


@pytest.mark.parametrize(
    ("options", "last", "refusal"),
    [
        ({"expires_at": NOON}, None, "expired"),
        ({"snoozed_until": datetime(2026, 3, 2, 17, 1, tzinfo=UTC)}, None, "snoozed"),
        ({"snoozed_until": NOON}, None, ""),
        ({"cooldown_s": 60}, datetime(2026, 3, 2, 16, 59, 1, tzinfo=UTC), "cooldown"),
        ({"cooldown_s": 60}, datetime(2026, 3, 2, 16, 59, tzinfo=UTC), ""),
    ],
)
def test_a_fire_may_be_unwanted(options, last, refusal):
    assert allowed(Rule(Kind.ABOVE, **LEVEL, **options), NOON, last, None).refusal == refusal


def test_a_day_is_the_owners():
    """One instant is the first of November in New York and the second in Tokyo."""
    at = datetime(2026, 11, 1, 23, 30, tzinfo=UTC)
    days = [
        allowed(Rule(Kind.ABOVE, **LEVEL, mode=Mode.DAILY, time_zone=zone), at, None, date(2026, 11, 1))
        for zone in ("America/New_York", "Asia/Tokyo")
    ]
    assert days == [("once_a_day", date(2026, 11, 1)), ("", date(2026, 11, 2))]


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../UTC", "America"])
def test_a_zone_that_is_not_known_here_stops_nobody(name):
    """Its days are those of UTC."""
    rule = Rule(Kind.ABOVE, **LEVEL, mode=Mode.DAILY, time_zone=name)
    assert allowed(rule, NOON, None, None) == ("", date(2026, 3, 2))
