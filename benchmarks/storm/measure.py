"""A storm over real subscriptions while the real tape runs: rates, then whether it all adds up, then who follows."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from subprocess import Popen
from typing import Any

from django.db import connection
from django.test import Client as Browser
from psycopg.conninfo import make_conninfo

from accounts.models import User
from accounts.tiers import LIMITS, Tier, limits_of
from benchmarks.harness import children, roles
from benchmarks.harness.population import make_tickers, make_users
from benchmarks.harness.report import Result, at_least, at_most, say
from benchmarks.storm import clients, following, oracle, over_http, rivals
from benchmarks.storm.clients import REAL, RIVAL, Deed, Log, Person, Scene, Way
from benchmarks.vendor.bill import Bill
from marketdata.models import Ticker
from subscriptions import watchlist
from subscriptions.models import Subscription

SEED = 20_250_102
CONNECTIONS = 8
WATCHED_BY_EACH = 8
DATABASE_STATISTICS_S = 1.5


@dataclass(frozen=True)
class Size:
    people: int
    tickers: int
    rounds: int
    seconds: float
    racing_people: int
    racing_tickers: int
    race: int
    http_seconds: float


FULL = Size(10_000, 5_000, 3, 4.0, 300, 100, 60_000, 8.0)
QUICK = Size(2_000, 1_000, 1, 2.0, 60, 50, 6_000, 2.0)


@dataclass
class Storm:
    """What the parts share."""

    size: Size
    crowd: children.Crowd
    bill: Bill
    result: Result
    deeds: list[Deed]
    limits: dict[Any, int]
    reconciles: list[float]

    def followed(self, since: float, when: str) -> float:
        """Seconds until what is open equals what is wanted; a tape that never follows makes the run incorrect."""
        seconds = following.seconds_until_followed(self.bill, since)
        self.result.must(seconds is not None, f"open did not become equal to wanted {when}")
        say(f"open equals wanted {seconds} s {when}")
        return seconds if seconds is not None else following.PATIENCE_S


def measure(*, quick: bool) -> Result:
    size, result = QUICK if quick else FULL, Result()
    with ExitStack() as stack:
        bill = stack.enter_context(roles.vendor())
        tapes = [stack.enter_context(roles.tape(bill, name)) for name in ("tape", "standby")]
        crowd = stack.enter_context(children.crowd(CONNECTIONS, clients.connect, conninfo()))
        storm = Storm(size, crowd, bill, result, [], {}, [])
        scene = filled(storm)
        rates(storm, scene)
        deadlocks = race(storm)
        through_http(storm)
        takeover_s = take_over(storm, tapes)
        frozen_s = None
        if not quick:  # the lease lasts ten seconds
            tapes.append(stack.enter_context(roles.tape(bill, "second-standby")))
            frozen_s = take_over_from_frozen(storm, tapes)
        tell_times(storm, takeover_s, frozen_s)
        adds_up(storm, deadlocks)
        result.must(all(tape.poll() is None for tape in tapes), "a tape ended that nobody killed")
    return result


def conninfo() -> str:
    found = connection.get_connection_params()
    return make_conninfo("", **{name: found[name] for name in ("host", "dbname", "user")})


def scene_of(storm: Storm, users: Sequence[User], tickers: Sequence[Ticker]) -> Scene:
    people = [Person(user.pk, limits_of(user.tier).max_tickers) for user in users]
    storm.limits |= {person.id: person.limit for person in people}
    return Scene(people, [ticker.pk for ticker in tickers])


def rate_of(logs: Sequence[Log], operations: int) -> float:
    return operations / (max(log.ended for log in logs) - min(log.began for log in logs))


def ended(logs: Sequence[Log]) -> float:
    return max(log.ended for log in logs)


# --- filling and rates


def filled(storm: Storm) -> Scene:
    """Everybody's first tickers, eight in one call."""
    size = storm.size
    users = make_users(size.people, "p", [Tier.EXPERT])
    scene = scene_of(storm, users, make_tickers(size.tickers, "ST"))
    say(f"{size.people} people watch {WATCHED_BY_EACH} of {size.tickers} tickers each")
    shares = [
        (Scene(scene.people[number::CONNECTIONS], scene.tickers), SEED + number, WATCHED_BY_EACH)
        for number in range(CONNECTIONS)
    ]
    logs = storm.crowd.do(clients.fill, shares)
    storm.deeds += [deed for log in logs for deed in log.deeds]
    rate = rate_of(logs, size.people * WATCHED_BY_EACH)
    storm.result.figures["bulk_ticker_ops_per_s"] = round(rate)
    storm.result.bars.append(at_least("bulk_ticker_ops_per_s", round(rate), 10_000))
    storm.followed(ended(logs), "after everybody's first tickers")
    return scene


