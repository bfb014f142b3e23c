"""Edits, restarts and broken connections against a runner that decides: each fire once, none missed, none invented.

What may fire depends on who came first. So an edit takes the row's lock, notes how far the runner has committed, and
then changes the rule: the batches up to there count for the old version and no later one does; for the new one ticks
count from where the changed row says that its phase began, which is the moment of the edit unless it was a calm one.
The oracle, which knows nothing of engines and transactions, does the rest.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from accounts.models import User
from alerts import committing, rules, runner, sweep
from alerts.kinds import DIRECTIONS, Kind, Mode, Phase, first_phase
from alerts.knowledge import Knowledge
from alerts.models import Alert, Notification, Outbox, Position, Trigger
from core import clock
from core.database import in_thread
from core.outages import DATABASE_ERRORS
from core.redis import client
from marketdata.accepted import Accepted, key_of
from marketdata.quotes import microseconds
from tests.alerts.oracle import Oracle
from tests.alerts.ticking import Running, TickStream, accepted, running
from tests.factories import make_ticker, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

SYMBOLS = ("ABC", "XYZ")
ROUNDS = int(os.environ.get("RACE_ROUNDS", "1"))
BATCHES = 250
# Of a runner that may have been taken away meanwhile; and it looked for changes so often, or the machine stood still.
HEARD_WITHIN, HEARD_BY = timedelta(seconds=6), 5
PATIENCE_S = 120.0
KINDS = [
    Kind.ABOVE,
    Kind.BELOW,
    Kind.CROSSES_ABOVE,
    Kind.CROSSES_BELOW,
    Kind.LEAVES_CHANNEL,
    Kind.ENTERS_CHANNEL,
]
LEVELS = [Decimal(text) for text in ("99.5", "100", "100.5")]
PRICES = [f"{99 + n / 4:.2f}" for n in range(9)]

Fire = tuple[int, int, int]
"""Alert, version, and when its tick was received: no two are at the same microsecond."""


@dataclass
class Change:
    """After the batch `batch` was committed the alert had this row."""

    batch: int
    row: Alert


@dataclass
class Race:
    rng: random.Random
    users: list[User] = field(default_factory=list)
    batches: list[list[Accepted]] = field(default_factory=list)
    """The first one has number 1."""
    changes: dict[int, list[Change]] = field(default_factory=dict)
    looks: list[datetime] = field(default_factory=list)
    """When a runner had looked for changes."""

    # --- what people do

    def begin(self) -> None:
        self.users = [make_user(tier="expert") for _ in range(2)]
        tickers = [make_ticker(symbol) for symbol in SYMBOLS]
        for _ in range(24):
            self._note(0, self._new(self.rng.choice(self.users), self.rng.choice(tickers)))

    def _new(self, user: User, ticker: Any) -> Alert:
        kind = self.rng.choice(KINDS)
        channel = kind in {Kind.LEAVES_CHANNEL, Kind.ENTERS_CHANNEL}
        return Alert.objects.create(
            user=user, ticker=ticker, kind=kind.value, phase=first_phase(kind).value,
            threshold=None if channel else self.rng.choice(LEVELS),
            lower=Decimal("99.5") if channel else None, upper=Decimal("100.5") if channel else None,
            direction=DIRECTIONS.get(kind, 0), mode=self.rng.choice([Mode.REPEAT] * 4 + [Mode.ONCE]).value,
            rearm_band=self.rng.choice([Decimal(0), Decimal("0.3")]), armed_at=clock.now(),
            splits_until=clock.now().date(),
        )  # fmt: skip

    def _note(self, batch: int, row: Alert) -> None:
        changes = self.changes.setdefault(row.pk, [])
        if not changes or changes[-1].row.edited_at != row.edited_at:  # an edit may change nothing
            changes.append(Change(batch, row))

    def edit(self) -> None:
        """One thing that somebody may do; in a transaction that has locked what it will change."""
        pk, changed = self.rng.choice(list(self.changes)), []
        act = self.rng.choice(
            [self._move, self._move, self._move, self._calm, self._pause, self._resume, self._copy]
        )
        with suppress(*DATABASE_ERRORS), transaction.atomic():
            connection.cursor().execute("SET LOCAL application_name = 'spared'")
            alert = Alert.objects.select_related("user", "ticker").get(pk=pk)
            User.objects.select_for_update(no_key=True).get(pk=alert.user_id)
            alert = (
                Alert.objects.select_for_update(no_key=True, of=("self",))
                .select_related("user", "ticker")
                .get(pk=pk)
            )
            batch = Position.objects.get().batch
            changed = act(alert)
            if self.rng.random() < 0.3:
                connection.cursor().execute("SELECT pg_sleep(0.02)")
        for row in changed:  # nothing where the connection was cut before
            self._note(batch if row.pk == pk else 0, row)

    def _move(self, alert: Alert) -> list[Alert]:
        if alert.threshold is None:
            return [
                rules.edit(
                    alert,
                    {
                        "lower": self.rng.choice(["99.25", "99.5"]),
                        "upper": self.rng.choice(["100.5", "100.75"]),
                    },
                )
            ]
        return [rules.edit(alert, {"threshold": str(self.rng.choice(LEVELS))})]

    def _calm(self, alert: Alert) -> list[Alert]:
        """No new condition: it stands as it stands, as another version."""
        return [rules.edit(alert, {"cooldown_s": self.rng.choice([0, 1])})]

    def _pause(self, alert: Alert) -> list[Alert]:
        return rules.pause(alert.user, [alert.pk])

    def _resume(self, alert: Alert) -> list[Alert]:
        return rules.resume(alert.user, [alert.pk])

    def _copy(self, alert: Alert) -> list[Alert]:
        return rules.duplicate(alert.user, [alert.pk]) if len(self.changes) < 50 else []

    # --- what should have come of it

    def stretches(self) -> list[Stretch]:
        """Of each alert from one change to the next."""
        found = []
        for changes in self.changes.values():
            for change, following in zip_longest(changes, changes[1:]):
                looks = self._looks(change, following) if following else 0
                found.append(Stretch(change, following, self._fires(change, following), looks))
        return found

    def _looks(self, change: Change, following: Change) -> int:
        since, until = change.row.edited_at, following.row.edited_at
        return sum(since < at < until for at in self.looks)

    def _fires(self, change: Change, following: Change | None) -> list[Fire]:
        """Of what came since the row has been in its phase, also of what had come when it was changed: the row says
        what had been decided by then. If all of it, then this finds nothing more in it; if the runner had not heard
        of the change before, then a calm one leaves undecided what crossed already, and it fires as the new version.
        """
        row, until = change.row, following.batch if following else len(self.batches)
        if not row.active:
            return []
        oracle = Oracle(row.rule, microseconds(row.armed_at), state=Phase(row.phase).name.lower())
        oracle.last_us = microseconds(row.last_fired_at) if row.last_fired_at else None
        ticks = [tick for batch in self.batches[:until] for tick in batch]
        return [
            (row.pk, row.version, tick.received_us)
            for tick in ticks
            if tick.symbol == row.ticker.symbol and oracle.see(tick)
        ]


@dataclass
class Stretch:
    change: Change
    following: Change | None
    fires: list[Fire]
    looks: int

    @property
    def is_short(self) -> bool:
        """The runner may not have heard of the first change when the second one came, and then nothing is told."""
        if self.following is None:
            return False
        lasted = self.following.row.edited_at - self.change.row.edited_at
        return lasted < HEARD_WITHIN or self.looks < HEARD_BY

    def missed(self, told: set[Fire]) -> list[Fire]:
        """What had to be told. One fire of the stretch proves that the others had been heard as well."""
        lost = [fire for fire in self.fires if fire not in told]
        return [] if self.is_short and len(lost) == len(self.fires) else lost


def told() -> list[Fire]:
    rows = Trigger.objects.values_list("alert_id", "rule_version", "tick")
    return sorted((alert, version, tick["received"]) for alert, version, tick in rows)


@pytest.fixture
def stream():
    client().delete(key_of(0))
    yield TickStream()
    client().delete(key_of(0))


async def send(race: Race, stream: TickStream, enough: Callable[[], bool]) -> None:
    """At the pace of a busy market; for longer where what should come in between is slow."""
    while len(race.batches) < BATCHES or not enough():
        ticks = [
            accepted(race.rng.choice(SYMBOLS), race.rng.choice(PRICES), stream._next_us())
            for _ in range(race.rng.choice([1, 1, 2, 5]))
        ]
        stream.write(ticks)
        race.batches.append(ticks)
        if race.rng.random() < 0.1:
            stream.write_again(ticks)
        await asyncio.sleep(race.rng.choice([0, 0.005, 0.02, 0.05]))


async def again_and_again(act: Callable[[], Any], pause_s: float, ended: asyncio.Event) -> None:
    while not ended.is_set():
        await act()
        await asyncio.sleep(pause_s)


async def compete(
    race: Race,
    stream: TickStream,
    runs: Running,
    *others: tuple[Callable[[], Any], float],
    enough: Callable[[], bool] = lambda: True,
) -> None:
    """The whole series, with the others at work meanwhile; returns when everything was decided."""
    ended, race.looks = asyncio.Event(), runs.looks
    work = [asyncio.create_task(again_and_again(act, pause_s, ended)) for act, pause_s in others]
    try:
        await send(race, stream, enough)
    finally:
        ended.set()
        await asyncio.gather(*work)
    if not runs._runs:
        runs.start()
    await runs.read_all(stream, PATIENCE_S)
    await settled(race, runs)


async def settled(race: Race, runs: Running) -> None:
    """Also what was edited last has been heard of."""
    stretches = race.stretches()

    async def there() -> bool:
        return not missed(stretches, set(await in_thread(told)))

    with suppress(TimeoutError):  # what is missed is named later
        await runs.until(there, 60)
    await asyncio.sleep(0.5)  # what is too much would come now


def missed(stretches: list[Stretch], found: set[Fire]) -> list[Fire]:
    return [fire for stretch in stretches for fire in stretch.missed(found)]


async def assert_exact(race: Race) -> None:
    found, stretches = await in_thread(told), race.stretches()
    allowed = {fire for stretch in stretches for fire in stretch.fires}
    lost, invented = missed(stretches, set(found)), [fire for fire in found if fire not in allowed]
    wrong = sorted({fire[0] for fire in lost + invented})
    assert (lost, invented) == ([], []), "\n".join(story(race, pk, found) for pk in wrong)
    assert len({(alert, received) for alert, _, received in found}) == len(found)
    assert len(found) > BATCHES // 3  # else this has shown little
    await in_thread(assert_complete)


def story(race: Race, pk: int, found: list[Fire]) -> str:
    """What a race was lost by can often not be seen a second time."""
    rows = [
        f"after batch {one.batch}: v{one.row.version} active={one.row.active} {one.row.kind} {one.row.threshold} "
        f"{one.row.lower}..{one.row.upper} band {one.row.rearm_band} {one.row.mode} cooldown {one.row.cooldown_s} "
        f"phase {one.row.phase} since {microseconds(one.row.armed_at)} edited {microseconds(one.row.edited_at)} "
        f"fired {one.row.fire_seq}, last {one.row.last_fired_at and microseconds(one.row.last_fired_at)}"
        for one in race.changes[pk]
    ]
    symbol = race.changes[pk][0].row.ticker.symbol
    ticks = " ".join(
        f"{number}:{tick.received_us}={tick.price}"
        for number, batch in enumerate(race.batches, start=1)
        for tick in batch
        if tick.symbol == symbol
    )
    expected = [fire[1:] for one in race.stretches() for fire in one.fires if fire[0] == pk]
    return "\n".join(
        [
            f"alert {pk}", *rows,
            f"expected {expected}", f"told {[fire[1:] for fire in found if fire[0] == pk]}", ticks,
        ]
    )  # fmt: skip


def assert_complete() -> None:
    """Each fire has its number, its notification and its outbox row."""
    for alert in Alert.objects.all():
        seqs = list(
            Trigger.objects.filter(alert=alert).order_by("fire_seq").values_list("fire_seq", flat=True)
        )
        assert seqs == list(range(1, alert.fire_seq + 1))
    fires = Trigger.objects.count()
    assert Notification.objects.filter(kind="alert").count() == fires
    assert Outbox.objects.count() == fires


@pytest.fixture
def spared(transactional_db):
    """The connection of the test itself."""
    with connection.cursor() as cursor:
        cursor.execute("SET application_name = 'spared'")
        yield
        cursor.execute("RESET application_name")


@pytest.fixture
async def runs(spared, stream, monkeypatch, caplog):
    caplog.set_level("CRITICAL")
    monkeypatch.setattr("alerts.outbox.wake", lambda: None)  # the outbox stays as it was written
    async with running(monkeypatch) as made:
        await made.is_ready()
        yield made


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_edits_race_with_four_runners_and_the_sweep(runs, stream, seed) -> None:
    race = Race(random.Random(seed))
    await in_thread(race.begin)
    for _ in range(3):
        runs.start()
    await compete(
        race, stream, runs,
        (lambda: in_thread(race.edit), 0.05),
        (lambda: in_thread(sweep.run), 0.2),
    )  # fmt: skip
    await assert_exact(race)


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_edits_race_with_a_runner_that_hears_of_them_late(runs, stream, monkeypatch, seed) -> None:
    """As on a loaded machine: what it has read of an edit is old when it is admitted."""
    race, rng = Race(random.Random(seed)), random.Random(seed)
    of_symbols = Knowledge.of_symbols

    async def late(known: Knowledge, symbols: Collection[str]) -> None:
        await asyncio.sleep(rng.choice([0, 0.05, 0.2, 0.6]))
        await of_symbols(known, symbols)

    monkeypatch.setattr(Knowledge, "of_symbols", late)
    await in_thread(race.begin)
    await compete(race, stream, runs, (lambda: in_thread(race.edit), 0.05))
    await assert_exact(race)


# --- what breaks


@dataclass
class Nemesis:
    """Breaks something, again and again."""

    rng: random.Random
    runs: Running
    done: dict[str, int] = field(default_factory=dict)

    async def strike(self) -> None:
        act = self.rng.choice([self._kill, self._cut_connections, self._end_lease, self._cut_redis])
        await act()
        self.done[act.__name__] = self.done.get(act.__name__, 0) + 1

    async def _kill(self) -> None:
        """Without a last word, and whatever a thread of it was about to commit may still be committed."""
        await self.runs.kill()
        for _ in range(4):
            self.runs.start()

    async def _cut_connections(self) -> None:
        def cut() -> None:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND pid <> pg_backend_pid() AND application_name <> 'spared' AND backend_type = 'client backend'"
                )

        await in_thread(cut)

    async def _end_lease(self) -> None:
        """Somebody else takes it, while the owner still believes in it."""

        def end() -> None:
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE core_lease SET expires_at = clock_timestamp() WHERE name LIKE 'alerts:%'"
                )

        with suppress(*DATABASE_ERRORS):
            await in_thread(end)

    async def _cut_redis(self) -> None:
        client().client_kill_filter(_type="normal", skipme=True)


def uncertain(commit: Callable[..., Any], rng: random.Random) -> Callable[..., Any]:
    """Now and then the answer to a COMMIT gets lost, or the connection breaks before it."""

    def commit_and_lose(*args: Any) -> Any:
        fate = rng.random()
        if fate < 0.1:
            raise OperationalError("lost before")
        written = commit(*args)
        if fate < 0.25:
            raise OperationalError("lost after")
        return written

    return commit_and_lose


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_whatever_breaks_each_fire_is_there_once(runs, stream, monkeypatch, seed) -> None:
    rng = random.Random(seed)
    race, nemesis = Race(random.Random(seed)), Nemesis(rng, runs)
    monkeypatch.setattr(runner, "LEASE_TTL", timedelta(seconds=1))
    monkeypatch.setattr(runner, "RENEW_EVERY_S", 0.2)
    monkeypatch.setattr(runner, "RETRY_S", 0.02)
    monkeypatch.setattr(committing, "commit", uncertain(committing.commit, rng))
    await in_thread(race.begin)
    await runs.die()  # whoever holds the lease holds it for long
    runs.start()
    await compete(
        race, stream, runs,
        (lambda: in_thread(race.edit), 0.05),
        (nemesis.strike, 0.4),
        enough=lambda: sum(nemesis.done.values()) >= 3,
    )  # fmt: skip
    await assert_exact(race)
    assert sum(nemesis.done.values()) >= 3
