"""The price book as it is stored: read for a window, filled from the plans of the configured vendors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import Max, Q, QuerySet

from core import clock
from marketdata.models import Price
from marketdata.pricing import Book, Line
from marketdata.providers import plans, registry
from marketdata.providers.base import Capabilities, Unit

EVER = datetime(2000, 1, 1, tzinfo=UTC)
# Lines that we made ourselves begin their note with this; only those are ever ended by us.
MADE = "Loaded: "
# What providers of market data count by.
METERED = (Unit.REQUEST, Unit.CREDIT, Unit.SYMBOL, Unit.SYMBOL_MINUTE)


def book_of(start: datetime, end: datetime, *, provider: str = "") -> Book:
    """The lines that are valid at some time of the window; of one provider, where one is named."""
    rows = Price.objects.filter(Q(valid_to__isnull=True) | Q(valid_to__gt=start), valid_from__lt=end)
    if provider:
        rows = rows.filter(provider=provider)
    return Book(
        Line(
            row.provider,
            row.unit,
            row.usd,
            row.valid_from,
            row.valid_to,
            plan=row.plan,
            endpoint=row.endpoint,
        )
        for row in rows
    )


@dataclass
class Loaded:
    """What a load did: lines added, lines of a left plan that were ended, and what has to be entered by hand."""

    added: int = 0
    ended: int = 0
    unknown: list[str] = field(default_factory=list)


@transaction.atomic
def load() -> Loaded:
    """Add what is missing for the configured providers. Lines that an operator entered are never touched."""
    report = Loaded()
    now = clock.now()
    for name in registry.configured_names():
        try:
            capabilities = registry.make(name).capabilities
        except ImproperlyConfigured as error:
            report.unknown.append(f"{name}: {error}")
            continue
        report.ended += _end_left_plans(name, capabilities.plan, now)
        lines = list(_lines_of(name, capabilities, now))
        report.added += sum(_add(line) for line in lines)
        if not lines:
            report.unknown.append(f"{name} {capabilities.plan}: its price is not published")
    return report


def _lines_of(name: str, capabilities: Capabilities, now: datetime) -> Iterator[Price]:
    """A flat plan bills no single request; a provider without a bill costs nothing by an explicit line."""
    if capabilities.simulated:
        note = f"{MADE}simulated, nobody bills it"
        yield from (_free(name, "", unit, note) for unit in METERED)
        return
    monthly = _monthly(name, capabilities.plan)
    if monthly is None:
        return
    note = f"{MADE}plan {capabilities.plan}, flat"
    yield from (_free(name, capabilities.plan, unit, note) for unit in METERED)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    yield Price(
        provider=name, plan=capabilities.plan, unit=Unit.MONTH.value, usd=monthly, valid_from=month, note=note
    )


def _free(name: str, plan: str, unit: Unit, note: str) -> Price:
    return Price(provider=name, plan=plan, unit=unit.value, usd=Decimal(0), valid_from=EVER, note=note)


def _monthly(name: str, plan: str) -> Decimal | None:
    path = Path(settings.VENDOR_PLANS_FILE) if settings.VENDOR_PLANS_FILE else None
    found = plans.load(path).get(name, {}).get(plan)
    return found.monthly if found else None


def _add(line: Price) -> bool:
    """Only where the book says nothing yet for this provider, plan and unit."""
    same = Price.objects.filter(
        provider=line.provider, plan=line.plan, endpoint=line.endpoint, unit=line.unit
    )
    if same.filter(Q(valid_to__isnull=True) | Q(valid_to__gt=clock.now())).exists():
        return False
    ended = same.filter(valid_to__gt=line.valid_from).aggregate(last=Max("valid_to"))["last"]
    line.valid_from = ended or line.valid_from
    line.save()
    return True


def keep(lines: Iterable[Price], now: datetime) -> Loaded:
    """Lines of a published list: added where the book says nothing, replaced from now on where the list has changed.

    What an operator entered counts for all that it fits, and a line of ours that he changed is his.
    """
    report = Loaded()
    for line in lines:
        rows = list(_fitting(line, now))
        mine = [
            row for row in rows if _is_ours(row) and (row.plan, row.endpoint) == (line.plan, line.endpoint)
        ]
        if any(not _is_ours(row) for row in rows) or any(row.usd == line.usd for row in mine):
            continue
        report.ended += _end(mine, now)
        report.added += _add(line)
    return report


def noted(source: str, usd: Decimal) -> str:
    """The note of a line of a published list: with the amount, so that it is seen where somebody changed it."""
    return f"{MADE}{source}, {usd.normalize():f} USD"


def _is_ours(row: Price) -> bool:
    return row.note.startswith(MADE) and row.note.endswith(f", {row.usd.normalize():f} USD")


def _fitting(line: Price, now: datetime) -> QuerySet[Price]:
    """What is valid now or later and could price what this line is for."""
    return Price.objects.filter(
        Q(valid_to__isnull=True) | Q(valid_to__gt=now),
        provider=line.provider,
        plan__in={"", line.plan},
        endpoint__in={"", line.endpoint},
        unit=line.unit,
    )


def _end(rows: Iterable[Price], now: datetime) -> int:
    return Price.objects.filter(pk__in=[row.pk for row in rows], valid_from__lt=now).update(valid_to=now)


def _end_left_plans(name: str, plan: str, now: datetime) -> int:
    """The fee of a plan that is no longer the configured one; an operator's own line stays as it is."""
    left = Price.objects.filter(provider=name, unit=Unit.MONTH.value, note__startswith=MADE, valid_to=None)
    return left.exclude(plan=plan).filter(valid_from__lt=now).update(valid_to=now)
