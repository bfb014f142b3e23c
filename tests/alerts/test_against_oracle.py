"""The engine against the oracle. `make alerts-oracle` compares thousands of series; the suite some hundred."""

from __future__ import annotations

import json
import os
import random
from copy import copy
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts import evidence
from alerts.engine import Effect, Engine, Watched, facts
from alerts.kinds import Kind, Mode, Rule, Sessions, first_phase
from alerts.series import series_of
from marketdata.quotes import Accepted
from tests.alerts.markets import REFERENCE, SYMBOLS, Market, Pick, a_rule
from tests.alerts.oracle import Oracle

SERIES = int(os.environ.get("ORACLE_SERIES", "400"))
Fire = tuple[int, int, int]
"""Alert, version, and the number of the tick."""


@dataclass
class Both:
    """The same ticks and the same changes for the engine and for the oracle."""

    engine: Engine = field(default_factory=Engine)
    oracles: dict[int, Oracle] = field(default_factory=dict)
    kept: dict[int, Watched] = field(default_factory=dict)
    seen: dict[str, list[Accepted]] = field(default_factory=lambda: {symbol: [] for symbol in SYMBOLS})
    expected: list[Fire] = field(default_factory=list)
    told: list[Fire] = field(default_factory=list)
    ticks: int = 0

    def __post_init__(self) -> None:
        self.engine.refer(dict.fromkeys(SYMBOLS, REFERENCE))

    def put(self, alert_id: int, symbol: str, rule: Rule, armed_us: int, priority: int = 3) -> None:
        """A new alert, or an edit: armed anew, what it fired before is still counted."""
        old, before = self.kept.get(alert_id), self.oracles.get(alert_id)
        alert = Watched(
            alert_id, symbol, rule, first_phase(rule.kind), old.version + 1 if old else 1, priority, armed_us
        )
        oracle = Oracle(rule, armed_us, REFERENCE)
        if old is not None and before is not None:
            alert.fire_seq = old.fire_seq
            alert.last_fired_us, alert.last_fired_day = old.last_fired_us, old.last_fired_day
            oracle.last_us, oracle.last_day = before.last_us, before.last_day
        self.kept[alert_id], self.oracles[alert_id] = alert, oracle
        oracle.series = history(self.seen[symbol], rule)
        self._add(alert)

    def _add(self, alert: Watched) -> None:
        known = self.engine.book_of(alert.symbol, series_of(alert.rule))
        self.engine.add(alert)
        if known is None and alert.rule.kind is Kind.MOVES:
            self._remember(alert)

    def _remember(self, alert: Watched) -> None:
        """As whoever starts an engine does it, from what is stored."""
        series = self.engine.book_of(alert.symbol, series_of(alert.rule))
        for tick in history(self.seen[alert.symbol], alert.rule):
            series.remember(tick.received_us, tick.price, tick.price)

    def drop(self, alert_id: int) -> None:
        self.engine.remove(alert_id)
        self.kept.pop(alert_id, None)
        self.oracles.pop(alert_id, None)

    def restart(self) -> None:
        """All that is left are the rows, which say nothing of a base."""
        self.engine = Engine()
        self.engine.refer(dict.fromkeys(SYMBOLS, REFERENCE))
        rows = [copy(alert) for alert in self.kept.values() if not self.oracles[alert.id].done]
        self.kept |= {alert.id: alert for alert in rows}
        self.engine.load(rows)
        for oracle in self.oracles.values():
            oracle.is_rebased = False
        moving = [row for row in rows if row.rule.kind is Kind.MOVES]
        for alert in {(row.symbol, series_of(row.rule)): row for row in moving}.values():
            self._remember(alert)

    def tick(self, tick: Accepted) -> None:
        self.ticks += 1
        for alert_id, oracle in self.oracles.items():
            alert = self.kept[alert_id]
            if alert.symbol == tick.symbol and oracle.see(tick):
                self.expected.append((alert_id, alert.version, self.ticks))
        effects = self.engine.on_tick(tick)
        self.told += sorted((e.alert_id, e.version, self.ticks) for e in effects if e.fires)
        self.seen[tick.symbol].append(tick)
        self.expected.sort(key=lambda fire: (fire[2], fire[0]))
        assert [e.priority for e in effects if e.fires] == sorted(e.priority for e in effects if e.fires)
        for effect in effects:
            assert_is_evidence(effect, tick)

    def agree(self) -> None:
        """The same fires, and each alert stands as it should."""
        assert self.told == self.expected
        living = {number: oracle for number, oracle in self.oracles.items() if not oracle.done}
        assert {number: alert.phase.name.lower() for number, alert in self.engine.alerts.items()} == {
            number: oracle.state for number, oracle in living.items()
        }


def history(seen: list[Accepted], rule: Rule) -> list[Accepted]:
    """What counts for the rule of what came since the price stands on its base."""
    found: list[Accepted] = []
    for tick in seen:
        if tick.rebased:
            found = []
        if not tick.halted and (rule.sessions is Sessions.EXTENDED or tick.session == "regular"):
            found.append(tick)
    return found


def assert_is_evidence(effect: Effect, tick: Accepted) -> None:
    """What would be kept of a fire bears it out, also after a way through JSON."""
    if not effect.fires:
        return
    kept = json.loads(json.dumps(facts(effect)))
    assert kept["tick"]["price"] == str(tick.price)
    assert evidence.rule_of(kept["rule"]) == effect.rule
    assert evidence.reproduces(effect.rule, effect.armed_price, kept["before"], kept["tick"], kept["extra"])


def play(pick: Pick, steps: int) -> Both:
    """A series of ticks, with alerts that come, change and go, and an engine that is started anew."""
    market, both = Market(pick), Both()
    for number in range(pick([1, 2, 4, 8])):
        both.put(
            number,
            pick(SYMBOLS[:1] * 3 + SYMBOLS[1:]),
            a_rule(pick, market.now),
            market.now_us,
            pick([1, 2, 3, 4]),
        )
    for _ in range(steps):
        match pick(["tick"] * 20 + ["put", "drop", "restart"]):
            case "tick":
                both.tick(market.tick())
            case "put":
                number = pick(list(range(8)))
                symbol = both.kept[number].symbol if number in both.kept else pick(SYMBOLS)
                armed_us = market.now_us + pick([1, 1, 500_000])
                both.put(number, symbol, a_rule(pick, market.now), armed_us, pick([1, 2, 3, 4]))
            case "drop":
                both.drop(pick(list(range(8))))
            case _:
                both.restart()
    return both


@settings(max_examples=SERIES, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**64), st.integers(1, 120))
@pytest.mark.timeout(max(60, SERIES // 10))
def test_the_engine_fires_as_the_oracle_says(seed, steps) -> None:
    """A shorter series of the same seed is the beginning of the longer one, so that what is found can be shrunk."""
    play(random.Random(seed).choice, steps).agree()


def test_one_silence_is_told_once_whoever_is_started_meanwhile() -> None:
    rule = Rule(Kind.STALE, stale_after_s=60, mode=Mode.REPEAT)
    alert, fires = Watched(1, "ABC", rule, first_phase(Kind.STALE), 1, 3, 0), []
    for second in range(400):
        if second % 100 == 0:
            engine, alert = Engine(), copy(alert)
            engine.load([alert])
        effects = engine.on_clock(second * 1_000_000, lambda _symbol, _last: 0)
        fires += [second for effect in effects if effect.fires]
    assert fires == [60]
