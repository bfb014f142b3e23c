"""Alpaca's stream: trades as ticks, halts, corrections and cancels; shares and coins at two addresses.

It speaks JSON, not the MessagePack it could: that would carry prices as binary fractions, and ours are exact.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any

from core import clock
from marketdata.errors import BadRequest, PlanLocked, ProviderDown, ProviderError, RateLimited, Unauthorized
from marketdata.instruments import asset_class_of
from marketdata.providers.alpaca_answers import moment_of, ours, spelled
from marketdata.providers.base import AssetClass
from marketdata.providers.day_figures import DayFigures, trading_date
from marketdata.providers.forked_stream import ForkedStream
from marketdata.providers.plans import Plan
from marketdata.providers.trade_conditions import moves_price, sip_letters
from marketdata.providers.vendor import positive, whole
from marketdata.providers.vendor_stream import Patience, VendorStream
from marketdata.quotes import Correction, StreamEvent, Tick, microseconds

# A predecessor that died is counted as connected for a while.
CONNECTION_WAIT = timedelta(seconds=30)
# What a refused subscription means; the connection and what it had subscribed before stay.
REFUSALS: Mapping[int, type[ProviderError]] = {400: BadRequest, 405: PlanLocked, 410: BadRequest}
# Trading status: CTA numbers its codes, UTP has letters. Volatility pauses are halts, a resumed quotation is none.
HALTS = frozenset({"2", "H", "P"})
RESUMES = frozenset({"3", "T"})


def alpaca_stream(
    url: str, *, key: str, secret: str, plan: Plan, days: DayFigures, patience: Patience | None = None
) -> ForkedStream:
    """The stream of the plan's feed, not yet open."""

    def branch(kind: type[AlpacaBranch], path: str) -> Callable[[], VendorStream]:
        return lambda: kind(url + path, key=key, secret=secret, plan=plan, days=days, patience=patience)

    return ForkedStream(
        "alpaca",
        {
            "shares": branch(AlpacaBranch, f"/v2/{plan.feed}"),
            "coins": branch(CoinBranch, "/v1beta3/crypto/us"),
        },
        lambda symbol: "coins" if asset_class_of(symbol) is AssetClass.CRYPTO else "shares",
    )


