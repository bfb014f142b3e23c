"""What is said of a numbered tick: the state that Redis keeps, and the event that tells its group.

The texts are those of `cache.encode` and `publish.frame_of`. For a tick like nearly all they are written at once,
without a quote in between: at thirty thousand a second that is a quarter of a processor less. Both ways must agree to
the byte, which a test checks.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from core import live
from marketdata import freshness
from marketdata.quotes import Quote, Tick, change_of, microseconds, price_text, quote_of
from marketdata.symbols import group_name
from marketdata.tape.publish import update_of

MICROSECOND = timedelta(microseconds=1)


class Said(NamedTuple):
    """A tick, as which number it was said, and when."""

    tick: Tick
    number: int
    at: datetime


class Writer:
    """Of one epoch; what many ticks have in common is worked out once."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._markets: dict[
            tuple[str, str], str
        ] = {}  # a market's own hash is worked out in Python each time
        self._groups: dict[str, str] = {}

    def quotes(self, said: Iterable[Said]) -> list[Quote]:
        good_for: dict[str, timedelta] = {}
        return [self._quote(*one, self._ttl(one.tick, one.at, good_for)) for one in said]

    def updates(self, numbered: Iterable[tuple[Tick, int]], now: datetime) -> list[live.Update]:
        """What to publish now."""
        now_us, good_for = microseconds(now), dict[str, timedelta]()
        updates = []
        for tick, number in numbered:
            ttl = self._ttl(tick, now, good_for)
            if tick.halted or tick.rebased or tick.delayed_s or tick.replay_date:
                updates.append(update_of(self._quote(tick, number, now, ttl)))
            else:
                updates.append(self._update(tick, number, now_us, ttl))
        return updates

    def _quote(self, tick: Tick, number: int, at: datetime, ttl: timedelta) -> Quote:
        return quote_of(tick, received_at=at, ttl=ttl, epoch=self._epoch, seq=number)

    def _ttl(self, tick: Tick, now: datetime, good_for: dict[str, timedelta]) -> timedelta:
        """It depends on the market only, and that on provider and symbol."""
        key = (tick.provider, tick.symbol)
        market = self._markets.get(key)
        if market is None:
            provider = freshness.provider_named(tick.provider)
            market = self._markets[key] = freshness.market_from(provider, tick.symbol).value
        ttl = good_for.get(market)
        if ttl is None:
            provider = freshness.provider_named(tick.provider)
            ttl = good_for[market] = freshness.ttl_from(provider, tick.symbol, now)
        return ttl

    def _update(self, tick: Tick, number: int, now_us: int, ttl: timedelta) -> live.Update:
        symbol, epoch, price = tick.symbol, self._epoch, price_text(tick.price)
        group = self._groups.get(symbol)
        if group is None:
            group = self._groups[symbol] = group_name(symbol)
        change, percent = change_of(tick.price, tick.previous_close)
        event: dict[str, Any] = {
            "type": live.QUOTE_TICKED, "s": symbol, "e": epoch, "n": number,
            "d": f'{{"s":"{symbol}","p":"{price}",{_changes(change, percent)},"v":{tick.volume or "null"}'
            f',"t":{tick.as_of_us // 1000},"e":{epoch},"n":{number},"pr":"{tick.provider}"}}',
        }  # fmt: skip
        if tick.size:
            event["z"] = tick.size
        if tick.bid is not None:
            event["b"] = price_text(tick.bid)
        if tick.ask is not None:
            event["a"] = price_text(tick.ask)
        latest = (
            f'{{"t":{tick.as_of_us},"symbol":"{symbol}","price":"{price}","received":{now_us}'
            f',"expires":{now_us + ttl // MICROSECOND},"provider":"{tick.provider}"'
            f',"session":"{tick.session}","volume":{tick.volume or "null"},"epoch":{epoch}'
            f',"seq":{number}{_prices(tick, change, percent)}}}'
        )
        return live.Update(symbol, latest.encode(), group, event)


def _changes(change: Decimal | None, percent: Decimal | None) -> str:
    if change is None:
        return '"c":null,"cp":null'
    return f'"c":"{price_text(change)}","cp":"{percent:.2f}"'


def _prices(tick: Tick, change: Decimal | None, percent: Decimal | None) -> str:
    """The other prices that are known, and the size."""
    text = "" if change is None else f',"change":"{change!s}","change_percent":"{percent!s}"'
    if tick.open is not None:
        text += f',"open":"{tick.open!s}"'
    if tick.high is not None:
        text += f',"high":"{tick.high!s}"'
    if tick.low is not None:
        text += f',"low":"{tick.low!s}"'
    if tick.previous_close is not None:
        text += f',"previous_close":"{tick.previous_close!s}"'
    if tick.bid is not None:
        text += f',"bid":"{tick.bid!s}"'
    if tick.ask is not None:
        text += f',"ask":"{tick.ask!s}"'
    return f'{text},"size":{tick.size}' if tick.size else text
