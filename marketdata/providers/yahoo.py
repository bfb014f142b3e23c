"""Yahoo Finance, unofficially: quotes by fifty, charts with dividends and splits, search, a stream. Off by default.

Its interface is for personal use only, undocumented, and changes without notice: whoever turns it on
(YAHOO_ENABLED) decides that for themselves, and the checks and the administration keep saying so.

- Quotes need a cookie and a crumb (yahoo_session.py); when they run out, 401, new ones are fetched once.
- Charts are adjusted for splits, dividends too; ours are not. So day charts are asked for until now, which makes all
  later splits part of the answer, and undone. Minutes reach back thirty days and are taken as they are.
- London, Johannesburg and Tel Aviv are told in pence, cents and agorot: normalised by the currency of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote as quoted

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from core import clock
from core.http import Answer
from marketdata.errors import (
    BadRequest,
    Malformed,
    NotFound,
    ProviderDown,
    ProviderError,
    RateLimited,
    Unauthorized,
)
from marketdata.providers import terms
from marketdata.providers.base import Capabilities, Interval, Stream, SymbolMatch
from marketdata.providers.day_figures import DayFigures
from marketdata.providers.plans import Plan
from marketdata.providers.reading import configured_plan, is_running, midnight, rows_of, seconds
from marketdata.providers.spelling import is_canonical
from marketdata.providers.unadjusted import unadjusted, unadjusted_dividend
from marketdata.providers.vendor import BULK_BUDGET_S
from marketdata.providers.vendor_stream import Patience
from marketdata.providers.yahoo_answers import (
    COVERED,
    actions_of,
    bars_of,
    delay_of,
    last_of,
    match_of,
    session_of,
    spelled,
    volume_of,
)
from marketdata.providers.yahoo_company import Company
from marketdata.providers.yahoo_session import BAN, USER_AGENT
from marketdata.providers.yahoo_stream import YahooStream
from marketdata.quotes import Action, ActionKind, Bar, Quote

PLAN = "unofficial"
MATCHES = 10
# What Yahoo keeps of minutes, and how many days of them it gives at a time.
MINUTES_KEPT, MINUTES_AT_ONCE = timedelta(days=29), timedelta(days=7)
DAY = timedelta(days=1)
REFUSALS: Mapping[str, type[ProviderError]] = {
    "Unauthorized": Unauthorized,
    "Not Found": NotFound,
    "Bad Request": BadRequest,
}


class Yahoo(Company):
    name = "yahoo"

    def __init__(
        self, *, base_url: str, cookie_url: str, stream_url: str, plan: Plan, patience: Patience | None = None
    ) -> None:
        super().__init__(base_url=base_url, cookie_url=cookie_url, plan=plan)
        self.figures = DayFigures()
        self.currencies: dict[str, str] = {}
        self.delays: dict[str, int] = {}
        self._stream_url, self._patience = stream_url, patience
        self.capabilities = Capabilities(
            label="Yahoo Finance",
            asset_classes=COVERED,
            max_symbols_per_request=plan.symbols,
            intervals=frozenset(Interval) if plan.bars else frozenset(),
            streams=plan.stream != 0,
            max_streamed_symbols=plan.stream,
            connections_per_key=plan.connections,
            windows=plan.windows,
            actions=plan.actions,
            search=True,
            news=True,
            fundamentals=plan.fundamentals,
            delayed_s=plan.delayed,
            plan=plan.name,
            display_allowed=plan.display,
            attribution="Data from Yahoo Finance, for personal use only",
        )

    def covers(self, symbol: str) -> bool:
        return is_canonical(symbol)

    def headers(self) -> Mapping[str, str]:
        cookie = {"Cookie": self.known_pass.cookie} if self.known_pass else {}
        return {"User-Agent": USER_AGENT, **cookie}

    def retry_at(self, answer: Answer) -> datetime:
        return max(super().retry_at(answer), clock.now() + BAN)

    def error_of(self, answer: Answer, body: Any) -> ProviderError | None:
        if answer.status != 200:
            return super().error_of(answer, body)
        if not isinstance(body, dict):
            return Malformed("yahoo: the answer is no object")
        for part in body.values():
            error = part.get("error") if isinstance(part, dict) else None
            if error:
                return self._told(error)
        return None

    def _told(self, error: Any) -> ProviderError:
        code = str(error.get("code")) if isinstance(error, dict) else ""
        if code == "Too Many Requests":
            return RateLimited("yahoo asks us to wait", retry_at=clock.now() + BAN)
        return REFUSALS.get(code, ProviderDown)("yahoo answered with an error")

    # --- quotes

    async def fetch_quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote | ProviderError]:
        if len(symbols) > self.capabilities.max_symbols_per_request:
            raise ValueError(f"{len(symbols)} symbols at once are too many for yahoo")
        outcomes: dict[str, Quote | ProviderError] = {
            symbol: NotFound(f"yahoo does not have {symbol}") for symbol in symbols
        }
        if not symbols:
            return outcomes
        found = await self.with_pass(partial(self._quotes, list(outcomes)))
        return outcomes | found

    async def _quotes(self, symbols: Sequence[str], crumb: str) -> dict[str, Quote | ProviderError]:
        params = {"symbols": ",".join(map(spelled, symbols)), "crumb": crumb}
        found: dict[str, Quote | ProviderError] = await self.get_json(
            "quotes", "/v7/finance/quote", params, symbols=symbols, read=partial(self._quotes_of, symbols)
        )
        for outcome in found.values():
            if isinstance(outcome, Quote):
                self.figures.remember(outcome)
        return found

    def _quotes_of(self, symbols: Sequence[str], body: Any) -> dict[str, Quote | ProviderError]:
        asked = {spelled(symbol): symbol for symbol in symbols}
        rows = ((asked.get(str(row.get("symbol"))), row) for row in rows_of(body["quoteResponse"]["result"]))
        return {
            symbol: self.outcome(symbol, partial(self._quote_of, symbol, row))
            for symbol, row in rows
            if symbol
        }

    def _quote_of(self, symbol: str, row: Mapping[str, Any]) -> Quote | ProviderError:
        prices, as_of = last_of(row)
        price = prices.pop("price")
        if price is None and not row.get("regularMarketPrice"):
            return NotFound(f"yahoo has no price of {symbol}")
        if price is None or as_of is None:
            return Malformed("yahoo: a quote without price or time")
        self.currencies[symbol], self.delays[symbol] = str(row.get("currency") or "USD"), delay_of(row)
        previous_close = prices.pop("previous_close")
        found = self.quote(
            symbol, price, as_of, previous_close=previous_close, volume=volume_of(row, prices), **prices
        )
        return replace(found, session=session_of(row) or found.session, delayed_s=self.delays[symbol])

    # --- bars

    async def fetch_bars(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> list[Bar]:
        if interval not in self.capabilities.intervals:
            return await super().fetch_bars(symbol, interval, start, end)
        if start >= end:
            return []
        bars = await (
            self._days(symbol, start) if interval is Interval.DAY else self._minutes(symbol, start, end)
        )
        found = {bar.start: bar for bar in bars if start <= bar.start < end}
        return [found[moment] for moment in sorted(found)]

    async def _days(self, symbol: str, start: datetime) -> list[Bar]:
        """Asked from a day before, since the day of an exchange east of us begins on our day before."""
        bars, actions = await self._chart(
            symbol, Interval.DAY, start - DAY, clock.now(), endpoint="bars_1day", read=_bars_and_actions
        )
        return [bar for bar in unadjusted(bars, actions) if not is_running(bar)]

    async def _minutes(self, symbol: str, start: datetime, end: datetime) -> list[Bar]:
        """The last row of the running session is the last trade and no minute; it is left out."""
        found: list[Bar] = []
        for first, last in _spans(max(start, clock.now() - MINUTES_KEPT), min(end, clock.now())):
            found += await self._chart(
                symbol, Interval.MINUTE, first, last, endpoint="bars_1min", read=bars_of
            )
        return [bar for bar in found if bar.start.second == 0]

    async def _chart(
        self,
        symbol: str,
        interval: Interval,
        start: datetime,
        end: datetime,
        *,
        endpoint: str,
        read: Callable[[str, Interval, Mapping[str, Any]], Any],
    ) -> Any:
        """What `read` makes of the chart; raises ProviderError."""
        params = {
            "period1": str(seconds(start)),
            "period2": str(seconds(end)),
            "interval": "1d" if interval is Interval.DAY else "1m",
            "events": "div,splits",
            "includePrePost": "false" if interval is Interval.DAY else "true",
        }
        return await self.get_json(
            endpoint,
            f"/v8/finance/chart/{quoted(spelled(symbol), safe='=')}",
            params,
            symbols=[symbol],
            read=lambda body: read(symbol, interval, body["chart"]["result"][0]),
            budget_s=BULK_BUDGET_S,
        )

    # --- corporate actions

    async def fetch_actions(self, symbol: str, start: date, end: date) -> list[Action]:
        if not self.capabilities.actions:
            return await super().fetch_actions(symbol, start, end)
        _, actions = await self._chart(
            symbol,
            Interval.DAY,
            midnight(start) - DAY,
            clock.now(),
            endpoint="actions",
            read=_bars_and_actions,
        )
        found = [
            unadjusted_dividend(one, actions) if one.kind is ActionKind.DIVIDEND else one
            for one in actions
            if start <= one.ex_date < end
        ]
        return sorted(found, key=lambda one: one.ex_date)

    # --- search

    async def search(self, text: str) -> list[SymbolMatch]:
        params = {"q": text, "quotesCount": str(MATCHES), "newsCount": "0"}
        rows = await self.get_json(
            "search", "/v1/finance/search", params, read=lambda body: rows_of(body["quotes"])
        )
        return [match for row in rows if (match := match_of(row))]

    # --- stream

    async def open_stream(self) -> Stream:
        if not self.capabilities.streams:
            return await super().open_stream()
        stream = YahooStream(
            self._stream_url, self.figures, self.currencies, self.delays, patience=self._patience
        )
        await stream.open()
        return stream


def _bars_and_actions(
    symbol: str, interval: Interval, chart: Mapping[str, Any]
) -> tuple[list[Bar], list[Action]]:
    return bars_of(symbol, interval, chart), actions_of(symbol, chart)


def _spans(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        until = min(start + MINUTES_AT_ONCE, end)
        yield start, until
        start = until


def from_settings() -> Yahoo:
    if not settings.YAHOO_ENABLED:
        raise ImproperlyConfigured(
            f"MARKETDATA_PROVIDERS names yahoo, but YAHOO_ENABLED is off. {terms.YAHOO}"
        )
    return Yahoo(
        base_url=settings.YAHOO_URL,
        cookie_url=settings.YAHOO_COOKIE_URL,
        stream_url=settings.YAHOO_STREAM_URL,
        plan=configured_plan("yahoo", PLAN, "VENDOR_PLANS_FILE"),
    )
