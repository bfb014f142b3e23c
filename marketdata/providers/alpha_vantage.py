"""Alpha Vantage: everything by one address, every refusal with status 200, every figure a text, every time New York's.

The key can only stand in the address, and the refusal for a used up day repeats it: so neither addresses nor the
vendor's words are told to anybody. What the refusal says decides its kind:

    sparingly                   wait a second (this text also names the daily limit, so it is looked for first)
    per day                     wait until midnight; the vendor does not say where, so the sooner one of New York's
                                and UTC's: asked too early it refuses once more, asked too late a day is lost
    per minute                  wait a minute
    premium                     the plan does not include it; its batch then answers *invented* samples, with
                                `message` instead of an error, which must never be taken for prices
    apikey invalid, demo        the key is refused
    Invalid API call            the symbol is unknown, our questions being well formed

GLOBAL_QUOTE tells the day of a price and not the time: it is dated to that day's close, or to now if that is sooner.
No quote tells a currency, so exchanges that also trade in pence are not covered.
"""

from __future__ import annotations

from asyncio import sleep
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any

from django.conf import settings

from core import clock
from core.http import Answer
from marketdata.errors import Malformed, NotFound, ProviderError
from marketdata.instruments import asset_class_of
from marketdata.providers.alpha_vantage_answers import (
    COVERED,
    NEW_YORK,
    actions_of,
    asked_of,
    bars_of,
    dividend_of,
    figures_of,
    local,
    matches_of,
    months,
    new_york,
    pair_of,
    refusal,
    spelled,
    split_of,
    start_of_day,
    unnumbered,
)
from marketdata.providers.alpha_vantage_company import Company
from marketdata.providers.base import AssetClass, Capabilities, Interval, SymbolMatch
from marketdata.providers.plans import Plan
from marketdata.providers.reading import configured_plan, date_of, is_running, required, rows_of
from marketdata.providers.spelling import is_canonical
from marketdata.providers.vendor import number, positive
from marketdata.quotes import Action, Bar, Quote

CLOSE = time(16)
# How much longer than a second we wait between two requests, since the vendor's seconds are not ours.
GRAIN = 0.1
# A longer wait would not end within the time of one question.
LONGEST_APART = 5
# The hundred newest days, which is what a free key gets, reach back at least this far.
COMPACT_DAYS = timedelta(days=130)


