from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from marketdata.providers.walk import MIN_STEPS, Span, share_of_day, volume_at, walk


@st.composite
def spans(draw):
    low = draw(st.integers(min_value=1, max_value=100_000))
    high = low + draw(st.integers(min_value=0, max_value=5_000))
    prices = st.integers(min_value=low, max_value=high)
    return Span(open=draw(prices), high=high, low=low, close=draw(prices))


def walked(span, steps=500, seed="AAPL 2012-10-25"):
    return walk(span, start_us=1_000_000, slot_us=500_000, steps=steps, seed=seed)


@given(spans(), st.integers(min_value=MIN_STEPS, max_value=400), st.text(max_size=5))
def test_a_walk_leads_from_open_to_close_and_touches_both_extremes(span, steps, seed):
    path = walked(span, steps, seed)

    assert len(path) == len(path.prices) == len(path.highs) == len(path.lows) == len(path.jitter) == steps
    assert (path.prices[0], path.prices[-1]) == (span.open, span.close)
    assert (min(path.prices), max(path.prices)) == (span.low, span.high)


@given(spans())
def test_highs_and_lows_are_those_so_far(span):
    path = walked(span, 50)

    assert list(path.highs) == [max(path.prices[: i + 1]) for i in range(50)]
    assert list(path.lows) == [min(path.prices[: i + 1]) for i in range(50)]


def test_the_same_seed_gives_the_same_path_and_another_seed_another():
    span = Span(open=10_000, high=10_300, low=9_900, close=10_100)

    assert walked(span) == walked(span)
    assert walked(span).prices != walked(span, seed="IBM 2012-10-25").prices


def test_a_known_path_stays_as_it_is():
    """Other processes, other machines and later versions of Python must see the same prices."""
    path = walked(Span(open=10_000, high=10_040, low=9_980, close=10_010), steps=12)

    assert list(path.prices) == [
        *[10000, 10002, 9991, 9984, 9980, 9997],
        *[10011, 10026, 10040, 10029, 10020, 10010],
    ]
    assert path.jitter.hex() == "00815f8b76acf5fb98b5baea"


def test_times_rise_and_each_tick_lies_in_its_slot():
    path = walked(Span(open=10, high=20, low=5, close=15))
    times = [path.time_of(i) for i in range(len(path))]

    assert times == sorted(set(times))
    assert times[0] == path.start_us
    assert all((us - path.start_us) // path.slot_us == i for i, us in enumerate(times))
    assert path.end_us == path.start_us + 500 * 500_000
    assert len({later - earlier for earlier, later in pairwise(times)}) > 100


def test_the_last_tick_at_a_moment_is_found():
    path = walked(Span(open=10, high=20, low=5, close=15), steps=50)
    for i in range(50):
        assert path.index_at(path.time_of(i)) == i
        assert path.index_at(path.time_of(i) - 1) == i - 1
    assert path.index_at(0) == -1
    assert path.index_at(path.end_us * 10) == 49


def test_a_quiet_day_stands_still():
    assert set(walked(Span(open=7, high=7, low=7, close=7)).prices) == {7}


def test_much_is_traded_at_both_ends_of_the_day():
    parts = [share_of_day((i + 1) / 10) - share_of_day(i / 10) for i in range(10)]

    assert share_of_day(0) == 0
    assert share_of_day(1) == 1
    assert min(parts[0], parts[-1]) > 2.5 * max(parts[4], parts[5])


@given(st.integers(min_value=0, max_value=10**12), st.binary(min_size=2, max_size=300))
def test_volume_never_falls_and_ends_with_the_total(total, jitter):
    volumes = [volume_at(total, i, len(jitter), byte) for i, byte in enumerate(jitter)]

    assert volumes == sorted(volumes)
    assert volumes[0] >= 0
    assert volumes[-1] == total
