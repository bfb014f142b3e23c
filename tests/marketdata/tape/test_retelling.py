"""The minutes that a killed owner had not stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from django.db import connections

from core import clock
from core.redis import async_client, client, close_async_client
from marketdata import accepted
from marketdata.accepted import Batch
from marketdata.quotes import EPOCH, Bar, Correction, Tick
from marketdata.tape import owner, retelling
from marketdata.tape.intake import Intake
from marketdata.tape.out import Out
from marketdata.tape.retelling import Key, Retelling, fuller
from tests.tapes import Tape, running_tape

MINUTE = 60_000_000
START = clock.now_us() // MINUTE * MINUTE - 3 * MINUTE


@pytest.fixture(autouse=True)
def _everything_waits(monkeypatch) -> None:
    monkeypatch.setattr("marketdata.tape.out.LONGEST_WAIT_US", 10 * MINUTE)


def batches_of(out: Out, epoch: int = 1) -> list[Batch]:
    return [Batch("", epoch, one.number, one.at_us, *accepted.decode(one.body)) for one in out._closed]


def by_key(bars: list[Bar]) -> dict[Key, Bar]:
    return {(bar.symbol, bar.start): bar for bar in bars}


def start_of(minute: int) -> datetime:
    return EPOCH + timedelta(microseconds=START + minute * MINUTE)


def bar(*prices: int, volume: int, minute: int = 0) -> Bar:
    return Bar("AAPL", start_of(minute), *map(Decimal, prices), volume)


@pytest.mark.parametrize("seed", range(15))
def test_retold_bars_are_those_of_the_owner_also_after_corrections(seed):
    random, out = Random(seed), Out(0, 1, 1)
    intake = Intake(out, routed_to=lambda _: "first", streamed_by=lambda _: "first")
    trades: list[Tick] = []
    for number in range(120):
        now_us = START + 1_000 + number * 1_500_000
        if trades and random.random() < 0.25:
            wrong = random.choice(trades[-6:])
            right = random.choice([None, wrong.price + 1])
            event = Correction(wrong.symbol, "first", now_us, wrong.trade_id, wrong.price, right)
        else:
            price = Decimal(random.randrange(9_900, 10_100)) / 100
            symbol = random.choice(["AAPL", "MSFT"])
            event = Tick(symbol, price, random.randrange(50), 0, now_us - 10, "first", trade_id=str(number))
            trades.append(event)
        intake.take([event], {"AAPL", "MSFT"}, now_us)
        if random.random() < 0.4:
            out._close(now_us)
    out._close(now_us)
    told = Retelling()

    for batch in batches_of(out):
        told.hear(batch)
        if random.random() < 0.2:
            told.hear(batch)  # written twice

    assert told.bars() == by_key(intake.history.take_minute_bars())


def test_a_minute_of_which_ticks_may_be_missing_is_not_retold():
    out = Out(0, 1, 1)
    for second in range(0, 240, 10):
        now_us = START + second * 1_000_000
        out.put(Tick("AAPL", Decimal(100), 1, 0, now_us, "first"), now_us)
        out._close(now_us)
    told = Retelling()

    for batch in batches_of(out)[3:9] + batches_of(out)[10:]:
        told.hear(batch)

    assert list(told.bars()) == [("AAPL", start_of(2)), ("AAPL", start_of(3))]


@pytest.mark.parametrize(
    ("stored", "retold"),
    [
        ([], True),
        ([bar(1, 3, 1, 2, volume=9)], True),
        ([bar(1, 3, 1, 2, volume=10)], False),
        ([bar(1, 3, 1, 2, volume=11)], False),
        ([bar(1, 4, 1, 2, volume=9)], False),
    ],
)
def test_what_is_stored_stays_unless_more_is_retold(stored, retold):
    found = bar(1, 3, 1, 2, volume=10)

    assert fuller(by_key([found]), stored, {"AAPL"}) == ([found] if retold else [])
    assert fuller(by_key([found]), stored, {"MSFT"}) == []


async def test_too_much_to_read_in_time_is_left(monkeypatch):
    body = accepted.encode([accepted.Accepted("AAPL", Decimal(1), START, START, "first")])
    for number in (1, 2):
        fields = accepted.fields_of(1, number, clock.now_us(), body)
        await async_client().xadd(accepted.key_of(9), fields, id="*")
    try:
        assert len(await retelling.retell(9)) == 1
        monkeypatch.setattr(retelling, "PATIENCE_S", -1)
        assert await retelling.retell(9) == {}
    finally:
        await async_client().delete(accepted.key_of(9))
        await close_async_client()


@pytest.fixture
async def tape(transactional_db, monkeypatch, settings) -> AsyncIterator[Tape]:
    monkeypatch.setattr(retelling, "PATIENCE_S", 60.0)
    connections.close_all()
    client().flushall()
    async with running_tape(monkeypatch, settings.REDIS_URL) as one:
        yield one


@pytest.mark.parametrize("times", [1, 2])
async def test_a_killed_owner_costs_the_bar_nothing_and_nothing_counts_twice(tape: Tape, monkeypatch, times):
    await tape.watch("AAPL")
    for life in range(times):
        monkeypatch.setattr(owner, "STORE_BARS_EVERY_S", 1_000)
        tape.start()
        await tape.opens("AAPL")
        tape.send("AAPL", "100.00", "104.00", "99.00", f"{101 + life}.00")
        await passed_on(tape, 4 * (life + 1))
        await tape.kill()
        await tape.run_out()

    monkeypatch.setattr(owner, "STORE_BARS_EVERY_S", 0.1)
    tape.start()
    await tape.opens("AAPL")
    tape.send("AAPL", "102.00")

    await tape.stores_every_tick()


async def passed_on(tape: Tape, ticks: int) -> None:
    async def is_there() -> bool:
        found = await accepted.read(0, "0-0", block_ms=10, count=1_000)
        return sum(tick.size > 0 for batch in found for tick in batch.ticks) == ticks

    await tape.until(is_there)


async def test_an_owner_that_stored_and_was_killed_later_costs_nothing_either(tape: Tape, monkeypatch):
    await tape.watch("AAPL")
    tape.start()
    await tape.opens("AAPL")
    tape.send("AAPL", "100.00", "104.00")
    await tape.stores_every_tick()
    with monkeypatch.context() as patch:
        patch.setattr(owner.history, "write_bars", lambda *_: None)
        tape.send("AAPL", "98.00", "101.00")
        await passed_on(tape, 4)
        await tape.kill()
        await tape.run_out()

    tape.start()

    await tape.stores_every_tick()
