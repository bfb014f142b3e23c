from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core import clock
from core.resilience import Backoff
from marketdata.errors import NotFound, PlanLocked, ProviderDown, ProviderError, RateLimited, Unauthorized
from marketdata.models import UpstreamState
from marketdata.quotes import Tick
from marketdata.tape import upstream as upstream_module
from marketdata.tape.silence import Silence
from marketdata.tape.upstream import PROVEN_AFTER_S, Patience, Upstream
from tests.providers import Scripted


def tick(symbol: str = "A", price: int = 1) -> Tick:
    return Tick(symbol, Decimal(price), size=1, volume=1, as_of_us=price, provider="scripted")


class Waits(random.Random):
    """Waits nothing, and keeps how long it would have been at most."""

    def __init__(self) -> None:
        super().__init__()
        self.ceilings: list[float] = []

    def uniform(self, a: float, b: float) -> float:
        self.ceilings.append(b)
        return 0.0


class Running:
    def __init__(self, provider: Scripted | None = None, **kwargs) -> None:
        self.provider = provider or Scripted()
        self.patience = Waits()
        self.ticks: list[Tick] = []
        self.changes = 0
        self.upstream = Upstream(
            self.provider, self.ticks.extend, Backoff(rng=self.patience), on_change=self._changed, **kwargs
        )
        self.task: asyncio.Task[None] | None = None

    def begin(self, *symbols: str) -> None:
        self.upstream.want(list(symbols))
        self.task = asyncio.create_task(self.upstream.run())

    async def start(self, *symbols: str) -> None:
        self.begin(*symbols)
        await self.provider.until(lambda: self.provider.open == set(symbols))
        await self.streams(*symbols)

    async def streams(self, *symbols: str) -> None:
        async with asyncio.timeout(30):
            while self.upstream.subscribed != set(symbols):
                await asyncio.sleep(0)

    async def end(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    def _changed(self) -> None:
        self.changes += 1

    async def reads(self, batches: int) -> None:
        """Until the connection has handed over so many batches."""
        (stream,) = self.provider.streams
        async with asyncio.timeout(30):
            while stream.taken < batches:
                await asyncio.sleep(0)

    async def becomes(self, state: UpstreamState) -> None:
        async with asyncio.timeout(30):
            while self.upstream.state != state:
                await asyncio.sleep(0)


class Picky(Scripted):
    """Refuses single symbols, or more than `limit` at once, in the middle of an open connection."""

    def __init__(self, refused: dict[str, ProviderError] | None = None, limit: int = 1000, **kwargs) -> None:
        super().__init__(**kwargs)
        self.refused, self.limit = refused or {}, limit
        self.asked_at_once: list[list[str]] = []

    async def open_stream(self):
        stream = await super().open_stream()
        subscribe = stream.subscribe

        async def picky(symbols):
            self.asked_at_once.append(list(symbols))
            for symbol in symbols:
                if symbol in self.refused:
                    raise self.refused[symbol]
            if len(stream.subscribed | set(symbols)) > self.limit:
                raise PlanLocked("too many symbols")
            await subscribe(symbols)

        stream.subscribe = picky
        return stream


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    one = Running()
    yield one
    await one.end()


@pytest.fixture
async def run() -> AsyncIterator:
    """Runs an upstream of another provider, or with another patience."""
    made: list[Running] = []

    def make(provider: Scripted | None = None, **kwargs) -> Running:
        made.append(Running(provider, **kwargs))
        return made[-1]

    yield make
    for one in made:
        await one.end()


async def test_what_is_wanted_is_subscribed_and_what_is_not_is_unsubscribed(running):
    await running.start("A", "B")
    assert running.upstream.state is UpstreamState.OPEN

    running.upstream.want({"B", "C"})
    await running.provider.until(lambda: running.provider.open == {"B", "C"})

    assert running.provider.subscribed == {"A": 1, "B": 1, "C": 1}
    assert running.provider.connects == 1


async def test_ticks_arrive_in_order(running):
    await running.start("A")

    running.provider.emit(tick(price=1), tick(price=2))
    running.provider.emit(tick(price=3))
    running.provider.cut()
    await running.provider.until(lambda: running.provider.connects == 2)

    assert running.ticks == [tick(price=1), tick(price=2), tick(price=3)]


async def test_without_a_wish_no_connection_is_open(running):
    running.task = asyncio.create_task(running.upstream.run())
    await asyncio.sleep(0)
    assert (running.upstream.state, running.provider.connects) == (UpstreamState.IDLE, 0)

    running.upstream.want({"A"})
    await running.provider.until(lambda: running.provider.open == {"A"})
    running.upstream.want(set())
    await running.provider.until(lambda: not running.provider.streams)
    await running.becomes(UpstreamState.IDLE)

    running.upstream.want({"A"})
    await running.provider.until(lambda: running.provider.open == {"A"})


async def test_a_lost_connection_is_opened_again_with_all_that_is_wanted(running):
    await running.start("A", "B")
    running.upstream.want({"B", "C"})
    await running.provider.until(lambda: running.provider.open == {"B", "C"})

    running.provider.cut()
    await running.provider.until(
        lambda: running.provider.connects == 2 and running.provider.open == {"B", "C"}
    )

    assert len(running.provider.streams) == 1
    assert "the wire was cut" in running.upstream.last_error
    assert running.upstream.state is UpstreamState.OPEN


async def test_it_never_gives_up_and_waits_longer_each_time(running):
    running.provider.connect_failure = ProviderDown("no route")
    running.upstream.want({"A"})
    running.task = asyncio.create_task(running.upstream.run())
    await running.provider.until(lambda: running.provider.connects == 9)

    running.provider.connect_failure = None
    await running.provider.until(lambda: running.provider.open == {"A"})

    assert running.patience.ceilings[:8] == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_a_connection_that_is_lost_at_once_is_no_fresh_start(running):
    await running.start("A")
    for number in range(2, 5):
        running.provider.cut()
        await running.provider.until(
            lambda n=number: running.provider.connects == n and running.provider.open
        )

    assert running.patience.ceilings == [1, 2, 4]


@pytest.mark.parametrize(("heard", "ceilings"), [([tick()], [1, 1]), ([], [1, 2])])
async def test_only_data_for_long_enough_is_a_fresh_start(running, monkeypatch, heard, ceilings):
    await running.start("A")
    running.provider.cut()
    await running.provider.until(lambda: running.provider.connects == 2 and running.provider.open)
    (stream,) = running.provider.streams
    stream.send(heard)
    await running.reads(1)
    later = clock.monotonic() + PROVEN_AFTER_S + 1
    monkeypatch.setattr(clock, "monotonic", lambda: later)

    stream.send(heard)
    stream.fail(ProviderDown("cut"))
    await running.provider.until(lambda: running.provider.connects == 3)

    assert running.patience.ceilings == ceilings


async def test_a_stream_that_ends_without_an_error_is_a_lost_connection(running, monkeypatch):
    class Ending(Scripted):
        async def open_stream(self):
            stream = await super().open_stream()
            if self.connects == 1:
                stream.batches = nothing
            return stream

    async def nothing():
        for _ in ():
            yield []

    running.provider = running.upstream.provider = Ending()
    running.upstream.want({"A"})
    running.task = asyncio.create_task(running.upstream.run())

    await running.provider.until(lambda: running.provider.connects == 2 and running.provider.open == {"A"})
    assert "ended" in running.upstream.last_error


async def test_a_refused_subscription_is_tried_again_on_a_new_connection(running):
    class Refusing(Scripted):
        async def open_stream(self):
            stream = await super().open_stream()
            if self.connects == 1:
                stream.subscribe = refuse
            return stream

    async def refuse(symbols):
        raise ProviderDown("no")

    running.provider = running.upstream.provider = Refusing()
    running.upstream.want({"A"})
    running.task = asyncio.create_task(running.upstream.run())

    await running.provider.until(lambda: running.provider.connects == 2 and running.provider.open == {"A"})
    assert len(running.provider.streams) == 1


async def test_at_the_end_the_connection_is_closed(running):
    await running.start("A")

    running.task.cancel()
    await asyncio.gather(running.task, return_exceptions=True)

    assert running.provider.streams == []
    assert running.upstream.subscribed == set()
    assert running.upstream.state is UpstreamState.CLOSED


# --- what is lost does not stream


async def test_while_the_connection_is_lost_nothing_counts_as_subscribed(run):
    running = run(patience=Patience(locked_s=60))
    await running.start("A", "B")
    assert running.upstream.subscribed == {"A", "B"}
    changes = running.changes
    running.provider.connect_failure = PlanLocked("no more")

    running.provider.cut()
    await running.provider.until(lambda: running.provider.connects == 2)

    assert running.upstream.subscribed == set()
    assert running.changes > changes


# --- each step has its time


async def test_a_connection_that_does_not_open_in_time_is_tried_again(run):
    class Hanging(Scripted):
        async def open_stream(self):
            if self.connects == 0:
                self.connects += 1
                await asyncio.Event().wait()
            return await super().open_stream()

    running = run(Hanging(), patience=Patience(open_s=0.05))

    await running.start("A")

    assert running.provider.connects == 2
    assert running.upstream.last_error == "ProviderDown: no time left to open after 0.05 s"


async def test_a_subscription_that_is_not_answered_in_time_ends_the_connection(run):
    class Hanging(Scripted):
        async def open_stream(self):
            stream = await super().open_stream()
            if self.connects == 1:
                stream.subscribe = wait_for_ever
            return stream

    async def wait_for_ever(symbols):
        await asyncio.Event().wait()

    running = run(Hanging(), patience=Patience(step_s=0.05))

    await running.start("A")

    assert (running.provider.connects, len(running.provider.streams)) == (2, 1)


async def test_a_close_that_hangs_delays_the_next_connection_only_for_its_time(run):
    class Hanging(Scripted):
        async def open_stream(self):
            stream = await super().open_stream()
            if self.connects == 1:
                close = stream.close

                async def hang():
                    await close()
                    await asyncio.Event().wait()

                stream.close = hang
            return stream

    running = run(Hanging(), patience=Patience(close_s=0.05))
    await running.start("A")

    running.provider.cut()

    await running.provider.until(lambda: running.provider.connects == 2 and running.provider.open == {"A"})


# --- half-open


def scripted_with(**fields) -> Scripted:
    provider = Scripted()
    provider.capabilities = replace(provider.capabilities, **{"always_open": False, **fields})
    return provider


async def test_a_connection_without_any_message_is_dead_while_the_market_is_open(run):
    running = run(scripted_with(silence_s=0.1, always_open=True))
    await running.start("A")

    await running.provider.until(lambda: running.provider.connects >= 2)

    assert "nothing came" in running.upstream.last_error
    assert len(running.provider.streams) <= 1


@pytest.mark.parametrize(
    ("fields", "symbols", "dead"),
    [
        ({"always_open": True}, {"A"}, True),
        ({"always_open": True}, set(), False),
        ({"always_open": True, "simulated": True}, {"A"}, False),
        ({}, {"BTC-USD"}, True),
        ({}, {"AAPL"}, False),  # on a Saturday
        ({}, {"AAPL", "BTC-USD"}, True),
    ],
)
def test_silence_means_death_only_where_somebody_should_speak(monkeypatch, fields, symbols, dead):
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 3, 7, 15, tzinfo=UTC))
    now = 1000.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    silence = Silence(scripted_with(**fields).capabilities)
    silence.begin()
    now += 59
    assert not silence.is_too_long(symbols)
    now += 1

    assert silence.is_too_long(symbols) is dead


