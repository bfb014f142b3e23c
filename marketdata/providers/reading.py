"""What adapters read alike: times, dates, rows, prices in single precision, and their own settings."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from core import clock
from marketdata.providers.day_figures import trading_date
from marketdata.providers.plans import BadPlan, Plan, plan_of
from marketdata.providers.vendor import number, positive, whole
from marketdata.quotes import EPOCH, Bar

# A number of seconds outside the years 2000 to 2100 is no time, or counts something else than seconds.
FIRST_SECOND, LAST_SECOND = 946_684_800, 4_102_444_800
# What single precision holds; vendors that compute in it show 189.34 as 189.33999633789062.
LEAST_DIGITS, MOST_DIGITS = 6, 9


def moment_of(value: Any, per_second: int = 1) -> datetime | None:
    """A time in so many units a second since 1970; None for one that can only be of another unit, or no time."""
    count = number(value)
    if count is None or not FIRST_SECOND < count / per_second < LAST_SECOND:
        return None
    return EPOCH + timedelta(microseconds=int(count * 1_000_000 / per_second))


def seconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(seconds=1)


def date_of(value: Any) -> date | None:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def midnight(day: date) -> datetime:
    """Where the bar of a day begins."""
    return datetime.combine(day, time(), UTC)


def rows_of(value: Any) -> list[Mapping[str, Any]]:
    """A list of objects; raises TypeError for anything else."""
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise TypeError(value)
    return value


def bar_of(symbol: str, start: datetime, row: Mapping[str, Any]) -> Bar | None:
    """The bar of open, high, low, close and volume, None where a price is missing; single precision is undone."""
    opened, high, low, close = (exact(positive(row.get(name))) for name in ("open", "high", "low", "close"))
    if opened is None or high is None or low is None or close is None:
        return None
    return Bar(symbol, start, opened, high, low, close, whole(row.get("volume")) or 0)


def is_running(bar: Bar) -> bool:
    """Whether the day of this bar is not over: it is a bar only then."""
    return bar.start.date() >= trading_date(bar.symbol, clock.now())


def exact(price: Decimal | None) -> Decimal | None:
    """The shortest decimal that single precision makes this number of; the number itself if it has none."""
    if price is None or len(price.as_tuple().digits) <= MOST_DIGITS:
        return price
    found = float(price)
    is_single = isfinite(found) and _in_single_precision(found) == found
    return shortest(found) if is_single else price


def shortest(value: float) -> Decimal:
    """The shortest decimal that reads back as this number of single precision."""
    for digits in range(LEAST_DIGITS, MOST_DIGITS):
        text = f"{value:.{digits}g}"
        if _in_single_precision(float(text)) == value:
            return Decimal(text)
    return Decimal(f"{value:.{MOST_DIGITS}g}")


def _in_single_precision(value: float) -> float | None:
    try:
        found: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return None
    return found


def required(name: str, provider: str) -> str:
    """The setting of this name; raises ImproperlyConfigured where it is empty."""
    value: str = getattr(settings, name)
    if not value:
        raise ImproperlyConfigured(f"MARKETDATA_PROVIDERS names {provider}, but {name} is empty.")
    return value


def configured_plan(vendor: str, name: str, setting: str) -> Plan:
    """The plan of this name; raises ImproperlyConfigured, naming the setting that is wrong."""
    path = Path(settings.VENDOR_PLANS_FILE) if settings.VENDOR_PLANS_FILE else None
    try:
        return plan_of(vendor, name, path)
    except BadPlan as error:
        raise ImproperlyConfigured(f"{setting}: {error}") from error
