"""Which language model is asked: the configured one, what it is replaced by once it has ended, and the cheaper one.

What is known of models are rows, which staff may edit; the usual ones are shipped. What they cost stands in the price
book, under `LLM_VENDOR` and the model's name as the plan. A model without a price is not asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from core import clock
from marketdata import pricebook
from marketdata.models import Price
from marketdata.pricing import Book, TokenCall, cost_of_tokens
from summaries import modelprices
from summaries.budget import wants_cheaper
from summaries.kinds import Step
from summaries.llm import registry
from summaries.llm.base import LanguageModel
from summaries.models import ModelEntry

SHIPPED = Path(__file__).parent / "data" / "models.json"
NOT_CONFIGURED = "no language model is configured: set OPENAI_API_KEY or OPENAI_BASE_URL"
LOAD_LOCK = 0x4F54_0003
# As the tables have it.
LONGEST_VENDOR, LONGEST_NAME = 20, 80
_INSTANT = timedelta(microseconds=1)


class NoModel(Exception):
    """No model may be asked. The text says why, for staff."""


# --- choosing


def wanted_model() -> str:
    """The model that texts are ordered of: the configured one, or what replaces it. Empty when there is none."""
    if not registry.is_configured():
        return ""
    try:
        return resolved(clock.now()).name
    except NoModel:
        return ""


def pick(step: Step) -> LanguageModel:
    """The model that is asked at this step of the budget; raises NoModel."""
    now = clock.now()
    return pick_from(book_at(now), step, now)


def pick_from(book: Book, step: Step, now: datetime) -> LanguageModel:
    if not registry.is_configured():
        raise NoModel(NOT_CONFIGURED)
    if step is Step.EXTRACTIVE:
        raise NoModel("the budget is used up")
    return _made(_entry_for(book, step, now))


def model_of(name: str) -> LanguageModel:
    """The one of this name, whatever it costs and also when it has ended: to fetch what it was asked before."""
    if not registry.is_configured():
        raise NoModel(NOT_CONFIGURED)
    entry = ModelEntry.objects.filter(name=name).first() or ModelEntry(name=name)
    entry.supports_batch = True  # it did when it was asked
    return _made(entry)


def _entry_for(book: Book, step: Step, now: datetime) -> ModelEntry:
    entry = resolved(now)
    cheaper = entry.cheaper if wants_cheaper(step) else None
    if cheaper and not has_ended(cheaper, now) and is_priced(cheaper.name, book, now):
        return cheaper
    if not is_priced(entry.name, book, now):
        raise NoModel(
            f"no price for {settings.LLM_VENDOR} {entry.name}: enter what a thousand tokens cost in the price book, "
            f"provider {settings.LLM_VENDOR}, plan {entry.name}, units ktoken_in and ktoken_out"
        )
    return entry


def _made(entry: ModelEntry) -> LanguageModel:
    return registry.make(
        entry.name,
        vendor=settings.LLM_VENDOR,
        supports_schema=entry.supports_schema,
        supports_batch=entry.supports_batch,
        context_tokens=entry.context_tokens,
        max_output_tokens=entry.max_output_tokens,
    )


def resolved(now: datetime) -> ModelEntry:
    """The configured model or, once it has ended, the first of its replacements that has not; raises NoModel."""
    for entry in replacements(configured_entry()):
        if not has_ended(entry, now):
            return entry
    raise NoModel(
        f"{settings.LLM_MODEL} has ended and nothing that replaces it has not: choose another LLM_MODEL"
    )


def configured_entry() -> ModelEntry:
    """What is known of LLM_MODEL; one that nobody knows is taken to be like most."""
    known = ModelEntry.objects.select_related("cheaper").filter(name=settings.LLM_MODEL).first()
    return known or ModelEntry(name=settings.LLM_MODEL, vendor=settings.LLM_VENDOR)


def replacements(entry: ModelEntry | None) -> Iterator[ModelEntry]:
    """It and what is asked instead of it, one after the other; also where they name each other."""
    seen: set[str] = set()
    while entry is not None and entry.name not in seen:
        yield entry
        seen.add(entry.name)
        entry = entry.fallback


def has_ended(entry: ModelEntry, now: datetime) -> bool:
    return entry.end_of_life is not None and entry.end_of_life <= now.astimezone(UTC).date()


def is_priced(name: str, book: Book, now: datetime) -> bool:
    return cost_of_tokens(TokenCall(now, settings.LLM_VENDOR, name, "", 2, 1, 1), book) is not None


def book_at(now: datetime) -> Book:
    return pricebook.book_of(now, now + _INSTANT, provider=settings.LLM_VENDOR)


# --- loading


@dataclass
class Loaded:
    """What a load did: models and price lines that were added, price lines that were ended, models without a price."""

    models: int = 0
    added: int = 0
    ended: int = 0
    unknown: list[str] = field(default_factory=list)


def load(*, if_needed: bool = False) -> Loaded:
    """Add the shipped models that are missing, and the prices of those at the configured server.

    Nothing that staff entered or changed is touched. `if_needed`: what is there already is not looked up again.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOAD_LOCK])
        report = Loaded(models=_load_entries())
        if not if_needed or _lacks_price():
            _load_prices(report)
    return report


