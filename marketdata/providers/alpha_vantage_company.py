"""What Alpha Vantage tells of companies: news, transcripts, figures. "None" and "-" mean that it does not tell.

Which calls were held follows from the list of earnings: it has the days on which quarters ended and were reported, and
of which month the fiscal years are. With the free plan's twenty-five requests a day figures are those of the overview
alone; paid plans are also asked for cash flow, balance and past earnings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from core import clock
from marketdata.company import EarningsCall, Fundamentals, News, Speech
from marketdata.errors import NotFound
from marketdata.instruments import asset_class_of
from marketdata.providers.alpha_vantage_answers import InvalidCall, asked_of, ours_of, pair_of
from marketdata.providers.base import MOST_NEWS, AssetClass
from marketdata.providers.company_reading import (
    about,
    address,
    first,
    growth,
    newest,
    ratio,
    readable,
    said,
    text,
    told,
    told_or_zero,
    total,
)
from marketdata.providers.reading import date_of, rows_of
from marketdata.providers.vendor import BULK_BUDGET_S, QUOTE_BUDGET_S, Vendor

T = TypeVar("T")
Row = Mapping[str, Any]
QUARTERS = 4


class Company(Vendor):
    """The operations about companies, and the one way in which everything is asked."""

    is_paid = False

    async def query(
        self,
        endpoint: str,
        params: Mapping[str, str],
        read: Callable[[Any], T],
        *,
        symbols: Sequence[str] = (),
    ) -> T:
        """What `read` makes of the answer; one to a question about a single symbol may be NotFound."""
        budget_s = QUOTE_BUDGET_S if endpoint == "quotes" else BULK_BUDGET_S
        try:
            found: T = await self.get_json(
                endpoint, "/query", params, symbols=symbols, read=read, budget_s=budget_s
            )
        except InvalidCall:
            if len(symbols) != 1:
                raise
            raise NotFound(f"alpha_vantage does not have {symbols[0]}") from None
        return found

    # --- news

    async def fetch_news(self, symbol: str, since: datetime) -> list[News]:
        params = {
            "function": "NEWS_SENTIMENT", "tickers": _news_ticker(symbol), "sort": "LATEST",
            "time_from": since.astimezone(UTC).strftime("%Y%m%dT%H%M"), "limit": str(MOST_NEWS),
        }  # fmt: skip
        found = await self.query(
            "news",
            params,
            lambda body: readable(rows_of(body["feed"]), partial(_news_of, symbol)),
            symbols=[symbol],
        )
        return newest(found, since)

    # --- earnings calls

    async def fetch_calls(self, symbol: str, newest: int) -> list[tuple[int, int]]:
        params = {"function": "EARNINGS", "symbol": _company(symbol)}
        return (await self.query("calls", params, partial(_calls_of, symbol), symbols=[symbol]))[:newest]

    async def fetch_call(self, symbol: str, year: int, quarter: int) -> EarningsCall:
        params = {
            "function": "EARNINGS_CALL_TRANSCRIPT", "symbol": _company(symbol), "quarter": f"{year}Q{quarter}",
        }  # fmt: skip
        read = partial(_call_of, (symbol, year, quarter))
        return await self.query("call", params, read, symbols=[symbol])

    # --- figures

    async def fetch_fundamentals(self, symbol: str) -> Fundamentals:
        overview = await self._told("OVERVIEW", symbol, dict)
        if not self.is_paid:
            return fundamentals_of(symbol, overview)
        further = [await self._rows(*asked, symbol) for asked in FURTHER]
        return fundamentals_of(symbol, overview, *further)

    async def _rows(self, function: str, name: str, symbol: str) -> Sequence[Row]:
        """The reports of one kind, the newest first; none where there are none."""
        try:
            return await self._told(function, symbol, lambda body: _by_end(body.get(name)))
        except NotFound:
            return []

    async def _told(self, function: str, symbol: str, read: Callable[[Row], T]) -> T:
        """Of a symbol that it does not know it answers an empty object."""
        params = {"function": function, "symbol": _company(symbol)}
        unknown = NotFound(f"alpha_vantage has no figures of {symbol}")
        return await self.query("fundamentals", params, partial(_of_object, unknown, read), symbols=[symbol])


FURTHER = (
    ("CASH_FLOW", "quarterlyReports"),
    ("BALANCE_SHEET", "quarterlyReports"),
    ("EARNINGS", "annualEarnings"),
)


def _company(symbol: str) -> str:
    if asset_class_of(symbol) is not AssetClass.STOCK:
        raise NotFound(f"alpha_vantage knows no company {symbol}")
    return asked_of(symbol)


def _of_object(unknown: NotFound, read: Callable[[Row], T], body: Row) -> T:
    if not body:
        raise unknown
    return read(body)


# --- news


def _news_ticker(symbol: str) -> str:
    match asset_class_of(symbol):
        case AssetClass.CRYPTO:
            return f"CRYPTO:{pair_of(symbol)[0]}"
        case AssetClass.FOREX:
            return f"FOREX:{pair_of(symbol)[0]}"
        case _:
            return asked_of(symbol)


def _our_ticker(told_ticker: str) -> str | None:
    market, separator, name = told_ticker.rpartition(":")
    if not separator:
        return ours_of(name)
    return ours_of(f"{name}/USD") if market == "CRYPTO" else None  # a currency alone is no instrument


def _news_of(symbol: str, row: Row) -> News | None:
    headline, url = text(row["title"]), address(row["url"])
    if not headline or not url:
        return None
    published_at = datetime.strptime(row["time_published"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    others = [_our_ticker(str(one.get("ticker"))) for one in rows_of(row.get("ticker_sentiment") or [])]
    # It has no numbers of its own: an article is known by its address.
    return News(
        url,
        headline,
        published_at,
        about(symbol, others),
        text(row.get("summary")),
        text(row.get("source")),
        url,
    )


# --- earnings calls


def _calls_of(symbol: str, body: Row) -> list[tuple[int, int]]:
    """Quarters that were reported, the newest first; by the month in which most of its years end."""
    if not body:
        raise NotFound(f"alpha_vantage has no earnings of {symbol}")
    month = _fiscal_month(_by_end(body["annualEarnings"]))
    today = clock.now().date()
    ends = [
        date.fromisoformat(row["fiscalDateEnding"])
        for row in _by_end(body["quarterlyEarnings"])
        if (reported := date_of(row.get("reportedDate"))) and reported <= today
    ]
    return [fiscal_quarter(end, month) for end in ends]


def _fiscal_month(years: Sequence[Row]) -> int:
    """The running year may be told to its newest quarter, so the first row alone proves nothing."""
    months = Counter(date.fromisoformat(row["fiscalDateEnding"]).month for row in years)
    return months.most_common(1)[0][0] if months else 12


def fiscal_quarter(end: date, month: int) -> tuple[int, int]:
    """(fiscal year, quarter) of a quarter that ended then, of a company whose years end with this month."""
    quarter = (end.month - month - 1) % 12 // 3 + 1
    return (end.year if end.month <= month else end.year + 1), quarter


def _call_of(wanted: tuple[str, int, int], body: Row) -> EarningsCall:
    symbol, year, quarter = wanted
    speeches = said(
        Speech(text(row["speaker"]), text(row["content"]), text(row.get("title")))
        for row in rows_of(body["transcript"])
    )
    if not speeches:
        raise NotFound(f"alpha_vantage has no transcript of {symbol} {year} Q{quarter}")
    return EarningsCall(symbol, year, quarter, f"{symbol} earnings call, Q{quarter} {year}", speeches)


# --- figures


def _by_end(rows: Any) -> list[Row]:
    """Those whose period is told, each once, the newest first."""
    ended = {end: row for row in rows_of(rows or []) if (end := date_of(row.get("fiscalDateEnding")))}
    return [ended[end] for end in sorted(ended, reverse=True)]


def fundamentals_of(
    symbol: str,
    overview: Row,
    cash_flows: Sequence[Row] = (),
    balances: Sequence[Row] = (),
    years: Sequence[Row] = (),
) -> Fundamentals:
    balance = balances[0] if balances else {}
    debt = _debt(balance)
    equity, liabilities = (
        told(balance.get("totalShareholderEquity")),
        told(balance.get("totalCurrentLiabilities")),
    )
    return Fundamentals(
        symbol,
        _as_of(overview, balance),
        text(overview.get("Currency")) or "USD",
        gross_margin=ratio(told(overview.get("GrossProfitTTM")), told(overview.get("RevenueTTM"))),
        eps_ttm=first(overview, told, "DilutedEPSTTM", "EPS"),
        dividend_per_share=told_or_zero(overview.get("DividendPerShare")),
        fcf_ttm=_free_cash_flow(cash_flows),
        cash=told(balance.get("cashAndCashEquivalentsAtCarryingValue")),
        total_debt=debt,
        debt_to_equity=ratio(debt, equity),
        current_ratio=ratio(told(balance.get("totalCurrentAssets")), liabilities),
        eps_growth_3y=_grown(years, 3),
        eps_growth_5y=_grown(years, 5),
        **{name: told(overview.get(theirs)) for name, theirs in PLAIN.items()},
    )


# Growth is that of the newest quarter over the same one a year before: a whole year's is not told.
PLAIN: Mapping[str, Any] = {
    "shares": "SharesOutstanding",
    "book_value_per_share": "BookValue",
    "revenue_per_share_ttm": "RevenuePerShareTTM",
    "operating_margin": "OperatingMarginTTM",
    "net_margin": "ProfitMargin",
    "roe": "ReturnOnEquityTTM",
    "roa": "ReturnOnAssetsTTM",
    "revenue_growth_1y": "QuarterlyRevenueGrowthYOY",
    "eps_growth_1y": "QuarterlyEarningsGrowthYOY",
    "beta": "Beta",
}


def _as_of(overview: Row, balance: Row) -> date:
    ends = [overview.get("LatestQuarter"), balance.get("fiscalDateEnding")]
    return max((day for end in ends if (day := date_of(end))), default=clock.now().date())


def _free_cash_flow(reports: Sequence[Row]) -> Decimal | None:
    """Of four quarters in a row, all told."""
    last = reports[:QUARTERS]
    if len(last) < QUARTERS:
        return None
    earned = total(told(row.get("operatingCashflow")) for row in last)
    spent = total(told_or_zero(row.get("capitalExpenditures")) for row in last)
    return None if earned is None or spent is None else earned - abs(spent)


def _debt(balance: Row) -> Decimal | None:
    whole = told_or_zero(balance.get("shortLongTermDebtTotal"))
    if whole is not None:
        return whole
    return total(told_or_zero(balance.get(name)) for name in ("shortTermDebt", "longTermDebt"))


def _grown(years: Sequence[Row], over: int) -> Decimal | None:
    """Of whole fiscal years: the running one is told up to its newest quarter, and is no year."""
    month = _fiscal_month(years)
    whole = {
        end.year: told(row.get("reportedEPS"))
        for row in years
        if (end := date.fromisoformat(row["fiscalDateEnding"])).month == month
    }
    newest_year = max(whole, default=0)
    return growth([whole.get(newest_year - back) for back in range(over + 1)], over)