class AlpacaBranch(VendorStream):
    """One connection. It subscribes trades, which the plan counts, and the day's bars and halts, which it does not.

    What it is asked for is answered in the stream, so `batches` must be read meanwhile.
    """

    channels: Sequence[str] = ("trades", "dailyBars", "statuses")

    def __init__(
        self, url: str, *, key: str, secret: str, plan: Plan, days: DayFigures, patience: Patience | None
    ) -> None:
        super().__init__("alpaca", url, patience=patience)
        self._key, self._secret, self._plan, self._days = key, secret, plan, days
        self.subscribed: set[str] = set()
        self._answer: asyncio.Future[None] | None = None
        self._readers: Mapping[str, Callable[[dict[str, Any]], Iterable[StreamEvent]]] = {
            "t": self._trade,
            "c": self._correction,
            "x": self._cancel,
            "s": self._status,
            "d": self._day,
            "subscription": self._subscription,
            "error": self._error,
        }

    # --- what we say

    async def greet(self) -> None:
        await self.expect("the connection", lambda message: _is_success(message, "connected"))
        await self.send({"action": "auth", "key": self._key, "secret": self._secret})
        await self.expect("the key", lambda message: _is_success(message, "authenticated"))

    async def subscribe(self, symbols: Collection[str]) -> None:
        """As many as the plan allows, the first ones; the others stay with polling.

        Raises PlanLocked or BadRequest where the vendor refuses: then none of these symbols streams.
        """
        new = [symbol for symbol in dict.fromkeys(symbols) if symbol not in self.subscribed]
        if self._plan.stream is not None:
            new = new[: max(0, self._plan.stream - len(self.subscribed))]
        await self._ask("subscribe", new)
        self.subscribed |= set(new)

    async def unsubscribe(self, symbols: Collection[str]) -> None:
        gone = [symbol for symbol in dict.fromkeys(symbols) if symbol in self.subscribed]
        await self._ask("unsubscribe", gone)
        self.subscribed -= set(gone)

    async def _ask(self, action: str, symbols: Collection[str]) -> None:
        """Until it is answered; raises ProviderError."""
        self.must_be_open()
        if not symbols:
            return
        names = [spelled(symbol) for symbol in symbols]
        self._answer = answer = asyncio.get_running_loop().create_future()
        try:
            await self.send({"action": action, **dict.fromkeys(self.channels, names)})
            async with asyncio.timeout(self.patience.step_s):
                await answer
        except TimeoutError:
            raise ProviderDown(f"alpaca: no answer to {action}") from None
        finally:
            self._answer = None

    def _answered(self, refusal: ProviderError | None = None) -> bool:
        """Whether somebody waited for it."""
        answer = self._answer
        if answer is None or answer.done():
            return False
        if refusal is None:
            answer.set_result(None)
        else:
            answer.set_exception(refusal)
        return True

    async def batches(self) -> AsyncIterator[Sequence[StreamEvent]]:
        try:
            async with aclosing(self._live()) as batches:
                async for batch in batches:
                    yield batch
        finally:
            self._answered(ProviderDown("alpaca: the stream ended before its answer"))

    def _live(self) -> Any:
        return super().batches()

    # --- what we hear

    def events_of(self, message: dict[str, Any]) -> Iterable[StreamEvent]:
        # Other types, such as quotes, minute bars and their restatements, change nothing that a tick shows.
        read = self._readers.get(message["T"])
        return read(message) if read else ()

    def _trade(self, message: dict[str, Any]) -> Iterable[StreamEvent]:
        symbol, price, as_of_us = ours(message["S"]), positive(message["p"]), _us(message)
        if price is None:
            raise ValueError("price")
        if not moves_price(message.get("c"), sip_letters(message.get("z"))):
            return ()
        size = whole(message["s"]) or 0
        trade_id = _trade_id(message, message.get("i"))
        return [
            self._days.tick(
                symbol, price, size, as_of_us, provider=self.name, trade_id=trade_id,
                delayed_s=self._plan.delayed,
            )
        ]  # fmt: skip

    def _correction(self, message: dict[str, Any]) -> Iterable[StreamEvent]:
        return [
            Correction(
                ours(message["S"]), self.name, _us(message), _trade_id(message, message["oi"]),
                was=positive(message["op"]), price=positive(message["cp"]),
            )
        ]  # fmt: skip

    def _cancel(self, message: dict[str, Any]) -> Iterable[StreamEvent]:
        trade_id = _trade_id(message, message["i"])
        return [Correction(ours(message["S"]), self.name, _us(message), trade_id, was=positive(message["p"]))]

    def _status(self, message: dict[str, Any]) -> Iterable[StreamEvent]:
        code = message["sc"]
        if code not in HALTS | RESUMES:
            return ()
        tick: Tick | None = self._days.halt(
            ours(message["S"]), _us(message), halted=code in HALTS, provider=self.name,
            delayed_s=self._plan.delayed,
        )  # fmt: skip
        return [tick] if tick else ()

    def _day(self, message: dict[str, Any]) -> Iterable[StreamEvent]:
        """The running day, told once a minute: the next tick shows it."""
        symbol, begun = ours(message["S"]), moment_of(message["t"])
        day = self._days.day_of(symbol, clock.now())
        if day.date == trading_date(symbol, begun):
            day.open = positive(message["o"]) or day.open
            day.high = positive(message["h"]) or day.high
            day.low = positive(message["l"]) or day.low
            if volume := whole(message["v"]):
                day.volume, day.is_total = volume, True
        return ()

    def _subscription(self, message: dict[str, Any]) -> Iterable[StreamEvent]:
        self._answered()
        return ()

    def _error(self, message: dict[str, Any]) -> Iterable[StreamEvent]:
        code = message["code"]
        refusal = REFUSALS.get(code) if isinstance(code, int) else None
        if refusal and self._answered(refusal(f"alpaca refuses the subscription ({code})")):
            return ()
        raise _failure(code)


class CoinBranch(AlpacaBranch):
    """Coins are never halted: their stream has no such channel, and refuses whoever subscribes it."""

    channels = ("trades", "dailyBars")


def _failure(code: Any) -> ProviderError:
    match code:
        case 401 | 402:
            return Unauthorized(f"alpaca refuses our key ({code})")
        case 406:
            return RateLimited(
                "alpaca counts another connection of this key (406)", retry_at=clock.now() + CONNECTION_WAIT
            )
        case 409:
            return PlanLocked("alpaca's plan does not include this stream (409)")
        case int():
            return ProviderDown(f"alpaca ends the stream with error {code}")
    return ProviderDown("alpaca ends the stream with an error")


def _is_success(message: Mapping[str, Any], text: str) -> bool:
    return message.get("T") == "success" and message.get("msg") == text


def _us(message: Mapping[str, Any]) -> int:
    return microseconds(moment_of(message["t"]))


def _trade_id(message: Mapping[str, Any], number: Any) -> str:
    """Trades are numbered by each exchange for itself."""
    return "" if number is None else f"{message.get('x', '')}-{number}"
