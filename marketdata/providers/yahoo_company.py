"""What Yahoo tells of companies: headlines, and figures of the newest quarter, which need a crumb as quotes do.

A company that reports in another money than its shares trade in is left out: which of its figures are in which is not
told. Growth is that of the newest quarter over the same one a year before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote as quoted

from core import clock
from marketdata.company import Fundamentals, News
from marketdata.errors import NotFound, Unauthorized
from marketdata.instruments import asset_class_of
from marketdata.providers import yahoo_session
from marketdata.providers.base import AssetClass
from marketdata.providers.company_reading import (
    HUNDRED,
    about,
    address,
    newest,
    readable,
    text,
    told,
    told_or_zero,
)
from marketdata.providers.plans import Plan
from marketdata.providers.reading import moment_of, rows_of
from marketdata.providers.spelling import ours
from marketdata.providers.vendor import BULK_BUDGET_S, Vendor
from marketdata.providers.yahoo_answers import spelled
from marketdata.providers.yahoo_session import Pass

T = TypeVar("T")
Row = Mapping[str, Any]
MODULES = ("financialData", "defaultKeyStatistics", "summaryDetail")
HEADLINES = 50
PLAIN = {
    "eps_ttm": "trailingEps",
    "book_value_per_share": "bookValue",
    "shares": "sharesOutstanding",
    "revenue_per_share_ttm": "revenuePerShare",
    "fcf_ttm": "freeCashflow",
    "cash": "totalCash",
    "gross_margin": "grossMargins",
    "operating_margin": "operatingMargins",
    "net_margin": "profitMargins",
    "roe": "returnOnEquity",
    "roa": "returnOnAssets",
    "current_ratio": "currentRatio",
    "revenue_growth_1y": "revenueGrowth",
    "eps_growth_1y": "earningsGrowth",
    "beta": "beta",
}


class Company(Vendor):
    """The operations about companies, and the cookie and crumb that they share with quotes."""

    def __init__(self, *, base_url: str, cookie_url: str, plan: Plan) -> None:
        super().__init__(base_url=base_url, plan=plan)
        self._cookie_url = cookie_url
        self.known_pass: Pass | None = None

    async def with_pass(self, ask: Callable[[str], Awaitable[T]]) -> T:
        """What `ask` makes of a crumb; one that has run out is fetched anew, once."""
        was_known = self.known_pass is not None
        try:
            return await ask(await self._crumb())
        except Unauthorized:
            self.known_pass = None
            if not was_known:
                raise
        return await ask(await self._crumb())

    async def _crumb(self) -> str:
        if self.known_pass is None:
            self.known_pass = await yahoo_session.obtain(self._cookie_url, self.base_url, self.plan.name)
        return self.known_pass.crumb

    async def fetch_news(self, symbol: str, since: datetime) -> list[News]:
        """Found by a search, so only those that name the symbol count."""
        params = {"q": spelled(symbol), "quotesCount": "0", "newsCount": str(HEADLINES)}
        found = await self.get_json(
            "news", "/v1/finance/search", params, symbols=[symbol], budget_s=BULK_BUDGET_S,
            read=lambda body: readable(rows_of(body["news"]), partial(_news_of, symbol)),
        )  # fmt: skip
        return newest((one for one in found if symbol in one.symbols), since)

    async def fetch_fundamentals(self, symbol: str) -> Fundamentals:
        if "=" in symbol or asset_class_of(symbol) is not AssetClass.STOCK:
            raise NotFound(f"yahoo knows no company {symbol}")
        return await self.with_pass(partial(self._figures, symbol))

    async def _figures(self, symbol: str, crumb: str) -> Fundamentals:
        path = f"/v10/finance/quoteSummary/{quoted(spelled(symbol), safe='')}"
        params = {"modules": ",".join(MODULES), "formatted": "false", "crumb": crumb}
        found: Fundamentals = await self.get_json(
            "fundamentals", path, params, symbols=[symbol], budget_s=BULK_BUDGET_S,
            read=lambda body: fundamentals_of(symbol, body["quoteSummary"]["result"][0]),
        )  # fmt: skip
        return found


def _news_of(symbol: str, row: Row) -> News | None:
    published_at, headline = moment_of(row["providerPublishTime"]), text(row["title"])
    if published_at is None or not headline:
        return None
    related = [name for told_name in row.get("relatedTickers") or [] if (name := ours(told_name))]
    symbols = about(symbol, related) if symbol in related else tuple(dict.fromkeys(related))
    return News(
        str(row["uuid"]),
        headline,
        published_at,
        symbols,
        source=text(row.get("publisher")),
        url=address(row.get("link")),
    )


def fundamentals_of(symbol: str, result: Row) -> Fundamentals:
    """Of all modules at once, each of which may be missing."""
    row: dict[str, Any] = {}
    for name in MODULES:
        row |= {
            key: _raw(value) for key, value in (result.get(name) or {}).items() if _raw(value) is not None
        }
    currency = text(row.get("currency")) or "USD"
    if text(row.get("financialCurrency")) not in {"", currency}:
        raise NotFound(f"yahoo tells figures of {symbol} in two currencies")
    leverage = told_or_zero(row.get("debtToEquity"))
    return Fundamentals(
        symbol,
        _as_of(row),
        currency,
        total_debt=told_or_zero(row.get("totalDebt")),
        debt_to_equity=None if leverage is None else leverage / HUNDRED,
        dividend_per_share=_dividend(row),
        **{ours_: told(row.get(theirs)) for ours_, theirs in PLAIN.items() if theirs in row},
    )


def _raw(value: Any) -> Any:
    """Figures come plain, or as {"raw": 1.5, "fmt": "1.50"}; nothing as an empty object."""
    return value.get("raw") if isinstance(value, dict) else value


def _dividend(row: Row) -> Decimal | None:
    rates = (told_or_zero(row.get(name)) for name in ("trailingAnnualDividendRate", "dividendRate"))
    return next((rate for rate in rates if rate is not None), None)


def _as_of(row: Row) -> date:
    ended = moment_of(row.get("mostRecentQuarter"))
    return ended.date() if ended else clock.now().date()
