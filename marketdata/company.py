"""What providers tell of a company besides its price: news, earnings calls, fundamentals. Pure values."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class News:
    """One article as a provider told it. `headline` and `body` may hold HTML: whoever keeps it cleans it."""

    external_id: str
    headline: str
    published_at: datetime
    symbols: tuple[str, ...]
    """In canonical spelling; never empty."""
    body: str = ""
    source: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Speech:
    """What one person said at one time in a call."""

    speaker: str
    text: str
    role: str = ""


@dataclass(frozen=True, slots=True)
class EarningsCall:
    """The transcript of an earnings call, by the company's fiscal year and quarter (1 to 4)."""

    symbol: str
    year: int
    quarter: int
    title: str
    speeches: tuple[Speech, ...]
    held_on: date | None = None


@dataclass(frozen=True, slots=True)
class Fundamentals:
    """Figures of a company. Rates are fractions (0.25 is 25 %), amounts are in `currency`; None: not told."""

    symbol: str
    as_of: date
    """The end of the newest period in them; the day of the answer where the provider does not tell it."""
    currency: str = "USD"
    shares: Decimal | None = None
    eps_ttm: Decimal | None = None
    """Earnings per share of the last four quarters."""
    book_value_per_share: Decimal | None = None
    revenue_per_share_ttm: Decimal | None = None
    fcf_ttm: Decimal | None = None
    """Free cash flow of the last four quarters, of the whole company."""
    cash: Decimal | None = None
    total_debt: Decimal | None = None
    dividend_per_share: Decimal | None = None
    """Of a year."""
    gross_margin: Decimal | None = None
    operating_margin: Decimal | None = None
    net_margin: Decimal | None = None
    roe: Decimal | None = None
    roa: Decimal | None = None
    debt_to_equity: Decimal | None = None
    current_ratio: Decimal | None = None
    revenue_growth_1y: Decimal | None = None
    revenue_growth_5y: Decimal | None = None
    """Per year, over five years."""
    eps_growth_1y: Decimal | None = None
    eps_growth_3y: Decimal | None = None
    eps_growth_5y: Decimal | None = None
    beta: Decimal | None = None


FIGURES = tuple(
    field.name for field in fields(Fundamentals) if field.name not in {"symbol", "as_of", "currency"}
)
"""The names of the figures."""
