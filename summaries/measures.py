"""What each criterion of a persona looks at: one figure of a company at one price, and the sentence that tells it.

A measure answers None when what it needs is not known: the criterion is left out then. Where the figures are known and
its formula makes no sense of them (a loss has no P/E), it answers with no value, which is worth no points: else a
company that begins to lose money would lose a criterion and might gain by it. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext

from marketdata.company import Fundamentals
from summaries import valuation
from summaries.valuation import Firm, Grid, Worth

ZERO = Decimal(0)
# Lynch distrusts faster growth: it does not last.
SUSTAINABLE = Decimal("0.25")
# A dividend is worth less the more of what was earned it takes, and nothing once it takes a quarter more than that.
COVERED, UNCOVERED = Decimal("0.75"), Decimal("1.25")


@dataclass(frozen=True, slots=True)
class Case:
    """A company at one price, both in one currency."""

    figures: Fundamentals
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class Measured:
    """`value` is what the points go by; None: known, and of no sense."""

    value: Decimal | None
    figure: str
    text: str


Measure = Callable[[Case], Measured | None]


# --- How figures are written


def number(value: Decimal, places: int = 1) -> str:
    with localcontext() as context:
        context.rounding = ROUND_HALF_UP
        text = f"{value:,.{places}f}"
    return text.lstrip("-") if not text.strip("-0.,") else text


def percent(value: Decimal) -> str:
    return f"{number(value * 100)} %"


def money(value: Decimal) -> str:
    return number(value, 2)


def amount(value: Decimal) -> str:
    """Of a whole company: 1.25 billion, 310.4 million."""
    for size, word in ((10**12, "trillion"), (10**9, "billion"), (10**6, "million")):
        if abs(value) >= size:
            return f"{number(value / size, 2)} {word}"
    return number(value, 0)


def _moved(rate: Decimal, up: str = "grew", down: str = "shrank") -> str:
    return f"{up} {percent(rate)}" if rate >= 0 else f"{down} {percent(-rate)}"


NO_EQUITY = "What it owes exceeds what it has, so there is no equity to compare with."
BURNS = "No free cash was left over the last four quarters."


# --- The price


def pe(case: Case) -> Measured | None:
    price, eps = case.price, case.figures.eps_ttm
    if price is None or eps is None:
        return None
    multiple = valuation.price_to_earnings(price, eps)
    if multiple is None:
        return Measured(None, "none", "It earned nothing in the last four quarters, so there is no P/E.")
    text = f"The price is {number(multiple)} times the earnings of the last four quarters."
    return Measured(multiple, number(multiple), text)


def earnings_yield(case: Case) -> Measured | None:
    price, eps = case.price, case.figures.eps_ttm
    if price is None or eps is None:
        return None
    rate = valuation.earnings_yield(price, eps)
    if rate is None:
        return None
    text = f"It earns {percent(rate)} of its price in a year."
    if rate < 0:
        text = f"It loses {percent(-rate)} of its price in a year."
    return Measured(rate, percent(rate), text)


def fcf_yield(case: Case) -> Measured | None:
    price, told = case.price, case.figures
    if price is None or told.fcf_ttm is None or told.shares is None:
        return None
    rate = valuation.fcf_yield(price, told.fcf_ttm, told.shares)
    if rate is None:
        return None
    text = f"Its free cash flow is {percent(rate)} of what all its shares cost."
    return Measured(rate, percent(rate), BURNS if rate <= 0 else text)


def dividend(case: Case) -> Measured | None:
    """The yield, of which less counts where what was earned hardly covers it."""
    price, paid, eps = case.price, case.figures.dividend_per_share, case.figures.eps_ttm
    if price is None or paid is None:
        return None
    rate = valuation.dividend_yield(price, paid)
    if rate is None:
        return None
    if paid <= 0:
        return Measured(ZERO, percent(ZERO), "It pays no dividend.")
    text = f"It pays {percent(rate)} of its price in a year"
    if eps is None:
        return Measured(rate, percent(rate), f"{text}.")
    part = valuation.payout(eps, paid)
    if part is None:
        return Measured(ZERO, percent(rate), f"{text}, and earned nothing to pay it from.")
    cover = min(max((UNCOVERED - part) / (UNCOVERED - COVERED), ZERO), Decimal(1))
    return Measured(rate * cover, percent(rate), f"{text}, which is {percent(part)} of what it earns.")


# --- What it earns


def roe(case: Case) -> Measured | None:
    rate, book = case.figures.roe, case.figures.book_value_per_share
    if book is not None and book <= 0:
        return Measured(None, "none", NO_EQUITY)
    return (
        None if rate is None else Measured(rate, percent(rate), f"Its return on equity is {percent(rate)}.")
    )


def _margin(rate: Decimal | None, name: str) -> Measured | None:
    return None if rate is None else Measured(rate, percent(rate), f"Its {name} margin is {percent(rate)}.")


def gross_margin(case: Case) -> Measured | None:
    return _margin(case.figures.gross_margin, "gross")


def operating_margin(case: Case) -> Measured | None:
    return _margin(case.figures.operating_margin, "operating")


def net_margin(case: Case) -> Measured | None:
    return _margin(case.figures.net_margin, "net")


# --- How it grows


def _longest(*rates: tuple[Decimal | None, str]) -> tuple[Decimal, str] | None:
    return next(((rate, span) for rate, span in rates if rate is not None), None)


def revenue_growth_of(told: Fundamentals) -> tuple[Decimal, str] | None:
    """The rate of the longest span that is known, and that span."""
    return _longest(
        (told.revenue_growth_5y, "a year over five years"), (told.revenue_growth_1y, "over one year")
    )


def earnings_growth_of(told: Fundamentals) -> tuple[Decimal, str] | None:
    return _longest(
        (told.eps_growth_5y, "a year over five years"),
        (told.eps_growth_3y, "a year over three years"),
        (told.eps_growth_1y, "over one year"),
    )


def revenue_growth(case: Case) -> Measured | None:
    known = revenue_growth_of(case.figures)
    return known and Measured(known[0], percent(known[0]), f"Its revenue {_moved(known[0])} {known[1]}.")


def earnings_growth(case: Case) -> Measured | None:
    known = earnings_growth_of(case.figures)
    return known and Measured(
        known[0], percent(known[0]), f"Its earnings per share {_moved(known[0])} {known[1]}."
    )


def sustainable_growth(case: Case) -> Measured | None:
    """Earnings growth, of which less counts beyond 25 %: half of the points are left at 50 %."""
    plain = earnings_growth(case)
    if plain is None or plain.value is None or plain.value <= SUSTAINABLE:
        return plain
    most = Decimal("0.15")
    excess = min((plain.value - SUSTAINABLE) / SUSTAINABLE, Decimal(1))
    text = f"{plain.text[:-1]}, faster than usually lasts."
    return Measured(most * (1 - excess / 2), plain.figure, text)


def peg(case: Case) -> Measured | None:
    price, eps, known = case.price, case.figures.eps_ttm, earnings_growth_of(case.figures)
    if price is None or eps is None or known is None:
        return None
    growth = min(known[0], SUSTAINABLE)
    ratio = valuation.peg(price, eps, growth)
    if ratio is None:
        return Measured(None, "none", "Without earnings that grow there is no PEG.")
    text = f"The P/E is {number(ratio, 2)} times the {number(growth * 100)} percent by which earnings grow."
    if growth < known[0]:
        text = f"The P/E is {number(ratio, 2)} times the {number(growth * 100)} percent of growth that count."
    return Measured(ratio, number(ratio, 2), text)


def growth_and_yield(case: Case) -> Measured | None:
    price, told, known = case.price, case.figures, earnings_growth_of(case.figures)
    if price is None or told.eps_ttm is None or told.dividend_per_share is None or known is None:
        return None
    growth = min(known[0], SUSTAINABLE)
    ratio = valuation.growth_and_yield_to_pe(price, told.eps_ttm, growth, told.dividend_per_share)
    if ratio is None:
        return Measured(
            None, "none", "Without earnings there is nothing to compare growth and dividend with."
        )
    text = f"Growth and dividend yield together are {number(ratio, 2)} times the P/E."
    return Measured(ratio, number(ratio, 2), text)


# --- What it owes


def debt_of(told: Fundamentals) -> Decimal | None:
    """Total debt; where it was not told, from its ratio to the equity."""
    if told.total_debt is not None:
        return told.total_debt
    if told.debt_to_equity is None or told.book_value_per_share is None or told.shares is None:
        return None
    equity = told.book_value_per_share * told.shares
    return told.debt_to_equity * equity if equity > 0 and told.debt_to_equity >= 0 else None


def debt_to_equity(case: Case) -> Measured | None:
    told, book = case.figures, case.figures.book_value_per_share
    ratio = told.debt_to_equity
    if (book is not None and book <= 0) or (ratio is not None and ratio < 0):
        return Measured(None, "none", NO_EQUITY)
    if ratio is None and told.total_debt is not None and book is not None and told.shares:
        ratio = told.total_debt / (book * told.shares)
    return ratio if ratio is None else Measured(ratio, number(ratio, 2), _owes(ratio))


def _owes(ratio: Decimal) -> str:
    return "It has no debt." if ratio == 0 else f"Its debt is {number(ratio, 2)} times its equity."


def current_ratio(case: Case) -> Measured | None:
    ratio = case.figures.current_ratio
    if ratio is None:
        return None
    text = f"What it can turn into cash within a year is {number(ratio, 2)} times what is due by then."
    return Measured(ratio, number(ratio, 2), text)


def repayment(case: Case) -> Measured | None:
    fcf, owed = case.figures.fcf_ttm, debt_of(case.figures)
    if fcf is not None and fcf <= 0:
        return Measured(None, "none", BURNS)
    if fcf is None or owed is None:
        return None
    years = valuation.years_to_repay(owed, fcf)
    if years is None:
        return None
    text = f"It could repay its debt from {number(years)} years of free cash flow."
    return Measured(years, f"{number(years)} years", text)


def net_cash(case: Case) -> Measured | None:
    price, told, owed = case.price, case.figures, debt_of(case.figures)
    if price is None or not told.shares or told.cash is None or owed is None:
        return None
    part = -valuation.net_debt(owed, told.cash) / (price * told.shares)
    text = f"Cash beyond its debt is {percent(part)} of what all its shares cost."
    if part < 0:
        text = f"Debt beyond its cash is {percent(-part)} of what all its shares cost."
    return Measured(part, percent(part), text)


# --- What its cash flows are worth


@dataclass(frozen=True, slots=True)
class Estimate:
    """A discounted value with all that was assumed for it."""

    worth: Worth
    growth: Decimal
    discount: Decimal
    grid: Grid


def firm_of(told: Fundamentals) -> Firm | None:
    """Cash that nobody told of is not counted; debt that nobody told of leaves nothing to be said."""
    owed = debt_of(told)
    if told.fcf_ttm is None or told.shares is None or owed is None:
        return None
    return Firm(told.fcf_ttm, valuation.net_debt(owed, told.cash or ZERO), told.shares)


def estimate_of(told: Fundamentals) -> Estimate | None:
    firm = firm_of(told)
    known = [rate[0] for rate in (revenue_growth_of(told), earnings_growth_of(told)) if rate]
    growth, discount = valuation.bounded_growth(known), valuation.required_return(told.beta)
    value = valuation.worth(firm, growth, discount) if firm and growth is not None else None
    if firm is None or growth is None or value is None:
        return None
    return Estimate(value, growth, discount, valuation.grid(firm, growth, discount))


def safety(case: Case) -> Measured | None:
    """Value by price; who burns cash is worth no points here."""
    if case.figures.fcf_ttm is not None and case.figures.fcf_ttm <= 0 and case.price is not None:
        return Measured(None, "none", BURNS)
    return upside(case)


def upside(case: Case) -> Measured | None:
    estimate = estimate_of(case.figures)
    if not case.price or estimate is None:
        return None
    value = estimate.worth.per_share
    ratio = value / case.price
    way = "above" if ratio >= 1 else "below"
    text = (
        f"Its discounted cash flows are worth {money(value)} {case.figures.currency} a share, "
        f"{percent(abs(ratio - 1))} {way} the price of {money(case.price)}."
    )
    return Measured(ratio, money(value), text)


def robustness(case: Case) -> Measured | None:
    estimate = estimate_of(case.figures)
    if not case.price or estimate is None:
        return None
    cells = estimate.grid.cells
    above = sum(value >= case.price for value in cells)
    text = f"In {above} of {len(cells)} cases with other growth and returns the value reaches the price."
    return Measured(Decimal(above) / len(cells), f"{above} of {len(cells)}", text)


def worst_case(case: Case) -> Measured | None:
    estimate = estimate_of(case.figures)
    if not case.price or estimate is None:
        return None
    value = min(estimate.grid.cells)
    text = f"In the worst of these cases a share is worth {money(value)} {case.figures.currency}."
    return Measured(value / case.price, money(value), text)
