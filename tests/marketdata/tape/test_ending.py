"""However a term ends, all of it ends: a part that lived on would go on saying that the tape is alive."""

from __future__ import annotations

import asyncio

import pytest

from core import leases
from core.database import in_thread
from core.redis import client
from marketdata.tape import openset
from marketdata.tape.owner import LEASE_TTL, Term, lease_name
from tests.marketdata.tape.test_owner import LONG, begin, somebody_else_takes_over, tape, unconnected

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["tape", "unconnected"]


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.05, 0.2])
async def test_a_fault_in_one_part_ends_the_whole_term(tape, monkeypatch, moment):
    async def broken(self) -> None:
        await asyncio.sleep(moment)
        raise ValueError("a fault")

    monkeypatch.setattr(Term, "_report", broken)
    office = await begin()

    with pytest.raises(ValueError, match="a fault"):
        await asyncio.wait_for(office.task, 30)


@pytest.mark.parametrize("_", range(3))
async def test_a_lease_lost_at_the_first_moment_ends_the_whole_term(tape, monkeypatch, _):
    name = lease_name(0, 1)
    epoch = await in_thread(leases.take, name, "here", LONG)
    await somebody_else_takes_over()
    term = Term(0, 1, epoch, "here")

    assert await asyncio.wait_for(term.run(asyncio.Event()), 30) is False


async def test_a_redis_from_a_later_time_does_not_keep_the_tape_away(tape):
    await tape.watch("AAPL")
    client().set(openset.epoch_key(0), 5_000_000)
    office = await begin()
    assert await asyncio.wait_for(office.task, 30) is False

    epoch = await in_thread(leases.take, lease_name(0, 1), "here", LEASE_TTL)

    assert epoch is not None
    assert epoch > 5_000_000
