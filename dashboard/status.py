"""The page of data health: what anybody may know of the prices, the tape and the providers; more for staff."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from redis.exceptions import RedisError

from core import clock, metrics
from core.outages import DATABASE_ERRORS
from marketdata import health, market_hours
from marketdata.calendar import NEW_YORK
from marketdata.health import Condition, PriceHealth, ProviderHealth
from marketdata.providers import attempts
from marketdata.quotes import Session

# What staff sees of the chain on this page; the administration has all that is kept.
ATTEMPTS_SHOWN = 10
WORDS = {
    Condition.OK: "answers",
    Condition.IDLE: "not asked lately",
    Condition.WAITING: "rate-limited",
    Condition.DOWN: "away",
}
# The dot beside the words: the same states as a price's age has.
DOTS = {
    Condition.OK: "live",
    Condition.IDLE: "closed",
    Condition.WAITING: "stale",
    Condition.DOWN: "stale",
}
OLD_AFTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """One provider in words."""

    label: str
    words: str
    dot: str
    detail: str
    until: datetime | None
    attribution: str
    health: ProviderHealth


@dataclass(frozen=True, slots=True)
class Status:
    """`problems` is empty when all is well; a part that could not be read is None and a problem."""

    now: datetime
    market: str
    tape_alive: bool
    problems: Sequence[str]
    prices: PriceHealth | None = None
    hit_percent: float | None = None
    providers: Sequence[ProviderRow] = ()
    attempts: Sequence[dict[str, Any]] = field(default=())


# The page is public and asks for everything that is wanted: many visitors cost one look.
KEPT_S = 3.0
_kept: dict[bool, tuple[float, Status]] = {}


def status_lately(*, staff: bool) -> Status:
    """`status_of`, at most three seconds ago."""
    now = clock.monotonic()
    kept = _kept.get(staff)
    if kept is None or kept[0] < now:
        kept = _kept[staff] = (now + KEPT_S, status_of(staff=staff))
    return kept[1]


def status_of(*, staff: bool) -> Status:
    """Never raises for a server that is away: that is what the page is for."""
    problems: list[str] = []
    prices = _prices(problems)
    rows = _providers(problems)
    alive = health.tape_alive()
    if not alive:
        problems.append("The live feed stands still: prices are the last known ones.")
    rate = health.hit_rate()
    return Status(
        now=clock.now(),
        market=market_words(clock.now()),
        tape_alive=alive,
        problems=problems,
        prices=prices,
        hit_percent=None if rate is None else round(100 * rate, 1),
        providers=rows,
        attempts=_attempts() if staff else (),
    )


def _prices(problems: list[str]) -> PriceHealth | None:
    try:
        found = health.prices()
    except DATABASE_ERRORS:
        metrics.database_failures.labels(used_by="status").inc()
        problems.append("The database does not answer: pages show what is in memory.")
        return None
    if found.oldest is not None and found.oldest > OLD_AFTER:
        problems.append(f"The price of {found.oldest_symbol} has not been checked for a while.")
    return found


def _providers(problems: list[str]) -> list[ProviderRow]:
    try:
        found = health.providers()
    except DATABASE_ERRORS:
        return []  # said already
    except RedisError:
        metrics.redis_failures.labels(used_by="status").inc()
        problems.append("The cache does not answer: pages show stored prices, and nothing moves.")
        return []
    rows = [_row(one) for one in found]
    problems.extend(_troubles(found))
    return rows


def _troubles(found: Sequence[ProviderHealth]) -> Iterator[str]:
    for one in found:
        label = one.provider.capabilities.label
        if one.condition is Condition.DOWN:
            yield f"{label} gives no usable answer; the next provider is asked, or prices stay as they were."
        if one.condition is Condition.WAITING:
            yield f"{label} asks us to wait; until then the next provider is asked, or prices stay as they are."


def _row(one: ProviderHealth) -> ProviderRow:
    capabilities = one.provider.capabilities
    return ProviderRow(
        label=capabilities.label,
        words=WORDS[one.condition],
        dot=DOTS[one.condition],
        detail=one.why if one.condition is Condition.DOWN else "",
        until=one.until,
        attribution="not real prices" if capabilities.simulated else capabilities.attribution,
        health=one,
    )


def _attempts() -> list[dict[str, Any]]:
    try:
        return [{**run, "at": datetime.fromisoformat(run["at"])} for run in attempts.recent(ATTEMPTS_SHOWN)]
    except RedisError:
        return []  # said already


def market_words(now: datetime) -> str:
    """What the New York market is doing, with the time of its next change there."""
    calendar = market_hours.calendar()
    session = calendar.session_at(now)
    if session is Session.REGULAR:
        closes = calendar.closes(calendar.trading_day_of(now))
        return f"Open until {_there(closes, now)}" if closes else "Open"
    opens = _there(calendar.next_open(now), now)
    name = {Session.PRE: "Before the open", Session.POST: "After the close"}.get(session, "Closed")
    return f"{name}; opens {opens}"


def _there(moment: datetime, now: datetime) -> str:
    local, today = moment.astimezone(NEW_YORK), now.astimezone(NEW_YORK).date()
    return f"{local:%H:%M}" if local.date() == today else f"{local:%A %H:%M}"
