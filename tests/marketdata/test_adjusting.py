from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.adjusting import (
    Adjustment,
    Name,
    adjust,
    adjusted,
    adjusted_price,
    adjusted_quantity,
    closes_before,
    names_of,
    steps_of,
    successor_of,
)
from marketdata.providers.replay_bars import actions as shipped_actions
from marketdata.providers.replay_bars import histories
from marketdata.quotes import Action, ActionKind, Bar

MONDAY = date(2024, 6, 10)
BEFORE = MONDAY - timedelta(days=1)
RATIOS = {"4:1": (1, 4), "20:1": (1, 20), "3:2": (2, 3), "1:50 reverse": (50, 1), "1:7 reverse": (7, 1)}


def split(day=MONDAY, old=1, new=4):
    return Action("ABC", ActionKind.SPLIT, day, split_from=Decimal(old), split_to=Decimal(new))


def dividend(amount, day=MONDAY, **fields):
    return Action("ABC", ActionKind.DIVIDEND, day, amount=Decimal(amount), **fields)


def rename(old, new, day):
    return Action(old, ActionKind.RENAME, day, new_symbol=new)


def bar(day, close, volume=1000, symbol="ABC"):
    price = Decimal(close)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Bar(symbol, start, price, price + 1, price - Decimal("0.5"), price, volume)


def run(first, *closes):
    return [bar(first + timedelta(days=i), close) for i, close in enumerate(closes)]


def closes(bars):
    return [bar.close for bar in bars]


def test_raw_bars_stay_as_they_are():
    bars = run(BEFORE, "400", "101")

    assert adjust(bars, [split(), dividend("1")], Adjustment.RAW) == bars


def test_a_split_restates_all_that_was_before_and_nothing_after():
    bars = run(BEFORE - timedelta(days=1), "396", "400", "101")

    found = adjust(bars, [split()], Adjustment.SPLIT)

    assert closes(found) == [Decimal(99), Decimal(100), Decimal(101)]
    assert (found[1].open, found[1].high, found[1].low) == (100, Decimal("100.25"), Decimal("99.875"))
    assert [one.volume for one in found] == [4000, 4000, 1000]


def test_splits_multiply():
    bars = run(BEFORE, "800", "200", "10")

    found = adjust(bars, [split(), split(MONDAY + timedelta(days=1), 1, 20)], Adjustment.SPLIT)

    assert closes(found) == [10, 10, 10]
    assert [one.volume for one in found] == [80_000, 20_000, 1000]


def test_dividends_count_only_where_all_is_asked_for():
    bars = run(BEFORE, "100", "98")

    assert closes(adjust(bars, [dividend("2")], Adjustment.SPLIT)) == [100, 98]
    assert closes(adjust(bars, [dividend("2")], Adjustment.ALL)) == [98, 98]


def test_a_regular_and_a_special_dividend_of_one_morning_add_up():
    bars = run(BEFORE, "30", "26")

    found = adjust(bars, [dividend("1"), dividend("3", special=True)], Adjustment.ALL)

    assert closes(found) == [26, 26]


def test_a_dividend_on_the_morning_of_a_split_is_paid_on_the_new_shares():
    bars = run(BEFORE, "400", "99")

    assert closes(adjust(bars, [dividend("1"), split()], Adjustment.ALL)) == [99, 99]


@pytest.mark.parametrize("amount", ["100", "250"])
def test_a_dividend_as_large_as_the_price_is_not_believed(amount):
    bars = run(BEFORE, "100", "98")

    assert adjust(bars, [dividend(amount)], Adjustment.ALL) == bars


def test_a_dividend_before_the_first_bar_changes_nothing():
    bars = run(MONDAY, "100", "98")

    assert adjust(bars, [dividend("2")], Adjustment.ALL) == bars


def test_the_close_before_a_holiday_is_the_last_one_known():
    bars = run(BEFORE - timedelta(days=3), "90", "100")

    assert closes_before(bars, [MONDAY, BEFORE - timedelta(days=3)]) == {MONDAY: Decimal(100)}


def test_a_result_is_rounded_once_to_eight_decimals():
    bars = run(BEFORE, "1.00000001", "0.34")

    assert closes(adjust(bars, [split(new=3)], Adjustment.SPLIT))[0] == Decimal("0.33333334")
    thrice = [split(BEFORE + timedelta(days=n), old=3, new=1) for n in (1,)] + [split(new=3)]
    assert closes(adjust(bars, thrice, Adjustment.SPLIT))[0] == Decimal("1.00000001")


