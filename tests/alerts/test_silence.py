"""Quotes that have gone stale: told by what was read, whatever the clock did meanwhile."""

from __future__ import annotations

import asyncio
import random
import threading
from copy import copy
from decimal import Decimal

import pytest
from django.db import OperationalError
from redis.exceptions import ConnectionError as RedisAway

from alerts import conditions, runner
from alerts.committing import Written
from alerts.engine import Engine, Watched
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
        monkeypatch.setattr(runner, "SAVE_EVERY_S", 0.0)

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
    assert await asyncio.to_thread(outside.has_failed.wait, 30)
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


# --- many at once


def stale(number: int, seconds: int, armed_us: int = 1, phase: Phase = Phase.FRESH, **more) -> Watched:
    rule = Rule(Kind.STALE, stale_after_s=seconds, mode=Mode.REPEAT, **more)
    return Watched(number, SYMBOL, rule, phase, 1, 3, armed_us)


def looked_at(monkeypatch) -> list[Phase]:
    """In which phase was each alert that is looked at from now on?"""
    seen, step = [], conditions.step

    def noted(rule, phase, value):
        seen.append(phase)
        return step(rule, phase, value)

    monkeypatch.setattr(conditions, "step", noted)
    return seen


def test_while_quotes_come_no_alert_is_looked_at(monkeypatch):
    engine = Engine()
    engine.load(stale(number, 60 + number) for number in range(100))
    engine.on_clock(1_000_000, lambda _symbol, _last: 0)
    seen = looked_at(monkeypatch)
    for second in range(2, 200):
        engine.on_tick(accepted(SYMBOL, "100", second * 1_000_000))
        engine.on_clock(second * 1_000_000 + 1, lambda _symbol, last: last.received_us)
    assert seen == []


def test_in_a_silence_only_those_whose_time_is_over_are_looked_at(monkeypatch):
    engine = Engine()
    engine.load(stale(number, 60 + number) for number in range(100))
    engine.on_clock(1_000_000, lambda _symbol, _last: 1_000_000)
    seen = looked_at(monkeypatch)
    for second in range(2, 1000):
        engine.on_clock(second * 1_000_000, lambda _symbol, _last: 1_000_000)
    assert seen == [Phase.ARMED] * 100


class Plain(Engine):
    """Looks at each alert each second."""

    def _hear_silence(self, book, now_us, since, lane):
        decided = [self._decide_silence(alert, now_us, since, lane) for alert in list(book.alerts.values())]
        for alert in book.alerts.values():
            book.place(alert)
        book.measure()
        return [effect for effect in decided if effect is not None]


def any_alert(pick: random.Random, now_us: int) -> Watched:
    armed_us = pick.randint(max(1, now_us - 30_000_000), now_us + 900_000)
    band = pick.choice([Decimal(0), Decimal(50)])
    return stale(pick.randrange(12), pick.randint(3, 40), armed_us, pick.choice(list(Phase)), rearm_band=band)


@pytest.mark.parametrize("seed", range(20))
def test_not_looking_changes_nothing(seed):
    """Ticks of both sessions, closed markets, interruptions, and alerts that come in any phase."""
    pick, engines, floor, told = random.Random(seed), (Engine(), Plain()), 0, ([], [])
    for second in range(1, 600):
        now_us = second * 1_000_000
        alert = any_alert(pick, now_us) if pick.random() < 0.05 else None
        ticks = pick.random() < (0.02 if second % 200 < 120 else 0.5)
        tick = accepted(SYMBOL, "100", now_us - 500_000, session=pick.choice(["regular", "post"]))
        floor = now_us if pick.random() < 0.01 else floor

        def since(_symbol, last, *, floor=floor, is_open=second % 150 < 130) -> int | None:
            return max(floor, last.received_us if last else 0) if is_open else None

        for engine, fires in zip(engines, told, strict=True):
            if alert is not None:
                engine.add(copy(alert))
            if ticks:
                engine.on_tick(tick)
            effects = engine.on_clock(now_us, since)
            fires.extend(sorted((second, effect.alert_id) for effect in effects if effect.fires))
        one, other = [{n: (a.phase, a.armed_us) for n, a in engine.alerts.items()} for engine in engines]
        assert one == other
    assert told[0] == told[1]
    assert told[0] != []
