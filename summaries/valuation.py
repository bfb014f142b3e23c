"""Ratios of a company's price and the discounted value of its cash flows. Pure, and exact in Decimal.

Each function says its formula and the name under which textbooks have it (Brealey, Myers and Allen, "Principles of
Corporate Finance"; Graham, "The Intelligent Investor"; Lynch, "One Up on Wall Street"; Damodaran, "Investment
Valuation"). None means that the formula makes no sense for these figures, never that nothing is known: who calls has
looked before. Rates are fractions (0.05 is 5 %).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

ZERO, ONE = Decimal(0), Decimal(1)
HUNDRED = Decimal(100)

# What is assumed where a company's own figures say nothing; docs/design/analyses.md tells why.
RISK_FREE = Decimal("0.042")
PREMIUM = Decimal("0.048")
LOWEST_RETURN, HIGHEST_RETURN = Decimal("0.07"), Decimal("0.14")
TERMINAL_GROWTH = Decimal("0.025")
LOWEST_GROWTH, HIGHEST_GROWTH = Decimal("-0.05"), Decimal("0.15")
YEARS = 10
# How far the neighbours in the grid lie.
GROWTH_STEP = Decimal("0.025")
RETURN_STEP = Decimal("0.01")
GRAHAM_FACTOR = Decimal("22.5")


# --- Multiples of the price


def price_to_earnings(price: Decimal, eps: Decimal) -> Decimal | None:
    """P/E = price / earnings per share; None for a loss."""
    return _multiple(price, eps)


def price_to_book(price: Decimal, book_value_per_share: Decimal) -> Decimal | None:
    """P/B = price / book value per share; None where the debts exceed the assets."""
    return _multiple(price, book_value_per_share)


def price_to_sales(price: Decimal, revenue_per_share: Decimal) -> Decimal | None:
    """P/S = price / revenue per share."""
    return _multiple(price, revenue_per_share)


def peg(price: Decimal, eps: Decimal, growth: Decimal) -> Decimal | None:
    """PEG = P/E / (growth of earnings in percent) (Lynch); None for a loss or without growth."""
    multiple = price_to_earnings(price, eps)
    return None if multiple is None or growth <= 0 else multiple / (growth * HUNDRED)


def growth_and_yield_to_pe(
    price: Decimal, eps: Decimal, growth: Decimal, dividend_per_share: Decimal
) -> Decimal | None:
    """(growth in percent + dividend yield in percent) / P/E (Lynch): below 1 is poor, 2 is what he looked for."""
    multiple = price_to_earnings(price, eps)
    income = dividend_yield(price, dividend_per_share)
    return None if multiple is None or income is None else (growth + income) * HUNDRED / multiple


def graham_number(eps: Decimal, book_value_per_share: Decimal) -> Decimal | None:
    """sqrt(22.5 x earnings per share x book value per share): P/E 15 times P/B 1.5 at most (Graham)."""
    if eps <= 0 or book_value_per_share <= 0:
        return None
    return (GRAHAM_FACTOR * eps * book_value_per_share).sqrt()


# --- Yields


def earnings_yield(price: Decimal, eps: Decimal) -> Decimal | None:
    """Earnings per share / price; below zero for a loss."""
    return _share_of(price, eps)


def dividend_yield(price: Decimal, dividend_per_share: Decimal) -> Decimal | None:
    """Dividend of a year / price."""
    return _share_of(price, dividend_per_share)


def fcf_per_share(fcf: Decimal, shares: Decimal) -> Decimal | None:
    """Free cash flow / shares."""
    return _share_of(shares, fcf)


def fcf_yield(price: Decimal, fcf: Decimal, shares: Decimal) -> Decimal | None:
    """Free cash flow / market value of all shares."""
    return _share_of(price * shares, fcf)


def payout(eps: Decimal, dividend_per_share: Decimal) -> Decimal | None:
    """Payout ratio = dividend per share / earnings per share; None for a loss."""
    return _multiple(dividend_per_share, eps)


# --- Debt


def net_debt(total_debt: Decimal, cash: Decimal) -> Decimal:
    """What is owed beyond the cash at hand; below zero where there is more cash than debt."""
    return total_debt - cash


def enterprise_value(price: Decimal, shares: Decimal, owed: Decimal) -> Decimal | None:
    """Market value of all shares + net debt; None where the cash alone is worth more than the price asks."""
    value = price * shares + owed
    return value if price > 0 and shares > 0 and value > 0 else None


def enterprise_to_fcf(price: Decimal, shares: Decimal, owed: Decimal, fcf: Decimal) -> Decimal | None:
    """Enterprise value / free cash flow; None where cash flows out."""
    value = enterprise_value(price, shares, owed)
    return None if value is None else _multiple(value, fcf)


def years_to_repay(total_debt: Decimal, fcf: Decimal) -> Decimal | None:
    """Debt / free cash flow; None where cash flows out."""
    return _multiple(total_debt, fcf)


# --- Discounted cash flow


def required_return(beta: Decimal | None) -> Decimal:
    """CAPM: risk-free rate + beta x equity premium, kept within 7 and 14 %; beta 1 where it is not known."""
    wanted = RISK_FREE + (ONE if beta is None else beta) * PREMIUM
    return min(max(wanted, LOWEST_RETURN), HIGHEST_RETURN)


def bounded_growth(known: Sequence[Decimal]) -> Decimal | None:
    """The first year's growth: the lowest that the past tells, kept within -5 and 15 %; None where it tells nothing."""
    return min(max(min(known), LOWEST_GROWTH), HIGHEST_GROWTH) if known else None


