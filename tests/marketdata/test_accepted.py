"""The stream of believed ticks: what is read is what was written."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.redis import async_client, close_async_client
from marketdata import accepted
from marketdata.accepted import Accepted, Batch, Follower
from marketdata.quotes import Correction

AT_US = 1_790_000_000_000_000
SHARD = 7

prices = st.decimals(min_value="0.00000001", max_value="999999999999", places=8, allow_nan=False)
counts = st.integers(0, 2**53)
times = st.integers(0, 2**52)
words = st.text(max_size=12)
ticks = st.builds(
    Accepted, words, prices, times, times, words, words, counts, st.booleans(), st.booleans(), st.booleans(),
    st.integers(0, 900), words, counts,
)  # fmt: skip
corrections = st.builds(Correction, words, words, times, words, st.none() | prices, st.none() | prices)


@pytest.fixture
async def shard():
    await async_client().delete(accepted.key_of(SHARD))
    yield SHARD
    await async_client().delete(accepted.key_of(SHARD))
    await close_async_client()


def tick(price: str = "190.00", **others) -> Accepted:
    return Accepted("AAPL", Decimal(price), AT_US, AT_US + 1_000, "alpaca", **others)


async def put(shard, epoch, number, at_us=AT_US, *of: Accepted) -> str:
    body = accepted.encode(of or [tick()])
    entry = await async_client().xadd(
        accepted.key_of(shard), accepted.fields_of(epoch, number, at_us, body), id="*"
    )
    return entry.decode()


@given(st.lists(ticks, max_size=20), st.lists(corrections, max_size=3))
def test_what_is_read_is_what_was_written(ticks, corrections):
    assert accepted.decode(accepted.encode(ticks, corrections)) == (ticks, corrections)


def test_a_price_keeps_its_decimals():
    [[read], _] = accepted.decode(accepted.encode([tick("190.10")]))

    assert str(read.price) == "190.10"


async def test_batches_come_in_the_order_of_their_writing(shard):
    entries = [await put(shard, 3, number) for number in (1, 2)]

    found = await accepted.read(shard, "0-0", block_ms=100, count=10)

    assert found == [Batch(entry, 3, n, AT_US, [tick()]) for n, entry in enumerate(entries, start=1)]


async def test_a_reader_goes_on_after_the_entry_it_knows(shard):
    first, second = [await put(shard, 3, number) for number in (1, 2)]

    assert [b.entry for b in await accepted.read(shard, first, block_ms=100, count=10)] == [second]
    assert await accepted.read(shard, second, block_ms=10, count=10) == []


async def test_the_newest_entry_is_known_by_name(shard):
    assert await accepted.newest(shard) == "0-0"

    entry = await put(shard, 3, 1)

    assert await accepted.newest(shard) == entry


async def test_what_lies_between_a_time_and_an_entry_is_read_in_pages(shard, monkeypatch):
    monkeypatch.setattr(accepted, "PAGE", 2)
    async_now_us = int((await async_client().time())[0]) * 1_000_000
    entries = [await put(shard, 3, number, async_now_us + number) for number in range(1, 8)]

    found = await accepted.read_between(shard, async_now_us + 2, entries[5])

    assert [batch.number for batch in found] == [3, 4, 5, 6]


def batch(epoch: int, number: int) -> Batch:
    return Batch("1-0", epoch, number, AT_US, [])


def test_a_batch_that_was_written_twice_is_new_once():
    follower = Follower(3, 4)
    follower.follow(batch(3, 5))

    assert [follower.is_new(batch(3, n)) for n in (4, 5, 6)] == [False, False, True]


def test_what_a_former_owner_says_late_is_not_new():
    assert not Follower(4, 1).is_new(batch(3, 99))


@pytest.mark.parametrize(
    ("epoch", "number", "follows"), [(3, 5, True), (3, 6, False), (4, 1, False), (4, 2, False)]
)
def test_a_reader_knows_that_a_batch_is_missing(epoch, number, follows):
    assert Follower(3, 4).follow(batch(epoch, number)) is follows
