"""What Massive tells of companies: news, ratios, and statements from which growth and debt are computed.

Three requests for figures: ratios with the price they were computed at, six fiscal years of income, and the newest
balance sheet. Plans without statements still have their ratios. It has no transcripts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from core import clock
from marketdata.company import Fundamentals, News
from marketdata.errors import NotFound, PlanLocked
from marketdata.instruments import asset_class_of
from marketdata.providers.base import MOST_NEWS, AssetClass
from marketdata.providers.company_reading import (
    about,
    address,
    growth,
    newest,
    product,
    ratio,
    readable,
    text,
    told,
    told_or_zero,
)
from marketdata.providers.massive_answers import object_of, rows_of
from marketdata.providers.massive_symbols import symbol_of, ticker_of
from marketdata.providers.reading import date_of
from marketdata.providers.vendor import BULK_BUDGET_S, Vendor

FINANCIALS = "/stocks/financials/v1"
YEARS = 6
Row = Mapping[str, Any]


class Company(Vendor):
    """The operations about companies."""

    async def fetch_news(self, symbol: str, since: datetime) -> list[News]:
        ticker = ticker_of(symbol)
        if ticker is None:
            raise NotFound("massive does not have it")
        params = {
            "ticker": ticker, "published_utc.gte": since.isoformat().replace("+00:00", "Z"),
            "order": "desc", "sort": "published_utc", "limit": str(MOST_NEWS),
        }  # fmt: skip
        found: list[News] = await self.get_json(
            "news", "/v2/reference/news", params, symbols=[symbol], budget_s=BULK_BUDGET_S,
            read=lambda body: readable(rows_of(body), partial(_news_of, symbol)),
        )  # fmt: skip
        return newest(found, since)

    async def fetch_fundamentals(self, symbol: str) -> Fundamentals:
        ticker = ticker_of(symbol)
        if ticker is None or asset_class_of(symbol) is not AssetClass.STOCK:
            raise NotFound("massive knows no such company")
        ratios = await self._financials("ratios", {"ticker": ticker}, symbol)
        if not ratios:
            raise NotFound("massive has no figures of it")
        # One more row than years are compared; of the balance only the last quarter's end counts.
        years = await self._statements("income-statements", "annual", YEARS, symbol)
        quarters = await self._statements("balance-sheets", "quarterly", 1, symbol)
        return fundamentals_of(symbol, Told(ratios[0], years, quarters[0] if quarters else {}))

    async def _statements(self, kind: str, timeframe: str, count: int, symbol: str) -> list[Row]:
        params = {"tickers": ticker_of(symbol) or "", "timeframe": timeframe, "sort": "period_end.desc"}
        try:
            rows = await self._financials(kind, {**params, "limit": str(count)}, symbol)
        except (NotFound, PlanLocked):
            return []
        ended = {end: row for row in rows if (end := date_of(row.get("period_end")))}
        return [ended[end] for end in sorted(ended, reverse=True)]

    async def _financials(self, kind: str, params: Mapping[str, str], symbol: str) -> list[Row]:
        rows: list[Row] = await self.get_json(
            "fundamentals", f"{FINANCIALS}/{kind}", params, symbols=[symbol], budget_s=BULK_BUDGET_S, read=rows_of
        )  # fmt: skip
        return rows


def _news_of(symbol: str, row: Row) -> News | None:
    headline = text(row["title"])
    published_at = datetime.fromisoformat(row["published_utc"])
    if not headline or published_at.tzinfo is None:
        return None
    return News(
        str(row["id"]),
        headline,
        published_at.astimezone(UTC),
        about(symbol, (symbol_of(name) for name in row.get("tickers") or [] if isinstance(name, str))),
        text(row.get("description")),
        text(object_of(row, "publisher").get("name")),
        address(row.get("article_url")),
    )


# --- figures


@dataclass(frozen=True, slots=True)
class Told:
    """The newest ratios, the fiscal years from the newest on, the newest balance sheet or nothing."""

    ratios: Row
    years: Sequence[Row]
    balance: Row

    def year(self, name: str) -> Decimal | None:
        return told(self.years[0].get(name)) if self.years else None

    def grown(self, name: str, over: int) -> Decimal | None:
        """None where a year between is missing: the row would be of another one."""
        ends = [date.fromisoformat(year["period_end"]).year for year in self.years[: over + 1]]
        if len(ends) <= over or ends[0] - ends[over] != over:
            return None
        return growth([told(year.get(name)) for year in self.years], over)


def fundamentals_of(symbol: str, one: Told) -> Fundamentals:
    ratios = one.ratios
    price = told(ratios.get("price"))
    shares = ratio(told(ratios.get("market_cap")), price)
    return Fundamentals(
        symbol,
        _as_of(one),
        shares=shares.to_integral_value() if shares else one.year("diluted_shares_outstanding"),
        eps_ttm=told(ratios.get("earnings_per_share")),
        book_value_per_share=ratio(price, told(ratios.get("price_to_book"))),
        revenue_per_share_ttm=ratio(price, told(ratios.get("price_to_sales"))),
        fcf_ttm=told(ratios.get("free_cash_flow")),
        cash=told(one.balance.get("cash_and_equivalents")),
        total_debt=_debt(one.balance),
        dividend_per_share=product(told_or_zero(ratios.get("dividend_yield")), price),
        roe=told(ratios.get("return_on_equity")),
        roa=told(ratios.get("return_on_assets")),
        debt_to_equity=told_or_zero(ratios.get("debt_to_equity")),
        current_ratio=told(ratios.get("current")),
        **_margins(one),
        **_growth(one),
    )


def _margins(one: Told) -> dict[str, Any]:
    """Of the last fiscal year."""
    sales = one.year("revenue")
    return {
        "gross_margin": ratio(one.year("gross_profit"), sales),
        "operating_margin": ratio(one.year("operating_income"), sales),
        "net_margin": ratio(one.year("consolidated_net_income_loss"), sales),
    }


def _growth(one: Told) -> dict[str, Any]:
    earnings = "diluted_earnings_per_share"
    return {
        "revenue_growth_1y": one.grown("revenue", 1),
        "revenue_growth_5y": one.grown("revenue", 5),
        "eps_growth_1y": one.grown(earnings, 1),
        "eps_growth_3y": one.grown(earnings, 3),
        "eps_growth_5y": one.grown(earnings, 5),
    }


def _debt(balance: Row) -> Decimal | None:
    """Both parts; who has none of one does not tell it."""
    names = ("debt_current", "long_term_debt_and_capital_lease_obligations")
    parts = [part for name in names if (part := told_or_zero(balance.get(name))) is not None]
    return sum(parts, Decimal(0)) if parts else None


def _as_of(one: Told) -> date:
    """The end of the newest statement; without one the day of the ratios."""
    ends = [end for row in (one.balance, *one.years[:1]) if (end := date_of(row.get("period_end")))]
    return max(ends, default=None) or date_of(one.ratios.get("date")) or clock.now().date()
