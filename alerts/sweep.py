"""The safety net under the engine: once more over what the minute bars have reached, in SQL.

`runalerts` fires at once. So whatever is still armed, was so when a minute began, and was exceeded in it, has been
missed: while the process was down, or in a hole of the tick stream. Only levels are found (above, below and the
crossings); what else an alert can look at is decided by ticks alone.

Guarantees: a level that a settled minute has exceeded fires once, whoever sweeps at the same time; an alert that was
made, edited, armed or wanted again within a minute never fires for it; the window stays until the commit that has
looked through it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Min

from alerts import committing, loading, telling
from alerts.committing import Written
from alerts.conditions import allowed, moment
from alerts.engine import Effect, Watched
from alerts.kinds import DIRECTIONS, Phase
from alerts.models import Position, Source, Sweep
from core import clock
from core.database import binary_cursor
from marketdata import market_hours, splits
from marketdata.calendar import NEW_YORK
from marketdata.models import CorporateAction, Ticker
from marketdata.providers import registry
from marketdata.providers.base import AssetClass
from marketdata.quotes import ActionKind, Session, microseconds

SQL = Path(__file__).parent / "sql"
NAME = "levels"
MINUTE, MINUTE_US = timedelta(minutes=1), 60_000_000
# After its end a minute is written within a second; corrections and a slow writer come later.
SETTLED = timedelta(seconds=10)
# A runner that has not come so far by then finds a hole in the stream anyway, which holds about a minute.
UNREAD = timedelta(seconds=75)
# Minutes that were written late, as after an outage of the database, are looked at again.
AGAIN = timedelta(minutes=5)
# What was missed longer ago than that is no news.
OLDEST = timedelta(days=1)
# Alerts of one transaction, and of one statement of it: while one runs, the next one is made ready.
MOST, AT_ONCE = 10_000, 2_500
# Whose hours are not those of New York: all their bars are of a regular session.
ELSEWHERE = [AssetClass.CRYPTO.value, AssetClass.FOREX.value]


@dataclass(frozen=True, slots=True)
class Window:
    """Minutes that begin at `since` or later and before `until`; of a delayed ticker as much earlier as it is late."""

    since: datetime
    until: datetime
    only: Collection[int] | None = None

    def values(self) -> dict[str, Any]:
        return {
            "since": self.since, "until": self.until, "only": None if self.only is None else sorted(self.only),
            "without": _split_in(self), "regular": _regular(self), "always_open": _always_open(),
            "elsewhere": ELSEWHERE, "today": splits.today(),
        }  # fmt: skip


def run() -> Written:
    """Look through what has settled since the last run; another one that is at it is left alone."""
    window, done, after = None, Written(set(), []), 0
    while True:
        with transaction.atomic():
            row = _row()
            if row is not None and window is None:
                window = _window(row.until, clock.now())
            if row is None or window is None or row.until >= window.until:
                return done
            found = _look(window, after)
            if found.is_last:
                Sweep.objects.filter(pk=NAME).update(until=window.until)
        _tell(done, found)
        if found.is_last:
            return done
        after = found.ids[-1]


def over(symbols: Collection[str], since: datetime, until: datetime) -> Written:
    """The same over a hole in the stream: everything that has been written of these minutes, settled or not."""
    tickers = Ticker.objects.filter(symbol__in=list(symbols)).values_list("pk", flat=True)
    window = Window(_floor(since), _floor(until) + MINUTE, set(tickers))
    done, after = Written(set(), []), 0
    while True:
        with transaction.atomic():
            found = _look(window, after)
        _tell(done, found)
        if found.is_last:
            return done
        after = found.ids[-1]


@dataclass(frozen=True, slots=True)
class _Found:
    """By one transaction."""

    ids: list[int]
    effects: list[Effect]
    written: Written

    @property
    def is_last(self) -> bool:
        return len(self.ids) < MOST


def _look(window: Window, after: int) -> _Found:
    """In the transaction that is open: what is reached, locked, looked at again, and written."""
    ids = _reached(window, after)
    effects = _missed(window, ids) if ids else []
    if not effects:
        return _Found(ids, effects, Written(set(), []))
    effects.sort(key=lambda effect: effect.priority)
    written = committing.write(
        effects, f"sweep {window.until.isoformat()}", edited_at=clock.now(), most=AT_ONCE
    )
    loading.tell_changed()
    return _Found(ids, effects, written)


def _tell(done: Written, found: _Found) -> None:
    """After the commit."""
    done.add(found.written)
    if found.effects:
        telling.tell_and_wait(found.effects, found.written)


# --- which minutes


def _row() -> Sweep | None:
    """Locked until the commit; None: somebody else sweeps. The first one begins with the minutes to come."""
    Sweep.objects.get_or_create(pk=NAME, defaults={"until": _floor(clock.now())})
    return Sweep.objects.select_for_update(skip_locked=True).filter(pk=NAME).first()


def _window(looked_until: datetime, now: datetime) -> Window | None:
    until = _settled(now)
    if until <= looked_until:
        return None
    return Window(max(looked_until - AGAIN, now - OLDEST), until)


def _settled(now: datetime) -> datetime:
    """Minutes that end by then are written, and the alerts of each shard have come that far or will not come."""
    read = Position.objects.aggregate(at=Min("at"))["at"]
    settled = now - SETTLED
    if read is not None:
        settled = min(settled, max(read - SETTLED, now - UNREAD))
    return _floor(settled)


def _floor(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


# --- what is known of them


def _split_in(window: Window) -> list[int]:
    """Tickers whose bars of the window, or whose alerts, may stand on two bases."""
    days = window.since.astimezone(NEW_YORK).date(), window.until.astimezone(NEW_YORK).date()
    rows = CorporateAction.objects.filter(kind=ActionKind.SPLIT.value, ex_date__range=days)
    begins = microseconds(window.since)
    found = rows.values_list("ticker_id", "ex_date")
    return sorted({ticker for ticker, day in found if splits.morning_of(day) >= begins})


def _regular(window: Window) -> str:
    """The regular sessions of New York around the window, as PostgreSQL writes them."""
    calendar = market_hours.calendar()
    ranges, at = [], window.since - OLDEST
    while at < window.until:
        span = calendar.span_at(at)
        if span.session is Session.REGULAR:
            ranges.append(f"[{span.start.isoformat()},{span.end.isoformat()})")
        at = span.end
    return f"{{{','.join(ranges)}}}"


def _always_open() -> list[str]:
    """Providers that sell a market of their own, such as the replay."""
    return [one.name for one in registry.providers() if one.capabilities.always_open]


# --- the two questions


@cache
def statement(name: str) -> str:
    return (SQL / f"sweep_{name}.sql").read_text()


def _reached(window: Window, after: int) -> list[int]:
    with binary_cursor() as cursor:
        cursor.execute(statement("reached"), {**window.values(), "after": after, "most": MOST})
        return [row[0] for row in cursor.fetchall()]  # type: ignore[misc]


def _missed(window: Window, ids: Sequence[int]) -> list[Effect]:
    with binary_cursor() as cursor:
        cursor.execute(statement("missed"), {**window.values(), "ids": list(ids)})
        return [_effect(loading.watched(row[:-3]), *row[-3:]) for row in cursor.fetchall()]  # type: ignore[arg-type]


def _effect(alert: Watched, start_us: int, low: Decimal, high: Decimal) -> Effect:
    """A fire, or the phase of one that is not wanted. It happened somewhere within the minute.

    Not later than now, though a hole may end in a running minute: ticks from before a phase began do not count for it.
    """
    ends_us = min(start_us + MINUTE_US, clock.now_us())
    effect = Effect(
        alert.id, alert.version, alert.symbol, alert.priority, alert.rule, alert.phase, Phase.WAITING, fires=True,
        at_us=ends_us, price=high if DIRECTIONS[alert.rule.kind] > 0 else low,
        armed_us=alert.armed_us, armed_price=alert.armed_price, fire_seq=alert.fire_seq, source=Source.SWEEP.value,
        extra={"start": moment(start_us).isoformat(), "low": str(low), "high": str(high)},
    )  # fmt: skip
    last = moment(alert.last_fired_us) if alert.last_fired_us else None
    for at_us in (start_us, ends_us - 1):
        allowance = allowed(alert.rule, moment(at_us), last, alert.last_fired_day)
        effect.day, effect.refusal = allowance.day, effect.refusal or allowance.refusal
    effect.fires = not effect.refusal
    return effect
