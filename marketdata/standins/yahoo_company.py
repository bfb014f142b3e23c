"""What the stand-in of Yahoo tells of companies: headlines in a search, and the modules of a quote's summary."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from marketdata.company import Fundamentals, News
from marketdata.providers.spelling import ours
from marketdata.providers.yahoo_answers import spelled
from marketdata.quotes import EPOCH
from marketdata.standins.market import Market

LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)
FINANCIAL = {
    "freeCashflow": "fcf_ttm",
    "totalCash": "cash",
    "totalDebt": "total_debt",
    "grossMargins": "gross_margin",
    "operatingMargins": "operating_margin",
    "profitMargins": "net_margin",
    "returnOnEquity": "roe",
    "returnOnAssets": "roa",
    "currentRatio": "current_ratio",
    "revenuePerShare": "revenue_per_share_ttm",
    "revenueGrowth": "revenue_growth_1y",
    "earningsGrowth": "eps_growth_1y",
}
STATISTICS = {
    "trailingEps": "eps_ttm",
    "bookValue": "book_value_per_share",
    "sharesOutstanding": "shares",
    "beta": "beta",
}


def news(market: Market, wanted: str) -> list[dict[str, Any]]:
    return [_headline(one) for one in market.news_of(ours(wanted) or "", LONG_AGO)]


def _headline(one: News) -> dict[str, Any]:
    return {
        "uuid": one.external_id,
        "title": one.headline,
        "publisher": one.source,
        "link": one.url,
        "providerPublishTime": (one.published_at - EPOCH) // timedelta(seconds=1),
        "type": "STORY",
        "relatedTickers": [spelled(symbol) for symbol in one.symbols],
    }


def summary(found: Fundamentals) -> dict[str, Any]:
    """Every figure with its text, as it comes unless it is asked otherwise."""
    ended = datetime.combine(found.as_of, time(), UTC)
    financial = {theirs: _told(getattr(found, name)) for theirs, name in FINANCIAL.items()}
    leverage = None if found.debt_to_equity is None else found.debt_to_equity * 100
    return {
        "financialData": {**financial, "financialCurrency": found.currency, "debtToEquity": _told(leverage)},
        "defaultKeyStatistics": {
            **{theirs: _told(getattr(found, name)) for theirs, name in STATISTICS.items()},
            "mostRecentQuarter": {
                "raw": (ended - EPOCH) // timedelta(seconds=1),
                "fmt": found.as_of.isoformat(),
            },
        },
        "summaryDetail": {
            "currency": found.currency,
            "trailingAnnualDividendRate": _told(found.dividend_per_share),
            "beta": _told(found.beta),
        },
    }


def _told(value: Decimal | None) -> dict[str, Any]:
    return {} if value is None else {"raw": float(value), "fmt": f"{value:.2f}"}
