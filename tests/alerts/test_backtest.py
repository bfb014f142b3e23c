from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.backtest import BANDS, Advice, run
from alerts.conditions import allowed, step
from alerts.kinds import Kind, Mode, Rule, Sessions, Way, first_phase
from alerts.series import Reference
from alerts.spans import Source, references_of, way_of
from marketdata.quotes import Bar
from tests.alerts.bars import OPEN, bar, days, minutes


def rule(kind: Kind = Kind.ABOVE, threshold: str | None = "100", **fields) -> Rule:
    fields = {"mode": Mode.REPEAT, **fields}
    return Rule(kind, threshold=None if threshold is None else Decimal(threshold), **fields)


def channel(kind: Kind, **fields) -> Rule:
    return rule(kind, None, lower=Decimal(90), upper=Decimal(110), **fields)


def fires(a_rule: Rule, bars: list[Bar], source: Source = Source.MINUTE, **more) -> list[tuple[int, str]]:
    """Minutes (or days) since the first bar, and the price."""
    unit = timedelta(minutes=1) if source is Source.MINUTE else timedelta(days=1)
    found = run(a_rule, bars, source, **more)
    assert found is not None
    return [((fire.at - bars[0].start) // unit, str(fire.price)) for fire in found.fires]


# --- levels


def test_above_fires_once_per_excursion() -> None:
    assert fires(rule(), minutes("99", "101", "102", "99", "103")) == [(1, "101"), (4, "103")]


def test_above_fires_at_once_where_it_already_is() -> None:
    assert fires(rule(), minutes("101", "102")) == [(0, "101")]


def test_a_crossing_needs_the_near_side_first() -> None:
    assert fires(rule(Kind.CROSSES_ABOVE), minutes("101", "102", "100", "101")) == [(3, "101")]


def test_the_level_itself_is_neither_above_nor_below() -> None:
    at_the_level = minutes("99", "100", "99", "100")
    assert fires(rule(), at_the_level) == []
    assert fires(rule(Kind.BELOW, "99"), at_the_level) == []


def test_back_on_the_level_is_armed_again() -> None:
    assert fires(rule(), minutes("101", "100", "101")) == [(0, "101"), (2, "101")]


def test_below_is_the_mirror_of_above() -> None:
    assert fires(rule(Kind.BELOW), minutes("101", "99", "98", "100", "97")) == [(1, "99"), (4, "97")]


def test_a_band_wants_the_price_further_back() -> None:
    prices = minutes("101", "99.6", "101", "99.5", "101")
    assert fires(rule(), prices) == [(0, "101"), (2, "101"), (4, "101")]
    assert fires(rule(rearm_band=Decimal("0.5")), prices) == [(0, "101"), (4, "101")]


def test_what_was_touched_within_a_bar_is_not_missed() -> None:
    assert fires(rule(), minutes("99 101 98 99")) == [(0, "101")]


@pytest.mark.parametrize(
    ("prices", "way"),
    [
        ("100 103 99 101", "100 99 103 101"),
        ("100 101 97 98", "100 101 97 98"),
        ("100 102 98 100", "100 98 102 100"),
    ],
)
def test_a_bar_goes_to_the_nearer_extreme_first(prices, way) -> None:
    assert " ".join(map(str, way_of(bar(OPEN, prices)))) == way


def test_a_bar_has_one_excursion_each_way() -> None:
    """Beyond at the open, armed again at the low, beyond again at the close."""
    assert fires(rule(), minutes("101 102 99 101")) == [(0, "101"), (0, "101")]


# --- channels


def test_leaving_a_channel_counts_on_both_sides_and_its_edges_belong_to_it() -> None:
    prices = minutes("100", "110", "111", "100", "90", "89", "111")
    assert fires(channel(Kind.LEAVES_CHANNEL), prices) == [(2, "111"), (5, "89")]


def test_a_bar_from_beyond_one_edge_to_beyond_the_other_counts_once() -> None:
    """None of its four prices lies between."""
    assert fires(channel(Kind.LEAVES_CHANNEL), minutes("100", "100 112 85 110")) == [(1, "112")]


def test_entering_a_channel_needs_the_outside_first() -> None:
    assert fires(channel(Kind.ENTERS_CHANNEL), minutes("100", "120", "110", "120", "90")) == [
        (2, "110"),
        (4, "90"),
    ]


# --- moves


def moves(percent: str, window_s: int, way: Way = Way.EITHER) -> Rule:
    return rule(Kind.MOVES, percent, window_s=window_s, way=way)


def test_a_move_is_measured_from_the_extreme_of_its_window() -> None:
    prices = minutes("100", "101", "102", "103", "104", "105")
    assert fires(moves("3", 300), prices) == [(3, "103")]
    assert fires(moves("3", 60), prices) == []


def test_a_fall_is_a_move_as_well_unless_only_rises_are_asked_for() -> None:
    prices = minutes("100", "96", "100")
    assert fires(moves("4", 300), prices) == [(1, "96")]
    assert fires(moves("4", 300, Way.UP), prices) == [(2, "100")]
    assert fires(moves("4", 300, Way.DOWN), prices) == [(1, "96")]


def test_within_a_minute_a_move_follows_the_way_of_its_bar() -> None:
    assert fires(moves("5", 60, Way.UP), minutes("100 105 100 100")) == [(0, "105")]
    assert fires(moves("4", 60, Way.DOWN), minutes("105 105 100 105", "105 105 100 105")) == [
        (0, "100"),
        (1, "100"),
    ]


def test_a_day_has_moved_since_the_close_of_the_day_before() -> None:
    prices = days("100 101 99 100", "106", "106 106 106 106", "106 107 106 106")
    assert fires(moves("5", 86_400), prices, Source.DAY) == [(1, "106")]


def test_after_a_weekend_the_window_of_a_day_begins_with_the_day() -> None:
    friday, monday = datetime(2026, 3, 6, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC)
    assert fires(moves("5", 86_400), [bar(friday, "100"), bar(monday, "110")], Source.DAY) == []


def test_days_tell_nothing_of_shorter_windows() -> None:
    assert run(moves("5", 3_600), days("100", "110"), Source.DAY) is None


# --- against the days before


def test_volume_counts_from_the_morning_on() -> None:
    known = {date(2026, 3, 3): Reference(average_volume=Decimal(100))}
    bars = minutes("10", "11", "12", "13", volume=100)
    assert fires(rule(Kind.VOLUME, "2"), bars, references=known) == [(2, "12")]


def test_volume_begins_anew_each_day() -> None:
    day = minutes("10", "11", "12", volume=100)
    next_day = [replace(one, start=one.start + timedelta(days=1)) for one in day]
    known = dict.fromkeys([date(2026, 3, 3), date(2026, 3, 4)], Reference(average_volume=Decimal(100)))
    assert fires(rule(Kind.VOLUME, "2"), day + next_day, references=known) == [(2, "12"), (1442, "12")]


def test_a_new_high_is_above_the_old_one() -> None:
    known = {date(2026, 3, 3): Reference(high_52w=Decimal(100), low_52w=Decimal(50))}
    bars = minutes("99", "100", "101", "49", "101")
    assert fires(rule(Kind.HIGH_52W, None), bars, references=known) == [(2, "101"), (4, "101")]
    assert fires(rule(Kind.LOW_52W, None), bars, references=known) == [(3, "49")]


def test_without_a_year_before_it_nothing_is_told() -> None:
    assert run(rule(Kind.HIGH_52W, None), minutes("99"), Source.MINUTE, {}) is None


def test_the_year_before_a_day_is_52_weeks() -> None:
    first = datetime(2025, 3, 3, tzinfo=UTC)
    prices = [bar(first + timedelta(days=n), f"{200 - n}") for n in range(365)]
    known = references_of(prices, [date(2026, 3, 2), date(2026, 3, 3)])
    assert [one.high_52w for one in known.values()] == [Decimal(200), Decimal(199)]
    assert [one.day for one in known.values()] == [date(2026, 3, 1), date(2026, 3, 2)]


def test_the_high_of_a_month_is_no_52_week_high() -> None:
    known = references_of(days(*["100"] * 30), [date(2026, 4, 1)])
    assert known[date(2026, 4, 1)] == Reference(average_volume=Decimal(100), day=date(2026, 3, 31))


# --- how it is counted


def test_what_fires_once_is_counted_as_if_it_fired_each_time() -> None:
    found = run(rule(mode=Mode.ONCE), minutes("99", "101", "99", "101"), Source.MINUTE)
    assert (len(found.fires), found.counted_as) == (2, Mode.REPEAT)


def test_once_a_day_is_a_day_of_the_owner() -> None:
    prices = minutes("101", "99", "101", start=datetime(2026, 3, 3, 14, 59, tzinfo=UTC))
    assert fires(rule(mode=Mode.DAILY), prices) == [(0, "101")]
    tokyo = rule(mode=Mode.DAILY, time_zone="Asia/Tokyo")  # whose 4 March begins at 15:00 UTC
    found = run(tokyo, prices, Source.MINUTE)
    assert ([fire.at.minute for fire in found.fires], found.counted_as) == ([59, 1], Mode.DAILY)


def test_a_cooldown_swallows_fires() -> None:
    prices = minutes("101", "99", "101", "99", "101")
    assert fires(rule(cooldown_s=180), prices) == [(0, "101"), (4, "101")]


def test_expiry_and_snoozing_are_left_out() -> None:
    past, future = OPEN - timedelta(days=1), OPEN + timedelta(days=1)
    assert fires(rule(expires_at=past, snoozed_until=future), minutes("101")) == [(0, "101")]


def test_silence_leaves_no_trace() -> None:
    assert run(rule(Kind.STALE, None, stale_after_s=60), minutes("99"), Source.MINUTE) is None


def test_no_bars_tell_nothing() -> None:
    assert run(rule(), [], Source.MINUTE) is None


def test_days_are_those_of_new_york() -> None:
    late = minutes("99", "101", start=datetime(2026, 3, 4, 0, 30, tzinfo=UTC))
    found = run(rule(sessions=Sessions.EXTENDED), minutes("99") + late, Source.MINUTE)
    assert (found.days, found.since, found.until, found.per_day) == (
        1,
        date(2026, 3, 3),
        date(2026, 3, 3),
        1.0,
    )


# --- advice


def wobbling(times: int) -> list[Bar]:
    """In one day, so many times over the level and 0.3 % under it."""
    return minutes(*["101", "99.7"] * times)


def test_wider_bands_are_counted_as_well() -> None:
    found = run(rule(), wobbling(5), Source.MINUTE)
    assert len(found.fires) == 5
    assert found.fires_with_band == dict(zip(BANDS, (5, 5, 1, 1), strict=True))


def test_only_bands_wider_than_its_own_are_counted() -> None:
    found = run(rule(rearm_band=Decimal("0.25")), wobbling(5), Source.MINUTE)
    assert list(found.fires_with_band) == [Decimal("0.5"), Decimal(1)]


def test_more_than_three_a_day_are_too_many() -> None:
    assert [run(rule(), wobbling(times), Source.MINUTE).advice.warning for times in (3, 4)] == [False, True]


def test_the_smallest_band_is_suggested_that_leaves_less_than_one_a_day() -> None:
    next_day = [replace(one, start=one.start + timedelta(days=1)) for one in minutes("101")]
    found = run(rule(), wobbling(8) + next_day, Source.MINUTE)
    assert found.advice == Advice(warning=True, band=Decimal("0.5"), fires=1)


def test_else_the_best_one_is_suggested() -> None:
    found = run(rule(), minutes(*["101", "99.7"] * 5, *["101", "98"] * 2), Source.MINUTE)
    assert found.advice == Advice(warning=True, band=Decimal("0.5"), fires=2)


def test_no_band_is_suggested_where_none_helps() -> None:
    found = run(rule(), minutes(*["101", "90"] * 5), Source.MINUTE)
    assert found.advice == Advice(warning=True)


# --- the same as without any short cut


prices = st.integers(9_950, 10_050).map(lambda cents: Decimal(cents) / 100)


@st.composite
def walks(draw: st.DrawFn) -> list[Bar]:
    made = []
    for n in range(draw(st.integers(1, 25))):
        four = draw(st.lists(prices, min_size=4, max_size=4))
        first, last = four[0], four[3]
        start = OPEN + timedelta(minutes=n)
        made.append(Bar("ABC", start, first, max(four), min(four), last, 100))
    return made


kinds = st.sampled_from([Kind.ABOVE, Kind.BELOW, Kind.CROSSES_ABOVE, Kind.CROSSES_BELOW])
rules = st.one_of(
    st.builds(rule, kinds, st.sampled_from(["99.8", "100", "100.01"])),
    st.builds(
        rule,
        st.sampled_from([Kind.LEAVES_CHANNEL, Kind.ENTERS_CHANNEL]),
        st.none(),
        lower=st.sampled_from([Decimal("99.7"), Decimal("99.9")]),
        upper=st.sampled_from([Decimal(100), Decimal("100.2")]),
    ),
)


@given(
    walks(),
    rules,
    st.sampled_from(["0", "0.01", "0.1", "0.5"]),
    st.sampled_from([0, 60, 300]),
    st.sampled_from(Mode),
)
def test_bars_that_are_passed_over_hide_nothing(bars, a_rule, band, cooldown_s, mode) -> None:
    a_rule = replace(a_rule, rearm_band=Decimal(band), cooldown_s=cooldown_s, mode=mode)
    found = run(a_rule, bars, Source.MINUTE)
    counted = replace(a_rule, mode=found.counted_as)
    assert [tuple(fire) for fire in found.fires] == every_price(counted, bars)


def every_price(a_rule: Rule, bars: list[Bar]) -> list[tuple[datetime, Decimal]]:
    phase, fired_at, fired_day, told = first_phase(a_rule.kind), None, None, []
    for one in bars:
        for price in way_of(one):
            phase, fires_now = step(a_rule, phase, price)
            if fires_now and not (allowance := allowed(a_rule, one.start, fired_at, fired_day)).refusal:
                told.append((one.start, price))
                fired_at, fired_day = one.start, allowance.day
    return told


@given(walks(), st.sampled_from(Way), st.sampled_from([60, 300, 900]), st.sampled_from(["0.1", "0.5", "0.8"]))
def test_moves_are_those_of_every_pair_of_prices_in_the_window(bars, way, window_s, percent) -> None:
    a_rule = moves(percent, window_s, way)
    phase, told = first_phase(Kind.MOVES), []
    for n, one in enumerate(bars):
        known = [price for earlier in bars[max(n + 1 - window_s // 60, 0) : n] for price in way_of(earlier)]
        for price in way_of(one):
            known.append(price)
            up = (price / min(known) - 1) * 100
            down = (1 - price / max(known)) * 100
            value = {Way.UP: up, Way.DOWN: down, Way.EITHER: max(up, down)}[way]
            phase, fires_now = step(a_rule, phase, value)
            if fires_now:
                told.append((one.start, price))
    assert [tuple(fire) for fire in run(a_rule, bars, Source.MINUTE).fires] == told
