"""What the stand-in of Alpha Vantage tells of companies: every figure a text, what is not known "None"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from marketdata.company import Fundamentals, News
from marketdata.standins.companies import rows_back
from marketdata.standins.market import Market

Params = Mapping[str, str]
PLAIN = {
    "BookValue": "book_value_per_share",
    "DividendPerShare": "dividend_per_share",
    "EPS": "eps_ttm",
    "RevenuePerShareTTM": "revenue_per_share_ttm",
    "ProfitMargin": "net_margin",
    "OperatingMarginTTM": "operating_margin",
    "ReturnOnAssetsTTM": "roa",
    "ReturnOnEquityTTM": "roe",
    "DilutedEPSTTM": "eps_ttm",
    "QuarterlyEarningsGrowthYOY": "eps_growth_1y",
    "QuarterlyRevenueGrowthYOY": "revenue_growth_1y",
    "Beta": "beta",
    "SharesOutstanding": "shares",
}
YEARS, QUARTERS = 8, 6
REVENUE = Decimal(391_500_000_000)
EQUITY, CURRENT = Decimal(63_000_000_000), Decimal(165_000_000_000)


def ours(symbol: str) -> str:
    market, _, name = symbol.rpartition(":")
    return f"{name}-USD" if market == "CRYPTO" else name.replace("-", ".")


def theirs(symbol: str) -> str:
    return f"CRYPTO:{symbol.removesuffix('-USD')}" if symbol.endswith("-USD") else symbol.replace(".", "-")


def news(market: Market, params: Params) -> Any:
    since = datetime.strptime(params["time_from"], "%Y%m%dT%H%M").replace(tzinfo=UTC)
    found = market.news_of(ours(params.get("tickers", "")), since)[: int(params.get("limit", 50))]
    return {
        "items": str(len(found)),
        "sentiment_score_definition": "x <= -0.35: Bearish",
        "relevance_score_definition": "0 < x <= 1",
        "feed": [_article(one) for one in found],
    }


def _article(one: News) -> dict[str, Any]:
    return {
        "title": one.headline,
        "url": one.url,
        "time_published": f"{one.published_at:%Y%m%dT%H%M%S}",
        "authors": ["Ada Example"],
        "summary": one.body,
        "banner_image": None,
        "source": one.source,
        "category_within_source": "n/a",
        "source_domain": "news.example.com",
        "topics": [],
        "overall_sentiment_score": 0.21,
        "overall_sentiment_label": "Somewhat-Bullish",
        "ticker_sentiment": [
            {"ticker": theirs(symbol), "relevance_score": "0.5", "ticker_sentiment_score": "0.1"}
            for symbol in one.symbols
        ],
    }


def transcript(market: Market, params: Params) -> Any:
    symbol, quarter = params.get("symbol", ""), params.get("quarter", "")
    found = [one for one in market.calls_of(ours(symbol)) if f"{one.year}Q{one.quarter}" == quarter]
    rows = [
        {"speaker": said.speaker, "title": said.role, "content": said.text, "sentiment": "0.6"}
        for one in found
        for said in one.speeches
    ]
    return {"symbol": symbol, "quarter": quarter, "transcript": rows}


def overview(market: Market, params: Params) -> Any:
    found = market.figures.get(ours(params.get("symbol", "")))
    if found is None:
        return {}
    margin = found.gross_margin
    return {
        "Symbol": params["symbol"],
        "AssetType": "Common Stock",
        "Currency": found.currency,
        "FiscalYearEnd": "September",
        "LatestQuarter": found.as_of.isoformat(),
        "RevenueTTM": str(REVENUE),
        "GrossProfitTTM": "None" if margin is None else str(REVENUE * margin),
        "DividendYield": "None",
        "ForwardPE": "-",
        **{name: _text(getattr(found, ours_)) for name, ours_ in PLAIN.items()},
    }


def cash_flow(market: Market, params: Params) -> Any:
    """Four quarters that make the year, and older ones that do not count."""

    def row(found: Fundamentals, back: int) -> dict[str, str]:
        free = (found.fcf_ttm or Decimal(0)) / 4
        return {
            "operatingCashflow": str(free + 3_000_000_000 + back),
            "capitalExpenditures": str(3_000_000_000 + back),
        }

    return _reports(market, params, row)


def balance(market: Market, params: Params) -> Any:
    def row(found: Fundamentals, _: int) -> dict[str, str]:
        return {
            "cashAndCashEquivalentsAtCarryingValue": _text(found.cash),
            "shortLongTermDebtTotal": _text(found.total_debt),
            "totalShareholderEquity": str(EQUITY),
            "totalCurrentAssets": str((found.current_ratio or Decimal(1)) * CURRENT),
            "totalCurrentLiabilities": str(CURRENT),
            "goodwill": "None",
        }

    return _reports(market, params, row)


def _reports(market: Market, params: Params, row: Any) -> Any:
    found = market.figures.get(ours(params.get("symbol", "")))
    if found is None:
        return {}
    rows = [
        {"fiscalDateEnding": (found.as_of - timedelta(days=91 * back)).isoformat(), "reportedCurrency": "USD"}
        | row(found, back)
        for back in range(QUARTERS)
    ]
    return {"symbol": params["symbol"], "annualReports": [], "quarterlyReports": rows}


def earnings(market: Market, params: Params) -> Any:
    """Fiscal years that end with September; the first row of years is the running one, as far as it has come."""
    symbol = ours(params.get("symbol", ""))
    found = market.figures.get(symbol)
    if found is None:
        return {}
    grown = {3: found.eps_growth_3y, 5: found.eps_growth_5y}
    years = rows_back(found.eps_ttm or Decimal(0), grown, YEARS)
    annual = [{"fiscalDateEnding": found.as_of.isoformat(), "reportedEPS": "2.4"}]
    annual += [
        {"fiscalDateEnding": f"{found.as_of.year - back}-09-30", "reportedEPS": str(eps)}
        for back, eps in enumerate(years)
    ]
    quarterly = [
        {
            "fiscalDateEnding": _end_of(one.year, one.quarter).isoformat(),
            "reportedDate": str(one.held_on),
            "reportedEPS": "2.4",
            "estimatedEPS": "None",
        }
        for one in market.calls_of(symbol)
    ]
    return {"symbol": params["symbol"], "annualEarnings": annual, "quarterlyEarnings": quarterly}


def _end_of(year: int, quarter: int) -> date:
    """The last day of a quarter of a fiscal year that ends with September."""
    ends = {1: date(year - 1, 12, 31), 2: date(year, 3, 31), 3: date(year, 6, 30), 4: date(year, 9, 30)}
    return ends[quarter]


def _text(value: Decimal | None) -> str:
    return "None" if value is None else str(value)


ANSWERS: Mapping[str, Callable[[Market, Params], Any]] = {
    "NEWS_SENTIMENT": news,
    "EARNINGS_CALL_TRANSCRIPT": transcript,
    "EARNINGS": earnings,
    "OVERVIEW": overview,
    "CASH_FLOW": cash_flow,
    "BALANCE_SHEET": balance,
}
