"""What adapters read alike of companies: figures, rates of growth, articles, transcripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from marketdata.company import News, Speech
from marketdata.providers.base import MOST_NEWS
from marketdata.providers.vendor import MOST_MAGNITUDES, SHAPE_ERRORS, number

T = TypeVar("T")
HUNDRED = Decimal(100)
MILLION = Decimal(1_000_000)
# Of what is computed from told figures: finer than any of them.
PLACES = Decimal("1e-9")


# --- figures


def told_or_zero(value: Any) -> Decimal | None:
    """A figure where zero means nothing at all, such as a debt; None for what no calculation can hold."""
    found = number(value)
    return found if found is not None and (not found or abs(found.adjusted()) <= MOST_MAGNITUDES) else None


def told(value: Any) -> Decimal | None:
    """A figure where zero means that it is not known, as vendors write it."""
    return told_or_zero(value) or None


def percent(value: Any) -> Decimal | None:
    """The fraction that is told in percent."""
    found = told(value)
    return None if found is None else found / HUNDRED


def first(row: Mapping[str, Any], read: Callable[[Any], Decimal | None], *names: str) -> Decimal | None:
    """The first of these names that tells something."""
    return next((found for name in names if (found := read(row.get(name))) is not None), None)


def ratio(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    return None if part is None or not whole else fine(part / whole)


def product(*factors: Decimal | None) -> Decimal | None:
    found = Decimal(1)
    for factor in factors:
        if factor is None:
            return None
        found *= factor
    return fine(found)


def total(parts: Iterable[Decimal | None]) -> Decimal | None:
    """None where one part is not told: a sum without it would look like the whole."""
    found = Decimal(0)
    for part in parts:
        if part is None:
            return None
        found += part
    return found


def fine(value: Decimal) -> Decimal | None:
    """Rounded to the places that the computed has; None for what cannot be a figure."""
    with suppress(InvalidOperation):
        return value.quantize(PLACES)
    return None


def growth(years: Sequence[Decimal | None], over: int) -> Decimal | None:
    """The yearly rate from `over` years ago until now, of the newest year first; of a loss there is no rate."""
    if len(years) <= over:
        return None
    now, before = years[0], years[over]
    if now is None or before is None or now <= 0 or before <= 0:
        return None
    return fine((now / before) ** (Decimal(1) / over) - 1)


# --- words


def text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def address(value: Any) -> str:
    """The address of a page; empty for anything a browser should not be sent to."""
    found = text(value)
    return found if found.lower().startswith(("https://", "http://")) else ""


def readable(rows: Sequence[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], T | None]) -> list[T]:
    """What can be read of the rows; raises TypeError where that is nothing at all."""
    found: list[T] = []
    for row in rows:
        with suppress(*SHAPE_ERRORS):
            if (one := read(row)) is not None:
                found.append(one)
    if rows and not found:
        raise TypeError("no row can be read")
    return found


def newest(found: Iterable[News], since: datetime) -> list[News]:
    """Those published since then, each once, newest first."""
    once = {one.external_id: one for one in found if one.published_at >= since}
    return sorted(once.values(), key=lambda one: one.published_at, reverse=True)[:MOST_NEWS]


def about(symbol: str, others: Iterable[str | None]) -> tuple[str, ...]:
    """The symbol that was asked for and what else an article is about, each once."""
    return tuple(dict.fromkeys([symbol, *(other for other in others if other)]))


def said(speeches: Iterable[Speech]) -> tuple[Speech, ...]:
    """Without those in which nothing is said."""
    return tuple(speech for speech in speeches if speech.text)