@pytest.mark.parametrize("ratio", RATIOS.values(), ids=RATIOS)
@given(price=st.decimals("0.5", "99999", places=2), shares=st.integers(1, 10**6))
def test_what_is_held_keeps_its_value_over_a_split(ratio, price, shares):
    actions = [split(MONDAY, *ratio)]

    quantity = adjusted_quantity(Decimal(shares), BEFORE, actions, MONDAY)
    later = adjusted_price(price, BEFORE, actions, MONDAY)

    rounding = Decimal("0.000000005") * (later + quantity + 1)
    assert abs(quantity * later - shares * price) <= rounding
    assert abs(Fraction(quantity) - shares * Fraction(ratio[1], ratio[0])) <= Fraction(1, 2 * 10**8)


@pytest.mark.parametrize(("old", "new"), [(1, 4), (1, 20), (50, 1), (1, 50)])
def test_common_splits_keep_the_value_to_the_last_digit(old, new):
    actions = [split(MONDAY, old, new)]

    quantity = adjusted_quantity(Decimal(150), BEFORE, actions, MONDAY)
    price = adjusted_price(Decimal("187.32"), BEFORE, actions, MONDAY)

    assert quantity * price == 150 * Decimal("187.32")


def test_what_was_bought_on_the_ex_date_is_in_new_shares_already():
    assert adjusted_quantity(Decimal(10), MONDAY, [split()], MONDAY) == 10
    assert adjusted_quantity(Decimal(10), BEFORE, [split()], BEFORE) == 10


def test_what_was_sold_before_a_split_is_restated_like_what_is_held():
    """Sold shares do not multiply by themselves; the trade of then is told in the shares of today."""
    actions, traded = [split()], BEFORE - timedelta(days=30)

    bought, sold = (adjusted_quantity(Decimal(n), traded, actions, MONDAY) for n in (10, 10))

    assert (bought, bought - sold) == (40, 0)


ratios = st.sampled_from(list(RATIOS.values()))
days = st.integers(1, 40)
histories_of_actions = st.lists(st.tuples(days, ratios, st.decimals("0.01", "2", places=2)), max_size=8)
prices = st.lists(st.decimals("20", "500", places=2), min_size=2, max_size=40)


def actions_of(drawn):
    splits = [split(BEFORE + timedelta(days=day), *ratio) for day, ratio, _ in drawn]
    return splits + [dividend(amount, BEFORE + timedelta(days=day)) for day, _, amount in drawn[::2]]


@given(drawn=histories_of_actions, closing=prices)
def test_the_newest_bar_is_never_changed_and_the_order_of_actions_does_not_matter(drawn, closing):
    bars = run(BEFORE, *closing)
    actions = [one for one in actions_of(drawn) if one.ex_date <= bars[-1].start.date()]

    found = adjust(bars, actions, Adjustment.ALL)

    assert found[-1] == bars[-1]
    assert found == adjust(bars, actions[::-1], Adjustment.ALL)


@given(drawn=histories_of_actions, closing=prices)
def test_turnover_stays_the_same_over_splits(drawn, closing):
    bars = run(BEFORE, *closing)
    found = adjust(bars, actions_of(drawn), Adjustment.SPLIT)

    for before, after in zip(bars, found, strict=True):
        # A volume is a whole number, which is all that may be lost, and so is half of a price's last digit.
        allowed = after.close / 2 + after.volume * Decimal("0.00000001") + 1
        assert abs(before.close * before.volume - after.close * after.volume) <= allowed


@given(closing=prices, amount=st.decimals("0.01", "5", places=2), ratio=ratios)
def test_the_adjusted_return_over_an_ex_date_is_that_of_a_holder(closing, amount, ratio):
    """Who held one share had `ratio` shares and the dividend on each of them the next evening."""
    bars = run(BEFORE, *closing)
    shares = Fraction(ratio[1], ratio[0])
    worth = Fraction(bars[0].close) - Fraction(amount) * shares
    if worth <= Fraction(1, 100):
        return

    found = adjust(bars, [split(MONDAY, *ratio), dividend(amount)], Adjustment.ALL)

    # Compared as products: a rounded price may be small.
    assert abs(Fraction(found[0].close) * shares - worth) <= Fraction(1, 10**8) * shares


