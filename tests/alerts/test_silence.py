"""Quotes that have gone stale: told by what was read, whatever the clock did meanwhile."""

from __future__ import annotations

import asyncio
import threading

import pytest
from django.db import OperationalError
from redis.exceptions import ConnectionError as RedisAway

from alerts import runner
from alerts.committing import Written
from alerts.engine import Watched
from alerts.kinds import Kind, Mode, Phase, Rule
from alerts.runner import Term
from core import clock
from marketdata.accepted import Accepted, Batch
from tests.alerts.ticking import accepted

SYMBOL, START_S = "BTC-USD", 1_772_000_000
"""Traded around the clock."""


class Outside:
    """A stream, a database and a clock in the test's hands; times are seconds since the start."""

    def __init__(self, monkeypatch) -> None:
        self.second = 0.0
        self.number = 0
        self.unread: list[Batch] = []
        self.fired: list[float] = []
        self.is_database_away = self.is_redis_away = False
        self.has_failed = threading.Event()
        monkeypatch.setattr(clock, "now_us", self.now_us)
        monkeypatch.setattr(runner.accepted, "read", self.read)
        monkeypatch.setattr(runner.committing, "commit", self.commit)
        monkeypatch.setattr(runner.telling, "tell", self.tell)
        monkeypatch.setattr(runner, "RETRY_S", 0.01)

    def now_us(self) -> int:
        return int((START_S + self.second) * 1_000_000)

    def tick(self, second: float) -> None:
        at_us = int((START_S + second) * 1_000_000)
        self.number += 1
        ticks: list[Accepted] = [accepted(SYMBOL, "100", at_us)]
        self.unread.append(Batch(f"{self.number}-0", 1, self.number, at_us, ticks))

    async def read(self, _shard, _after, *, block_ms, count) -> list[Batch]:
        if self.is_redis_away:
            raise RedisAway
        self.unread, found = self.unread[count:], self.unread[:count]
        return found

    def commit(self, _name, _epoch, _reached, effects, _corrections) -> Written:
        if self.is_database_away:
            self.has_failed.set()
            raise OperationalError
        self.fired += [effect.at_us / 1_000_000 - START_S for effect in effects if effect.fires]
        return Written({effect.alert_id for effect in effects}, [])

    async def tell(self, _effects, _written) -> None:
        """Nobody."""


@pytest.fixture
def outside(monkeypatch, caplog) -> Outside:
    caplog.set_level("CRITICAL")
    return Outside(monkeypatch)


@pytest.fixture
async def term(outside) -> Term:
    made = Term(0, 1, 1)
    rule = Rule(Kind.STALE, stale_after_s=60, mode=Mode.REPEAT)
    made.engine.load([Watched(1, SYMBOL, rule, Phase.FRESH, 1, 3, outside.now_us() - 1)])
    return made


async def live(term: Term, outside: Outside, until: int) -> None:
    """Each second it reads, and hears whether it is silent."""
    while outside.second < until:
        outside.second += 1
        await term._try(term._read)
        await term._try(term._hear_silence)


async def test_a_ticker_that_falls_silent_is_told_after_its_time(term, outside):
    outside.tick(10)
    await live(term, outside, 200)
    assert outside.fired == [70]


async def test_no_quote_is_stale_because_postgresql_was_away(term, outside):
    outside.tick(1)
    await live(term, outside, 5)
    outside.tick(6)
    outside.is_database_away = True
    outside.second = 6
    reading = asyncio.create_task(term._read())
    await asyncio.to_thread(outside.has_failed.wait, 30)
    hearing = asyncio.create_task(term._hear_silence())
    for second in range(7, 100):
        outside.tick(second)
    outside.second = 100
    outside.is_database_away = False
    await asyncio.gather(reading, hearing)
    await live(term, outside, 150)
    assert outside.fired == []


async def test_no_quote_is_stale_because_redis_was_away(term, outside):
    """The tape keeps only some of what it could not write."""
    outside.tick(1)
    await live(term, outside, 5)
    outside.is_redis_away = True
    await live(term, outside, 100)
    outside.is_redis_away = False
    await live(term, outside, 102)
    outside.tick(102)
    await live(term, outside, 150)
    assert outside.fired == []


async def test_no_quote_is_stale_because_the_process_stood_still(term, outside):
    """What it had asked for before is answered with what there was before."""
    outside.tick(1)
    await live(term, outside, 5)

    async def frozen(*_args, **_options) -> list[Batch]:
        outside.second = 100
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner.accepted, "read", frozen)
        await term._read()
    await term._hear_silence()
    for second in range(6, 100):
        outside.tick(second)
    await live(term, outside, 150)
    assert outside.fired == []


async def test_a_long_backlog_is_no_silence_before_its_end_is_read(term, outside):
    outside.tick(1)
    await live(term, outside, 5)
    for tenth in range(60, 2000):
        outside.tick(tenth / 10)
    outside.second = 200
    await live(term, outside, 240)
    assert outside.fired == []


async def test_silence_that_outlasts_an_interruption_is_told_from_its_end(term, outside):
    outside.tick(1)
    await live(term, outside, 5)
    outside.is_redis_away = True
    await live(term, outside, 100)
    outside.is_redis_away = False
    await live(term, outside, 300)
    assert outside.fired == [161]


async def test_an_alert_that_is_newer_than_what_was_heard_is_left_alone(term, outside):
    await live(term, outside, 1)
    rule = Rule(Kind.STALE, stale_after_s=60, mode=Mode.REPEAT)
    made_us = outside.now_us() + 500_000
    term.engine.add(Watched(2, SYMBOL, rule, Phase.FRESH, 1, 3, made_us))
    await term._hear_silence()
    assert (term.engine.alerts[2].phase, term.engine.alerts[2].armed_us) == (Phase.FRESH, made_us)