def _lacks_price() -> bool:
    now = clock.now()
    book = book_at(now)
    return registry.is_configured() and not all(is_priced(entry.name, book, now) for entry in in_use())


def shipped_sources() -> dict[str, str]:
    """By model: where the end is from that this version knows."""
    return {name: row["end_of_life_source"] for name, row in _shipped().items()}


def _shipped() -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(SHIPPED.read_text())}


def _load_entries() -> int:
    shipped = _shipped()
    if _fits():
        shipped.setdefault(settings.LLM_MODEL, {"name": settings.LLM_MODEL, "vendor": settings.LLM_VENDOR})
    known = {entry.name: entry for entry in ModelEntry.objects.all()}
    added = [_entry_of(row) for name, row in shipped.items() if name not in known]
    ModelEntry.objects.bulk_create(added)
    all_of = known | {entry.name: entry for entry in added}
    for entry in added:
        row = shipped[entry.name]
        entry.cheaper = all_of.get(row.get("cheaper") or "")
        entry.fallback = all_of.get(row.get("fallback") or "")
    ModelEntry.objects.bulk_update(added, ["cheaper", "fallback"])
    _date(known.values(), shipped)
    return len(added)


def _fits() -> bool:
    """Whether the tables can hold the settings: names that are too long are told as unknown, and stop no start."""
    return len(settings.LLM_VENDOR) <= LONGEST_VENDOR and len(settings.LLM_MODEL) <= LONGEST_NAME


def _entry_of(row: dict[str, Any]) -> ModelEntry:
    values = {
        name: value for name, value in row.items() if name not in {"cheaper", "fallback", "end_of_life"}
    }
    return ModelEntry(**values, end_of_life=_day(row.get("end_of_life")))


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _date(known: Any, shipped: dict[str, Any]) -> None:
    """An end that became known after the row was made; where staff has written one, or why not, theirs stays."""
    for entry in known:
        row = shipped.get(entry.name, {})
        if row.get("end_of_life") and entry.end_of_life is None and not entry.end_of_life_source:
            entry.end_of_life, entry.end_of_life_source = _day(row["end_of_life"]), row["end_of_life_source"]
            entry.save(update_fields=["end_of_life", "end_of_life_source"])


def _load_prices(report: Loaded) -> None:
    """Of all that the vendor is known to have, and of all that may be asked instead of the configured one."""
    now = clock.now()
    if not _fits():
        report.unknown = [settings.LLM_MODEL]
        return
    names = set(ModelEntry.objects.filter(vendor=settings.LLM_VENDOR).values_list("name", flat=True))
    names |= {entry.name for entry in in_use()}
    lines, unknown = modelprices.lines_of(settings.LLM_VENDOR, names, settings.OPENAI_BASE_URL, now)
    report.ended += _end_free_lines() if not any(line.plan == "" for line in lines) else 0
    kept = pricebook.keep(lines, now)
    report.added, report.ended = kept.added, report.ended + kept.ended
    book = book_at(now)
    report.unknown = [name for name in unknown if not is_priced(name, book, now)]


def _end_free_lines() -> int:
    """Of a server that was our own and is no longer."""
    now = clock.now()
    mine = Price.objects.filter(provider=settings.LLM_VENDOR, plan="", valid_to=None, valid_from__lt=now)
    return mine.filter(note__startswith=f"{pricebook.MADE}{modelprices.OWN_SERVER}").update(valid_to=now)


def in_use() -> list[ModelEntry]:
    """The configured model, all that replaces it, and the cheaper ones of these."""
    found: dict[str, ModelEntry] = {}
    for entry in replacements(configured_entry()):
        for one in (entry, entry.cheaper):
            if one is not None:
                found.setdefault(one.name, one)
    return list(found.values())
