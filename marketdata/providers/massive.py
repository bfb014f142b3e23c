"""Massive, formerly Polygon.io: quotes in batches of 250, bars, dividends, splits and search; the stream is beside.

What is peculiar: a batch answers ten symbols unless it is told another limit; an unknown symbol is an error within
an answer of status 200; trades and quotes are timed in nanoseconds, bars in milliseconds; and long answers name the
address of the next page, of which only path and query are believed, since our key goes with the request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings

from core import clock
from core.http import Answer
from marketdata.errors import (
    Malformed,
    NotFound,
    PlanLocked,
    ProviderError,
)
from marketdata.instruments import asset_class_of
from marketdata.providers.base import AssetClass, Capabilities, Interval, Stream, SymbolMatch
from marketdata.providers.day_figures import DayFigures, trading_date
from marketdata.providers.massive_answers import (
    Read,
    Value,
    bar_of,
    day_of,
    dividend_of,
    is_real_time,
    item_error,
    last_of,
    listed,
    match_of,
    next_page,
    range_of,
    readable,
    refusal_of,
    rows_of,
    split_of,
)
from marketdata.providers.massive_company import Company
from marketdata.providers.massive_market import MarketStream
from marketdata.providers.massive_stream import MassiveStream, delay_of, feed_url
from marketdata.providers.massive_symbols import ticker_of
from marketdata.providers.plans import Plan
from marketdata.providers.reading import configured_plan, midnight, required
from marketdata.providers.vendor import BULK_BUDGET_S, MAX_PAGES
from marketdata.providers.vendor_stream import Patience
from marketdata.quotes import Action, Bar, Quote

MAX_BATCH = 250
BARS_PER_PAGE = 50_000
ROWS_PER_PAGE = 1_000
MATCHES = 20
SPANS = {Interval.MINUTE: "minute", Interval.DAY: "day"}
# A plan this late sells only days that are over; its snapshots are refused.
END_OF_DAY_S = 86_400
# Such a price changes once a day, and five requests a minute must do for everything.
END_OF_DAY_TTL = timedelta(hours=1)
ACTIONS = (("dividends", "ex_dividend_date", dividend_of), ("splits", "execution_date", split_of))


class Massive(Company):
    name = "massive"

    def __init__(
        self, key: str, *, base_url: str, stream_url: str, plan: Plan, patience: Patience | None = None
    ) -> None:
        super().__init__(base_url=base_url, plan=plan)
        self._key = key
        self.stream_url = stream_url.rstrip("/")
        self._patience = patience
        self._locked: dict[str, float] = {}
        self.days = DayFigures()
        self.is_end_of_day = plan.delayed >= END_OF_DAY_S
        self.capabilities = Capabilities(
            label="Massive",
            asset_classes=frozenset(AssetClass),
            max_symbols_per_request=1 if self.is_end_of_day else min(plan.symbols, MAX_BATCH),
            intervals=frozenset(SPANS) if plan.bars else frozenset(),
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
            attribution="Market data by Massive",
        )

    def covers(self, symbol: str) -> bool:
        return ticker_of(symbol) is not None

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._key}"}

    def error_of(self, answer: Answer, body: Any) -> ProviderError | None:
        """A refusal may come with status 200, its kind in `status` and in the words beside."""
        if answer.status != 200:
            return super().error_of(answer, body)
        if not isinstance(body, dict):
            return Malformed("massive: the answer is no object")
        status = body.get("status")
        if str(status) in {"OK", "DELAYED"}:
            return None
        return refusal_of(status, str(body.get("error") or body.get("message") or ""), self.retry_at(answer))

    # --- quotes

    async def fetch_quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote | ProviderError]:
        asked = self.once(symbols)
        unknown = NotFound("massive does not have it")
        outcomes: dict[str, Quote | ProviderError] = dict.fromkeys(asked, unknown)
        tickers = {ticker: symbol for symbol in asked if (ticker := ticker_of(symbol))}
        if tickers and self.is_end_of_day:
            outcomes |= await self._days_before(tickers)
        elif tickers:
            outcomes |= await self._snapshots(tickers)
        return outcomes

    async def _snapshots(self, tickers: Mapping[str, str]) -> dict[str, Quote | ProviderError]:
        def read(body: Any) -> dict[str, Quote | ProviderError]:
            items = {str(item.get("ticker")): item for item in rows_of(body, needed=True)}
            return {
                symbol: self.outcome(symbol, partial(self._quote_of, symbol, items[name]))
                for name, symbol in tickers.items()
                if name in items
            }

        params = {"ticker.any_of": ",".join(tickers), "limit": str(MAX_BATCH)}
        outcomes: dict[str, Quote | ProviderError] = await self.get_json(
            "quotes", "/v3/snapshot", params, symbols=list(tickers.values()), read=read
        )
        return outcomes

    def _quote_of(self, symbol: str, item: Mapping[str, Any]) -> Quote | ProviderError:
        if error := item.get("error"):
            return item_error(str(error))
        price, as_of = last_of(symbol, item)
        if price is None:
            return NotFound("massive has no price of it now")
        if as_of is None:
            return Malformed("massive: a price without its time")
        quote = self.quote(symbol, price, as_of, **day_of(item))
        if is_real_time(item):  # a plan of one class says nothing of the others
            quote = replace(quote, delayed_s=0)
        self.days.remember(quote)
        return quote

    async def _days_before(self, tickers: Mapping[str, str]) -> dict[str, Quote | ProviderError]:
        """The last day that is over, of the one symbol that such a request can name."""
        ((ticker, symbol),) = tickers.items()

        def read(body: Any) -> dict[str, Quote | ProviderError]:
            bars = readable(rows_of(body), partial(bar_of, symbol, Interval.MINUTE))
            return {bar.symbol: self._quote_of_day(bar) for bar in bars}

        outcomes: dict[str, Quote | ProviderError] = await self.get_json(
            "quotes", f"/v2/aggs/ticker/{ticker}/prev", {"adjusted": "false"}, symbols=[symbol], read=read
        )
        return outcomes

    def _quote_of_day(self, bar: Bar) -> Quote:
        quote = self.quote(
            bar.symbol, bar.close, bar.start, open=bar.open, high=bar.high, low=bar.low, volume=bar.volume
        )
        return replace(quote, expires_at=quote.received_at + END_OF_DAY_TTL)

    # --- bars

    async def fetch_bars(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> list[Bar]:
        """Without the running day: it is a bar only when it is over."""
        if interval not in self.capabilities.intervals:
            raise PlanLocked(f"massive has no bars of {interval.value} in this plan")
        ticker = self._ticker(symbol)
        if start >= end:
            return []
        if interval is Interval.DAY:
            end = min(end, midnight(trading_date(symbol, clock.now())))
        first, last = range_of(interval, start, end)
        path = f"/v2/aggs/ticker/{ticker}/range/1/{SPANS[interval]}/{first}/{last}"
        params = {"adjusted": "false", "sort": "asc", "limit": str(BARS_PER_PAGE)}
        pages = self._pages(f"bars_{interval.value}", path, params, partial(bar_of, symbol, interval), symbol)
        found = {bar.start: bar async for bars in pages for bar in bars if start <= bar.start < end}
        return [found[moment] for moment in sorted(found)]

    # --- corporate actions

    async def fetch_actions(self, symbol: str, start: date, end: date) -> list[Action]:
        """Dividends and splits; Massive tells renames only of the new symbol, so they are not asked for."""
        if not self.capabilities.actions:
            raise PlanLocked("massive has no corporate actions in this plan")
        ticker = self._ticker(symbol)
        if asset_class_of(symbol) is not AssetClass.STOCK:
            return []
        found: set[Action] = set()
        for kind, day, read in ACTIONS:
            params = {
                "ticker": ticker, f"{day}.gte": start.isoformat(), f"{day}.lt": end.isoformat(),
                "order": "asc", "sort": day, "limit": str(ROWS_PER_PAGE),
            }  # fmt: skip
            async for actions in self._pages(
                "actions", f"/v3/reference/{kind}", params, partial(read, symbol), symbol
            ):
                found.update(action for action in actions if start <= action.ex_date < end)
        return sorted(found, key=lambda one: (one.ex_date, one.kind))

    # --- search

    async def search(self, text: str) -> list[SymbolMatch]:
        params = {"search": text, "active": "true", "limit": str(MATCHES)}
        found: list[SymbolMatch] = await self.get_json(
            "search", "/v3/reference/tickers", params, read=lambda body: listed(rows_of(body), match_of)
        )
        wanted = text.upper()
        return sorted(found, key=lambda one: (one.symbol != wanted, not one.symbol.startswith(wanted)))

    # --- stream

    async def open_stream(self) -> Stream:
        if not self.capabilities.streams:
            raise PlanLocked("massive has no stream in this plan")
        stream = MassiveStream(self._market_stream, self._locked)
        await stream.open()
        return stream

    def _market_stream(self, market: str, on_locked: Callable[[], None]) -> MarketStream:
        return MarketStream(
            feed_url(self.stream_url, self.plan, market),
            key=self._key,
            days=self.days,
            delayed_s=delay_of(self.plan, market),
            on_locked=on_locked,
            patience=self._patience,
        )

    # --- what the operations share

    def _ticker(self, symbol: str) -> str:
        ticker = ticker_of(symbol)
        if ticker is None:
            raise NotFound("massive does not have it")
        return ticker

    async def _pages(
        self, endpoint: str, path: str, params: Mapping[str, str], read: Read[Value], symbol: str
    ) -> AsyncIterator[list[Value]]:
        """What `read` makes of the rows, page by page."""

        def page_of(body: Any) -> tuple[list[Value], tuple[str, dict[str, str]] | None]:
            return readable(rows_of(body), read), next_page(body.get("next_url"))

        for _ in range(MAX_PAGES):
            found, following = await self.get_json(
                endpoint, path, params, symbols=[symbol], read=page_of, budget_s=BULK_BUDGET_S
            )
            yield found
            if following is None:
                return
            path, params = following
        raise Malformed("massive: pages without end")


def from_settings() -> Massive:
    return Massive(
        required("MASSIVE_API_KEY", "massive"),
        base_url=settings.MASSIVE_URL,
        stream_url=settings.MASSIVE_STREAM_URL,
        plan=configured_plan("massive", settings.MASSIVE_PLAN, "MASSIVE_PLAN"),
    )
