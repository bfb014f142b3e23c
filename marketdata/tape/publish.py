"""From believed ticks to frames: serialised once for the whole installation, stored as latest and published, fenced."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import orjson

from core import live
from marketdata.cache import LATEST_KEY, encode
from marketdata.quotes import Bar, Quote, microseconds, price_text
from marketdata.symbols import group_name
from marketdata.tape.openset import epoch_key


def frame_of(quote: Quote) -> str:
    """The JSON text that every client of the ticker gets; the words are explained in docs/reference/stream.md."""
    fields: dict[str, Any] = {
        "s": quote.symbol,
        "p": price_text(quote.price),
        "c": None if quote.change is None else price_text(quote.change),
        "cp": None if quote.change_percent is None else f"{quote.change_percent:.2f}",
        "v": quote.volume,
        "t": microseconds(quote.as_of) // 1000,
        "e": quote.epoch,
        "n": quote.seq,
        "pr": quote.provider,
    }
    if quote.replay_date:
        fields["rd"] = quote.replay_date.isoformat()
    if quote.halted:
        fields["x"] = 1
    return orjson.dumps(fields).decode()


def update_of(quote: Quote) -> live.Update:
    event: dict[str, Any] = {
        "type": live.QUOTE_TICKED,
        "s": quote.symbol,
        "e": quote.epoch,
        "n": quote.seq,
        "d": frame_of(quote),
    }
    if quote.size:
        event["z"] = quote.size
    if quote.bid is not None:
        event["b"] = price_text(quote.bid)
    if quote.ask is not None:
        event["a"] = price_text(quote.ask)
    return live.Update(key=quote.symbol, latest=encode(quote), group=group_name(quote.symbol), event=event)


async def publish_quotes(quotes: Iterable[Quote], *, shard: int, epoch: int) -> bool:
    """False when another owner has taken over; raises RedisError when Redis is away."""
    return await live.publish_many(
        [update_of(quote) for quote in quotes], epoch=epoch, epoch_key=epoch_key(shard), latest_key=LATEST_KEY
    )


def bar_event_of(bar: Bar, epoch: int) -> dict[str, Any]:
    return {
        "type": live.BAR_CLOSED,
        "s": bar.symbol,
        "e": epoch,
        "t": microseconds(bar.start) // 1_000_000,
        "o": price_text(bar.open),
        "h": price_text(bar.high),
        "l": price_text(bar.low),
        "c": price_text(bar.close),
        "v": bar.volume,
    }


async def publish_closed_bars(bars: Collection[Bar], *, shard: int, epoch: int) -> bool:
    """The same for minutes that are over, at most once: what fails is not told again."""
    messages = [(group_name(bar.symbol), bar_event_of(bar, epoch)) for bar in bars]
    return await live.tell_many(messages, epoch=epoch, epoch_key=epoch_key(shard))
