from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime

import pytest

from marketdata import metering
from marketdata.errors import Kind
from marketdata.metering import Call

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)


def call(endpoint: str = "quotes") -> Call:
    return Call("vendor", endpoint, NOW, Kind.OK)


def test_a_call_outside_any_collection_is_refused():
    with pytest.raises(LookupError):
        metering.note(call())


def test_calls_are_collected_in_order():
    with metering.collecting() as calls:
        metering.note(call("a"))
        metering.note(call("b"))

    assert [one.endpoint for one in calls] == ["a", "b"]


def test_a_collection_within_another_has_its_own_and_the_outer_goes_on():
    with metering.collecting() as outer:
        metering.note(call("a"))
        with metering.collecting() as inner:
            metering.note(call("b"))
        metering.note(call("c"))

    assert [[one.endpoint for one in calls] for calls in (outer, inner)] == [["a", "c"], ["b"]]


def test_after_an_error_nothing_collects_any_more():
    with contextlib.suppress(KeyError), metering.collecting() as calls:
        metering.note(call())
        raise KeyError

    assert len(calls) == 1
    with pytest.raises(LookupError):
        metering.note(call())


async def test_tasks_and_threads_begun_within_are_collected_too():
    with metering.collecting() as calls:
        await asyncio.gather(*(asyncio.to_thread(metering.note, call(str(n))) for n in range(3)))

    assert sorted(one.endpoint for one in calls) == ["0", "1", "2"]


async def test_two_askers_at_once_have_each_their_own():
    async def ask(name: str) -> list[str]:
        with metering.collecting() as calls:
            for _ in range(3):
                metering.note(call(name))
                await asyncio.sleep(0)
        return [one.endpoint for one in calls]

    assert await asyncio.gather(ask("a"), ask("b")) == [["a"] * 3, ["b"] * 3]
