"""The usual ratios of a company at a price, as they are to be written; what is not known is left out. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from summaries import measures, valuation
from summaries.measures import Case, money, number, percent


@dataclass(frozen=True, slots=True)
class Ratio:
    name: str
    text: str
    """Empty where it makes no sense of these figures: a loss has no P/E."""
    raw: Decimal | None


def ratios_of(case: Case) -> tuple[Ratio, ...]:
    """Those of which all figures are known."""
    if case.price is None:
        return ()
    told, price = case.figures, case.price
    growth = measures.earnings_growth_of(told)
    owed = measures.debt_of(told)
    net = valuation.net_debt(owed, told.cash) if owed is not None and told.cash is not None else None
    rows = (
        _ratio("P/E", _plain, valuation.price_to_earnings, price, told.eps_ttm),
        _ratio("PEG", _plain, valuation.peg, price, told.eps_ttm, growth[0] if growth else None),
        _ratio("P/B", _plain, valuation.price_to_book, price, told.book_value_per_share),
        _ratio("P/S", _plain, valuation.price_to_sales, price, told.revenue_per_share_ttm),
        _ratio("Earnings yield", percent, valuation.earnings_yield, price, told.eps_ttm),
        _ratio("Dividend yield", percent, valuation.dividend_yield, price, told.dividend_per_share),
        _ratio("Payout", percent, valuation.payout, told.eps_ttm, told.dividend_per_share),
        _ratio("Free cash flow per share", money, valuation.fcf_per_share, told.fcf_ttm, told.shares),
        _ratio("Free cash flow yield", percent, valuation.fcf_yield, price, told.fcf_ttm, told.shares),
        _ratio("EV/FCF", _plain, valuation.enterprise_to_fcf, price, told.shares, net, told.fcf_ttm),
        _ratio("Graham number", money, valuation.graham_number, told.eps_ttm, told.book_value_per_share),
    )
    return tuple(row for row in rows if row is not None)


def _plain(value: Decimal) -> str:
    return number(value, 2)


def _ratio(
    name: str,
    written: Callable[[Decimal], str],
    formula: Callable[..., Decimal | None],
    *figures: Decimal | None,
) -> Ratio | None:
    if None in figures:
        return None
    value = formula(*figures)
    return Ratio(name, "" if value is None else written(value), value)
