"""Finnhub's stream: bare trades, asked for one symbol per message, without any acknowledgement.

- The key can only stand in the address, so the address appears in no error and no log.
- "Subscribing to too many symbols" does not say which: so no more than the plan's number is ever asked for. Should it
  come all the same, some of what we hold for streamed is not, and would be shown for ever as it is: the connection
  is given up, and the next one asks for less.
- A trade has no day around it: open, high, low and previous close come from the last fetched quote of that day.
- Trades before and after regular hours come, too; their session is told by the clock.
- The numbers under `c` are explained nowhere that can be relied upon. By the trades that come (every one has 1, early
  ones 24, small ones 12) they are not Massive's but the tapes' letters counted through. So only those are left out
  that set no price by either reading, and the two that one of them calls an average price.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

from marketdata.errors import PlanLocked, Unauthorized
from marketdata.providers.day_figures import DayFigures
from marketdata.providers.finnhub_symbols import spelled
from marketdata.providers.reading import moment_of
from marketdata.providers.trade_conditions import moves_price
from marketdata.providers.vendor import SHAPE_ERRORS, positive, whole
from marketdata.providers.vendor_stream import Patience, VendorStream
from marketdata.quotes import StreamEvent, Tick, microseconds

logger = logging.getLogger(__name__)
MILLISECONDS = 1_000
# 2 and 3 average price (else acquisition, automatic execution: rare), 5 cash or bunched sold, 10 price variation or
# derivatively priced, 16 official close, 20 official open or next day, 21 and 22 prior reference, seller, variation.
UNMOVING = frozenset({"2", "3", "5", "10", "16", "20", "21", "22"})


class FinnhubStream(VendorStream):
    """`limit` is how many symbols the plan streams; None any number. `left_out` are those beyond it."""

    def __init__(
        self, url: str, key: str, figures: DayFigures, *, limit: int | None, patience: Patience | None = None
    ) -> None:
        super().__init__("finnhub", f"{url.rstrip('/')}?{urlencode({'token': key})}", patience=patience)
        self._figures = figures
        self._limit = limit
        self._symbols: dict[str, str] = {}
        self.left_out: set[str] = set()

    @property
    def subscribed(self) -> set[str]:
        return set(self._symbols.values())

    async def greet(self) -> None:
        """It says nothing; a refused key ends the handshake."""

    async def subscribe(self, symbols: Collection[str]) -> None:
        self.must_be_open()
        for symbol in symbols:
            asked = spelled(symbol)
            if asked is None or asked in self._symbols:
                continue
            if self._limit is not None and len(self._symbols) >= self._limit:
                self._leave_out(symbol)
                continue
            self._symbols[asked] = symbol
            self.left_out.discard(symbol)
            await self.send({"type": "subscribe", "symbol": asked})

    async def unsubscribe(self, symbols: Collection[str]) -> None:
        """Frees places for those that were left out."""
        for symbol in symbols:
            self.left_out.discard(symbol)
            asked = spelled(symbol)
            if asked is not None and asked in self._symbols:
                del self._symbols[asked]
                await self.send({"type": "unsubscribe", "symbol": asked})
        await self.subscribe(sorted(self.left_out))

    def _leave_out(self, symbol: str) -> None:
        if not self.left_out:
            logger.warning("finnhub streams %s symbols in this plan; more are not streamed", self._limit)
        self.left_out.add(symbol)

    def messages_of(self, body: Any) -> Sequence[Any]:
        return [body]

    def events_of(self, message: dict[str, Any]) -> Iterable[StreamEvent]:
        kind = message["type"]
        if kind == "trade":
            return self._ticks(message["data"])
        if kind == "error":
            self._told(str(message.get("msg", "")).lower())
        return ()

    def _ticks(self, trades: Iterable[dict[str, Any]]) -> list[Tick]:
        """One trade that cannot be read does not spoil those beside it."""
        found = []
        for trade in trades:
            try:
                tick = self._tick(trade)
            except SHAPE_ERRORS:
                self._count_bad()
                continue
            if tick:
                found.append(tick)
        return found

    def _tick(self, trade: dict[str, Any]) -> Tick | None:
        """None for a symbol that is not wanted any more, and for a trade that sets no price."""
        symbol = self._symbols.get(trade["s"])
        if symbol is None or not moves_price(map(str, trade.get("c") or ()), UNMOVING):
            return None
        price, moment = positive(trade["p"]), moment_of(trade["t"], MILLISECONDS)
        if price is None or moment is None:
            raise ValueError("no price or no time")
        size = whole(trade.get("v")) or 0
        return self._figures.tick(symbol, price, size, microseconds(moment), provider=self.name)

    def _told(self, words: str) -> None:
        """What an error in the stream means; its words are not repeated."""
        if "api key" in words or "token" in words:
            raise Unauthorized("finnhub refuses our key")
        if "too many symbols" in words:
            raise PlanLocked("finnhub streams fewer symbols than we asked for")
        self._count_bad()
        logger.warning("finnhub refused a message of ours")
