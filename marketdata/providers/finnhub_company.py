"""What Finnhub tells of companies: news of North America, transcripts and figures.

Growth, margins and returns are percents there, amounts and shares are in millions. Of cash and debt only parts per
share and of the equity are told, from which the amounts are computed. News and figures tell no fiscal year.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from functools import partial
from typing import Any

from core import clock
from marketdata.company import EarningsCall, Fundamentals, News, Speech
from marketdata.errors import NotFound
from marketdata.instruments import asset_class_of
from marketdata.providers.base import AssetClass
from marketdata.providers.company_reading import (
    MILLION,
    about,
    address,
    first,
    newest,
    percent,
    product,
    ratio,
    readable,
    said,
    text,
    told,
    told_or_zero,
)
from marketdata.providers.finnhub_symbols import spelled
from marketdata.providers.plans import Plan
from marketdata.providers.reading import date_of, moment_of, rows_of
from marketdata.providers.spelling import ours, parts_of
from marketdata.providers.vendor import BULK_BUDGET_S, Vendor, whole

# Ids of transcripts that are remembered, so that one is read with one request after its list was.
MOST_IDS = 10_000
YEARS = range(1990, 2101)
Quarter = tuple[str, int, int]


class Company(Vendor):
    """The operations about companies; a symbol that names none is not found."""

    def __init__(self, *, base_url: str, plan: Plan) -> None:
        super().__init__(base_url=base_url, plan=plan)
        self._ids: dict[Quarter, str] = {}

    # --- news

    async def fetch_news(self, symbol: str, since: datetime) -> list[News]:
        if parts_of(symbol).exchange:
            raise NotFound(f"finnhub has no news of {symbol}")
        span = {"from": since.date().isoformat(), "to": clock.now().date().isoformat()}
        params = {"symbol": self._company(symbol), **span}
        found: list[News] = await self.get_json(
            "news", "/company-news", params, symbols=[symbol], budget_s=BULK_BUDGET_S,
            read=lambda body: readable(rows_of(body), partial(_news_of, symbol)),
        )  # fmt: skip
        return newest(found, since)

    # --- earnings calls

    async def fetch_calls(self, symbol: str, newest: int) -> list[tuple[int, int]]:
        ids = await self._call_ids(symbol, "calls")
        return sorted(((year, quarter) for _, year, quarter in ids), reverse=True)[:newest]

    async def fetch_call(self, symbol: str, year: int, quarter: int) -> EarningsCall:
        wanted = (symbol, year, quarter)
        told_id = self._ids.get(wanted) or (await self._call_ids(symbol, "call")).get(wanted)
        if told_id is None:
            raise NotFound(f"finnhub has no transcript of {symbol} {year} Q{quarter}")
        found: EarningsCall = await self.get_json(
            "call", "/stock/transcripts", {"id": told_id}, symbols=[symbol], budget_s=BULK_BUDGET_S,
            read=partial(_call_of, wanted),
        )  # fmt: skip
        return found

    async def _call_ids(self, symbol: str, endpoint: str) -> dict[Quarter, str]:
        found: dict[Quarter, str] = await self.get_json(
            endpoint, "/stock/transcripts/list", {"symbol": self._company(symbol)}, symbols=[symbol],
            budget_s=BULK_BUDGET_S, read=lambda body: dict(_ids_of(symbol, body)),
        )  # fmt: skip
        if not found:
            raise NotFound(f"finnhub has no transcripts of {symbol}")
        if len(self._ids) >= MOST_IDS:
            self._ids.clear()
        self._ids |= found
        return found

    # --- figures

    async def fetch_fundamentals(self, symbol: str) -> Fundamentals:
        asked = self._company(symbol)
        metrics = await self.get_json(
            "fundamentals", "/stock/metric", {"symbol": asked, "metric": "all"}, symbols=[symbol],
            budget_s=BULK_BUDGET_S, read=partial(_metrics_of, symbol),
        )  # fmt: skip
        found: Fundamentals = await self.get_json(
            "fundamentals", "/stock/profile2", {"symbol": asked}, symbols=[symbol], budget_s=BULK_BUDGET_S,
            read=partial(fundamentals_of, symbol, metrics),
        )  # fmt: skip
        return found

    def _company(self, symbol: str) -> str:
        found = spelled(symbol)
        if found is None or asset_class_of(symbol) is not AssetClass.STOCK:
            raise NotFound(f"finnhub knows no company {symbol}")
        return found


def _news_of(symbol: str, row: Mapping[str, Any]) -> News | None:
    published_at, headline = moment_of(row["datetime"]), text(row["headline"])
    if published_at is None or not headline:
        return None
    related = [ours(name) for name in text(row.get("related")).split(",") if name]
    return News(
        str(row["id"]),
        headline,
        published_at,
        about(symbol, related),
        text(row.get("summary")),
        text(row.get("source")),
        address(row.get("url")),
    )


def _ids_of(symbol: str, body: Mapping[str, Any]) -> Iterator[tuple[Quarter, str]]:
    for row in rows_of(body["transcripts"]):
        year, quarter = whole(row.get("year")), whole(row.get("quarter"))
        if year and year in YEARS and quarter in {1, 2, 3, 4} and isinstance(row.get("id"), str):
            yield (symbol, year, quarter), row["id"]


def _call_of(wanted: Quarter, body: Mapping[str, Any]) -> EarningsCall:
    symbol, year, quarter = wanted
    roles = {row["name"]: text(row.get("description")) or text(row.get("role")) for row in _people(body)}
    speeches = said(
        Speech(
            text(row["name"]),
            _spoken(row["speech"]),
            roles.get(row["name"], ""),
        )
        for row in rows_of(body["transcript"])
    )
    if not speeches:
        raise NotFound(f"finnhub has no transcript of {symbol} {year} Q{quarter}")
    title = text(body.get("title")) or f"{symbol} Q{quarter} {year}"
    return EarningsCall(symbol, year, quarter, title, speeches, date_of(text(body.get("time"))[:10]))


def _spoken(parts: Any) -> str:
    """Paragraphs come as a list."""
    return text(parts) if isinstance(parts, str) else "\n\n".join(part for part in parts if text(part))


def _people(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return rows_of(body.get("participant") or [])


def _metrics_of(symbol: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Raises NotFound where there are none: that is how an unknown symbol looks."""
    if not isinstance(body["metric"], dict):
        raise TypeError(body)
    if not body["metric"]:
        raise NotFound(f"finnhub has no figures of {symbol}")
    return body


