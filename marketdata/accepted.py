"""What acceptance believed, tick by tick: the stream through which alerts see every price, unconflated.

Each shard of the tape writes one Redis stream (`tape.out`). An entry is a batch: what was believed within a few
milliseconds, in the order of arrival. Within an epoch batches are numbered 1, 2, 3 …: a hole means that ticks are
lost. One batch may be there twice, when the tape could not know whether its first write was done: a reader skips a
number that is not above the last one of that epoch, and every epoch that is below the highest it has seen.
`Follower` does both.

In a batch corrections come before ticks: the tape begins another batch where one comes after a tick.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import repeat, starmap
from typing import Any

import orjson

from core.redis import async_client
from marketdata.quotes import Accepted, Correction, Tick

__all__ = [
    "Accepted", "Batch", "Follower", "decode", "encode", "encode_ticks", "fields_of", "key_of", "newest",
    "pages", "parse", "read", "read_between",
]  # fmt: skip

# An entry's id is Redis's time, and a batch that waited for Redis came later: this much our clocks may differ.
CLOCKS_APART_MS = 5_000
PAGE = 100
NONE_YET = "0-0"
EPOCH, NUMBER, AT, BODY = b"e", b"n", b"t", b"d"


@dataclass(frozen=True, slots=True)
class Batch:
    """What was believed until `at_us`, after the batch before it. `entry` is its id in the stream."""

    entry: str
    epoch: int
    number: int
    at_us: int
    ticks: list[Accepted]
    corrections: list[Correction] = field(default_factory=list)
    """Of trades before the first of these ticks."""


def key_of(shard: int) -> str:
    return f"tape:out:{shard}"


def encode(ticks: Sequence[Accepted], corrections: Iterable[Correction] = ()) -> bytes:
    """The body of an entry."""
    replays = [tick.replay for tick in ticks]
    return _packed(ticks, [tick.received_us for tick in ticks], replays, corrections)


def encode_ticks(ticks: Sequence[Tick], received: Sequence[int], corrections: Iterable[Correction]) -> bytes:
    """The same of ticks as the tape has them, each received at its time."""
    replays = [tick.replay_date is not None for tick in ticks]
    return _packed(ticks, received, replays, corrections)


def _packed(
    ticks: Sequence[Tick] | Sequence[Accepted],
    received: Sequence[int],
    replays: list[bool],
    corrections: Iterable[Correction],
) -> bytes:
    """By columns, of which most hold one value: half as long as by rows, and written in a third of the time."""
    base = received[0] if received else 0
    columns: list[list[Any]] = [
        [tick.symbol for tick in ticks],
        [str(tick.price) for tick in ticks],
        [tick.as_of_us - base for tick in ticks],
        [us - base for us in received],
        [tick.provider for tick in ticks],
        [tick.session for tick in ticks],
        [tick.volume for tick in ticks],
        [tick.rebased for tick in ticks],
        [tick.halted for tick in ticks],
        replays,
        [tick.delayed_s for tick in ticks],
        [tick.trade_id for tick in ticks],
        [tick.size for tick in ticks],
    ]
    packed = [base, *columns[:4], *map(_shortest, columns[4:])]
    return orjson.dumps([packed if ticks else [], [_row(one) for one in corrections]])


def _shortest(column: list[Any]) -> Any:
    """One value for all, where they are all the same."""
    return column[0] if column and column.count(column[0]) == len(column) else column


def _row(correction: Correction) -> list[Any]:
    one = correction
    return [one.symbol, one.provider, one.as_of_us, one.trade_id, _text(one.was), _text(one.price)]


def _text(price: Decimal | None) -> str | None:
    return None if price is None else str(price)


def decode(body: bytes) -> tuple[list[Accepted], list[Correction]]:
    """What `encode` wrote."""
    packed, corrections = orjson.loads(body)
    return _ticks(packed) if packed else [], [_correction(row) for row in corrections]


def _ticks(packed: list[Any]) -> list[Accepted]:
    base, symbols, prices, as_of, received, *others = packed
    rows = zip(
        symbols,
        map(Decimal, prices),
        [us + base for us in as_of],
        [us + base for us in received],
        *[column if type(column) is list else repeat(column) for column in others],
        strict=False,  # what repeats has no end
    )
    return list(starmap(Accepted, rows))


def _correction(row: list[Any]) -> Correction:
    symbol, provider, as_of_us, trade_id, was, price = row
    return Correction(symbol, provider, as_of_us, trade_id, _price(was), _price(price))


def _price(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def fields_of(epoch: int, number: int, at_us: int, body: bytes) -> dict[bytes, bytes | int]:
    """An entry, for XADD."""
    return {EPOCH: epoch, NUMBER: number, AT: at_us, BODY: body}


def parse(entry: bytes, fields: dict[bytes, bytes]) -> Batch:
    ticks, corrections = decode(fields[BODY])
    return Batch(entry.decode(), int(fields[EPOCH]), int(fields[NUMBER]), int(fields[AT]), ticks, corrections)


async def read(shard: int, after: str, *, block_ms: int, count: int) -> list[Batch]:
    """The batches after this entry, waiting for the first; raises RedisError.

    `block_ms` must be well below REDIS_TIMEOUT_S.
    """
    answer: Any = await async_client().xread({key_of(shard): after}, count=count, block=block_ms)
    if not answer:
        return []
    # A list or a dict, as the protocol version has it.
    found = next(iter(answer.values()))[0] if isinstance(answer, dict) else answer[0][1]
    return [parse(entry, fields) for entry, fields in found]


async def read_between(shard: int, since_us: int, until: str) -> list[Batch]:
    """What is still there of what was believed after `since_us`, up to this entry; raises RedisError."""
    return [batch async for page in pages(shard, since_us, until) for batch in page]


async def pages(shard: int, since_us: int, until: str) -> AsyncIterator[list[Batch]]:
    """The same, some at a time."""
    after = f"{max(0, since_us // 1000 - CLOCKS_APART_MS)}"
    while True:
        answer: Any = await async_client().xrange(key_of(shard), after, until, count=PAGE)
        batches = [parse(entry, fields) for entry, fields in answer]
        yield [batch for batch in batches if batch.at_us > since_us]
        if len(answer) < PAGE:
            return
        after = f"({answer[-1][0].decode()}"


async def newest(shard: int) -> str:
    """The id of the last entry; raises RedisError."""
    answer: Any = await async_client().xrevrange(key_of(shard), count=1)
    return answer[0][0].decode() if answer else NONE_YET


class Follower:
    """Which batches are new to a reader, and whether one is missing before them."""

    def __init__(self, epoch: int = 0, number: int = 0) -> None:
        self.epoch, self.number = epoch, number

    def is_new(self, batch: Batch) -> bool:
        """Not of a former owner, nor written a second time."""
        return (batch.epoch, batch.number) > (self.epoch, self.number)

    def follow(self, batch: Batch) -> bool:
        """Go on to this new batch; False where one is missing before it.

        Whether the last ones of a former epoch are missing cannot be known: with a new one ticks may be lost.
        """
        follows = batch.epoch == self.epoch and batch.number == self.number + 1
        self.epoch, self.number = batch.epoch, batch.number
        return follows
