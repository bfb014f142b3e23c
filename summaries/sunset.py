"""Models end. Once a day their vendor is asked when, and it is warned in good time; afterwards others are asked.

The end is a date in the table of models, so that switching over needs no check to have run: `modelbook` looks at it
with each call.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings

from core import metrics
from summaries import modelbook
from summaries.llm import openai_connection, registry
from summaries.llm.base import ModelError, Usage
from summaries.llm.openai import MAX_BYTES, calling
from summaries.llm.openai_answers import Reply, reply_of
from summaries.models import ModelEntry

if TYPE_CHECKING:
    from openai import AsyncOpenAI

logger = logging.getLogger(__name__)

# Days before the end on which it is warned; on the last of them it has come.
WARNED_AT = (0, 7, 30, 90)
TIMEOUT_S = 20.0
# An end that the server told begins its source with this; only that one is taken back when the server does.
TOLD = "Told by "


@dataclass(frozen=True, slots=True)
class Ending:
    """A model that may be asked, and when that ends. `days` is below 1 when it has."""

    name: str
    on: date
    days: int
    instead: str
    """Asked then; empty: nothing is."""

    def __str__(self) -> str:
        when = f"ends in {self.days} days, on {self.on}" if self.days > 0 else f"has ended on {self.on}"
        return f"the model {self.name} {when}; {self.instead or 'nothing'} is asked in its place"


def check(now: datetime) -> list[Ending]:
    """Load what this version knows, ask the server, and warn of what ends soon. Raises DATABASE_ERRORS."""
    modelbook.load()
    if not registry.is_configured():
        return []
    _note(_told_dates())
    return _warn(now)


def endings(now: datetime) -> list[Ending]:
    """The models in use that end within the longest warning, or have; the soonest first."""
    found = [_ending(entry, now) for entry in modelbook.in_use() if entry.end_of_life is not None]
    return sorted((one for one in found if one.days <= WARNED_AT[-1]), key=lambda one: (one.on, one.name))


def _ending(entry: ModelEntry, now: datetime) -> Ending:
    assert entry.end_of_life is not None
    days = (entry.end_of_life - now.astimezone(UTC).date()).days
    after = list(modelbook.replacements(entry))[1:]
    lasting = (one for one in after if one.end_of_life is None or one.end_of_life > entry.end_of_life)
    instead = next(lasting, None)
    return Ending(entry.name, entry.end_of_life, days, instead.name if instead else "")


# --- asking


def _told_dates() -> dict[str, date | None]:
    """What the server says of its models: only of those for which it says anything about their end."""
    try:
        reply = calling(openai_connection.shared(), _listed, TIMEOUT_S, Usage())
    except ModelError as error:
        logger.warning("when models end could not be asked: %s", error)
        return {}
    if reply.status != HTTPStatus.OK:
        logger.warning("when models end could not be asked: the server answered %s", reply.status)
        return {}
    return dict(dates_of(reply.body))


async def _listed(client: AsyncOpenAI) -> Reply:
    async with client.models.with_streaming_response.list() as response:
        data = bytearray()
        async for part in response.iter_bytes():
            data += part
            if len(data) > MAX_BYTES:
                break
        return reply_of(response.status_code, response.headers, bytes(data))


def dates_of(body: Any) -> Iterator[tuple[str, date | None]]:
    """By model; whatever has another shape than the protocol's is passed over."""
    rows = body.get("data") if isinstance(body, Mapping) else None
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping) and isinstance(row.get("id"), str) and "shutdown_date" in row:
            told = row["shutdown_date"]
            day = _day(told)
            if day is not None or told is None:
                yield row["id"], day


def _day(told: object) -> date | None:
    """Written as 2026-12-11, perhaps with a time, or as the seconds since 1970."""
    try:
        if isinstance(told, str):
            return date.fromisoformat(told[:10])
        if isinstance(told, int | float) and not isinstance(told, bool):
            return datetime.fromtimestamp(told, UTC).date()
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _note(told: Mapping[str, date | None]) -> None:
    """Keep what is new. A date that staff entered, with a source of their own, stays."""
    source = f"{TOLD}{urlsplit(settings.OPENAI_BASE_URL).hostname}"[:200]
    shipped = modelbook.shipped_sources()
    for entry in ModelEntry.objects.filter(name__in=list(told)):
        day, ours = told[entry.name], entry.end_of_life_source
        if day is None and ours.startswith(TOLD):
            _store(entry, None, "")
        elif day is not None and day != entry.end_of_life and _may_change(entry, shipped):
            _store(entry, day, source)


def _may_change(entry: ModelEntry, shipped: Mapping[str, str]) -> bool:
    written = entry.end_of_life_source
    return not written or written.startswith(TOLD) or written == shipped.get(entry.name)


def _store(entry: ModelEntry, day: date | None, source: str) -> None:
    """Not where staff has changed it in the meantime."""
    same = ModelEntry.objects.filter(pk=entry.pk, end_of_life_source=entry.end_of_life_source)
    if same.update(end_of_life=day, end_of_life_source=source):
        logger.info("the model %s ends on %s, as its server says", entry.name, day or "no known day")


# --- warning


def _warn(now: datetime) -> list[Ending]:
    """Once for each step, by whichever process comes first; those that were warned of now."""
    near = {one.name: one for one in endings(now)}
    warned = []
    for entry in modelbook.in_use():
        ending = near.get(entry.name)
        step = None if ending is None else next(days for days in WARNED_AT if ending.days <= days)
        if _is_new(entry, step) and ending is not None:
            logger.warning("%s", ending)
            metrics.model_end_warnings.labels(days=str(step)).inc()
            warned.append(ending)
    return warned


def _is_new(entry: ModelEntry, step: int | None) -> bool:
    """Also when the end was put off: then it is warned again."""
    if entry.warned_days == step:
        return False
    same = ModelEntry.objects.filter(pk=entry.pk, warned_days=entry.warned_days)
    return bool(same.update(warned_days=step))