def fundamentals_of(symbol: str, body: Mapping[str, Any], profile: Mapping[str, Any]) -> Fundamentals:
    """Of both answers; funds have no profile."""
    metric = body["metric"]
    shares = product(told(profile.get("shareOutstanding")), MILLION)
    book = first(metric, told, "bookValuePerShareQuarterly", "bookValuePerShareAnnual")
    leverage = first(metric, told_or_zero, "totalDebt/totalEquityQuarterly", "totalDebt/totalEquityAnnual")
    cash = first(metric, told, "cashPerSharePerShareQuarterly", "cashPerSharePerShareAnnual")
    return Fundamentals(
        symbol,
        _as_of(body),
        text(profile.get("currency")) or "USD",
        shares=shares,
        eps_ttm=first(metric, told, "epsTTM", "epsExclExtraItemsTTM"),
        book_value_per_share=book,
        revenue_per_share_ttm=told(metric.get("revenuePerShareTTM")),
        fcf_ttm=_free_cash_flow(metric, profile),
        cash=product(cash, shares),
        total_debt=product(leverage, book, shares),
        dividend_per_share=first(metric, told_or_zero, "dividendPerShareTTM", "dividendPerShareAnnual"),
        debt_to_equity=leverage,
        current_ratio=first(metric, told, "currentRatioQuarterly", "currentRatioAnnual"),
        beta=told(metric.get("beta")),
        **{name: percent(metric.get(theirs)) for name, theirs in PERCENTS.items()},
    )


PERCENTS: Mapping[str, Any] = {
    "gross_margin": "grossMarginTTM",
    "operating_margin": "operatingMarginTTM",
    "net_margin": "netProfitMarginTTM",
    "roe": "roeTTM",
    "roa": "roaTTM",
    "revenue_growth_1y": "revenueGrowthTTMYoy",
    "revenue_growth_5y": "revenueGrowth5Y",
    "eps_growth_1y": "epsGrowthTTMYoy",
    "eps_growth_3y": "epsGrowth3Y",
    "eps_growth_5y": "epsGrowth5Y",
}


def _free_cash_flow(metric: Mapping[str, Any], profile: Mapping[str, Any]) -> Any:
    """As told; else what the market pays for all of it, divided by what it pays for one unit."""
    if (found := told(metric.get("freeCashFlowTTM"))) is not None:
        return product(found, MILLION)
    worth = first(metric, told, "marketCapitalization") or told(profile.get("marketCapitalization"))
    return product(ratio(worth, told(metric.get("pfcfShareTTM"))), MILLION)


def _as_of(body: Mapping[str, Any]) -> date:
    """The end of the newest quarter of any series."""
    series = body.get("series") or {}
    rows = [row for quarters in (series.get("quarterly") or {}).values() for row in rows_of(quarters)]
    days = [day for row in rows if (day := date_of(row.get("period")))]
    return max(days, default=clock.now().date())
