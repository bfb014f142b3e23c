"""Known crossings go through the tick stream, while whoever decides and delivers them is killed again and again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psycopg

from core.processes import bound_to_parent
from tests.faults.history import EXTERNAL, FED, TOLD, History, Verdict, check
from tests.faults.people import Crossings
from tests.faults.sink import Sink

ROOT = Path(__file__).resolve().parents[2]
SHORTEST_S, LONGEST_S = 1.0, 3.0
# By this name the connections of the processes under test are known to the one who ends them.
NAME = "storm"


@dataclass(frozen=True)
class Plan:
    """`symbols` x 4 alerts x `rounds` crossings. `lease_s`: how long a delivery is held by who died."""

    symbols: int
    rounds: int
    seed: int = 1
    round_s: float = 1.0
    lease_s: float = 20.0
    patience_s: float = 300.0

    @property
    def crossings(self) -> int:
        return self.symbols * 4 * self.rounds


@dataclass
class Outcome:
    told: Verdict
    external: Verdict
    kills: dict[str, int] = field(default_factory=dict)
    ended_connections: int = 0
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        return self.told.is_good and self.external.is_good


class Victims:
    """Processes of which one is killed now and then, and started again at once. Two of each: one stands by."""

    def __init__(self, commands: dict[str, list[str]], environment: dict[str, str], log: Path) -> None:
        self._commands, self._environment = commands, environment
        self._log = log.open("ab")
        self._running = {(role, number): self._start(role) for role in commands for number in range(2)}
        self.kills = dict.fromkeys(commands, 0)

    def _start(self, role: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, *self._commands[role]],
            cwd=ROOT,
            env=self._environment,
            stdout=self._log,
            stderr=self._log,
            preexec_fn=bound_to_parent(signal.SIGKILL),  # noqa: PLW1509 -- only a call to the kernel
        )

    def kill_one(self, random: Random) -> None:
        who = random.choice(sorted(self._running))
        self._running[who].kill()
        self._running[who].wait()
        self._running[who] = self._start(who[0])
        self.kills[who[0]] += 1

    def stop(self) -> None:
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait()
        self._log.close()


class Ender:
    """Ends connections of the processes under test, half of them each time."""

    def __init__(self, conninfo: str, random: Random) -> None:
        self._connection = psycopg.connect(conninfo, autocommit=True)
        self._random = random
        self.ended = 0

    def end_some(self) -> None:
        found = self._connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND backend_type = 'client backend'",
            [NAME],
        ).fetchall()
        for (pid,) in found:
            if self._random.random() < 1 / 2:
                self._connection.execute("SELECT pg_terminate_backend(%s)", [pid])
                self.ended += 1

    def close(self) -> None:
        self._connection.close()


class Feeder:
    """Feeds in a thread of its own: what starts processes must not end before them, or they end with it."""

    def __init__(self, crossings: Crossings, plan: Plan, progress: Callable[[int], None]) -> None:
        self._crossings, self._plan, self._progress = crossings, plan, progress
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.over = threading.Event()
        self.error: Exception | None = None

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            for number in range(1, self._plan.rounds + 1):
                self._crossings.feed(number, self._plan.round_s)
                self._progress(number * self._plan.symbols * 4)
        except Exception as error:  # noqa: BLE001 -- raised where it is waited for
            self.error = error
        finally:
            self.over.set()


def run(
    plan: Plan,
    folder: Path,
    environment: dict[str, str],
    conninfo: str,
    progress: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """`environment` leads the processes to the servers, `conninfo` us to PostgreSQL."""
    began, history = time.monotonic(), History(folder / "history.jsonl")
    with Sink(history, plan.seed) as sink:
        crossings = Crossings(plan, f"http://{sink.address}/", history)
        given = {**os.environ, **environment, "PGAPPNAME": NAME, "EGRESS_ALLOW": sink.address}
        victims = Victims(commands(plan), given, folder / "processes.log")
        ender = Ender(conninfo, Random(plan.seed + 1))
        try:
            crossings.arm(plan.patience_s)
            storm(Feeder(crossings, plan, progress), victims, ender, Random(plan.seed))
            with suppress(TimeoutError):  # what is missing shows
                crossings.wait_until_all_is_done(plan.patience_s)
            crossings.read()
        finally:
            victims.stop()
            ender.close()
            history.close()
    told, external = check(history.path, FED, TOLD), check(history.path, FED, EXTERNAL)
    return Outcome(told, external, victims.kills, ender.ended, time.monotonic() - began)


def commands(plan: Plan) -> dict[str, list[str]]:
    return {
        "runalerts": ["manage.py", "runalerts"],
        "deliver": ["-m", "tests.faults.deliver", str(plan.lease_s)],
    }


def storm(feeder: Feeder, victims: Victims, ender: Ender, random: Random) -> None:
    feeder.start()
    while not feeder.over.wait(random.uniform(SHORTEST_S, LONGEST_S)):
        victims.kill_one(random)
        ender.end_some()
    if feeder.error is not None:
        raise feeder.error
