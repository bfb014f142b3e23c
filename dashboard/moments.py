"""Moments in the words of the person who reads them: in their own time zone, and how long one step took."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dashboard import formats


def zone_of(name: str) -> tzinfo:
    """A zone that the system no longer knows must not take a page away."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def of_us(microseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)


def day_words(at: datetime, now: datetime, zone: tzinfo) -> str:
    """Today, Yesterday, 13 Mar, or with its year where that is another one."""
    day, today = at.astimezone(zone).date(), now.astimezone(zone).date()
    if day == today:
        return "Today"
    if day == today - timedelta(days=1):
        return "Yesterday"
    return f"{day.day} {day:%b}" if day.year == today.year else formats.day(day)


def clock_words(at: datetime, zone: tzinfo) -> str:
    return formats.clock_time(at.astimezone(zone))


def moment_words(at: datetime, now: datetime, zone: tzinfo) -> str:
    return f"{day_words(at, now, zone)}, {clock_words(at, zone)}"


def ago_words(at: datetime, now: datetime) -> str:
    """2 h ago; `static/js/ages.js` counts on."""
    span = now - at
    return "just now" if span < timedelta(minutes=1) else f"{formats.age(span)} ago"


def zone_name(at: datetime, zone: tzinfo) -> str:
    """EST, CEST or UTC+3, whatever the zone is called at that moment."""
    name = at.astimezone(zone).tzname() or "UTC"
    return f"UTC{name}" if name[:1] in "+-" else name


def exact_words(at: datetime, zone: tzinfo) -> str:
    """To the millisecond: 10:12:03.214."""
    local = at.astimezone(zone)
    return f"{local:%H:%M:%S}.{local.microsecond // 1000:03d}"


def delay_words(span: timedelta) -> str:
    """How long one step took; clocks of two machines may disagree, which is said with a minus."""
    ms = span / timedelta(milliseconds=1)
    sign = formats.MINUS if ms < 0 else ""
    ms = abs(ms)
    if ms < 1000:
        return f"{sign}{ms:.1f}{formats.THIN}ms" if ms < 10 else f"{sign}{ms:.0f}{formats.THIN}ms"
    return sign + formats.age(abs(span))
