from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connections, transaction

from core import clock, leases
from core.database import in_thread
from core.embedded.throwaway import Throwaway
from core.models import Lease
from core.redis import client, close_async_client
from marketdata import demand, polling, store
from marketdata.cache import BEATS_KEY, STREAMING_KEY, decode
from marketdata.models import MinuteBar, Ticker
from marketdata.models import Quote as QuoteRow
from marketdata.providers import registry
from marketdata.providers.registry import Purpose
from marketdata.quotes import Tick
from marketdata.tape import openset, owner
from marketdata.tape.owner import Term, lease_name, serve
from marketdata.tape.sharding import shard_of
from marketdata.tape.writing import Said
from tests.outages import redis_at
from tests.providers import make_quote
from tests.tapes import Tape, running_tape

pytestmark = pytest.mark.django_db(transaction=True)

LONG = timedelta(seconds=60)


@pytest.fixture
def unconnected(transactional_db, caplog) -> None:
    connections.close_all()
    caplog.set_level("ERROR")


@pytest.fixture
async def tape(unconnected, monkeypatch, settings) -> AsyncIterator[Tape]:
    client().flushall()
    async with running_tape(monkeypatch, settings.REDIS_URL) as one:
        yield one


class Office:
    """A term that a test looks into."""

    def __init__(self, term: Term) -> None:
        self.term = term
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(term.run(self.stop))

    async def end(self) -> bool:
        self.stop.set()
        return await asyncio.wait_for(self.task, 30)


async def begin(shard: int = 0, shards: int = 1) -> Office:
    name = lease_name(shard, shards)
    epoch = await in_thread(leases.take, name, "here", LONG)
    return Office(Term(shard, shards, epoch, "here"))


async def somebody_else_takes_over(shard: int = 0, shards: int = 1) -> int:
    def take_over() -> int:
        name = lease_name(shard, shards)
        with transaction.atomic():  # or the owner would renew it in between
            Lease.objects.filter(name=name).update(expires_at="2000-01-01T00:00Z")
            return leases.take(name, "there", LONG)

    return await in_thread(take_over)


async def test_a_term_ends_when_another_took_over_and_writes_nothing_more(tape, monkeypatch):
    monkeypatch.setattr(owner, "RENEW_EVERY_S", 0.5)
    await tape.watch("AAPL")
    office = await begin()
    await tape.opens("AAPL")
    tape.send("AAPL", "100.00")
    await tape.stores("AAPL", "100.00")
    await tape.stores_every_tick()
    newer = await somebody_else_takes_over()
    tick = Tick("AAPL", Decimal("100.50"), 10, 10, clock.now_us(), "scripted")

    office.term.on_ticks([tick])

    assert await asyncio.wait_for(office.task, 30) is False
    assert newer > office.term.epoch
    assert (await tape.stored("AAPL")).price == 100
    assert [bar.close for bar in (await tape.bars()).values()] == [100]
    assert tape.provider.streams == []


@pytest.mark.parametrize("step", ["_store_quotes", "_store_bars", "_renew"])
async def test_each_write_notices_by_itself_that_the_lease_is_gone(tape, step):
    office = await begin()
    term = office.term
    await office.end()
    await somebody_else_takes_over()
    term.open = {"AAPL"}
    term.on_ticks([Tick("AAPL", Decimal(1), 1, 1, clock.now_us(), "scripted")])
    term._history.add_said(Said(Tick("AAPL", Decimal(1), 1, 1, clock.now_us(), "scripted"), 1, clock.now()))

    with pytest.raises(owner.LeaseLost):
        await getattr(term, step)()

    assert not await in_thread(lambda: QuoteRow.objects.exists() or MinuteBar.objects.exists())


@pytest.mark.parametrize("step", ["_publish", "_beat"])
async def test_a_higher_epoch_in_redis_ends_the_term_even_while_postgres_is_silent(tape, step):
    office = await begin()
    term = office.term
    await office.end()
    client().set(openset.epoch_key(0), term.epoch + 1)
    term.open = {"AAPL"}
    term.on_ticks([Tick("AAPL", Decimal(1), 1, 1, clock.now_us(), "scripted")])

    with pytest.raises(owner.LeaseLost):
        await getattr(term, step)()

    assert tape.latest() == {}
    assert not client().hexists(BEATS_KEY, "0")


async def test_a_former_owner_that_says_what_it_lost_ends_and_its_successor_is_still_listed(tape):
    await tape.watch("AAPL")
    office = await begin()
    await tape.opens("AAPL")
    await tape.until(lambda: tape.said_open() == {"AAPL"})
    client().set(openset.epoch_key(0), office.term.epoch + 1)  # the successor streams the same symbol

    tape.provider.cut()

    assert await asyncio.wait_for(office.task, 20) is False
    assert tape.said_open() == {"AAPL"}


