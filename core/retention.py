"""Rows deleted when they are too old: small steps, each committed by itself. What is left over, the next run takes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import Manager, QuerySet

from core import clock

logger = logging.getLogger(__name__)

Step = Callable[[], int]
"""Does some of the work; how many rows that were."""


def in_turns(steps: Mapping[str, Step], most: int, run_s: float) -> dict[str, int]:
    """Each kind of row has its share of the time, and of what those before it have left; rows by kind."""
    until = clock.monotonic() + run_s
    done = {}
    for number, (what, step) in enumerate(steps.items()):
        share_s = (until - clock.monotonic()) / (len(steps) - number)
        done[what] = by_and_by(step, most, clock.monotonic() + share_s)
    for what, rows in done.items():
        if rows:
            logger.info("deleted %d old %s", rows, what)
    return done


def by_and_by(step: Step, most: int, until: float) -> int:
    """Steps until one finds less than the `most` it may take, or the time is up; rows in all."""
    done = 0
    while clock.monotonic() < until:
        rows = step()
        done += rows
        if rows < most:
            break
    return done


def delete_some(manager: Manager[Any], rows: QuerySet[Any], most: int) -> int:
    """At most so many of these, with what hangs on them, in a transaction of their own; how many there were."""
    ids = list(rows.values_list("pk", flat=True)[:most])
    if ids:
        manager.filter(pk__in=ids).delete()
    return len(ids)