def rates(storm: Storm, scene: Scene) -> None:
    """The real way and the stored counter in turn, so that a busy machine disturbs both alike."""
    rivals.set_up()
    real, rival, logs_of_real = [], [], list[Log]()
    for turn in range(storm.size.rounds):
        logs = change_minds(storm, scene, turn, REAL)
        storm.deeds += [deed for log in logs for deed in log.deeds]
        storm.reconciles.append(storm.followed(ended(logs), "after the storm"))
        real.append(rate_of(logs, sum(len(log.deeds) for log in logs)))
        logs_of_real += logs
        logs = change_minds(storm, scene, turn, RIVAL)
        rival.append(rate_of(logs, sum(len(log.deeds) for log in logs)))
    result = storm.result
    result.figures |= {
        "ops_per_s": round(median(real)),
        "ops_per_s_of_each_round": [round(rate) for rate in real],
        **cpu_per_operation(logs_of_real),
        "fsync": setting("fsync"),
        "synchronous_commit": setting("synchronous_commit"),
    }
    result.must(
        result.figures["fsync"] == result.figures["synchronous_commit"] == "on", "nothing was durable"
    )
    result.bars.append(at_least("ops_per_s", round(median(real)), 3_000))
    result.baseline["ops_per_s"] = round(median(rival))
    ratios = [a / b for a, b in zip(real, rival, strict=True)]
    result.ratio["vs_stored_counter"] = round(median(ratios), 2)


def cpu_per_operation(logs: Sequence[Log]) -> dict[str, int]:
    """In microseconds: what the clients of the benchmark take of the cores that the server has not got."""
    operations = sum(len(log.deeds) for log in logs)
    return {
        "client_us_per_op": round(sum(log.client_cpu_s for log in logs) / operations * 1e6),
        "server_us_per_op": round(sum(log.server_cpu_s for log in logs) / operations * 1e6),
    }


def change_minds(storm: Storm, scene: Scene, turn: int, way: Way) -> list[Log]:
    say(f"round {turn + 1}: {'the real way' if way is REAL else 'a stored counter'}")
    seeds = [SEED + 100 * (turn + 1) + number for number in range(CONNECTIONS)]
    return storm.crowd.do(clients.change_minds, [(scene, seed, storm.size.seconds, way) for seed in seeds])


