"""A company with its figures and its price, as rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from core import clock
from marketdata import fundamentals, models
from marketdata.company import Fundamentals
from marketdata.models import Ticker
from tests.factories import make_quote, make_ticker

D = Decimal
# Round figures, so that ratios can be worked out by hand at a price of 100.
ACME = Fundamentals(
    symbol="ACME",
    as_of=date(2026, 9, 30),
    shares=D(1_000),
    eps_ttm=D(5),
    book_value_per_share=D(40),
    revenue_per_share_ttm=D(50),
    fcf_ttm=D(4_000),
    cash=D(15_000),
    total_debt=D(20_000),
    dividend_per_share=D(2),
    gross_margin=D("0.30"),
    operating_margin=D("0.14"),
    net_margin=D("0.10"),
    roe=D("0.125"),
    roa=D("0.06"),
    debt_to_equity=D("0.5"),
    current_ratio=D("1.4"),
    revenue_growth_1y=D("0.30"),
    revenue_growth_5y=D("0.06"),
    eps_growth_1y=D("0.40"),
    eps_growth_3y=D("0.20"),
    eps_growth_5y=D("0.09"),
    beta=D(1),
)


def make_fundamentals(ticker: Ticker, told: Fundamentals = ACME, **fields: Any) -> models.Fundamentals:
    """The figures of `told` under the ticker's symbol; a field of the row, or a figure, may be given by name."""
    row = {name: fields.pop(name) for name in ("provider", "simulated", "loaded_at") if name in fields}
    figures = replace(told, symbol=ticker.symbol, **fields)
    return models.Fundamentals.objects.create(
        ticker=ticker, as_of=figures.as_of, currency=figures.currency, figures=fundamentals.as_text(figures),
        **{"provider": "finnhub", "simulated": False, "loaded_at": clock.now(), **row},
    )  # fmt: skip


def make_company(price: str = "100", *, symbol: str = "", **figures: Any) -> Ticker:
    """A ticker of which everything is known that an analysis needs, none of it made up."""
    ticker = make_ticker(symbol)
    make_fundamentals(ticker, **figures)
    make_quote(ticker, price, provider="finnhub")
    return ticker


def set_price(ticker: Ticker, price: str) -> None:
    models.Quote.objects.filter(ticker=ticker).update(price=Decimal(price), as_of=clock.now())


def set_figures(ticker: Ticker, **changes: Any) -> None:
    """Told anew, with these changes."""
    row = models.Fundamentals.objects.get(ticker=ticker)
    row.figures |= {name: str(value) for name, value in changes.items() if name != "as_of"}
    row.as_of = changes.get("as_of", row.as_of)
    row.loaded_at = clock.now()
    row.save()