class AlphaVantage(Company):
    name = "alpha_vantage"

    def __init__(self, key: str, *, base_url: str, plan: Plan) -> None:
        super().__init__(base_url=base_url, plan=plan)
        self._key = key
        # Batches, minutes and more than a hundred days are what every paid plan adds.
        self.is_paid = plan.symbols > 1
        # Plans of one request a second mean it, also where one question of ours takes two requests.
        seconds = [one.seconds for one in plan.windows if one.limit == 1 and one.seconds <= LONGEST_APART]
        self._apart_s = max(seconds) + GRAIN if seconds else 0.0
        intervals = {Interval.MINUTE, Interval.DAY} if self.is_paid else {Interval.DAY}
        self.capabilities = Capabilities(
            label="Alpha Vantage",
            asset_classes=COVERED,
            max_symbols_per_request=plan.symbols,
            intervals=frozenset(intervals) if plan.bars else frozenset(),
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
            attribution="Data provided by Alpha Vantage",
        )

    def covers(self, symbol: str) -> bool:
        return is_canonical(symbol) and spelled(symbol) is not None

    def secret_params(self) -> Mapping[str, str]:
        return {"apikey": self._key}

    def error_of(self, answer: Answer, body: Any) -> ProviderError | None:
        if answer.status != 200:
            return super().error_of(answer, body)
        if not isinstance(body, dict):
            return Malformed("alpha_vantage: the answer is no object")
        for name in ("Error Message", "Information", "Note"):
            if name in body:
                return refusal(str(body[name]))
        if "message" in body and body["message"] != "success":
            return refusal(str(body["message"]))
        return None

    # --- quotes

    async def fetch_quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote | ProviderError]:
        """Paid plans ask for shares in one request; currencies and coins are always asked for one by one."""
        if len(symbols) > self.capabilities.max_symbols_per_request:
            raise ValueError(f"{len(symbols)} symbols at once are too many for alpha_vantage")
        outcomes: dict[str, Quote | ProviderError] = {
            symbol: NotFound(f"alpha_vantage does not have {symbol}") for symbol in symbols
        }
        requests = self._requests(symbols)
        for number_, group in enumerate(requests):
            try:
                outcomes |= await self._fetch(group)
            except NotFound as error:
                outcomes |= dict.fromkeys(group, error)
            except ProviderError as error:
                if number_ == 0:
                    raise
                outcomes |= {symbol: error for rest in requests[number_:] for symbol in rest}
                break
        return outcomes

    def _requests(self, symbols: Sequence[str]) -> list[list[str]]:
        known = [symbol for symbol in dict.fromkeys(symbols) if spelled(symbol)]
        if not self.is_paid:
            return [[symbol] for symbol in known]
        shares = [symbol for symbol in known if asset_class_of(symbol) is AssetClass.STOCK]
        others = [[symbol] for symbol in known if symbol not in shares]
        return [shares, *others] if shares else others

    async def _fetch(self, group: Sequence[str]) -> Mapping[str, Quote | ProviderError]:
        if asset_class_of(group[0]) is not AssetClass.STOCK:
            return await self._rate(group[0])
        return await (self._batch(group) if self.is_paid else self._global_quote(group[0]))

    async def _global_quote(self, symbol: str) -> Mapping[str, Quote | ProviderError]:
        params = {"function": "GLOBAL_QUOTE", "symbol": asked_of(symbol)}
        outcome = await self.query("quotes", params, partial(self._quote_of_day, symbol), symbols=[symbol])
        return {symbol: outcome}

    def _quote_of_day(self, symbol: str, body: Mapping[str, Any]) -> Quote | ProviderError:
        figures = unnumbered(body["Global Quote"])
        if not figures or number(figures.get("price")) == 0:
            return NotFound(f"alpha_vantage does not have {symbol}")
        price, day = positive(figures.get("price")), date_of(figures.get("latest trading day"))
        if price is None or day is None:
            raise Malformed("alpha_vantage: a quote without price or day")
        closed = datetime.combine(day, CLOSE, NEW_YORK).astimezone(UTC)
        return self.quote(symbol, price, min(closed, clock.now()), **figures_of(figures))

    async def _batch(self, symbols: Sequence[str]) -> Mapping[str, Quote | ProviderError]:
        params = {"function": "REALTIME_BULK_QUOTES", "symbol": ",".join(map(asked_of, symbols))}
        return await self.query("quotes", params, partial(self._quotes_of, symbols), symbols=symbols)

    def _quotes_of(self, symbols: Sequence[str], body: Any) -> dict[str, Quote | ProviderError]:
        asked = {asked_of(symbol): symbol for symbol in symbols}
        rows = ((asked.get(str(row.get("symbol"))), row) for row in rows_of(body["data"]))
        return {
            symbol: self.outcome(symbol, partial(self._quote_of_row, symbol, row))
            for symbol, row in rows
            if symbol
        }

    def _quote_of_row(self, symbol: str, row: Mapping[str, Any]) -> Quote | ProviderError:
        """Outside regular hours the extended price is the last one."""
        price = positive(row.get("extended_hours_quote")) or positive(row.get("close"))
        as_of = new_york(row.get("timestamp"))
        if price is None and number(row.get("close")) == 0:
            return NotFound(f"alpha_vantage has no price of {symbol}")
        if price is None or as_of is None:
            return Malformed("alpha_vantage: a quote without price or time")
        return self.quote(symbol, price, as_of, **figures_of(row))

    async def _rate(self, symbol: str) -> Mapping[str, Quote | ProviderError]:
        base, money = pair_of(symbol)
        params = {"function": "CURRENCY_EXCHANGE_RATE", "from_currency": base, "to_currency": money}
        outcome = await self.query("quotes", params, partial(self._rate_of, symbol), symbols=[symbol])
        return {symbol: outcome}

    def _rate_of(self, symbol: str, body: Mapping[str, Any]) -> Quote | ProviderError:
        figures = unnumbered(body["Realtime Currency Exchange Rate"])
        price = positive(figures.get("Exchange Rate"))
        if not figures or number(figures.get("Exchange Rate")) == 0:
            return NotFound(f"alpha_vantage does not have {symbol}")
        as_of = local(figures.get("Last Refreshed"), UTC) if figures.get("Time Zone") == "UTC" else None
        if price is None or as_of is None:
            raise Malformed("alpha_vantage: a rate without price or time")
        bid, ask = positive(figures.get("Bid Price")), positive(figures.get("Ask Price"))
        # Rates are of now in every plan; what a plan delays are American shares.
        return replace(self.quote(symbol, price, as_of, bid=bid, ask=ask), delayed_s=0)

    # --- bars: of shares only

    async def fetch_bars(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> list[Bar]:
        if interval not in self.capabilities.intervals or asset_class_of(symbol) is not AssetClass.STOCK:
            return await super().fetch_bars(symbol, interval, start, end)
        if interval is Interval.DAY:
            bars = [bar for bar in await self._days(symbol, start) if not is_running(bar)]
        else:
            bars = await self._minutes(symbol, start, min(end, clock.now()))
        return sorted((bar for bar in bars if start <= bar.start < end), key=lambda bar: bar.start)

    async def _days(self, symbol: str, start: datetime) -> list[Bar]:
        reaches_back = self.is_paid and start < clock.now() - COMPACT_DAYS
        params = {
            "function": "TIME_SERIES_DAILY", "symbol": asked_of(symbol),
            "outputsize": "full" if reaches_back else "compact",
        }  # fmt: skip
        read = partial(bars_of, symbol, "Time Series (Daily)", start_of_day)
        return await self.query("bars_1day", params, read, symbols=[symbol])

    async def _minutes(self, symbol: str, start: datetime, end: datetime) -> list[Bar]:
        read = partial(bars_of, symbol, "Time Series (1min)", new_york)
        found: list[Bar] = []
        for month in months(start, end):
            params = {
                "function": "TIME_SERIES_INTRADAY", "symbol": asked_of(symbol), "interval": "1min",
                "month": month, "outputsize": "full", "adjusted": "false", "extended_hours": "true",
            }  # fmt: skip
            found += await self.query("bars_1min", params, read, symbols=[symbol])
        return found

    # --- corporate actions

    async def fetch_actions(self, symbol: str, start: date, end: date) -> list[Action]:
        if not self.capabilities.actions:
            return await super().fetch_actions(symbol, start, end)
        if asset_class_of(symbol) is not AssetClass.STOCK:
            return []
        found: list[Action] = []
        for number_, (function, action_of) in enumerate((("DIVIDENDS", dividend_of), ("SPLITS", split_of))):
            if (
                number_ and self._apart_s
            ):  # asked at once the second would be refused, and counted all the same
                await sleep(self._apart_s)
            params = {"function": function, "symbol": asked_of(symbol)}
            found += await self.query(
                "actions", params, partial(actions_of, symbol, action_of), symbols=[symbol]
            )
        return sorted((one for one in found if start <= one.ex_date < end), key=lambda one: one.ex_date)

    # --- search

    async def search(self, text: str) -> list[SymbolMatch]:
        return await self.query("search", {"function": "SYMBOL_SEARCH", "keywords": text}, matches_of)


def from_settings() -> AlphaVantage:
    return AlphaVantage(
        required("ALPHA_VANTAGE_API_KEY", "alpha_vantage"),
        base_url=settings.ALPHA_VANTAGE_URL,
        plan=configured_plan("alpha_vantage", settings.ALPHA_VANTAGE_PLAN, "ALPHA_VANTAGE_PLAN"),
    )
