"""One address for the figures of all processes: `/metrics` of any web process also shows what the others have told.

The tape, the alerts and the workers have no port of their own. Each writes its figures to Redis every few seconds; a
web process adds them to its own, with a label `process`. Who has been silent for a while is left out. While Redis is
away a web process shows its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator

import orjson
from prometheus_client import Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from redis.exceptions import RedisError

from core import clock, metrics
from core.redis import client

KEY = "metrics:processes"
TELL_EVERY_S = 5.0
SILENT_AFTER_S = 30.0


def tell(process: str) -> None:
    """The figures of this process, now; counted where Redis is away."""
    told = {"at": clock.now().timestamp(), "text": generate_latest(metrics.registry).decode()}
    try:
        client().hset(KEY, process, orjson.dumps(told))
        client().expire(KEY, int(SILENT_AFTER_S))
    except RedisError:
        metrics.redis_failures.labels(used_by="metrics").inc()


def keep_telling(role: str) -> threading.Event:
    """From a thread of its own, until the process ends or the returned event is set."""
    over, process = threading.Event(), f"{role}:{os.getpid()}"

    def work() -> None:
        while not over.wait(TELL_EVERY_S):
            tell(process)

    threading.Thread(target=work, name="metrics", daemon=True).start()
    return over


def exposition() -> bytes:
    """Of this process and of those that have told theirs lately."""
    return generate_latest(_Together(list(_told())))


def _told() -> Iterator[tuple[str, str]]:
    """(process, its figures as text). What is old is removed."""
    try:
        found: dict[bytes, bytes] = client().hgetall(KEY)  # type: ignore[assignment]  # nothing is decoded
    except RedisError:
        metrics.redis_failures.labels(used_by="metrics").inc()
        return
    now, gone = clock.now().timestamp(), []
    for process, raw in sorted(found.items()):
        told = orjson.loads(raw)
        if now - told["at"] > SILENT_AFTER_S:
            gone.append(process)
        else:
            yield process.decode(), told["text"]
    if gone:
        _forget(gone)


def _forget(processes: Iterable[bytes]) -> None:
    try:
        client().hdel(KEY, *processes)
    except RedisError:
        metrics.redis_failures.labels(used_by="metrics").inc()


class _Together:
    """As a registry: each figure once, with the samples of all processes."""

    def __init__(self, others: list[tuple[str, str]]) -> None:
        self._others = others

    def collect(self) -> list[Metric]:
        families = {family.name: family for family in metrics.registry.collect()}
        for process, text in self._others:
            for told in text_string_to_metric_families(text):
                mine = families.setdefault(told.name, Metric(told.name, told.documentation, told.type))
                mine.samples += [
                    sample._replace(labels={**sample.labels, "process": process}) for sample in told.samples
                ]
        return list(families.values())
