"""One of Massive's streams: a WebSocket for the instruments of one market.

Each channel is acknowledged by itself; those that are not are asked for again. Trades are asked for together with
bars of a second: these bring the day's volume and official open, and the price where the plan has no trades.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

from core import clock
from marketdata.errors import PlanLocked, ProviderDown, RateLimited, Unauthorized
from marketdata.instruments import asset_class_of
from marketdata.providers.base import AssetClass
from marketdata.providers.day_figures import DayFigures, trading_date
from marketdata.providers.massive_answers import MILLISECONDS, middle
from marketdata.providers.massive_symbols import symbol_of, ticker_of
from marketdata.providers.reading import moment_of
from marketdata.providers.trade_conditions import MASSIVE, moves_price
from marketdata.providers.vendor import positive, whole
from marketdata.providers.vendor_stream import Patience, VendorStream
from marketdata.quotes import StreamEvent, Tick, microseconds

logger = logging.getLogger(__name__)

CHANNELS_PER_MESSAGE = 500
LONGEST_PAUSE_S = 600.0
# Whoever was thrown out by a newer connection would throw that one out in turn, and so on for ever.
EVICTED_FOR = timedelta(seconds=30)
STOCKS = "stocks"
PATHS = {
    AssetClass.CRYPTO: "crypto",
    AssetClass.FOREX: "forex",
    AssetClass.INDEX: "indices",
    AssetClass.OPTION: "options",
}
MARKETS = (STOCKS, *PATHS.values())
_CHANNEL = re.compile(r"[A-Z]{1,3}\.[^\s,]+")
_REFUSALS = ("authorized", "entitled", "access", "upgrade")


def market_of(symbol: str) -> str:
    """The path of the stream that has this canonical symbol."""
    return PATHS.get(asset_class_of(symbol), STOCKS)


def channels_of(symbol: str) -> list[str]:
    """Bars before trades, so that the day's volume is known at the first trade."""
    ticker = ticker_of(symbol)
    match asset_class_of(symbol):
        case AssetClass.CRYPTO:
            return [f"XT.{symbol}"]
        case AssetClass.FOREX:
            return [f"C.{symbol[:3]}/{symbol[3:6]}"]
        case AssetClass.INDEX:
            return [f"V.{ticker}"]
    return [f"A.{ticker}", f"T.{ticker}"] if ticker else []