def setting(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return str(cursor.fetchone()[0])


# --- the race


def race(storm: Storm) -> int:
    """Many people, few tickers, all clients on the same person at once; the deadlocks there were."""
    size = storm.size
    users = make_users(size.racing_people, "r", list(Tier))
    scene = scene_of(storm, users, make_tickers(size.racing_tickers, "RC"))
    before = deadlocks_so_far()
    logs = one_race(storm, scene, REAL)
    storm.reconciles.append(storm.followed(ended(logs), "after the race"))
    operations = sum(len(log.deeds) for log in logs)
    storm.deeds += [deed for log in logs for deed in log.deeds]
    time.sleep(DATABASE_STATISTICS_S)
    deadlocks = max(deadlocks_so_far() - before, sum(log.deadlocks for log in logs))
    storm.result.figures |= {
        "operations": operations,
        "racing_ops_per_s": round(rate_of(logs, operations)),
        "refused_for_the_limit": sum(deed.kind and not deed.done for log in logs for deed in log.deeds),
    }
    storm.result.must(operations == size.race, f"{operations} operations were answered, not {size.race}")
    logs = one_race(storm, scene, RIVAL)
    wrong, wrong_state = rivals.drift()
    storm.result.baseline |= {
        "racing_ops_per_s": round(rate_of(logs, sum(len(log.deeds) for log in logs))),
        "drift": wrong,
        "wrongly_open_or_closed": wrong_state,
        "deadlocks": sum(log.deadlocks for log in logs),
        "over_limit_users": rivals.over_limit(json.dumps({t.value: LIMITS[t].max_tickers for t in Tier})),
    }
    return deadlocks


def one_race(storm: Storm, scene: Scene, way: Way) -> list[Log]:
    each = storm.size.race // CONNECTIONS
    say(f"a race of {storm.size.race} operations: {'the real way' if way is REAL else 'a stored counter'}")
    return storm.crowd.do(
        clients.race, [(scene, SEED + 1_000 + number, each, way) for number in range(CONNECTIONS)]
    )


def deadlocks_so_far() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


# --- through the web


def through_http(storm: Storm) -> None:
    """Eight people, each with a session, at one real web process."""
    users = make_users(CONNECTIONS, "w", [Tier.EXPERT])
    symbols = [ticker.symbol for ticker in make_tickers(16, "WB")]
    with roles.web() as path:
        say(f"{CONNECTIONS} people watch and unwatch over HTTP")
        wishes = [
            (path, session_of(user), symbols, SEED + number, storm.size.http_seconds)
            for number, user in enumerate(users)
        ]
        logs = storm.crowd.do(over_http.change_mind, wishes)
    operations = sum(log.operations for log in logs)
    seconds = max(log.ended for log in logs) - min(log.began for log in logs)
    storm.result.figures["http_ops_per_s"] = round(operations / seconds)
    storm.result.complaints += [text for log in logs for text in log.unexpected][:5]
    for user, log in zip(users, logs, strict=True):
        there = set(Subscription.objects.filter(user=user).values_list("ticker__symbol", flat=True))
        storm.result.must(there == log.watched, f"over HTTP {user} ended with other tickers than answered")


def session_of(user: User) -> str:
    browser = Browser()
    browser.force_login(user)
    return browser.cookies["sessionid"].value


# --- the owner dies, or freezes


def take_over(storm: Storm, tapes: list[Popen[bytes]]) -> float:
    """Kill the tape's owner; while there is none, somebody leaves eight tickers and comes to eight others."""
    (user,) = make_users(1, "gap", [Tier.EXPERT])
    tickers = make_tickers(2 * WATCHED_BY_EACH, "GP")
    before, after = tickers[:WATCHED_BY_EACH], tickers[WATCHED_BY_EACH:]
    watchlist.watch(user, before)
    storm.followed(time.monotonic(), "before the owner is killed")
    owner, killed_at = following.stop_owner(tapes, signal.SIGKILL)
    owner.wait()  # as `up` does: a process whose parent has not noticed its end counts as alive
    tapes.remove(owner)
    watchlist.unwatch(user, before)
    watchlist.watch(user, after)
    seconds = storm.followed(killed_at, "after kill -9 of the tape's owner")
    watchlist.unwatch(user, after)
    watchlist.watch(user, before)
    storm.reconciles.append(storm.followed(time.monotonic(), "when the standby had taken over"))
    return seconds


def take_over_from_frozen(storm: Storm, tapes: list[Popen[bytes]]) -> float:
    """Stop the owner's clock: only the end of its lease lets a standby in. Woken, it must leave the feed alone."""
    streams = set(storm.bill.read().streams)
    owner, frozen_at = following.stop_owner(tapes, signal.SIGSTOP)
    try:
        seconds = following.seconds_until_another_streams(storm.bill, streams, frozen_at)
        storm.result.must(seconds is not None, "nobody took over from a frozen owner")
        say(f"another streams {seconds} s after the owner was frozen")
    finally:
        owner.send_signal(signal.SIGCONT)
    storm.followed(time.monotonic(), "after the frozen owner woke")
    return seconds if seconds is not None else following.PATIENCE_S


def tell_times(storm: Storm, takeover_s: float, frozen_s: float | None) -> None:
    storm.result.figures |= {
        "takeover_s": round(takeover_s, 2),
        "takeover_from_frozen_s": frozen_s if frozen_s is None else round(frozen_s, 2),
        "reconcile_s": round(max(storm.reconciles), 2),
        "reconcile_s_each": [round(one, 2) for one in storm.reconciles],
    }
    storm.result.bars += [
        at_most("reconcile_s", round(max(storm.reconciles), 2), 2.0),
        at_most("takeover_s", round(max(takeover_s, frozen_s or 0), 2), 15.0),
    ]


# --- the verdict


def adds_up(storm: Storm, deadlocks: int) -> None:
    say(f"the oracle reads {len(storm.deeds)} operations")
    findings = oracle.judge(storm.deeds, storm.limits)
    storm.result.figures |= {
        "drift": findings.drift,
        "deadlocks": deadlocks,
        "over_limit_users": len(findings.over_limit),
    }
    storm.result.complaints += findings.samples
    storm.result.must(findings.drift == 0, f"{findings.drift} contradictions")
    storm.result.must(deadlocks == 0, f"{deadlocks} deadlocks")
    storm.result.must(not findings.over_limit, f"{len(findings.over_limit)} users were above their limit")
