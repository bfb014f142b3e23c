from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import orjson
import pytest
from channels.layers import get_channel_layer

from core import live
from core.redis import client, close_async_client
from marketdata.cache import LATEST_KEY, decode
from marketdata.quotes import Bar
from marketdata.symbols import group_name
from marketdata.tape.openset import epoch_key
from marketdata.tape.publish import frame_of, publish_closed_bars, publish_quotes
from tests.providers import make_quote

MOMENT = datetime(2026, 3, 2, 14, 30, 0, 123999, tzinfo=UTC)


@pytest.fixture
async def channel() -> AsyncIterator[live.Receiver]:
    client().flushall()
    receiver = live.Receiver()
    await receiver.open()
    yield receiver
    await get_channel_layer().flush()
    await close_async_client()


def test_a_frame_has_the_words_of_the_stream():
    quote = make_quote(
        "AAPL", "1234567.89", as_of=MOMENT, change=Decimal("740740.734"), change_percent=Decimal("150.0000"),
        volume=2**40 + 1, epoch=7, seq=9,
    )  # fmt: skip

    assert orjson.loads(frame_of(quote)) == {
        "s": "AAPL",
        "p": "1234567.89",
        "c": "740740.734",
        "cp": "150.00",
        "v": 2**40 + 1,
        "t": 1772461800123,
        "e": 7,
        "n": 9,
        "pr": "scripted",
    }


def test_only_a_replayed_or_halted_quote_says_so():
    quote = make_quote("AAPL", "0.00000001", replay_date=date(2012, 10, 25), halted=True)

    frame = orjson.loads(frame_of(quote))

    assert (frame["p"], frame["c"], frame["cp"], frame["rd"], frame["x"]) == (
        "0.00000001",
        None,
        None,
        "2012-10-25",
        1,
    )


async def test_published_quotes_are_the_latest_and_told_to_their_groups(channel):
    quotes = [make_quote(symbol, "5", epoch=3, seq=1) for symbol in ("AAPL", "^GSPC")]
    for quote in quotes:
        await channel.join(group_name(quote.symbol))

    assert await publish_quotes(quotes, shard=2, epoch=3)

    assert {s.decode(): decode(raw) for s, raw in client().hgetall(LATEST_KEY).items()} == {
        quote.symbol: quote for quote in quotes
    }
    assert client().get(epoch_key(2)) == b"3"
    for quote in quotes:
        event = await channel.receive()
        assert event == {"type": live.QUOTE_TICKED, "s": quote.symbol, "e": 3, "n": 1, "d": frame_of(quote)}


async def test_a_stale_owner_publishes_nothing(channel):
    current = make_quote("AAPL", "5", epoch=3, seq=1)
    await publish_quotes([current], shard=0, epoch=3)

    stale = replace(current, price=Decimal(1), epoch=2, seq=99)
    assert not await publish_quotes([stale], shard=0, epoch=2)

    assert decode(client().hget(LATEST_KEY, "AAPL")) == current


async def test_shards_are_fenced_one_by_one(channel):
    await publish_quotes([], shard=0, epoch=9)

    assert await publish_quotes([make_quote("AAPL", epoch=4, seq=1)], shard=1, epoch=4)


async def test_what_is_known_of_the_last_trade_and_the_book_stands_beside_the_text(channel):
    await channel.join(group_name("AAPL"))
    quote = make_quote("AAPL", "5", size=300, bid=Decimal("4.990"), ask=Decimal("5.0125"), epoch=3, seq=1)

    await publish_quotes([quote], shard=0, epoch=3)

    assert await channel.receive() == {
        "type": live.QUOTE_TICKED, "s": "AAPL", "e": 3, "n": 1, "d": frame_of(quote),
        "z": 300, "b": "4.99", "a": "5.0125",
    }  # fmt: skip


async def test_a_closed_bar_is_told_by_the_owner_only(channel):
    await channel.join(group_name("AAPL"))
    bar = Bar("AAPL", MOMENT.replace(microsecond=0), *map(Decimal, ("5", "6.5", "4.125", "5.50")), 2**40)

    assert await publish_closed_bars([bar], shard=0, epoch=3)
    assert not await publish_closed_bars([bar], shard=0, epoch=2)
    await live.publish(group_name("AAPL"), {"type": "end"})

    assert await channel.receive() == {
        "type": live.BAR_CLOSED, "s": "AAPL", "e": 3, "t": 1772461800,
        "o": "5.00", "h": "6.50", "l": "4.125", "c": "5.50", "v": 2**40,
    }  # fmt: skip
    assert (await channel.receive())["type"] == "end"
