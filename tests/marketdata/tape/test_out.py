"""What alerts get of the tape: every believed tick, once, in order, whatever Redis does meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from random import Random

import pytest
from redis.exceptions import RedisError

from core import clock, metrics
from core.redis import async_client, close_async_client
from marketdata import accepted
from marketdata.accepted import Accepted, Batch, Follower
from marketdata.quotes import Correction, Session, Tick
from marketdata.tape import openset
from marketdata.tape import out as module
from marketdata.tape.intake import Intake
from marketdata.tape.out import Out
from tests.outages import Gate, redis_at, redis_server

SHARD, EPOCH = 3, 5
NOW = clock.now_us()


@pytest.fixture(autouse=True)
async def _empty(monkeypatch) -> AsyncIterator[None]:
    monkeypatch.setattr(clock, "now_us", lambda: NOW)  # however long ago this was loaded
    keys = (accepted.key_of(SHARD), openset.epoch_key(SHARD))
    await async_client().delete(*keys)
    yield
    await async_client().delete(*keys)
    await close_async_client()


def tick(number: int = 0, *, price: str = "100.00", **fields) -> Tick:
    return Tick("AAPL", Decimal(price), 10, 1000, NOW + number, "first", **fields)


def believed(one: Tick, received_us: int = NOW) -> Accepted:
    return Accepted(
        one.symbol, one.price, one.as_of_us, received_us, one.provider, one.session, one.volume, one.rebased,
        one.halted, one.replay_date is not None, one.delayed_s, one.trade_id, one.size,
    )  # fmt: skip


def in_turn(ticks: list[Tick], from_us: int = NOW) -> list[Accepted]:
    """No two are received at the same microsecond."""
    return [believed(one, from_us + place) for place, one in enumerate(ticks)]


async def batches(after: str = "0-0") -> list[Batch]:
    return await accepted.read(SHARD, after, block_ms=10, count=10_000)


async def read() -> list[Accepted]:
    """As a reader reads who skips what he knows, and who must miss nothing."""
    follower, found = Follower(EPOCH), []
    for batch in await batches():
        if follower.is_new(batch):
            assert follower.follow(batch)
            found += batch.ticks
    return found


async def test_every_tick_comes_out_with_all_that_is_known_of_it():
    out = Out(SHARD, 1, EPOCH)
    plain = tick(trade_id='a"1', delayed_s=900)
    other = tick(1, halted=True, rebased=True, session=Session.PRE, replay_date=clock.now().date())
    out.put(plain, NOW + 7)
    out.put(other, NOW + 8)

    assert await out.write()

    assert await read() == [believed(plain, NOW + 7), believed(other, NOW + 8)]


async def test_batches_are_numbered_from_one_and_carry_the_epoch():
    out = Out(SHARD, 1, EPOCH)
    for number in range(3):
        out.put(tick(number), NOW)
        await out.write()

    assert [(batch.epoch, batch.number) for batch in await batches()] == [(EPOCH, 1), (EPOCH, 2), (EPOCH, 3)]


async def test_nothing_is_written_when_there_is_nothing():
    assert await Out(SHARD, 1, EPOCH).write()

    assert await batches() == []


async def test_a_correction_comes_after_what_was_before_it_and_before_what_comes_after():
    out = Out(SHARD, 1, EPOCH)
    wrong = Correction("AAPL", "first", NOW, "1", price=Decimal(99))
    out.put(tick(0), NOW)
    out.put_correction(wrong, NOW)
    out.put(tick(1), NOW)
    await out.write()

    assert [(batch.ticks, batch.corrections) for batch in await batches()] == [
        ([believed(tick(0))], []),
        ([believed(tick(1), NOW + 1)], [wrong]),
    ]


async def test_a_rush_is_several_batches(monkeypatch):
    monkeypatch.setattr(module, "MOST_TICKS", 4)
    monkeypatch.setattr(module, "LARGEST_CALL", 300)
    out = Out(SHARD, 1, EPOCH)
    ticks = [tick(number) for number in range(30)]
    for one in ticks:
        out.put(one, NOW)
    await out.write()

    assert [len(batch.ticks) for batch in await batches()] == [4] * 7 + [2]
    assert await read() == in_turn(ticks)


async def test_a_tick_is_written_soon_after_it_came():
    out = Out(SHARD, 1, EPOCH)
    waiting = asyncio.create_task(out.write_next())
    out.put(tick(), NOW)

    assert await asyncio.wait_for(waiting, 30)

    assert await read() == [believed(tick())]


async def test_who_is_no_longer_the_owner_writes_nothing():
    out = Out(SHARD, 1, EPOCH)
    await async_client().set(openset.epoch_key(SHARD), EPOCH + 1)
    out.put(tick(), NOW)

    assert not await out.write()

    assert await batches() == []


async def test_what_waits_too_long_is_dropped_and_the_numbers_show_it(monkeypatch):
    now = [NOW]
    monkeypatch.setattr(clock, "now_us", lambda: now[0])
    dropped = metrics.tape_batches_dropped._value.get()
    out = Out(SHARD, 1, EPOCH)
    with gate_closed(monkeypatch):
        for second in (0, 10, 20, 45):
            now[0] = NOW + second * 1_000_000
            out.put(tick(second), now[0])
            with pytest.raises(RedisError):
                await out.write()

    assert await out.write()

    assert [(batch.number, batch.at_us - NOW) for batch in await batches()] == [
        (3, 20_000_000),
        (4, 45_000_000),
    ]
    assert metrics.tape_batches_dropped._value.get() - dropped == 2


async def test_no_more_than_so_much_waits(monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 500)
    out = Out(SHARD, 1, EPOCH)
    with gate_closed(monkeypatch):
        for number in range(10):
            out.put(tick(number), NOW)
            with pytest.raises(RedisError):
                await out.write()
        assert 0 < out._bytes <= 500

    await out.write()

    numbers = [batch.number for batch in await batches()]
    assert numbers == list(range(11 - len(numbers), 11))
    assert 1 < len(numbers) < 10


async def test_the_stream_keeps_as_much_as_it_may(monkeypatch):
    monkeypatch.setattr(module, "MOST_KEPT", 200_000)
    monkeypatch.setattr(module, "MOST_TICKS", 2)
    monkeypatch.setattr(module, "TRIM_EVERY_S", 0)
    out = Out(SHARD, 1, EPOCH)
    for number in range(10_000):
        out.put(tick(number, price=f"{number}.00"), NOW)
    await out.write()

    assert await async_client().memory_usage(accepted.key_of(SHARD), samples=0) <= 200_000
    kept = [batch.number for batch in await batches()]
    assert kept == list(range(5_001 - len(kept), 5_001))
    assert len(kept) > 500


async def test_of_a_small_redis_all_shards_together_take_a_share():
    assert module._most_kept({"maxmemory": 64_000_000}, 2) == 8_000_000
    assert module._most_kept({"maxmemory": 0}, 2) == module.MOST_KEPT


async def test_what_is_older_than_two_minutes_goes_with_the_next_write(monkeypatch):
    monkeypatch.setattr(module, "MOST_TICKS", 1)
    old = accepted.fields_of(EPOCH - 1, 1, NOW, accepted.encode([believed(tick())]))
    seconds, _ = await async_client().time()
    for number in range(300):  # trimmed by whole nodes of the stream, of a hundred entries
        await async_client().xadd(accepted.key_of(SHARD), old, id=f"{(seconds - 150) * 1000}-{number}")
    out = Out(SHARD, 1, EPOCH)
    out.put(tick(), NOW)
    await out.write()

    found = await batches()
    assert len(found) <= 100
    assert (found[-1].epoch, found[-1].number) == (EPOCH, 1)


# --- with acceptance before it


def intake(out: Out) -> Intake:
    return Intake(out, routed_to=lambda _: "first", streamed_by=lambda _: "first")


async def test_what_is_refused_does_not_come_out():
    out = Out(SHARD, 1, EPOCH)
    intake(out).take([tick(0), tick(0), tick(1, price="NaN"), tick(-5), tick(2)], {"AAPL"}, NOW + 3)
    await out.write()

    assert await read() == in_turn([tick(0), tick(2)], NOW + 3)


async def test_a_tick_that_was_held_comes_out_when_it_is_believed():
    out = Out(SHARD, 1, EPOCH)
    one = intake(out)
    one.take([tick(n) for n in range(30)], {"AAPL"}, NOW)
    one.take([tick(40, price="150")], {"AAPL"}, NOW + 100)
    one.take([tick(41, price="151")], {"AAPL"}, NOW + 200)
    await out.write()

    assert (await read())[30:] == in_turn([tick(40, price="150"), tick(41, price="151")], NOW + 200)


async def test_after_a_correction_the_price_before_is_said_again_where_the_trade_was_known():
    out = Out(SHARD, 1, EPOCH)
    one = intake(out)
    one.take([tick(0, trade_id="1"), tick(1, price="101", trade_id="2")], {"AAPL"}, NOW)
    bust = Correction("AAPL", "first", NOW + 1, "2")
    unknown = Correction("MSFT", "first", NOW + 1, "9")
    one.take([bust, unknown], {"AAPL", "MSFT"}, NOW + 2)
    await out.write()

    first, second, third = await batches()
    assert [str(tick.price) for tick in first.ticks] == ["100.00", "101"]
    assert second.corrections == [bust]
    assert [(str(one.price), one.rebased) for one in second.ticks] == [("100.00", True)]
    assert (third.corrections, third.ticks) == ([unknown], [])


# --- with a Redis that goes and comes


class gate_closed:  # noqa: N801 -- used as a word of a test
    """For as long as this lasts Redis is away."""

    def __init__(self, monkeypatch) -> None:
        self._monkeypatch = monkeypatch

    def __enter__(self) -> None:
        async def away(*_: object) -> None:
            raise RedisError

        self._before = async_client().eval
        self._monkeypatch.setattr(async_client(), "eval", away)

    def __exit__(self, *_: object) -> None:
        self._monkeypatch.setattr(async_client(), "eval", self._before)


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_read_is_what_was_believed_while_redis_goes_and_comes(seed, settings):
    """Connections are cut at any moment, also between a write and its answer: what is there twice is known."""
    random, url = Random(seed), settings.REDIS_URL
    out = Out(SHARD, 1, EPOCH)
    ticks = [tick(number, price=f"{100 + number % 50}.00") for number in range(600)]
    server = redis_server(url)
    with Gate(url) as gate, redis_at(gate.url):
        await close_async_client()
        for position in range(0, len(ticks), 20):
            for one in ticks[position : position + 20]:
                out.put(one, NOW)
            writing = asyncio.create_task(out.write())
            for _ in range(random.randrange(12)):
                await asyncio.sleep(0)
            what = random.randrange(4)
            if what == 0:
                gate.close()
            elif what == 1:
                server.client_kill_filter(_type="normal", skipme=True)
            elif what == 2:
                writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            if what == 0:
                gate.open()
        assert await until_written(out)
        await close_async_client()
    server.close()

    assert await read() == in_turn(ticks)


async def until_written(out: Out) -> bool:
    async with asyncio.timeout(20):
        while True:
            try:
                return await out.write()
            except RedisError:
                await asyncio.sleep(0.05)


async def test_a_write_whose_answer_was_lost_is_done_again_and_known_by_its_number(monkeypatch):
    out = Out(SHARD, 1, EPOCH)
    out.put(tick(), NOW)
    real = async_client().eval

    async def unheard(*args: object) -> None:
        await real(*args)
        raise RedisError

    monkeypatch.setattr(async_client(), "eval", unheard)
    with pytest.raises(RedisError):
        await out.write()
    monkeypatch.setattr(async_client(), "eval", real)
    await out.write()

    assert [batch.number for batch in await batches()] == [1, 1]
    assert await read() == [believed(tick())]
