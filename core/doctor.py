"""What `manage.py doctor` asks: each app registers examinations in its AppConfig.ready(); each tells lines.

An examination may ask outside services only when `asks` is true. No line may hold a secret.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from django.core.checks import WARNING, run_checks
from django.db import connection

from core import clock
from core.redis import client

logger = logging.getLogger(__name__)

# Leases and quotas compare the servers' clocks with ours only loosely; beyond this ages on pages begin to lie.
SKEW_WARN = timedelta(seconds=1)
SKEW_BAD = timedelta(seconds=30)


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Line:
    """One finding: `text` says what is so, `hint` what to do where something is to be done."""

    topic: str
    verdict: Verdict
    text: str
    hint: str = ""


Examination = Callable[[bool], Iterable[Line]]
_examinations: dict[str, Examination] = {}


def register(name: str, examination: Examination) -> None:
    """Add an examination; a second one under the same name replaces the first."""
    _examinations[name] = examination


def examine(*, asks: bool) -> Iterator[Line]:
    """All lines, each as soon as it is found; an examination that fails is a finding itself."""
    for name, examination in _examinations.items():
        try:
            yield from examination(asks)
        except Exception as error:  # noqa: BLE001 -- whatever is broken, the rest is still examined
            logger.warning("the examination of %s failed: %s", name, type(error).__name__)
            yield Line(name, Verdict.BAD, f"could not be examined: {type(error).__name__}")


def settings_lines(_asks: bool) -> Iterator[Line]:
    """What `manage.py check` says."""
    found = [message for message in run_checks() if message.level >= WARNING]
    for message in found:
        verdict = Verdict.BAD if message.is_serious() else Verdict.WARN
        yield Line("settings", verdict, f"{message.id}: {message.msg}", message.hint or "")
    if not found:
        yield Line("settings", Verdict.OK, "nothing to complain about")


def database_lines(_asks: bool) -> Iterator[Line]:
    with connection.cursor() as cursor:
        before = clock.now()
        cursor.execute("SELECT clock_timestamp(), current_setting('server_version')")
        theirs, version = cursor.fetchone()
    yield _clock_line("database", f"PostgreSQL {version.split()[0]} answers", theirs, before)


def redis_lines(_asks: bool) -> Iterator[Line]:
    before = clock.now()
    seconds, microseconds = client().time()
    theirs = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)
    yield _clock_line("redis", "answers", theirs, before)
    persistence: dict[str, Any] = client().info("persistence")
    if not persistence.get("aof_enabled"):
        text = "keeps nothing over a restart (append-only file is off)"
        yield Line("redis", Verdict.WARN, text, "Set `appendonly yes`: queued tasks lie there.")


def _clock_line(topic: str, text: str, theirs: datetime, before: datetime) -> Line:
    # Its answer lies between our two looks at the clock; half of the way is the best guess.
    skew = abs(theirs - (before + (clock.now() - before) / 2))
    if skew < SKEW_WARN:
        return Line(
            topic, Verdict.OK, f"{text}; clocks agree within {skew / timedelta(milliseconds=1):.0f} ms"
        )
    verdict = Verdict.BAD if skew >= SKEW_BAD else Verdict.WARN
    apart = f"{text}; its clock is {skew.total_seconds():.1f} s apart from ours"
    return Line(topic, verdict, apart, "Let both machines follow a time server (NTP).")


def register_own() -> None:
    register("settings", settings_lines)
    register("database", database_lines)
    register("redis", redis_lines)