@pytest.mark.parametrize(("provider", "rebased"), [("former", True), ("scripted", False)])
async def test_after_a_takeover_the_price_of_another_provider_is_marked_as_no_move(tape, provider, rebased):
    await tape.watch("AAPL")
    ids = {"AAPL": (await in_thread(lambda: Ticker.objects.get(symbol="AAPL"))).pk}
    said = make_quote(
        "AAPL", "103", provider=provider, as_of=clock.now() - timedelta(minutes=1), epoch=1, seq=1
    )
    await in_thread(store.store_ticked, [said], ids)
    office = await begin()
    await tape.until(lambda: "AAPL" in office.term.open)

    office.term.on_ticks([Tick("AAPL", Decimal("103.1"), 10, 10, clock.now_us(), "scripted")])

    await tape.publishes("AAPL", "103.10")
    assert tape.latest()["AAPL"].rebased is rebased
    await office.end()


async def test_a_stopped_term_is_still_the_owners(tape):
    office = await begin()

    assert await office.end() is True


async def test_a_term_that_lost_its_lease_is_followed_by_a_new_one_of_the_same_process(tape, monkeypatch):
    monkeypatch.setattr(owner, "RENEW_EVERY_S", 0.5)
    await tape.watch("AAPL")
    tape.start()
    await tape.opens("AAPL")
    newer = await somebody_else_takes_over()
    await tape.until(lambda: tape.provider.open == set())

    await in_thread(leases.release, lease_name(0, 1), newer)

    await tape.opens("AAPL")
    tape.send("AAPL", "100.00")
    assert (await tape.publishes("AAPL", "100.00"))["e"] > newer


async def test_when_a_part_fails_unforeseen_the_term_fails(tape, monkeypatch):
    async def fail(self) -> None:
        raise LookupError("as asked")

    monkeypatch.setattr(Term, "_reconcile", fail)

    with pytest.raises(LookupError):
        await serve(0, 1, asyncio.Event())


async def test_each_shard_opens_only_its_own(tape):
    symbols = [f"S{number}" for number in range(12)]
    await tape.watch(*symbols)
    mine = {symbol for symbol in symbols if shard_of(symbol, 3) == 1}
    tape.provider.capabilities = replace(tape.provider.capabilities, connections_per_key=3)

    office = await begin(1, 3)

    await tape.opens(*mine)
    await tape.until(lambda: client().get(openset.SHARDS_KEY) == b"3")
    assert mine < set(symbols)
    await office.end()


async def test_a_newly_opened_symbol_shows_a_price_before_its_next_trade(tape):
    tape.provider.outcomes["AAPL"] = make_quote("AAPL", "42.00")
    await tape.watch("AAPL")
    tape.start()

    event = await tape.publishes("AAPL", "42.00")

    assert event["n"] == 1
    assert tape.provider.asked_symbols == {"AAPL": 1}


async def test_ticks_that_are_not_wanted_or_not_believed_are_counted_by_reason(tape):
    office = await begin()
    term = office.term
    term.open = {"AAPL"}
    now = clock.now_us()
    good = Tick("AAPL", Decimal(100), 1, 1, now, "scripted")
    bad = [
        replace(good, symbol="OTHER"),
        replace(good, price=Decimal("NaN")),
        replace(good, price=Decimal(0)),
        replace(good, as_of_us=now + 60_000_000),
        good,
        replace(good, as_of_us=now - 1),
        replace(good, as_of_us=now + 1, price=Decimal(500)),
    ]

    term.on_ticks([good, *bad])

    assert term.counts["scripted"].refused == dict.fromkeys(
        ["not_wanted", "not_finite", "not_positive", "future", "duplicate", "out_of_order", "outlier_held"], 1
    )
    assert term.counts["scripted"].accepted == 1
    await office.end()


async def test_what_is_handed_over_while_the_owner_is_between_two_reads_is_read(tape):
    office = await begin()
    await tape.until(lambda: any(one["cmd"] == "xread" for one in client().client_list()))
    (reader,) = [one["id"] for one in client().client_list() if one["cmd"] == "xread"]
    # At one stroke: the owner's read is cut, and an entry comes in before it reads again.
    pipe = client().pipeline(transaction=True)
    pipe.client_kill_filter(_id=reader)
    pipe.execute_command("XADD", openset.inbox_key(0), "*", "q", polling.encode(make_quote("AAPL", "9.00")))
    pipe.execute()

    await tape.publishes("AAPL", "9.00")
    await office.end()


async def test_a_redis_that_cannot_write_to_its_disk_costs_no_tick(tape):
    with Throwaway(postgres=False) as full, redis_at(full.bundle.redis_url):
        await close_async_client()
        await tape.watch("AAPL")
        tape.start()
        await tape.opens("AAPL")
        await tape.until(lambda: client().hexists(BEATS_KEY, "0"))
        client().config_set("save", "3600 1")
        shutil.rmtree(full.bundle.redis_data)
        client().bgsave()
        await tape.until(lambda: client().info("persistence")["rdb_last_bgsave_status"] == "err")

        tape.send("AAPL", "100.00", "100.10")
        await tape.stores("AAPL", "100.10")
        await tape.stores_every_tick()

        client().config_set("save", "")
        await tape.until(lambda: "AAPL" in tape.latest())
        assert decode(client().hget("quote:latest", "AAPL")).price == Decimal("100.10")
        await tape.stop()
        await close_async_client()


