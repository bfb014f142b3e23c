"""Finnhub: one symbol per request, a stream of bare trades, and history only in paid plans.

Its day bars are adjusted for splits, ours are not: the splits are asked for, too, and undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings

from core import clock
from marketdata.errors import Malformed, NotFound, PlanLocked, ProviderError
from marketdata.instruments import asset_class_of
from marketdata.providers.base import AssetClass, Capabilities, Interval, Stream, SymbolMatch
from marketdata.providers.day_figures import DayFigures
from marketdata.providers.finnhub_company import Company
from marketdata.providers.finnhub_stream import FinnhubStream
from marketdata.providers.finnhub_symbols import COVERED, spelled
from marketdata.providers.plans import Plan
from marketdata.providers.reading import (
    bar_of,
    configured_plan,
    date_of,
    is_running,
    midnight,
    moment_of,
    required,
    rows_of,
    seconds,
)
from marketdata.providers.spelling import currency_guess, is_canonical, ours, parts_of
from marketdata.providers.unadjusted import unadjusted
from marketdata.providers.vendor import BULK_BUDGET_S, number, positive
from marketdata.providers.vendor_stream import Patience
from marketdata.quotes import Action, ActionKind, Bar, Quote

CANDLES = {AssetClass.CRYPTO: "/crypto/candle", AssetClass.FOREX: "/forex/candle"}
RESOLUTIONS = {Interval.MINUTE: "1", Interval.DAY: "D"}
COLUMNS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
# It gives one month of minutes at a time, and days of any number.
SPANS = {Interval.MINUTE: timedelta(days=30), Interval.DAY: timedelta(days=365 * 50)}
FUNDS = {"ETP", "ETF", "Closed-End Fund", "Open-End Fund"}


class Finnhub(Company):
    name = "finnhub"

    def __init__(
        self, key: str, *, base_url: str, stream_url: str, plan: Plan, patience: Patience | None = None
    ) -> None:
        super().__init__(base_url=base_url, plan=plan)
        self._key = key
        self._patience = patience
        self._stream_url = stream_url
        self.figures = DayFigures()
        self.capabilities = Capabilities(
            label="Finnhub",
            asset_classes=COVERED,
            max_symbols_per_request=plan.symbols,
            intervals=frozenset(RESOLUTIONS) if plan.bars else frozenset(),
            streams=plan.stream != 0,
            max_streamed_symbols=plan.stream,
            connections_per_key=plan.connections,
            windows=plan.windows,
            actions=plan.actions,
            search=True,
            news=True,
            transcripts=plan.transcripts,
            fundamentals=plan.fundamentals,
            delayed_s=plan.delayed,
            plan=plan.name,
            display_allowed=plan.display,
            attribution="Data by Finnhub",
        )

    def covers(self, symbol: str) -> bool:
        return is_canonical(symbol) and spelled(symbol) is not None

    def headers(self) -> Mapping[str, str]:
        return {"X-Finnhub-Token": self._key}

    # --- quotes

    async def fetch_quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote | ProviderError]:
        if len(symbols) > self.capabilities.max_symbols_per_request:
            raise ValueError(f"{len(symbols)} symbols at once are too many for finnhub")
        return {symbol: await self._fetch_quote(symbol) for symbol in symbols}

    async def _fetch_quote(self, symbol: str) -> Quote | ProviderError:
        asked = spelled(symbol)
        if asked is None:
            return NotFound(f"finnhub does not have {symbol}")
        outcome: Quote | ProviderError = await self.get_json(
            "quotes", "/quote", {"symbol": asked}, symbols=[symbol], read=partial(self._quote_of, symbol)
        )
        if isinstance(outcome, Quote):
            self.figures.remember(outcome)
        return outcome

    def _quote_of(self, symbol: str, body: Mapping[str, Any]) -> Quote | ProviderError:
        """Of a symbol that it does not know it says zeros, or nothing."""
        if not number(body["c"]) and not number(body.get("pc")):
            return NotFound(f"finnhub does not have {symbol}")
        price, as_of = positive(body["c"]), moment_of(body.get("t"))
        if price is None or as_of is None:
            raise Malformed("finnhub: a quote without price or time")
        return self.quote(
            symbol,
            price,
            as_of,
            previous_close=positive(body.get("pc")),
            open=positive(body.get("o")),
            high=positive(body.get("h")),
            low=positive(body.get("l")),
        )

    # --- bars

    async def fetch_bars(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> list[Bar]:
        if interval not in self.capabilities.intervals:
            return await super().fetch_bars(symbol, interval, start, end)
        asked = self._asked(symbol)
        found: dict[datetime, Bar] = {}
        for first, last in _spans(start, min(end, clock.now()), SPANS[interval]):
            params = {
                "symbol": asked,
                "resolution": RESOLUTIONS[interval],
                "from": str(seconds(first)),
                "to": str(seconds(last)),
            }
            path = CANDLES.get(asset_class_of(symbol), "/stock/candle")
            bars = await self.get_json(
                f"bars_{interval.value}", path, params, symbols=[symbol], budget_s=BULK_BUDGET_S,
                read=partial(_bars, symbol, interval),
            )  # fmt: skip
            found |= {bar.start: bar for bar in bars}
        bars = [found[moment] for moment in sorted(found) if start <= moment < end]
        bars = [bar for bar in bars if not (interval is Interval.DAY and is_running(bar))]
        return await self._as_traded(symbol, interval, bars)

    async def _as_traded(self, symbol: str, interval: Interval, bars: list[Bar]) -> list[Bar]:
        """Only its day bars of shares are adjusted."""
        if not bars or interval is not Interval.DAY or asset_class_of(symbol) is not AssetClass.STOCK:
            return bars
        splits = await self._splits(
            symbol, bars[0].start.date(), clock.now().date() + timedelta(days=1), endpoint="bars_1day"
        )
        return unadjusted(bars, splits)

    # --- corporate actions

    async def fetch_actions(self, symbol: str, start: date, end: date) -> list[Action]:
        if not self.capabilities.actions:
            return await super().fetch_actions(symbol, start, end)
        self._asked(symbol)
        if asset_class_of(symbol) is not AssetClass.STOCK:
            return []
        found = [*await self._splits(symbol, start, end), *await self._dividends(symbol, start, end)]
        return sorted((one for one in found if start <= one.ex_date < end), key=lambda one: one.ex_date)

    async def _dividends(self, symbol: str, start: date, end: date) -> list[Action]:
        """The fuller list, or the basic one where the plan has only that; it tells no currency, so not of others."""
        try:
            rows = await self._rows("/stock/dividend", symbol, _days(start, end))
        except PlanLocked:
            if parts_of(symbol).exchange:
                raise
            rows = await self._rows("/stock/dividend2", symbol, {}, read=lambda body: rows_of(body["data"]))
        return [action for row in rows if (action := _dividend_of(symbol, row))]

    async def _splits(self, symbol: str, start: date, end: date, endpoint: str = "actions") -> list[Action]:
        rows = await self._rows("/stock/split", symbol, _days(start, end), endpoint=endpoint)
        return [action for row in rows if (action := _split_of(symbol, row))]

    async def _rows(
        self,
        path: str,
        symbol: str,
        params: Mapping[str, str],
        *,
        read: Callable[[Any], Any] = rows_of,
        endpoint: str = "actions",
    ) -> list[Mapping[str, Any]]:
        asked = {"symbol": self._asked(symbol), **params}
        rows: list[Mapping[str, Any]] = await self.get_json(
            endpoint, path, asked, symbols=[symbol], read=read, budget_s=BULK_BUDGET_S
        )
        return rows

    # --- search

    async def search(self, text: str) -> list[SymbolMatch]:
        rows = await self.get_json(
            "search", "/search", {"q": text}, read=lambda body: rows_of(body["result"])
        )
        return [match for row in rows if (match := _match_of(row))]

    # --- stream

    async def open_stream(self) -> Stream:
        if not self.capabilities.streams:
            return await super().open_stream()
        stream = FinnhubStream(
            self._stream_url, self._key, self.figures, limit=self.plan.stream, patience=self._patience
        )
        await stream.open()
        return stream

    def _asked(self, symbol: str) -> str:
        found = spelled(symbol)
        if found is None:
            raise NotFound(f"finnhub does not have {symbol}")
        return found


def _spans(start: datetime, end: datetime, longest: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """What to ask for one after the other; Finnhub counts the last second in."""
    while start < end:
        until = min(start + longest, end)
        yield start, until - timedelta(seconds=1)
        start = until


def _bars(symbol: str, interval: Interval, body: Any) -> list[Bar]:
    """Columns side by side become bars; raises as a reader of another shape does."""
    if body["s"] == "no_data":
        return []
    times = body["t"]
    columns = {name: body[letter] for name, letter in COLUMNS.items()}
    found: list[Bar | None] = []
    for told, *figures in zip(times, *columns.values(), strict=True):
        if moment := moment_of(told):
            start = midnight(moment.date()) if interval is Interval.DAY else moment
            found.append(bar_of(symbol, start, dict(zip(columns, figures, strict=True))))
    return [bar for bar in found if bar]


def _days(start: date, end: date) -> dict[str, str]:
    """Finnhub counts the last day in."""
    return {"from": start.isoformat(), "to": (end - timedelta(days=1)).isoformat()}


def _dividend_of(symbol: str, row: Mapping[str, Any]) -> Action | None:
    """Of the fuller list or of the basic one; the amount as it was paid, not the adjusted one."""
    ex_date, amount = date_of(row.get("date") or row.get("exDate")), positive(row.get("amount"))
    if ex_date is None or amount is None:
        return None
    return Action(
        symbol,
        ActionKind.DIVIDEND,
        ex_date,
        amount=amount,
        currency=str(row.get("currency") or "USD"),
        declared_date=date_of(row.get("declarationDate")),
        record_date=date_of(row.get("recordDate")),
        pay_date=date_of(row.get("payDate")),
    )


def _split_of(symbol: str, row: Mapping[str, Any]) -> Action | None:
    ex_date = date_of(row.get("date"))
    before, after = positive(row.get("fromFactor")), positive(row.get("toFactor"))
    if ex_date is None or before is None or after is None:
        return None
    return Action(symbol, ActionKind.SPLIT, ex_date, split_from=before, split_to=after)


def _match_of(row: Mapping[str, Any]) -> SymbolMatch | None:
    symbol = ours(row.get("symbol"))
    if symbol is None:
        return None
    kind = AssetClass.ETF if row.get("type") in FUNDS else asset_class_of(symbol)
    return SymbolMatch(
        symbol, str(row.get("description") or ""), asset_class=kind, currency=currency_guess(symbol)
    )


def from_settings() -> Finnhub:
    return Finnhub(
        required("FINNHUB_API_KEY", "finnhub"),
        base_url=settings.FINNHUB_URL,
        stream_url=settings.FINNHUB_STREAM_URL,
        plan=configured_plan("finnhub", settings.FINNHUB_PLAN, "FINNHUB_PLAN"),
    )