def test_a_silence_that_began_before_the_open_does_not_count(monkeypatch):
    moment, now = datetime(2026, 3, 4, 14, 29, 30, tzinfo=UTC), 1000.0
    monkeypatch.setattr(clock, "now", lambda: moment)
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    silence = Silence(scripted_with().capabilities)
    silence.begin()
    for after_s, dead in [(60, False), (60, True)]:
        moment, now = moment + timedelta(seconds=after_s), now + after_s
        assert silence.is_too_long({"AAPL"}) is dead


def test_any_message_is_a_sign_of_life(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    silence = Silence(scripted_with(always_open=True).capabilities)
    silence.begin()
    now += 59
    silence.heard(is_data=False)
    now += 59

    assert not silence.is_too_long({"A"})


def test_where_reconnecting_brings_nothing_a_longer_silence_is_borne(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    silence = Silence(scripted_with(always_open=True).capabilities)
    borne = []
    for _ in range(6):
        borne.append(silence.allowed_s)
        silence.begin()
        now += silence.allowed_s
        assert silence.is_too_long({"A"})
    silence.heard(is_data=False)
    assert silence.allowed_s == 960

    silence.heard(is_data=True)

    assert borne == [60, 120, 240, 480, 960, 960]
    assert silence.allowed_s == 60


# --- refusals


async def test_until_the_time_it_names_a_provider_that_asks_us_to_wait_is_not_called(run):
    times = []

    class Limited(Scripted):
        async def open_stream(self):
            times.append(clock.now())
            if len(times) == 1:
                raise RateLimited("slow down", retry_at=times[0] + timedelta(seconds=0.4))
            return await super().open_stream()

    running = run(Limited())
    running.begin("A")

    await running.provider.until(lambda: running.provider.open == {"A"})

    first, second = times
    assert second - first >= timedelta(seconds=0.4)
    assert running.patience.ceilings == []


@pytest.mark.parametrize("refusal", [Unauthorized("it refuses our key"), PlanLocked("no stream")])
async def test_a_refusal_that_needs_an_operator_is_said_loudly_once_and_asked_again_later(
    run, caplog, refusal
):
    running = run(patience=Patience(locked_s=0.05))
    running.provider.connect_failure = refusal
    running.begin("A")
    await running.provider.until(lambda: running.provider.connects == 4)

    loud = [record.message for record in caplog.records if record.levelname == "ERROR"]

    assert len(loud) == 1
    assert str(refusal) in loud[0]
    assert running.upstream.is_barred
    assert running.patience.ceilings == []


async def test_a_symbol_that_is_refused_leaves_the_rest_subscribed(run):
    running = run(Picky({"C": NotFound("no such symbol")}))
    running.begin(*"ABCDE")

    await running.streams(*"ABDE")

    assert running.upstream.refused == {"C"}
    assert running.provider.connects == 1
    assert running.upstream.state is UpstreamState.OPEN
    assert len(running.provider.asked_at_once) <= 6


async def test_at_a_limit_the_first_wanted_stay_subscribed_and_the_limit_is_known(run):
    running = run(Picky(limit=3))
    running.begin("G", "F", "E", "D", "C", "B", "A")

    await running.streams("G", "F", "E")

    assert running.upstream.limit == 3
    assert running.provider.connects == 1
    running.upstream.want(["A", "G", "F"])
    await running.provider.until(lambda: running.provider.open == {"A", "G", "F"})


async def test_a_limit_that_is_told_by_closing_is_approached_from_below(run):
    running = run()
    await running.start(*"ABCDEFGH")

    running.provider.streams[0].fail(PlanLocked("too many symbols"))
    await running.provider.until(lambda: running.provider.connects == 2 and len(running.provider.open) == 4)

    assert running.upstream.limit == 4
    assert not running.upstream.is_barred


async def test_on_request_a_connection_is_held_without_symbols(run):
    running = run()
    running.upstream.want([], stand_by=True)
    running.task = asyncio.create_task(running.upstream.run())
    await running.becomes(UpstreamState.OPEN)
    assert running.upstream.subscribed == set()

    running.upstream.want([])

    await running.becomes(UpstreamState.IDLE)


# --- bursts


async def test_a_burst_is_taken_in_slices_between_which_others_have_their_turn(running, monkeypatch):
    monkeypatch.setattr(upstream_module, "SLICE", 10)
    await running.start("A")
    burst = [tick(price=number) for number in range(1, 96)]
    seen_by_another = []

    async def another():
        while len(running.ticks) < len(burst):
            seen_by_another.append(len(running.ticks))
            await asyncio.sleep(0)

    running.provider.emit(*burst)
    async with asyncio.timeout(30):
        await another()

    assert running.ticks == burst
    steps = {later - earlier for earlier, later in itertools.pairwise([*seen_by_another, len(burst)])}
    assert steps <= {0, 5, 10}
    assert max(steps) == 10


class Flood(Scripted):
    """What it has waits already: reading it never suspends."""

    def __init__(self, batches: list[list[Tick]]) -> None:
        super().__init__()
        self.flood = batches

    async def open_stream(self):
        stream = await super().open_stream()
        told = stream.batches

        async def batches():
            for one in self.flood:
                yield one
            async for one in told():
                yield one

        stream.batches = batches
        return stream


async def test_between_many_small_batches_everything_else_has_its_turn(run, monkeypatch):
    monkeypatch.setattr(upstream_module, "SLICE", 10)
    taken, seen = [], []
    running = run(Flood([[tick()]] * 1000))
    monkeypatch.setattr(running.upstream, "_on_events", taken.extend)

    async def look() -> None:
        while len(taken) < 1000:
            seen.append(len(taken))
            await asyncio.sleep(0)

    running.begin("A")
    async with asyncio.timeout(20):
        await look()
    seen.append(len(taken))

    assert max(later - before for before, later in itertools.pairwise(seen)) <= 10
