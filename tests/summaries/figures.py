"""Companies of which something is known, for what is about analyses."""

from __future__ import annotations

from datetime import date

from core import clock
from marketdata.models import Fundamentals, Ticker
from tests.factories import make_quote, make_ticker

FIGURES = {
    "shares": "1000000000", "eps_ttm": "6", "book_value_per_share": "30", "revenue_per_share_ttm": "40",
    "fcf_ttm": "5000000000", "cash": "20000000000", "total_debt": "10000000000", "dividend_per_share": "1",
    "gross_margin": "0.45", "operating_margin": "0.25", "net_margin": "0.2", "roe": "0.22", "roa": "0.1",
    "debt_to_equity": "0.4", "current_ratio": "1.5", "revenue_growth_1y": "0.08", "revenue_growth_5y": "0.07",
    "eps_growth_1y": "0.1", "eps_growth_3y": "0.09", "eps_growth_5y": "0.1", "beta": "1.1",
}  # fmt: skip


def make_known(
    symbol: str = "", *, price: str = "100", figures: dict[str, str] | None = None, **fields
) -> Ticker:
    """A ticker with a quote and figures of a vendor."""
    ticker = make_ticker(symbol)
    make_quote(ticker, price, provider="finnhub")
    values = {"as_of": date(2026, 9, 30), "provider": "finnhub", "loaded_at": clock.now(), **fields}
    Fundamentals.objects.create(ticker=ticker, figures=FIGURES if figures is None else figures, **values)
    return ticker
