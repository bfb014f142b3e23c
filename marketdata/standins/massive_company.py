"""What the stand-in of Massive tells of companies: news, ratios and statements, as rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from marketdata.company import Fundamentals, News
from marketdata.providers.massive_symbols import symbol_of, ticker_of
from marketdata.standins.companies import rows_back
from marketdata.standins.market import Market

PRICE = Decimal(200)
LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)
YEARS = 8
Params = Mapping[str, str]


def rows_of(market: Market, path: str, params: Params) -> list[dict[str, Any]] | None:
    """What this address answers; None for one that is not about companies."""
    if path == "/v2/reference/news":
        return news(market, params)
    write = FINANCIALS.get(path.removeprefix("/stocks/financials/v1/"))
    if write is None:
        return None
    ticker = params.get("ticker") or params.get("tickers") or ""
    found = market.figures.get(symbol_of(ticker) or "")
    return write(ticker, found) if found else []


def news(market: Market, params: Params) -> list[dict[str, Any]]:
    told = params.get("published_utc.gte")
    since = datetime.fromisoformat(told) if told else LONG_AGO
    symbol = symbol_of(params.get("ticker", "")) or ""
    rows = [_article(one) for one in market.news_of(symbol, since)]
    return rows if params.get("order", "desc") == "desc" else rows[::-1]


def _article(one: News) -> dict[str, Any]:
    pages = ("homepage_url", "logo_url", "favicon_url")
    return {
        "id": one.external_id,
        "publisher": {"name": one.source, **dict.fromkeys(pages, "https://news.example.com")},
        "title": one.headline,
        "author": "Ada Example",
        "published_utc": f"{one.published_at:%Y-%m-%dT%H:%M:%SZ}",
        "article_url": one.url,
        "tickers": [ticker_of(symbol) for symbol in one.symbols],
        "image_url": "https://news.example.com/picture.png",
        "description": one.body,
        "keywords": [],
        "insights": [],
    }


def _ratios(ticker: str, found: Fundamentals) -> list[dict[str, Any]]:
    assert found.shares and found.book_value_per_share and found.revenue_per_share_ttm  # noqa: PT018 -- for mypy
    return [
        {
            "ticker": ticker,
            "cik": "0000320193",
            "date": "2026-01-05",
            "price": float(PRICE),
            "market_cap": float(PRICE * found.shares),
            "earnings_per_share": _float(found.eps_ttm),
            "price_to_book": float(PRICE / found.book_value_per_share),
            "price_to_sales": float(PRICE / found.revenue_per_share_ttm),
            "dividend_yield": float((found.dividend_per_share or 0) / PRICE),
            "return_on_assets": _float(found.roa),
            "return_on_equity": _float(found.roe),
            "debt_to_equity": _float(found.debt_to_equity),
            "current": _float(found.current_ratio),
            "cash": 0.19,
            "free_cash_flow": _float(found.fcf_ttm),
        }
    ]


def _incomes(ticker: str, found: Fundamentals) -> list[dict[str, Any]]:
    """Fiscal years, the newest first."""
    sales = rows_back(
        (found.revenue_per_share_ttm or Decimal(0)) * (found.shares or Decimal(0)),
        {1: found.revenue_growth_1y, 5: found.revenue_growth_5y},
        YEARS,
    )
    grown = {1: found.eps_growth_1y, 3: found.eps_growth_3y, 5: found.eps_growth_5y}
    earned = rows_back(found.eps_ttm or Decimal(0), grown, YEARS)
    return [
        {
            "tickers": [ticker],
            "timeframe": "annual",
            "fiscal_year": found.as_of.year - back,
            "period_end": found.as_of.replace(year=found.as_of.year - back).isoformat(),
            "revenue": float(revenue),
            "gross_profit": float(revenue * (found.gross_margin or 0)),
            "operating_income": float(revenue * (found.operating_margin or 0)),
            "consolidated_net_income_loss": float(revenue * (found.net_margin or 0)),
            "diluted_earnings_per_share": float(eps),
            "diluted_shares_outstanding": _float(found.shares),
        }
        for back, (revenue, eps) in enumerate(zip(sales, earned, strict=True))
    ]


def _balances(ticker: str, found: Fundamentals) -> list[dict[str, Any]]:
    debt = found.total_debt or Decimal(0)
    return [
        {
            "tickers": [ticker],
            "timeframe": "quarterly",
            "period_end": found.as_of.isoformat(),
            "cash_and_equivalents": _float(found.cash),
            "debt_current": float(debt / 4),
            "long_term_debt_and_capital_lease_obligations": float(debt * 3 / 4),
        }
    ]


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


FINANCIALS: Mapping[str, Callable[[str, Fundamentals], list[dict[str, Any]]]] = {
    "ratios": _ratios,
    "income-statements": _incomes,
    "balance-sheets": _balances,
}
