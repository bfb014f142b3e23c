"""Ordinary ticks are judged on a shorter way, which must come to the same as the long one."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.acceptance import Acceptance, Split
from marketdata.quotes import Correction, Tick

NOW_US = 1_772_461_800_000_000


def mostly(usual, *others):
    return st.sampled_from([*[usual] * 60, *others])


SIDES = mostly(None, *map(Decimal, ("99.50", "100.25", "0", "NaN")))
TICKS = st.builds(
    Tick,
    st.sampled_from(["AAPL", "AAPL", "MSFT", "OTHER"]),
    mostly(*map(Decimal, ("100.00", "100.10", "100.5", "100.123", "119.00", "140.00", "25.00", "1.00", "0", "NaN"))),
    mostly(10, -1, 0, 2**63),
    mostly(1000, 0, -1),
    mostly(2, 1, 0, 0, -1, -2, 10**8, -(10**12)),  # since the one before
    mostly("scripted", "other"),
    mostly(0, 1, 2),
    open=SIDES, previous_close=SIDES, bid=SIDES, ask=SIDES,
    trade_id=st.sampled_from(["", "1", "2"]),
)  # fmt: skip
CORRECTIONS = st.builds(
    Correction, st.just("AAPL"), st.just("scripted"), st.just(0),
    trade_id=st.sampled_from(["1", "2"]), price=st.none() | st.just(Decimal("100.20")),
)  # fmt: skip


class Long(Acceptance):
    def _is_ordinary(self, tick, seen, now_us) -> bool:
        return False


@settings(max_examples=150)
@given(st.lists(TICKS | TICKS | TICKS | CORRECTIONS, min_size=10, max_size=40), st.booleans(), st.booleans())
def test_the_short_way_comes_to_the_same_as_the_long_one(events, is_split, is_listed):
    known = {"AAPL", "MSFT"} if is_listed else None
    short, long = Acceptance(known), Long(known)
    for one in (short, long):
        one.splits = {"AAPL": Split(NOW_US, Decimal(4))} if is_split else {}

    at_us = NOW_US - 20
    for event in events:
        if isinstance(event, Correction):
            assert short.correct(event, NOW_US) == long.correct(event, NOW_US)
        else:
            one = replace(event, as_of_us=at_us + event.as_of_us)
            at_us += event.as_of_us if abs(event.as_of_us) < 10 else 0
            assert repr(short.judge(one, NOW_US)) == repr(long.judge(one, NOW_US))
    assert (short.accepted, short.refused, short.blanked) == (long.accepted, long.refused, long.blanked)
