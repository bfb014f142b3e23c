"""Splits and renames: an alert keeps its meaning over them, and its owner is told.

Each minute the tickers are looked for that were split since their alerts were last restated; `splits_until` says up to
which day that was done. So nothing happens twice, and a split that is loaded late is followed late.

Guarantees: a threshold is restated exactly, once for each split; no alert fires because of one, since the first price
after it only sets the baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cache, partial
from pathlib import Path

from django.db import connection, transaction
from django.db.models import F, OuterRef, Subquery
from django.db.models.functions import Coalesce

from alerts import loading, telling
from alerts.committing import Written
from alerts.kinds import CHANNELS, LEVELS, Kind, Phase, Rule
from alerts.models import Alert, Notification, NotificationKind, Outbox
from alerts.wording import describe, price
from core import clock
from core.database import binary_cursor
from marketdata import demand
from marketdata.actions import action_of, ratio_text, successor, today_of
from marketdata.adjusting import adjusted_price
from marketdata.models import CorporateAction, Ticker
from marketdata.quotes import Action, ActionKind
from marketdata.splits import today as today_in_new_york

RESTATE = Path(__file__).parent / "sql" / "restate.sql"
# Alerts of one transaction.
ROWS = 1_000
# A split that comes to be known later than that is followed by nobody.
OLDEST = timedelta(days=366)
# Looked at each minute; older ones in the hour after they were loaded, which is once a day.
LATELY, JUST_LOADED = timedelta(days=3), timedelta(hours=1)
RENAMED_LATELY = timedelta(days=90)
LARGEST = Decimal(10) ** 12
PRICES = ("threshold", "lower", "upper", "reference_price", "armed_price")
PRICE_KINDS = (*LEVELS, *CHANNELS)

# Through the partial indexes, the one of the active and the one of the resting alerts.
SPLIT = """
SELECT DISTINCT split.ticker_id
  FROM marketdata_corporateaction AS split
  LEFT JOIN marketdata_quote AS quote ON quote.ticker_id = split.ticker_id
 WHERE split.kind = 'split'
   AND split.ex_date > %(today)s::date - %(oldest)s
   AND split.ex_date <= coalesce(quote.replay_date, %(today)s::date)
   AND (split.ex_date > %(today)s::date - %(lately)s OR split.loaded_at > %(loaded)s)
   AND coalesce(
       (SELECT alert.id FROM alerts_alert AS alert
         WHERE alert.ticker_id = split.ticker_id AND alert.active AND alert.splits_until < split.ex_date LIMIT 1),
       (SELECT alert.id FROM alerts_alert AS alert
         WHERE alert.ticker_id = split.ticker_id AND NOT alert.active AND alert.splits_until < split.ex_date LIMIT 1)
   ) IS NOT NULL
