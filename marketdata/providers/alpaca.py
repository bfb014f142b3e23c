"""Alpaca: US shares, funds and coins over REST, in batches; the feed is that of the plan.

Two hosts of the vendor are not asked: its list of assets (which would be a search) and its accounts live with trading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings

from marketdata.company import News
from marketdata.errors import Malformed, NotFound, PlanLocked, ProviderError, Unauthorized
from marketdata.instruments import asset_class_of
from marketdata.providers import alpaca_answers as answers
from marketdata.providers import alpaca_news as news
from marketdata.providers.alpaca_answers import spelled
from marketdata.providers.alpaca_stream import alpaca_stream
from marketdata.providers.base import MOST_NEWS, AssetClass, Capabilities, Interval, Stream
from marketdata.providers.company_reading import newest, readable
from marketdata.providers.day_figures import DayFigures
from marketdata.providers.plans import Plan
from marketdata.providers.reading import configured_plan, required, rows_of
from marketdata.providers.spelling import is_canonical, parts_of
from marketdata.providers.vendor import BULK_BUDGET_S, MAX_PAGES, Vendor
from marketdata.providers.vendor_stream import Patience
from marketdata.quotes import Action, Bar, Quote

NAME = "alpaca"
TIMEFRAMES = {Interval.MINUTE: "1Min", Interval.DAY: "1Day"}
PAGE = "10000"
ACTION_TYPES = "cash_dividend,forward_split,reverse_split,stock_dividend,name_change"
# Actions are asked by the date they were processed on, which for a dividend is weeks after its ex-date.
PROCESSED_WITHIN = timedelta(days=60)
COIN_CURRENCIES = ("-USD", "-USDT", "-USDC", "-BTC")


class Alpaca(Vendor):
    """`key` and `secret` are the two halves of one key."""

    name = NAME

    def __init__(
        self,
        *,
        base_url: str,
        stream_url: str,
        key: str,
        secret: str,
        plan: Plan,
        patience: Patience | None = None,
    ) -> None:
        super().__init__(base_url=base_url, plan=plan)
        self._stream_url, self._key, self._secret = stream_url.rstrip("/"), key, secret
        self._patience = patience
        self.days = DayFigures()
        self.capabilities = capabilities_of(plan)

    def headers(self) -> Mapping[str, str]:
        return {"APCA-API-KEY-ID": self._key, "APCA-API-SECRET-KEY": self._secret}

    def covers(self, symbol: str) -> bool:
        if not symbol or not is_canonical(symbol):
            return False
        kind = asset_class_of(symbol)
        if kind is AssetClass.CRYPTO:
            return symbol.endswith(COIN_CURRENCIES)
        return kind is AssetClass.STOCK and "=" not in symbol and not parts_of(symbol).exchange

    def error_of(self, answer: Any, body: Any) -> ProviderError | None:
        # Both a wrong key and a feed outside the plan are 403; only their words tell them apart.
        if answer.status == 403 and b"subscription" not in answer.body.lower():
            return Unauthorized(f"{self.name} refuses our key")
        return super().error_of(answer, body)

    # --- quotes

    async def fetch_quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote | ProviderError]:
        asked = self.once(symbols)
        outcomes: dict[str, Quote | ProviderError] = {}
        failures = []
        groups = [group for group in _by_market(asked) if group]
        for group in groups:
            try:
                outcomes |= await self._snapshots(group)
            except ProviderError as error:
                failures.append(error)
                outcomes |= dict.fromkeys(group, error)
        if failures and len(failures) == len(groups):
            raise failures[0]
        return {symbol: outcomes[symbol] for symbol in asked}

    async def _snapshots(self, symbols: Sequence[str]) -> Mapping[str, Quote | ProviderError]:
        params = {"symbols": ",".join(spelled(symbol) for symbol in symbols)}
        coins = is_coin(symbols[0])
        path = "/v1beta3/crypto/us/snapshots" if coins else "/v2/stocks/snapshots"
        if not coins:
            params["feed"] = self.plan.feed

        def read(body: Any) -> Mapping[str, Quote | ProviderError]:
            found = body["snapshots"] if coins else body
            if not isinstance(found, dict):
                raise TypeError(found)
            return {
                symbol: self.outcome(symbol, partial(self._quote, symbol, found.get(spelled(symbol))))
                for symbol in symbols
            }

        outcomes: Mapping[str, Quote | ProviderError] = await self.get_json(
            "quotes", path, params, symbols=symbols, read=read
        )
        return outcomes

    def _quote(self, symbol: str, entry: Any) -> Quote | ProviderError:
        found = answers.snapshot_of(symbol, entry)
        if isinstance(found, ProviderError):
            return found
        quote = self.quote(
            symbol, found.price, found.as_of, previous_close=found.previous_close, **found.figures
        )
        self.days.remember(quote)
        return quote

    # --- bars

    async def fetch_bars(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> list[Bar]:
        if end <= start:
            return []
        coin = is_coin(symbol)
        params = {
            "symbols": spelled(symbol),
            "timeframe": TIMEFRAMES[interval],
            "start": _text(start),
            # A daily bar begins at New York's midnight, hours after that of UTC, by which we count days.
            "end": _text(end + timedelta(hours=6) if interval is Interval.DAY else end),
            "limit": PAGE,
            "sort": "asc",
            **({} if coin else {"adjustment": "raw", "feed": self.plan.feed}),
        }
        path = "/v1beta3/crypto/us/bars" if coin else "/v2/stocks/bars"

        def read(body: Any) -> Iterable[Bar]:
            rows = body["bars"] or {}
            return [answers.bar_of(symbol, interval, row) for row in rows.get(spelled(symbol)) or []]

        found = await self._paged(f"bars_{interval.value}", path, params, symbol, read)
        return sorted((bar for bar in found if start <= bar.start < end), key=lambda bar: bar.start)

    async def _paged(
        self,
        endpoint: str,
        path: str,
        params: Mapping[str, str],
        symbol: str,
        read: Callable[[Any], Iterable[Any]],
    ) -> list[Any]:
        """All pages: without the last one, what is missing would look as if it did not exist."""
        found: list[Any] = []
        token: str | None = None
        for _ in range(MAX_PAGES):
            page = {**params, "page_token": token} if token else params
            rows, token = await self.get_json(
                endpoint,
                path,
                page,
                symbols=[symbol],
                read=lambda body: (list(read(body)), _token(body)),
                budget_s=BULK_BUDGET_S,
            )
            found += rows
            if token is None:
                return found
        raise Malformed(f"{self.name}: more than {MAX_PAGES} pages")

    # --- corporate actions

    async def fetch_actions(self, symbol: str, start: date, end: date) -> list[Action]:
        if is_coin(symbol):
            raise NotFound(f"{symbol} is no share")
        params = {
            "symbols": spelled(symbol),
            "types": ACTION_TYPES,
            "start": start.isoformat(),
            "end": (end + PROCESSED_WITHIN).isoformat(),
            "limit": "1000",
            "sort": "asc",
        }

        def read(body: Any) -> Iterable[Action]:
            return answers.actions_of(symbol, body["corporate_actions"])

        found = await self._paged("actions", "/v1/corporate-actions", params, symbol, read)
        return sorted((one for one in found if start <= one.ex_date < end), key=lambda one: one.ex_date)

    # --- news

    async def fetch_news(self, symbol: str, since: datetime) -> list[News]:
        """Page by page until there are enough: the newest come first."""
        params = {
            "symbols": news.spelled(symbol), "start": _text(since), "sort": "desc",
            "limit": str(news.PER_PAGE), "include_content": "true",
        }  # fmt: skip

        def read(body: Any) -> tuple[list[News], str | None]:
            return readable(rows_of(body["news"]), partial(news.news_of, symbol)), _token(body)

        found: list[News] = []
        token: str | None = ""
        while token is not None and len(found) < MOST_NEWS:
            page = {**params, "page_token": token} if token else params
            articles, token = await self.get_json(
                "news", news.PATH, page, symbols=[symbol], read=read, budget_s=BULK_BUDGET_S
            )
            found += articles
            if not articles:
                break
        return newest(found, since)

    # --- stream

    async def open_stream(self) -> Stream:
        if not self.capabilities.streams:
            raise PlanLocked(f"{self.name}: the plan has no stream")
        stream = alpaca_stream(
            self._stream_url, key=self._key, secret=self._secret, plan=self.plan, days=self.days,
            patience=self._patience,
        )  # fmt: skip
        await stream.open()
        return stream


def capabilities_of(plan: Plan) -> Capabilities:
    return Capabilities(
        label="Alpaca",
        asset_classes=frozenset({AssetClass.STOCK, AssetClass.ETF, AssetClass.CRYPTO}),
        max_symbols_per_request=plan.symbols,
        intervals=frozenset(Interval) if plan.bars else frozenset(),
        streams=plan.stream != 0,
        max_streamed_symbols=plan.stream,
        connections_per_key=plan.connections,
        windows=plan.windows,
        actions=plan.actions,
        news=True,
        delayed_s=plan.delayed,
        plan=plan.name,
        display_allowed=plan.display,
        attribution="Market data by Alpaca",
    )


def is_coin(symbol: str) -> bool:
    return asset_class_of(symbol) is AssetClass.CRYPTO


def _by_market(symbols: Iterable[str]) -> tuple[list[str], list[str]]:
    """Shares and coins are asked at different addresses."""
    shares: list[str] = []
    coins: list[str] = []
    for symbol in symbols:
        (coins if is_coin(symbol) else shares).append(symbol)
    return shares, coins


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _token(body: Mapping[str, Any]) -> str | None:
    token = body["next_page_token"]
    if token is not None and (not isinstance(token, str) or not token):
        raise TypeError(token)
    return token


def from_settings() -> Alpaca:
    """Raises ImproperlyConfigured, naming the setting that is missing or wrong."""
    return Alpaca(
        base_url=settings.ALPACA_DATA_URL,
        stream_url=settings.ALPACA_STREAM_URL,
        key=required("ALPACA_KEY_ID", NAME),
        secret=required("ALPACA_SECRET_KEY", NAME),
        plan=configured_plan(NAME, settings.ALPACA_PLAN, "ALPACA_PLAN"),
    )