async def test_a_tape_without_providers_that_stream_opens_nothing(tape):
    tape.provider.capabilities = replace(tape.provider.capabilities, streams=False)
    await tape.watch("AAPL")
    office = await begin()
    await tape.until(lambda: client().hexists(BEATS_KEY, "0"))

    assert registry.route("AAPL", purpose=Purpose.STREAM) is None
    assert await office.end() is True
    assert tape.provider.connects == 0


async def test_a_wake_up_and_the_end_of_a_grace_need_no_beat(tape, monkeypatch):
    monkeypatch.setattr(owner, "RECONCILE_EVERY_S", 60)
    await tape.watch("AAPL", "MSFT")
    tape.start()
    await tape.opens("AAPL", "MSFT")
    await tape.until(is_listening)

    await tape.unwatch("MSFT")
    client().publish(demand.WAKE_CHANNEL, b"")

    await tape.opens("AAPL")


async def test_what_follows_a_wake_up_within_the_senders_pause_is_seen_after_it(tape, monkeypatch):
    monkeypatch.setattr(owner, "RECONCILE_EVERY_S", 60)
    monkeypatch.setattr(demand, "WAKE_PAUSE_S", 1.0)
    await tape.watch("AAPL")
    tape.start()
    await tape.opens("AAPL")
    await tape.until(is_listening)

    client().publish(demand.WAKE_CHANNEL, b"")
    await tape.watch("MSFT")

    await tape.opens("AAPL", "MSFT")


def is_listening() -> bool:
    return client().pubsub_numsub(demand.WAKE_CHANNEL)[0][1] > 0


async def cancel_during_write(write, monkeypatch) -> None:
    began = asyncio.Event()

    async def hang(*_):
        began.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(owner, "in_thread", hang)
    task = asyncio.create_task(write())
    await began.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_bars_whose_write_was_cancelled_are_written_with_the_next_one(tape, monkeypatch):
    office = await begin()
    term = office.term
    await office.end()
    term.open = {"AAPL"}
    term.on_ticks([Tick("AAPL", Decimal(1), 1, 1, clock.now_us(), "scripted")])

    await cancel_during_write(term._store_bars, monkeypatch)

    assert [bar.close for bar in term._history.take_minute_bars()] == [1]


async def test_quotes_whose_write_was_cancelled_are_written_with_the_next_one(tape, monkeypatch):
    office = await begin()
    term = office.term
    await office.end()
    term._history.add_said(Said(Tick("AAPL", Decimal(1), 1, 1, clock.now_us(), "scripted"), 7, clock.now()))

    await cancel_during_write(term._store_quotes, monkeypatch)

    assert [said.number for said in term._history.take_said()] == [7]


async def test_a_minute_that_is_over_is_told_once_to_the_group(tape, monkeypatch):
    monkeypatch.setattr(owner, "CLOSE_BARS_EVERY_S", 0.05)
    await tape.watch("AAPL")
    office = await begin()
    await tape.opens("AAPL")
    tape.send("AAPL", "100.00", "101.50", "101.00", size=7)
    await tape.publishes("AAPL", "101.00")
    closings = office.term._history.closings
    take = closings.take
    monkeypatch.setattr(closings, "take", lambda now_us: take(now_us + 120_000_000))  # two minutes later
    await tape.until(lambda: tape.closed_bars)
    tape.send("AAPL", "102.00")
    await tape.publishes("AAPL", "102.00")
    await office.end()

    minute = tape.sent[0].as_of_us // 60_000_000
    told = [event for event in tape.closed_bars if event["t"] == minute * 60]
    assert told == [
        {
            "type": "bar.closed", "s": "AAPL", "e": office.term.epoch, "t": minute * 60,
            "o": "100.00", "h": "101.50", "l": "100.00", "c": "101.00", "v": 21,
        }
    ]  # fmt: skip


async def test_a_bar_that_closes_under_a_former_owner_ends_its_term(tape):
    office = await begin()
    term = office.term
    await office.end()
    client().set(openset.epoch_key(0), term.epoch + 1)
    term.open = {"AAPL"}
    term.on_ticks([Tick("AAPL", Decimal(1), 1, 1, clock.now_us() - 120_000_000, "scripted")])

    with pytest.raises(owner.LeaseLost):
        await term._close_bars()


async def test_the_first_beat_does_not_bring_the_list_of_a_former_owner_to_life(tape, monkeypatch):
    client().hset(STREAMING_KEY, "AAPL", "0")
    client().hset(BEATS_KEY, "0", client().time()[0] - 60)
    listed: list[set[str]] = []
    beat = openset.beat

    async def noted(*args) -> tuple[int, bool]:
        listed.append(tape.said_open())
        return await beat(*args)

    monkeypatch.setattr(openset, "beat", noted)
    office = await begin()
    await tape.until(lambda: listed)
    await office.end()

    assert listed[0] == set()
