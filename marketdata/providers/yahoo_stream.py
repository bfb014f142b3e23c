"""Yahoo's stream: JSON around base64 around protobuf, kept alive by subscribing again every 15 s. No key, no answer.

- Prices are told in single precision, and become the shortest decimal that reads back as the same number.
- A frame often leaves out currency and day: they come from the last fetched quote. Where neither tells the currency
  of an exchange that also trades in pence, the price is not known and the frame is skipped.
- No frame tells the delay of its exchange either: it is that of the last fetched quote.
- Dollar pairs are called by the other currency alone: JPY=X for what we ask for as USDJPY=X.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from decimal import Decimal
from typing import Any

from core import clock
from marketdata import freshness
from marketdata.currency import normalised
from marketdata.instruments import asset_class_of
from marketdata.providers.base import AssetClass
from marketdata.providers.day_figures import DayFigures
from marketdata.providers.reading import moment_of, shortest
from marketdata.providers.spelling import MINOR_UNIT_EXCHANGES, ours, parts_of
from marketdata.providers.vendor import positive, whole
from marketdata.providers.vendor_stream import Patience, VendorStream
from marketdata.providers.yahoo_answers import spelled
from marketdata.providers.yahoo_pricing import pricing_of
from marketdata.quotes import Session, StreamEvent, microseconds

MILLISECONDS = 1_000
RENEW_S = 15.0
SESSIONS = (Session.PRE, Session.REGULAR, Session.POST)
PRICES = {"price": "price", "open": "open", "previous_close": "previous_close", "high": "day_high",
          "low": "day_low", "bid": "bid", "ask": "ask"}  # fmt: skip


class YahooStream(VendorStream):
    def __init__(
        self,
        url: str,
        figures: DayFigures,
        currencies: Mapping[str, str],
        delays: Mapping[str, int],
        *,
        patience: Patience | None = None,
        renew_s: float = RENEW_S,
    ) -> None:
        super().__init__("yahoo", f"{url.rstrip('/')}/?version=2", patience=patience)
        self._figures, self._currencies, self._delays = figures, currencies, delays
        self._symbols: dict[str, str] = {}
        self._volumes: dict[str, int] = {}
        self._renew_s = renew_s
        self._renew_at = clock.monotonic() + renew_s

    @property
    def subscribed(self) -> set[str]:
        return set(self._symbols.values())

    async def greet(self) -> None:
        """It says nothing."""

    async def subscribe(self, symbols: Collection[str]) -> None:
        self.must_be_open()
        added = {spelled(symbol): symbol for symbol in symbols}
        if added:
            self._symbols |= added
            await self.send({"subscribe": list(added)})

    async def unsubscribe(self, symbols: Collection[str]) -> None:
        dropped = [asked for asked in map(spelled, symbols) if self._symbols.pop(asked, "")]
        if dropped:
            await self.send({"unsubscribe": dropped})

    async def batches(self) -> AsyncIterator[Sequence[StreamEvent]]:
        async with aclosing(self._live()) as batches:
            async for batch in batches:
                yield batch
                await self._renew()

    def _live(self) -> Any:
        return super().batches()

    def _silence_s(self) -> float:
        return max(0.001, min(super()._silence_s(), self._renew_at - clock.monotonic()))

    async def _renew(self) -> None:
        """Whoever does not ask again is forgotten."""
        if self._symbols and clock.monotonic() >= self._renew_at:
            self._renew_at = clock.monotonic() + self._renew_s
            await self.send({"subscribe": list(self._symbols)})

    def messages_of(self, body: Any) -> Sequence[Any]:
        return [body]

    def events_of(self, message: dict[str, Any]) -> Iterable[StreamEvent]:
        if message["type"] != "pricing":
            return ()
        told = pricing_of(base64.b64decode(message["message"], validate=True))
        name = str(told["id"])
        symbol = self._symbols.get(name) or self._symbols.get(spelled(ours(name) or ""))
        if symbol is None:
            return ()
        prices = self._prices(symbol, told)
        price, moment = prices.pop("price"), moment_of(told["time"], MILLISECONDS)
        if price is None or moment is None:
            raise ValueError("no price or no time")
        day: dict[str, Any] = {name: value for name, value in prices.items() if value is not None}
        size, volume = self._size_of(symbol, told)
        if volume:
            day["volume"] = volume
        return [
            self._figures.tick(
                symbol,
                price,
                size,
                microseconds(moment),
                provider=self.name,
                session=_session(symbol, told),
                delayed_s=self._delays.get(symbol, 0),
                **day,
            )
        ]

    def _size_of(self, symbol: str, told: Mapping[str, Any]) -> tuple[int, int]:
        """(what was traded since the last frame, the day's volume)

        A frame shows the newest state and no trade: its last size is only a part of what happened in between, and of
        coins it is the volume of the day.
        """
        volume, before = whole(told.get("day_volume")) or 0, self._volumes.get(symbol)
        last = whole(told.get("last_size")) or 0
        if not volume:
            return last, 0
        self._volumes[symbol] = volume
        if before is not None and volume >= before:
            return volume - before, volume
        return last if last < volume else 0, volume

    def _prices(self, symbol: str, told: Mapping[str, Any]) -> dict[str, Decimal | None]:
        """In the major unit; raises ValueError where the unit is not known."""
        currency = told.get("currency") or self._currencies.get(symbol)
        if currency is None and parts_of(symbol).exchange in MINOR_UNIT_EXCHANGES:
            raise ValueError("a price of unknown unit")
        prices = {ours_: _price(told.get(theirs)) for ours_, theirs in PRICES.items()}
        return normalised(prices, str(currency or "USD"))[0]


def _price(value: float | None) -> Decimal | None:
    """None also for NaN and infinities."""
    return positive(shortest(value)) if value else None


def _session(symbol: str, told: Mapping[str, Any]) -> Session:
    """Before the open is 0, which is not sent; extended hours without more are told by the clock."""
    hours = told.get("market_hours", 0)
    if asset_class_of(symbol) is AssetClass.STOCK and hours < len(SESSIONS):
        return SESSIONS[hours]
    return freshness.session_of(symbol, clock.now())
