"""What the stand-ins tell of companies: articles, calls and figures of our own making, in no vendor's shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from core import clock
from marketdata.company import EarningsCall, Fundamentals, News, Speech

FIGURES = Fundamentals(
    "AAPL",
    date(2025, 12, 27),
    shares=Decimal(15000000000),
    eps_ttm=Decimal("6.42"),
    book_value_per_share=Decimal("4.2"),
    revenue_per_share_ttm=Decimal("26.1"),
    fcf_ttm=Decimal(98767000000),
    cash=Decimal(30300000000),
    total_debt=Decimal(94500000000),
    dividend_per_share=Decimal("1.02"),
    gross_margin=Decimal("0.4612"),
    operating_margin=Decimal("0.3151"),
    net_margin=Decimal("0.246"),
    roe=Decimal("1.5286"),
    roa=Decimal("0.289"),
    debt_to_equity=Decimal("1.5"),
    current_ratio=Decimal("0.89"),
    revenue_growth_1y=Decimal("0.064"),
    revenue_growth_5y=Decimal("0.081"),
    eps_growth_1y=Decimal("0.092"),
    eps_growth_3y=Decimal("0.031"),
    eps_growth_5y=Decimal("0.151"),
    beta=Decimal("1.21"),
)
# (hours ago, symbols, headline, what is said)
ARTICLES: Sequence[tuple[int, tuple[str, ...], str, str]] = (
    (
        1,
        ("AAPL", "MSFT"),
        "Apple & Microsoft name a common price for cloud storage",
        "<p>Both companies will charge <b>2.99 dollars</b> a month from March 5.</p><p>Fictional.</p>",
    ),
    (
        5,
        ("AAPL",),
        "Apple opens a workshop in Cork",
        "<p>Some 300 people will repair telephones there. Fictional.</p>",
    ),
    (30, ("IBM",), "IBM sells a patent", "<p>It had been kept for nine years. Fictional.</p>"),
    (49, ("BRK.B", "AAPL"), "Berkshire reports its holdings", ""),
    (
        50,
        ("BTC-USD",),
        "A coin is moved for the first time in ten years",
        "<p>Nobody knows by whom. Fictional.</p>",
    ),
)


def articles() -> list[News]:
    """The newest one was published an hour ago."""
    now = clock.now().replace(microsecond=0)
    return [
        News(
            str(24_843_171 - number),
            headline,
            now - timedelta(hours=hours),
            symbols,
            body,
            "standin",
            f"https://news.example.com/{24_843_171 - number}",
        )
        for number, (hours, symbols, headline, body) in enumerate(ARTICLES)
    ]


def calls() -> list[EarningsCall]:
    """Of Apple, whose fiscal years end with September, the newest first."""
    return [
        _call(2026, 1, date(2026, 1, 29), "124.3"),
        _call(2025, 4, date(2025, 10, 30), "94.9"),
        _call(2025, 3, date(2025, 7, 31), "85.8"),
    ]


def _call(year: int, quarter: int, held_on: date, revenue: str) -> EarningsCall:
    speeches = (
        Speech("Operator", "Good day and welcome. This call is fictional."),
        Speech(
            "Ada Example",
            f"Revenue was {revenue} billion dollars.\n\nMargins held.",
            "Chief Executive Officer",
        ),
        Speech("Bob Example", "We expect growth of 3 percent next quarter.", "Chief Financial Officer"),
    )
    return EarningsCall("AAPL", year, quarter, f"Apple Inc. Q{quarter} {year} call", speeches, held_on)


def figures() -> dict[str, Fundamentals]:
    """The same of every company: only shapes matter."""
    return {symbol: replace(FIGURES, symbol=symbol) for symbol in ("AAPL", "MSFT", "IBM", "BRK.B")}


def rows_back(now: Decimal, rates: dict[int, Decimal | None], years: int) -> list[Decimal]:
    """A figure of so many years, the newest first, that grew at these rates over so many years."""
    found = [now]
    for back in range(1, years):
        rate = (
            rates.get(back)
            or next((rates[more] for more in sorted(rates) if more > back), None)
            or Decimal(0)
        )
        found.append(now / (1 + rate) ** back)
    return found
