"""More than one connection to a provider, through a running tape."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from core.database import in_thread
from marketdata.errors import NotFound, PlanLocked, ProviderDown
from marketdata.models import Upstream as UpstreamRow
from marketdata.providers import registry
from marketdata.tape import routing
from tests.marketdata.tape.test_owner import tape, unconnected
from tests.providers import Scripted, ScriptedStream
from tests.tapes import Tape

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["tape", "unconnected"]


class Capped(Scripted):
    """Its key may have two connections; each refuses more than `cap` symbols, and `unknown` ones."""

    def __init__(self) -> None:
        super().__init__()
        self.capabilities = replace(self.capabilities, connections_per_key=2)
        self.cap = 100
        self.unknown: set[str] = set()

    async def open_stream(self) -> ScriptedStream:
        if len(self.streams) == self.capabilities.connections_per_key:
            raise PlanLocked("connection limit exceeded")
        stream = await super().open_stream()
        subscribe = stream.subscribe

        async def capped(symbols) -> None:
            if self.unknown & set(symbols):
                raise NotFound("no such symbol")
            if len(stream.subscribed) + len(symbols) > self.cap:
                raise PlanLocked("symbol limit exceeded")
            await subscribe(symbols)

        stream.subscribe = capped
        return stream

    def declare(self, symbols: int) -> None:
        self.capabilities = replace(self.capabilities, max_streamed_symbols=symbols)

    def shares(self) -> list[list[str]]:
        return sorted(sorted(one.subscribed) for one in self.streams)


@pytest.fixture
async def capped(tape: Tape, caplog) -> AsyncIterator[Tape]:
    """AAA is the most watched, EEE the least."""
    caplog.set_level("CRITICAL")
    tape.provider = Capped()
    with registry.override(tape.provider):
        for people, symbol in enumerate(["EEE", "DDD", "CCC", "BBB", "AAA"], 1):
            await tape.watch(symbol, people=people)
        yield tape
        await tape.kill()


async def is_reported(tape: Tape, symbols_open: int, text: str) -> None:
    async def told() -> bool:
        row = await in_thread(UpstreamRow.objects.first)
        return row is not None and (row.symbols_open, row.last_error) == (symbols_open, text)

    await tape.until(told)


async def test_what_finds_no_room_on_one_connection_streams_on_the_second(capped):
    capped.provider.declare(3)
    capped.start()

    await capped.until(lambda: capped.provider.shares() == [["AAA", "BBB", "CCC"], ["DDD", "EEE"]])

    await capped.until(lambda: len(capped.said_open()) == 5)
    capped.send("AAA", "10.00")
    capped.send("EEE", "20.00")
    await capped.publishes("AAA", "10.00")
    await capped.publishes("EEE", "20.00")
    await is_reported(capped, 5, "2 connections")
    assert capped.provider.subscribed == dict.fromkeys(["AAA", "BBB", "CCC", "DDD", "EEE"], 1)


async def test_without_a_cap_one_connection_is_enough(capped):
    capped.start()

    await capped.until(lambda: len(capped.said_open()) == 5)

    assert capped.provider.connects == 1


async def test_a_cap_that_is_lowered_leaves_the_busiest_and_the_others_are_polled(capped):
    capped.provider.declare(3)
    capped.start()
    await capped.until(lambda: len(capped.said_open()) == 5)

    capped.provider.declare(1)

    await capped.until(lambda: capped.said_open() == {"AAA", "BBB"})
    assert capped.provider.shares() == [["AAA"], ["BBB"]]
    await is_reported(capped, 2, "2 connections; 3 symbols over its limit")
    capped.provider.declare(4)
    await capped.until(lambda: len(capped.said_open()) == 5)
    assert sorted(map(len, capped.provider.shares())) in ([1, 4], [2, 3])


async def test_a_cap_that_shows_itself_by_refusals_is_kept_to_on_each_connection(capped):
    capped.provider.cap = 2
    capped.start()

    await capped.until(lambda: capped.provider.shares() == [["AAA", "BBB"], ["CCC", "DDD"]])

    await capped.until(lambda: capped.said_open() == {"AAA", "BBB", "CCC", "DDD"})


async def test_a_symbol_that_the_provider_does_not_know_opens_no_second_connection(capped):
    capped.provider.unknown = {"CCC"}
    capped.start()

    await capped.until(lambda: capped.said_open() == {"AAA", "BBB", "DDD", "EEE"})

    await is_reported(capped, 4, "NotFound: no such symbol; 1 symbols refused")
    assert capped.provider.connects == 1


async def test_what_was_on_a_connection_that_stays_away_moves_to_the_other(capped, monkeypatch):
    monkeypatch.setattr(routing, "BACK_AFTER_S", 60.0)
    capped.provider.declare(3)
    capped.start()
    await capped.until(lambda: capped.provider.shares() == [["AAA", "BBB", "CCC"], ["DDD", "EEE"]])
    (first,) = [one for one in capped.provider.streams if "AAA" in one.subscribed]

    monkeypatch.setattr(routing, "GONE_AFTER_S", 0.3)  # not before they are open, which may take longer
    capped.provider.connect_failure = ProviderDown("gone")
    first.fail(ProviderDown("cut"))

    # Three places are left, for the three that are watched most.
    await capped.until(lambda: capped.said_open() == {"AAA", "BBB", "CCC"})
    assert capped.provider.shares() == [["AAA", "BBB", "CCC"]]
