"""Ratios and the discounted value against examples worked out by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from summaries import valuation
from summaries.valuation import Firm, worth

D = Decimal

# One company for all examples: a price of 60, earnings of 4 and a book value of 20 per share.
PRICE, EPS, BOOK = D(60), D(4), D(20)


@pytest.mark.parametrize(
    ("value", "by_hand"),
    [
        (valuation.price_to_earnings(PRICE, EPS), D(15)),  # 60 / 4
        (valuation.price_to_book(PRICE, BOOK), D(3)),  # 60 / 20
        (valuation.price_to_sales(PRICE, D(40)), D("1.5")),  # 60 / 40
        (valuation.peg(PRICE, EPS, D("0.12")), D("1.25")),  # P/E 15 / 12 percent
        # growth 12 percent + yield 3 percent (1.80 / 60) = 15, by P/E 15
        (valuation.growth_and_yield_to_pe(PRICE, EPS, D("0.12"), D("1.80")), D(1)),
        (valuation.earnings_yield(PRICE, D(3)), D("0.05")),  # 3 / 60
        (valuation.earnings_yield(PRICE, D(-3)), D("-0.05")),
        (valuation.dividend_yield(PRICE, D("1.80")), D("0.03")),  # 1.80 / 60
        (valuation.fcf_per_share(D(500), D(100)), D(5)),  # 500 / 100
        (valuation.fcf_yield(PRICE, D(300), D(100)), D("0.05")),  # 300 / (60 x 100)
        (valuation.payout(EPS, D("1.80")), D("0.45")),  # 1.80 / 4
        (valuation.net_debt(D(900), D(300)), D(600)),
        (valuation.enterprise_value(PRICE, D(100), D(600)), D(6600)),  # 60 x 100 + 600
        (valuation.enterprise_to_fcf(PRICE, D(100), D(600), D(330)), D(20)),  # 6600 / 330
        (valuation.years_to_repay(D(900), D(300)), D(3)),  # 900 / 300
        # 22.5 x 4 x 22.5 = 2025 = 45 x 45
        (valuation.graham_number(EPS, D("22.5")), D(45)),
    ],
)
def test_a_ratio_is_what_it_is_by_hand(value, by_hand):
    assert value == by_hand


@pytest.mark.parametrize(
    "value",
    [
        valuation.price_to_earnings(PRICE, D(-1)),
        valuation.price_to_earnings(PRICE, D(0)),
        valuation.price_to_book(PRICE, D(-20)),
        valuation.price_to_sales(PRICE, D(0)),
        valuation.peg(PRICE, D(-1), D("0.1")),
        valuation.peg(PRICE, EPS, D(0)),
        valuation.peg(PRICE, EPS, D("-0.1")),
        valuation.growth_and_yield_to_pe(PRICE, D(-1), D("0.1"), D(1)),
        valuation.earnings_yield(D(0), EPS),
        valuation.fcf_per_share(D(1), D(0)),
        valuation.fcf_yield(PRICE, D(1), D(0)),
        valuation.payout(D(-1), D(1)),
        valuation.enterprise_value(PRICE, D(100), D(-6000)),
        valuation.enterprise_to_fcf(PRICE, D(100), D(0), D(-1)),
        valuation.years_to_repay(D(900), D(0)),
        valuation.graham_number(D(-4), D(-20)),
        valuation.bounded_growth([]),
    ],
)
def test_what_makes_no_sense_is_nothing(value):
    assert value is None


@pytest.mark.parametrize(
    ("beta", "by_hand"),
    [
        (D(1), D("0.090")),  # 4.2 % + 1 x 4.8 %
        (D("1.5"), D("0.114")),  # 4.2 % + 7.2 %
        (None, D("0.090")),
        (D("0.2"), D("0.07")),  # 5.16 %, kept at 7 %
        (D(-1), D("0.07")),
        (D(4), D("0.14")),  # 23.4 %, kept at 14 %
    ],
)
def test_the_required_return_follows_beta_within_bounds(beta, by_hand):
    assert valuation.required_return(beta) == by_hand


@pytest.mark.parametrize(
    ("known", "by_hand"),
    [
        ([D("0.08"), D("0.12")], D("0.08")),
        ([D("0.60")], D("0.15")),
        ([D("-0.30"), D("0.10")], D("-0.05")),
    ],
)
def test_growth_is_the_lowest_known_within_bounds(known, by_hand):
    assert valuation.bounded_growth(known) == by_hand


def test_growth_fades_on_a_straight_line():
    # From 10 to 2 percent in five years: (2 - 10) / 4 = 2 points less each year.
    assert valuation.faded(D("0.10"), D("0.02"), 5) == [
        D("0.10"), D("0.08"), D("0.06"), D("0.04"), D("0.02"),
    ]  # fmt: skip


def test_a_value_of_three_years_is_what_it_is_by_hand():
    # FCF 100, growth 10, 6 and 2 %, required return 10 %, afterwards 2 % for ever:
    #   year 1: 100    x 1.10 = 110      / 1.1   = 100.000
    #   year 2: 110    x 1.06 = 116.6    / 1.21  =  96.364
    #   year 3: 116.6  x 1.02 = 118.932  / 1.331 =  89.355   together 285.719
    #   after:  118.932 x 1.02 / (0.10 - 0.02) = 1516.383 / 1.331 = 1139.281
    # Enterprise value 285.719 + 1139.281 = 1425; net debt 200 and 50 shares: 1225 / 50 = 24.50.
    value = worth(Firm(D(100), D(200), D(50)), D("0.10"), D("0.10"), D("0.02"), years=3)

    assert value is not None
    assert round(value.enterprise, 9) == D(1425)
    assert round(value.per_share, 9) == D("24.5")
    assert round(value.beyond, 4) == D("0.7995")  # 1139.281 / 1425


def test_a_value_of_ten_years_is_what_it_is_by_hand():
    # No growth at all is a perpetuity, however many years of it are worked out: 90 / 0.09 = 1000.
    # Net cash of 100 (net debt -100) and 100 shares: 1100 / 100 = 11.
    value = worth(Firm(D(90), D(-100), D(100)), D(0), D("0.09"), D(0))

    assert value is not None
    assert round(value.per_share, 9) == D(11)


def test_constant_growth_is_gordons_formula():
    # FCF 100 growing 2.5 % for ever at 9 %: 100 x 1.025 / (0.09 - 0.025) = 102.5 / 0.065 = 1576.923; by 10 shares.
    value = worth(Firm(D(100), D(0), D(10)), D("0.025"), D("0.09"))

    assert value is not None
    assert round(value.per_share, 3) == D("157.692")


def test_debts_beyond_what_the_cash_flows_are_worth_leave_less_than_nothing():
    # As the perpetuity above: 1000 - 1500 = -500, by 100 shares.
    value = worth(Firm(D(90), D(1500), D(100)), D(0), D("0.09"), D(0))

    assert value is not None
    assert round(value.per_share, 9) == D(-5)


@pytest.mark.parametrize(
    ("fcf", "shares", "discount"),
    [(D(0), D(10), D("0.09")), (D(-5), D(10), D("0.09")), (D(5), D(0), D("0.09")), (D(5), D(10), D("0.025"))],
)
def test_there_is_no_value_without_cash_shares_or_a_return_above_the_terminal_growth(fcf, shares, discount):
    assert worth(Firm(fcf, D(0), shares), D("0.05"), discount) is None


def test_the_grid_moves_growth_and_return_around_what_was_assumed():
    firm = Firm(D(100), D(0), D(10))
    table = valuation.grid(firm, D("0.05"), D("0.09"))

    assert table.growths == (D("0.025"), D("0.050"), D("0.075"))
    assert table.discounts == (D("0.08"), D("0.09"), D("0.10"))
    assert table.values[1][1] == worth(firm, D("0.05"), D("0.09")).per_share
    # Its first row is Gordon's formula: 102.5 / (0.08 - 0.025) / 10, / 0.065, / 0.075.
    assert [round(value, 3) for value in table.values[0]] == [D("186.364"), D("157.692"), D("136.667")]
    assert len(table.cells) == 9


def test_a_grid_leaves_out_where_the_return_is_not_above_the_terminal_growth():
    table = valuation.grid(Firm(D(100), D(0), D(10)), D("0.05"), D("0.03"))

    assert [row[0] for row in table.values] == [None, None, None]
    assert len(table.cells) == 6


money = st.decimals(D(1), D(10**12), places=2)
growths = st.decimals(D("-0.05"), D("0.15"), places=4)
returns = st.decimals(D("0.05"), D("0.20"), places=4)
more = st.decimals(D("0.001"), D("0.05"), places=4)


@given(money, money, money, growths, returns, more)
def test_who_wants_a_higher_return_pays_less(fcf, owed, shares, growth, discount, higher):
    firm = Firm(fcf, owed, shares)
    assert worth(firm, growth, discount + higher).enterprise < worth(firm, growth, discount).enterprise


@given(money, money, money, growths, returns, more)
def test_more_growth_is_worth_more(fcf, owed, shares, growth, discount, higher):
    firm = Firm(fcf, owed, shares)
    assert worth(firm, growth + higher, discount).enterprise > worth(firm, growth, discount).enterprise


@given(money, money, money, growths, returns)
def test_more_debt_is_worth_less(fcf, owed, shares, growth, discount):
    before = worth(Firm(fcf, owed, shares), growth, discount)
    after = worth(Firm(fcf, owed * 2, shares), growth, discount)
    assert after.per_share < before.per_share


@given(money, money, money, growths, returns)
def test_more_cash_flow_is_worth_more(fcf, owed, shares, growth, discount):
    before = worth(Firm(fcf, owed, shares), growth, discount)
    after = worth(Firm(fcf * 2, owed, shares), growth, discount)
    assert after.per_share > before.per_share


@given(money, money, growths, returns)
def test_half_the_value_for_twice_the_shares(fcf, shares, growth, discount):
    one = worth(Firm(fcf, D(0), shares), growth, discount).per_share
    half = worth(Firm(fcf, D(0), shares * 2), growth, discount).per_share
    assert abs(half * 2 - one) <= abs(one) * D("1e-20")


@given(money, money, money)
def test_a_dearer_price_has_a_higher_multiple_and_a_lower_yield(price, eps, shares):
    assume(price * 2 < D(10**12))
    assert valuation.price_to_earnings(price * 2, eps) > valuation.price_to_earnings(price, eps)
    assert valuation.earnings_yield(price * 2, eps) < valuation.earnings_yield(price, eps)
    assert valuation.fcf_yield(price * 2, eps, shares) < valuation.fcf_yield(price, eps, shares)