class MarketStream(VendorStream):
    """`days` are those of the REST side; `on_locked` is called when the plan turns out not to have this market."""

    def __init__(
        self,
        url: str,
        *,
        key: str,
        days: DayFigures,
        delayed_s: int,
        on_locked: Callable[[], None],
        patience: Patience | None = None,
    ) -> None:
        super().__init__("massive", url, patience=patience)
        self._key, self._days, self._delayed_s, self._on_locked = key, days, delayed_s, on_locked
        self.symbols: set[str] = set()
        self._missing: set[str] = set()
        self._taken: set[str] = set()
        self._refused: set[str] = set()
        self._ask_at = self._pause_s = 0.0
        self._read_event = {
            "T": self._trade,
            "A": self._second,
            "XT": self._coin_trade,
            "C": self._pair_quote,
            "V": self._index_value,
        }

    async def greet(self) -> None:
        await self.expect("the connection", lambda message: _is_status(message, "connected"))
        await self.send({"action": "auth", "params": self._key})
        await self.expect("authentication", lambda message: _is_status(message, "auth_success"))

    # --- subscriptions

    async def subscribe(self, symbols: Collection[str]) -> None:
        channels = [name for symbol in symbols for name in channels_of(symbol)]
        known = self._taken | self._refused
        new = [name for name in channels if name not in known]
        self.symbols.update(symbols)
        self._missing.update(new)
        await self._ask("subscribe", new)
        if new:
            self._pause_s = self.patience.step_s
            self._ask_at = clock.monotonic() + self._pause_s
            self.await_acknowledgement()

    async def unsubscribe(self, symbols: Collection[str]) -> None:
        gone = [symbol for symbol in symbols if symbol in self.symbols]
        channels = [name for symbol in gone for name in channels_of(symbol)]
        self.symbols.difference_update(gone)
        for known in (self._missing, self._taken, self._refused):
            known.difference_update(channels)
        await self._ask("unsubscribe", channels)

    async def _ask(self, action: str, channels: Sequence[str]) -> None:
        for begin in range(0, len(channels), CHANNELS_PER_MESSAGE):
            some = channels[begin : begin + CHANNELS_PER_MESSAGE]
            await self.send({"action": action, "params": ",".join(some)})

    async def batches(self) -> AsyncIterator[Sequence[StreamEvent]]:
        try:
            async for batch in super().batches():
                yield batch
                with suppress(
                    ProviderDown
                ):  # that it is lost, or closed meanwhile, is said by the next batch
                    await self._ask_again()
        except PlanLocked:
            self._on_locked()
            raise ProviderDown("massive: a market is not in our plan") from None

    async def _ask_again(self) -> None:
        """Ask once more for what was not acknowledged in the time of a step, then ever more seldom."""
        if self._missing and clock.monotonic() >= self._ask_at:
            logger.warning("massive has not acknowledged %d channels; asking again", len(self._missing))
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
            self._ask_at = clock.monotonic() + self._pause_s
            await self._ask("subscribe", sorted(self._missing))

    # --- what it is told

    def events_of(self, message: dict[str, Any]) -> Iterable[StreamEvent]:
        kind = message["ev"]
        if kind == "status":
            self._hear(str(message["status"]), str(message.get("message", "")))
            return ()
        read = self._read_event.get(kind)
        return read(message) if read else ()

    def _hear(self, status: str, words: str) -> None:
        if status == "success":
            self._acknowledge(_CHANNEL.findall(words) if words.startswith("subscribed") else [], self._taken)
        elif status == "error":
            self._hear_refusal(words)
        else:
            raise_failure(status)

    def _hear_refusal(self, words: str) -> None:
        channels = _CHANNEL.findall(words)
        is_locked = any(word in words.lower() for word in _REFUSALS)
        if not channels and is_locked and not self._taken:
            raise PlanLocked("massive: the stream is not in our plan")
        if is_locked:
            self._acknowledge(channels, self._refused)
        if self._refused and not self._taken and not self._missing:
            raise PlanLocked("massive: no channel is in our plan")

    def _acknowledge(self, channels: Iterable[str], known: set[str]) -> None:
        ours = self._missing.intersection(channels)
        if ours:
            self._missing -= ours
            known |= ours
            self.acknowledged()

    # --- events

    def _trade(self, message: dict[str, Any]) -> Iterator[Tick]:
        symbol = symbol_of(message["sym"])
        size = whole(message["s"]) or 0
        if market_of(symbol or "") == STOCKS and not moves_price(message.get("c"), MASSIVE):
            return
        yield from self._tick(
            symbol, positive(message["p"]), message["t"], size,
            trade_id=f"{message.get('x', '')}-{message.get('i', '')}", sequence=whole(message.get("q")) or 0,
        )  # fmt: skip

    def _second(self, message: dict[str, Any]) -> Iterator[Tick]:
        """The day's figures; and the price, where trades are not to be had."""
        symbol = symbol_of(message["sym"])
        moment = moment_of(message["e"], MILLISECONDS)
        if symbol not in self.symbols or symbol is None or moment is None:
            return
        day, size = self._days.day_of(symbol, moment), whole(message["v"]) or 0
        is_bare = f"T.{message['sym']}" not in self._taken
        if day.date == trading_date(symbol, moment):
            day.total(max(0, (whole(message["av"]) or 0) - is_bare * size))
            day.open = positive(message.get("op")) or day.open
        if is_bare:
            yield from self._tick(symbol, positive(message["c"]), message["e"], size)

    def _coin_trade(self, message: dict[str, Any]) -> Iterator[Tick]:
        name = f"{message.get('x', '')}-{message.get('i', '')}"
        size = whole(message.get("s")) or 0
        yield from self._tick(str(message["pair"]), positive(message["p"]), message["t"], size, trade_id=name)

    def _pair_quote(self, message: dict[str, Any]) -> Iterator[Tick]:
        symbol = re.sub(r"[^A-Z]", "", str(message["p"])) + "=X"
        bid, ask = positive(message["b"]), positive(message["a"])
        yield from self._tick(symbol, middle(bid, ask), message["t"], 0, bid=bid, ask=ask)

    def _index_value(self, message: dict[str, Any]) -> Iterator[Tick]:
        yield from self._tick(symbol_of(message["T"]), positive(message["val"]), message["t"], 0)

    def _tick(
        self, symbol: str | None, price: Decimal | None, at: Any, size: int, **fields: Any
    ) -> Iterator[Tick]:
        """Nothing for a symbol no longer wanted, or without a price; raises ValueError without a time."""
        if symbol is None or symbol not in self.symbols or price is None:
            return
        moment = moment_of(at, MILLISECONDS)
        if moment is None:
            raise ValueError(at)
        yield self._days.tick(
            symbol, price, size, microseconds(moment), provider="massive", delayed_s=self._delayed_s, **fields
        )


def _is_status(message: dict[str, Any], status: str) -> bool:
    return message.get("ev") == "status" and message.get("status") == status


def raise_failure(status: str) -> None:
    """A status that ends the connection, as an error; any other is no news."""
    match status:
        case "auth_failed":
            raise Unauthorized("massive refuses our key")
        case "max_connections":
            retry_at = clock.now() + EVICTED_FOR
            raise RateLimited("massive: a newer connection has our place", retry_at=retry_at)
        case "slow_consumer" | "force_disconnect" | "auth_timeout":
            raise ProviderDown(f"massive ends the stream: {status}")
