"""What the stand-in of Finnhub tells of companies: percents, millions, times in seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from marketdata.company import EarningsCall, Fundamentals, News
from marketdata.quotes import EPOCH
from marketdata.standins.market import Market

Params = Mapping[str, str]
PERCENTS = {
    "grossMarginTTM": "gross_margin",
    "operatingMarginTTM": "operating_margin",
    "netProfitMarginTTM": "net_margin",
    "roeTTM": "roe",
    "roaTTM": "roa",
    "revenueGrowthTTMYoy": "revenue_growth_1y",
    "revenueGrowth5Y": "revenue_growth_5y",
    "epsGrowthTTMYoy": "eps_growth_1y",
    "epsGrowth3Y": "eps_growth_3y",
    "epsGrowth5Y": "eps_growth_5y",
}
PLAIN = {
    "epsTTM": "eps_ttm",
    "bookValuePerShareQuarterly": "book_value_per_share",
    "revenuePerShareTTM": "revenue_per_share_ttm",
    "dividendPerShareTTM": "dividend_per_share",
    "totalDebt/totalEquityQuarterly": "debt_to_equity",
    "currentRatioQuarterly": "current_ratio",
    "beta": "beta",
}
MILLION = Decimal(1_000_000)


def news(market: Market, params: Params) -> Any:
    """Both days of the range count."""
    first, last = (date.fromisoformat(params[name]) for name in ("from", "to"))
    since = datetime.combine(first, time(), UTC)
    until = datetime.combine(last, time(), UTC) + timedelta(days=1)
    found = market.news_of(params.get("symbol", ""), since)
    return [_article(one, params["symbol"]) for one in found if one.published_at < until]


def _article(one: News, asked: str) -> dict[str, Any]:
    return {
        "category": "company",
        "datetime": (one.published_at - EPOCH) // timedelta(seconds=1),
        "headline": one.headline,
        "id": int(one.external_id),
        "image": "",
        "related": asked,
        "source": one.source,
        "summary": one.body,
        "url": one.url,
    }


def transcripts(market: Market, params: Params) -> Any:
    symbol = params.get("symbol", "")
    rows = [
        {
            "id": id_of(one),
            "title": one.title,
            "time": f"{one.held_on} 21:00:00",
            "year": one.year,
            "quarter": one.quarter,
        }
        for one in market.calls_of(symbol)
    ]
    return {"symbol": symbol, "transcripts": rows}


def id_of(call: EarningsCall) -> str:
    return f"{call.symbol}_{call.year * 10 + call.quarter}"


def transcript(market: Market, params: Params) -> Any:
    found = next((one for one in market.calls if id_of(one) == params.get("id")), None)
    if found is None:
        return {}
    return {
        "id": params["id"],
        "symbol": found.symbol,
        "title": found.title,
        "time": f"{found.held_on} 21:00:00",
        "year": found.year,
        "quarter": found.quarter,
        "audio": "",
        "participant": [
            {"name": one.speaker, "description": one.role, "role": "executive" if one.role else ""}
            for one in found.speeches
        ],
        "transcript": [
            {"name": one.speaker, "speech": one.text.split("\n\n"), "session": "management_discussion"}
            for one in found.speeches
        ],
    }


def metric(market: Market, params: Params) -> Any:
    found = market.figures.get(params.get("symbol", ""))
    body = {"symbol": params.get("symbol"), "metricType": "all"}
    if found is None:
        return {**body, "metric": {}, "series": {}}
    series = {"eps": [{"period": found.as_of.isoformat(), "v": _float(found.eps_ttm)}]}
    return {**body, "metric": _metric(found), "series": {"annual": {}, "quarterly": series}}


def _metric(found: Fundamentals) -> dict[str, Any]:
    per_share = found.cash / found.shares if found.cash and found.shares else None
    free = found.fcf_ttm / MILLION if found.fcf_ttm else None
    return {
        "52WeekHigh": 199.9,
        **{theirs: _float(getattr(found, name)) for theirs, name in PLAIN.items()},
        **{theirs: _float(getattr(found, name), 100) for theirs, name in PERCENTS.items()},
        "freeCashFlowTTM": _float(free),
        "cashPerSharePerShareQuarterly": _float(per_share),
        "marketCapitalization": 2_840_100,
    }


def profile(market: Market, params: Params) -> Any:
    symbol = params.get("symbol", "")
    found, listed = market.figures.get(symbol), market.get(symbol)
    if found is None or listed is None:
        return {}
    return {
        "country": "US",
        "currency": found.currency,
        "exchange": listed.exchange,
        "name": listed.name,
        "ticker": symbol,
        "marketCapitalization": 2_840_100,
        "shareOutstanding": _float(found.shares / MILLION if found.shares else None),
    }


def _float(value: Decimal | None, factor: int = 1) -> float | None:
    return None if value is None else float(value * factor)


ANSWERS: Mapping[str, Callable[[Market, Params], Any]] = {
    "/company-news": news,
    "/stock/transcripts/list": transcripts,
    "/stock/transcripts": transcript,
    "/stock/metric": metric,
    "/stock/profile2": profile,
}