def faded(growth: Decimal, terminal: Decimal = TERMINAL_GROWTH, years: int = YEARS) -> list[Decimal]:
    """The growth of each year: `growth` in the first, `terminal` in the last, on a straight line between."""
    if years == 1:
        return [growth]
    step = (terminal - growth) / (years - 1)
    return [growth + step * year for year in range(years)]


@dataclass(frozen=True, slots=True)
class Firm:
    """What a discounted value begins with: of the whole company, in one currency."""

    fcf: Decimal
    net_debt: Decimal
    shares: Decimal


@dataclass(frozen=True, slots=True)
class Worth:
    """A discounted value and its parts."""

    per_share: Decimal
    """Below zero where the debts exceed what the cash flows are worth."""
    enterprise: Decimal
    beyond: Decimal
    """Which part of it lies beyond the last year that was worked out."""


def worth(
    firm: Firm, growth: Decimal, discount: Decimal, terminal: Decimal = TERMINAL_GROWTH, years: int = YEARS
) -> Worth | None:
    """Two-stage free-cash-flow model with Gordon's terminal value.

    Enterprise value = sum of FCF(t) / (1 + r)^t for the years t, where FCF(t) = FCF(t-1) x (1 + g(t)) and g(t) fades to
    the terminal rate, + FCF(years) x (1 + terminal) / (r - terminal) / (1 + r)^years. Per share = (enterprise value -
    net debt) / shares. None where cash flows out, or where r is not above the terminal rate.
    """
    if firm.fcf <= 0 or firm.shares <= 0 or discount <= terminal:
        return None
    flow, factor, near = firm.fcf, ONE, ZERO
    for rate in faded(growth, terminal, years):
        flow *= ONE + rate
        factor *= ONE + discount
        near += flow / factor
    far = flow * (ONE + terminal) / (discount - terminal) / factor
    enterprise = near + far
    return Worth((enterprise - firm.net_debt) / firm.shares, enterprise, far / enterprise)


@dataclass(frozen=True, slots=True)
class Grid:
    """How the value per share moves with what was assumed: a row per growth, a column per required return."""

    growths: tuple[Decimal, ...]
    discounts: tuple[Decimal, ...]
    values: tuple[tuple[Decimal | None, ...], ...]

    @property
    def cells(self) -> tuple[Decimal, ...]:
        return tuple(value for row in self.values for value in row if value is not None)


def grid(firm: Firm, growth: Decimal, discount: Decimal, terminal: Decimal = TERMINAL_GROWTH) -> Grid:
    """Sensitivity analysis: growth 2.5 points lower, as assumed and higher, required return 1 point lower to higher."""
    growths = tuple(growth + GROWTH_STEP * way for way in (-1, 0, 1))
    discounts = tuple(discount + RETURN_STEP * way for way in (-1, 0, 1))
    values = tuple(
        tuple(_per_share(worth(firm, rate, wanted, terminal)) for wanted in discounts) for rate in growths
    )
    return Grid(growths, discounts, values)


def _per_share(value: Worth | None) -> Decimal | None:
    return None if value is None else value.per_share


def _multiple(value: Decimal, of: Decimal) -> Decimal | None:
    return value / of if value >= 0 and of > 0 else None


def _share_of(whole: Decimal, part: Decimal) -> Decimal | None:
    return part / whole if whole > 0 else None