def test_a_page_of_bars_is_adjusted_by_steps_from_outside_it():
    steps = steps_of([split(MONDAY + timedelta(days=90))], Adjustment.SPLIT)

    assert closes(adjusted(run(BEFORE, "400", "404"), steps)) == [100, 101]


# --- Real facts


def shipped(symbol):
    rows = histories()[symbol].rows(date(2000, 1, 1), date(2014, 1, 1))
    return [bar(row.day, Decimal(row.close).scaleb(-2), row.volume, symbol) for row in rows]


REAL_SPLITS = [("AAPL", date(2000, 6, 21)), ("AAPL", date(2005, 2, 28)), ("MSFT", date(2003, 2, 18))]


@pytest.mark.parametrize(("symbol", "day"), REAL_SPLITS)
def test_a_real_split_halves_the_raw_price_and_leaves_the_adjusted_one_alone(symbol, day):
    bars = shipped(symbol)
    at = next(i for i, one in enumerate(bars) if one.start.date() == day)

    split_adjusted = adjust(bars, shipped_actions()[symbol], Adjustment.SPLIT)

    assert 0.45 < bars[at].close / bars[at - 1].close < 0.60
    assert 0.90 < split_adjusted[at].close / split_adjusted[at - 1].close < 1.10


def test_the_real_history_of_apple_starts_at_a_quarter_of_its_price():
    bars = shipped("AAPL")

    found = adjust(bars, shipped_actions()["AAPL"], Adjustment.SPLIT)

    assert (bars[0].close, found[0].close) == (Decimal("130.31"), Decimal("32.5775"))
    assert found[0].volume == 4 * bars[0].volume
    assert found[-1] == bars[-1]


# Adjusted close of 2000-03-01 over that of 2013-03-01, as published with the same prices. The publisher divides by
# 1 + D / (close of the ex-date) where this module, like most, takes 1 - D / (close before): hence the tolerance.
PUBLISHED = {"AAPL": "0.0745789", "IBM": "0.4203071", "MSFT": "1.2244892"}


@pytest.mark.parametrize("symbol", PUBLISHED)
def test_fully_adjusted_closes_agree_with_the_published_ones(symbol):
    found = adjust(shipped(symbol), shipped_actions()[symbol], Adjustment.ALL)

    assert float(found[0].close / found[-1].close) == pytest.approx(float(PUBLISHED[symbol]), rel=0.002)


def test_real_dividends_are_small_against_the_price_so_no_day_jumps():
    for symbol in ("IBM", "MSFT"):
        found = adjust(shipped(symbol), shipped_actions()[symbol], Adjustment.ALL)

        assert max(abs(b.close / a.close - 1) for a, b in pairwise(found)) < Decimal("0.25")


# --- Names


def test_the_names_of_an_instrument_are_a_chain():
    renames = [
        rename("FB", "META", date(2022, 6, 9)),
        rename("TFB", "FB", date(2012, 5, 18)),
        rename("X", "Y", date(2020, 1, 1)),
    ]

    assert names_of("META", renames) == [
        Name("TFB", None, date(2012, 5, 18)),
        Name("FB", date(2012, 5, 18), date(2022, 6, 9)),
        Name("META", date(2022, 6, 9), None),
    ]
    assert names_of("X", renames) == [Name("X")]
    assert successor_of("TFB", date(2010, 1, 1), renames, date(2024, 1, 1)) == "META"
    assert successor_of("TFB", date(2010, 1, 1), renames, date(2020, 1, 1)) == "FB"


def test_a_symbol_that_comes_back_is_no_endless_chain():
    renames = [rename("A", "B", date(2020, 1, 1)), rename("B", "A", date(2021, 1, 1))]

    assert [name.symbol for name in names_of("A", renames)] == ["A", "B", "A"]
    assert successor_of("A", date(2019, 1, 1), renames, date(2024, 1, 1)) == "A"


def test_a_symbol_that_another_company_took_later_leads_nowhere():
    renames = [rename("OLD", "NEW", date(2020, 1, 1))]

    assert successor_of("OLD", date(2021, 1, 1), renames, date(2024, 1, 1)) == "OLD"
