"""Eight connections that watch and unwatch, one durable commit each, and log what was answered.

Runs in processes without models. Everything is drawn from a seed; whoever reads the log needs nothing else.
"""

from __future__ import annotations

import json
import os
import random
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from accounts.tiers import LIMITS
from benchmarks.harness.children import meet
from benchmarks.harness.taste import Taste
from marketdata import demand

WATCH, UNWATCH = True, False
# As watchlist.py passes it; the database reads the tier itself.
ALLOWED = json.dumps({tier.value: limits.max_tickers for tier, limits in LIMITS.items()})


@dataclass(frozen=True)
class Way:
    """How an operation is said in SQL."""

    watch: str
    unwatch: str


REAL = Way(
    watch="SELECT in_use, room FROM subscriptions_watch(%(user)s, %(tickers)s, %(limits)s, NULL)",
    unwatch="SELECT subscriptions_unwatch(%(user)s, %(tickers)s)",
)
RIVAL = Way(
    watch="SELECT in_use, room FROM rival_watch(%(user)s, %(tickers)s, %(limit)s)",
    unwatch="SELECT rival_unwatch(%(user)s, %(tickers)s)",
)


@dataclass(frozen=True)
class Person:
    id: uuid.UUID
    limit: int


@dataclass(frozen=True)
class Scene:
    """Who takes part, and which tickers there are, the most liked first."""

    people: Sequence[Person]
    tickers: Sequence[int]


@dataclass(frozen=True, slots=True)
class Deed:
    """One operation: what was asked, what was answered (`done`: rows that went, or room), and when."""

    kind: bool
    user: uuid.UUID
    tickers: tuple[int, ...]
    done: int
    sent: float
    answered: float


@dataclass
class Log:
    """What one client did."""

    deeds: list[Deed] = field(default_factory=list)
    began: float = 0.0
    ended: float = 0.0
    client_cpu_s: float = 0.0
    server_cpu_s: float = 0.0
    deadlocks: int = 0


_connection: psycopg.Connection[tuple[Any, ...]]


def connect(conninfo: str) -> None:
    """Once in each process."""
    global _connection  # noqa: PLW0603 -- one per process, that is what is measured
    _connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=0)


class Client:
    def __init__(self, way: Way) -> None:
        self.log = Log()
        self._way = way
        self._cursor = _connection.cursor()

    def watch(self, person: Person, tickers: Sequence[int]) -> bool:
        ids = sorted(tickers)
        row = self._run(WATCH, self._way.watch, person, ids, {"limit": person.limit, "limits": ALLOWED})
        return bool(row)

    def unwatch(self, person: Person, tickers: Sequence[int]) -> None:
        ids = sorted(tickers)
        self._run(UNWATCH, self._way.unwatch, person, ids, {})

    def _run(
        self, kind: bool, statement: str, person: Person, ids: list[int], more: dict[str, object]
    ) -> int:
        sent = time.monotonic()
        try:
            row = self._cursor.execute(statement, {"user": person.id, "tickers": ids, **more}).fetchone()
        except psycopg.errors.DeadlockDetected:
            self.log.deadlocks += 1
            return 0
        assert row is not None
        self.log.deeds.append(Deed(kind, person.id, tuple(ids), int(row[-1]), sent, time.monotonic()))
        demand.changed()  # as watchlist.py does after each commit
        return int(row[-1])


def _logged(way: Way, work: Callable[[Client], None]) -> Log:
    client = Client(way)
    mine, theirs = os.getpid(), _connection.info.backend_pid
    meet()
    before = cpu_seconds(mine), cpu_seconds(theirs)
    client.log.began = time.monotonic()
    work(client)
    client.log.ended = time.monotonic()
    client.log.client_cpu_s = cpu_seconds(mine) - before[0]
    client.log.server_cpu_s = cpu_seconds(theirs) - before[1]
    return client.log


def cpu_seconds(pid: int) -> float:
    """What the process has used so far: unlike the time that passes it hardly depends on who else is busy."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fill(scene: Scene, seed: int, each: int) -> Log:
    """Watch `each` tickers for everybody of one's share, in one call per person."""
    taste = Taste(len(scene.tickers), random.Random(seed))
    wishes = [[scene.tickers[position] for position in taste.several(each)] for _ in scene.people]

    def work(client: Client) -> None:
        for person, tickers in zip(scene.people, wishes, strict=True):
            client.watch(person, tickers)

    return _logged(REAL, work)


def change_minds(scene: Scene, seed: int, seconds: float, way: Way = REAL) -> Log:
    """For so long: somebody watches one ticker more, or gives one up that was watched here; about half and half."""

    def work(client: Client) -> None:
        rng = random.Random(seed)
        taste = Taste(len(scene.tickers), rng)
        mine: list[tuple[Person, int]] = []
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if mine and rng.random() < 0.5:
                position = rng.randrange(len(mine))
                mine[position], mine[-1] = mine[-1], mine[position]
                person, ticker = mine.pop()
                client.unwatch(person, [ticker])
            else:
                person, ticker = rng.choice(scene.people), scene.tickers[taste.one()]
                if client.watch(person, [ticker]):
                    mine.append((person, ticker))

    return _logged(way, work)


# Of a race: how many calls name several tickers, and how many go to somebody else than the one all fight over.
SEVERAL, ELSEWHERE = 0.1, 0.2
# In the last part of a race people leave, but every tenth: tickers lose their last watcher.
LEAVING, STAYS = 0.1, 10


def race(scene: Scene, seed: int, rounds: int, way: Way = REAL) -> Log:
    """All clients on the same person at the same moment, one person after the other, around the limit.

    In the naive way nobody leaves at the end, so that what went wrong can still be seen. One operation per round
    and client: the number of rounds is the number of operations of each.
    """

    def work(client: Client) -> None:
        rng = random.Random(seed)
        taste = Taste(len(scene.tickers), rng)
        last_part = LEAVING if way is REAL else 0
        per_person = max(1, round(rounds * (1 - last_part)) // len(scene.people))
        for turn in range(rounds):
            leaving = turn >= per_person * len(scene.people)
            if turn % per_person == 0 and not leaving:
                meet()  # nobody runs ahead to the next person
            position = turn // per_person % len(scene.people)
            if leaving or rng.random() < ELSEWHERE:
                position = rng.randrange(len(scene.people))
            person = scene.people[position]
            if leaving and position % STAYS:
                client.unwatch(person, scene.tickers)
            else:
                _one_of_a_race(client, person, scene.tickers, taste, rng)

    return _logged(way, work)


def _one_of_a_race(
    client: Client, person: Person, tickers: Sequence[int], taste: Taste, rng: random.Random
) -> None:
    chosen = [tickers[position] for position in taste.several(3 if rng.random() < SEVERAL else 1)]
    if rng.random() < 0.6:
        client.watch(person, chosen)
    else:
        client.unwatch(person, chosen)
