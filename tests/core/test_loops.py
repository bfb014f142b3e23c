from __future__ import annotations

import asyncio

import pytest

from core import loops
from core.loops import Tasks


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(loops, "CANCEL_AGAIN_S", 0.02)


async def swallows_one_cancellation(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        ended.append("swallowed")
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("ended")


async def test_stopping_ends_a_task_that_swallows_a_cancellation():
    tasks, stop, ended = Tasks(), asyncio.Event(), []
    tasks.start(swallows_one_cancellation(ended))
    asyncio.get_running_loop().call_soon(stop.set)

    await asyncio.wait_for(tasks.run_until(stop), 25)

    assert ended == ["swallowed", "ended"]


async def test_a_failure_ends_the_others_and_is_raised():
    tasks, ended = Tasks(), []

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("broken")

    tasks.start(swallows_one_cancellation(ended))
    tasks.start(fails())

    with pytest.raises(ValueError, match="broken"):
        await asyncio.wait_for(tasks.run_until(asyncio.Event()), 25)
    assert ended == ["swallowed", "ended"]


async def test_a_task_that_ends_well_ends_nothing_else():
    tasks, stop, ended = Tasks(), asyncio.Event(), []
    await tasks.start(asyncio.sleep(0))
    tasks.start(swallows_one_cancellation(ended))
    await asyncio.sleep(0)

    assert not ended
    stop.set()
    await asyncio.wait_for(tasks.run_until(stop), 25)