"""


def follow() -> int:
    """Bring all alerts up to the splits and renames that are in force; how many alerts were changed."""
    changed = sum(_follow_splits(ticker) for ticker in _split_tickers())
    return changed + sum(_follow_rename(ticker) for ticker in _renamed_tickers())


@dataclass(frozen=True, slots=True)
class _Done:
    """By one transaction."""

    changed: int
    told: list[Notification]


def _by_and_by(ids: Sequence[int], step: Callable[[Sequence[int]], _Done]) -> int:
    """Some in a transaction each, and their owners are told after it; how many were changed."""
    changed = 0
    for first in range(0, len(ids), ROWS):
        with transaction.atomic():
            done = step(ids[first : first + ROWS])
            loading.tell_changed()
        changed += done.changed
        if done.told:
            telling.tell_and_wait([], Written(set(), done.told))
    return changed


def _ids_on(ticker: Ticker) -> list[int]:
    """In the order in which they are locked. One query for each of the two indexes."""
    return sorted(
        pk
        for active in (True, False)
        for pk in Alert.objects.filter(ticker=ticker, active=active).order_by().values_list("pk", flat=True)
    )


# --- splits


def _split_tickers() -> list[Ticker]:
    with connection.cursor() as cursor:
        cursor.execute(
            SPLIT,
            {
                "today": today_in_new_york(), "oldest": OLDEST.days, "lately": LATELY.days,
                "loaded": clock.now() - JUST_LOADED,
            },
        )  # fmt: skip
        ids = [row[0] for row in cursor.fetchall()]
    return list(Ticker.objects.filter(pk__in=ids).select_related("quote").order_by("pk"))


def _follow_splits(ticker: Ticker) -> int:
    today = today_of(ticker)
    rows = list(
        ticker.actions.filter(
            kind=ActionKind.SPLIT.value, ex_date__gt=today - OLDEST, ex_date__lte=today
        ).order_by("ex_date")
    )
    splits = _Splits(ticker.symbol, today, rows, [action_of(row, ticker.symbol) for row in rows])
    return _by_and_by(_ids_on(ticker), partial(_restate, splits))


@dataclass(frozen=True, slots=True)
class _Splits:
    """Of one ticker, oldest first."""

    symbol: str
    until: date
    rows: list[CorporateAction]
    actions: list[Action]

    @property
    def last_day(self) -> date:
        return self.rows[-1].ex_date

    def words(self, since: date) -> str:
        """Of those after this day: "4:1", "1:10 and 4:1"."""
        return " and ".join(ratio_text(row) for row in self.rows if row.ex_date > since)

    def restated(self, value: Decimal | None, since: date) -> Decimal | None:
        return None if value is None else adjusted_price(value, since, self.actions, self.until)


@dataclass(frozen=True, slots=True)
class _Change:
    """Of one alert: its prices in the shares of today. `is_beyond`: there is no such price, and it is paused."""

    alert: Alert
    prices: dict[str, Decimal | None]
    is_price: bool
    is_beyond: bool = False


def _restate(splits: _Splits, ids: Sequence[int]) -> _Done:
    """In the transaction that is open. Whoever was restated meanwhile, or edited in new prices, is left alone."""
    rows = Alert.objects.select_for_update(no_key=True, of=("self",)).select_related("user")
    alerts = list(rows.filter(pk__in=ids, splits_until__lt=splits.last_day).order_by("pk"))
    if not alerts:
        return _Done(0, [])
    changes = [_change(splits, alert) for alert in alerts]
    _write(splits, changes)
    told = _tell_owners(splits, [one for one in changes if one.is_price and _is_kept(one.alert)])
    return _Done(len(changes), told)


def _change(splits: _Splits, alert: Alert) -> _Change:
    is_price = Kind(alert.kind) in PRICE_KINDS
    old = {name: getattr(alert, name) for name in PRICES}
    new = {name: splits.restated(value, alert.splits_until) for name, value in old.items()}
    if not is_price:  # percent, or how many times the volume
        new["threshold"] = old["threshold"]
    if not all(value is None or 0 < value < LARGEST for value in new.values()) or _is_flat(new):
        return _Change(alert, old, is_price, is_beyond=is_price)
    return _Change(alert, new, is_price)


def _is_flat(prices: dict[str, Decimal | None]) -> bool:
    """A channel without width."""
    return prices["lower"] is not None and prices["lower"] == prices["upper"]


def _write(splits: _Splits, changes: Sequence[_Change]) -> None:
    columns = {name: [one.prices[name] for one in changes] for name in PRICES}
    flags = {name: [getattr(one, name) for one in changes] for name in ("is_price", "is_beyond")}
    with binary_cursor() as cursor:
        cursor.execute(
            _statement(),
            {
                "id": [one.alert.pk for one in changes], **columns, **flags,
                "until": splits.until, "now": clock.now(),
            },
        )  # fmt: skip


@cache
def _statement() -> str:
    return RESTATE.read_text()


def _is_kept(alert: Alert) -> bool:
    """Whether its owner still has it in mind: not deleted, not done."""
    return alert.deleted_at is None and (alert.active or alert.is_paused)


def _tell_owners(splits: _Splits, changes: Iterable[_Change]) -> list[Notification]:
    made = Notification.objects.bulk_create(_notification(splits, one) for one in changes)
    Outbox.objects.bulk_create(
        Outbox(notification=one, priority=one.priority, due_at=one.created_at) for one in made
    )
    return made


def _notification(splits: _Splits, change: _Change) -> Notification:
    alert, now = change.alert, clock.now()
    old, new = alert.rule, _rule_of(change)
    split = f"{splits.symbol} was split {splits.words(alert.splits_until)}"
    if change.is_beyond:
        title = f"{split}: your alert at {_level(old)} is paused"
        body = "There is no such price in the new shares. Set it again to go on."
    else:
        title = f"{split}: your alert at {_level(old)} is now at {_level(new)}"
        body = f"It goes on as: {describe(new)}."
    return Notification(
        user_id=alert.user_id, kind=NotificationKind.SPLIT.value, priority=alert.priority, category=alert.category,
        title=title[:200], body=body, symbol=splits.symbol, scheduled_at=now, created_at=now,
    )  # fmt: skip


def _rule_of(change: _Change) -> Rule:
    prices = change.prices
    return replace(
        change.alert.rule, threshold=prices["threshold"], lower=prices["lower"], upper=prices["upper"]
    )


def _level(rule: Rule) -> str:
    return price(rule.threshold) if rule.kind in LEVELS else f"{price(rule.lower)} to {price(rule.upper)}"


# --- renames


def _renamed_tickers() -> list[Ticker]:
    """Those that got another symbol lately and still have alerts."""
    on_it = Alert.objects.filter(ticker_id=OuterRef("ticker_id")).order_by().values("pk")
    some = Coalesce(Subquery(on_it.filter(active=True)[:1]), Subquery(on_it.filter(active=False)[:1]))
    rows = CorporateAction.objects.filter(
        kind=ActionKind.RENAME.value,
        ticker__is_active=False,
        ex_date__gt=today_in_new_york() - RENAMED_LATELY,
        ex_date__lte=today_in_new_york(),
    )
    ids = rows.alias(some=some).filter(some__isnull=False).values_list("ticker_id", flat=True)
    return list(Ticker.objects.filter(pk__in=set(ids)).select_related("quote").order_by("pk"))


def _follow_rename(ticker: Ticker) -> int:
    """The alerts go on under the new symbol, if the directory has it."""
    new = successor(ticker)
    if new is None:
        return 0
    moved = _by_and_by(_ids_on(ticker), partial(_move, ticker, new))
    demand.changed()
    return moved


def _move(old: Ticker, new: Ticker, ids: Sequence[int]) -> _Done:
    now = clock.now()
    locked = Alert.objects.select_for_update(no_key=True).filter(pk__in=ids, ticker=old).order_by("pk")
    moved = Alert.objects.filter(pk__in=[alert.pk for alert in locked]).update(
        ticker=new,
        version=F("version") + 1,
        phase=Phase.FRESH.value,
        armed_at=now,
        armed_price=None,
        edited_at=now,
    )
    return _Done(moved, [])
