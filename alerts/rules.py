"""Making and changing alerts: the only code that writes what a user says.

Who wants a place for an alert locks the user's row first and the alerts after it, by rising id; the limit is exact
that way. A plain lock, as the evaluation takes one as well: whoever comes second sees what the first has done. What
changes the condition arms the alert anew, as a new version: a fire that was decided on the old one is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from accounts.models import User
from alerts import checking, loading
from alerts.errors import AlertLimit, Expired, FieldError, InvalidRule, NoPrice, UnknownTicker
from alerts.kinds import DIRECTIONS, LEVELS, Kind, Priority, first_phase
from alerts.models import Alert
from alerts.states import has_place, is_done, is_expired, takes_a_place
from core import clock
from marketdata import demand
from marketdata.actions import today_of
from marketdata.calendar import NEW_YORK
from marketdata.lookup import get_quotes
from marketdata.models import Quote as QuoteRow
from marketdata.models import Ticker
from marketdata.quotes import Quote
from marketdata.symbols import canonical

# A price that nobody knows yet is waited for so long.
PRICE_PATIENCE_S = 2.0
PRICE_STEP = Decimal("0.00000001")
PRICES = frozenset({"threshold", "threshold_percent", "lower", "upper"})
# Changes of these arm anew; of the other options they make a new version, which stands as it stood.
ARMING = frozenset({*checking.CONDITION, "mode", "rearm_band"})
VERSIONED = frozenset({*ARMING, *checking.OPTIONS})


# --- one alert


def create(user: User, fields: Mapping[str, Any]) -> Alert:
    """`fields` as a client wrote them, with `symbol`; raises what `draft` does, and AlertLimit."""
    alert = draft(user, fields)
    with transaction.atomic():
        owner = _lock_user(user.pk)
        now = clock.now()
        _check_room(owner, 1, now)
        alert.created_at = now
        _arm(alert, now)
        alert.save(force_insert=True)
        _tell()
    return alert


def draft(user: User, fields: Mapping[str, Any]) -> Alert:
    """What `create` would make, not saved; raises InvalidRule, InvalidSymbol, UnknownTicker and NoPrice."""
    ticker = _ticker(fields)
    now = clock.now()
    values = checking.checked(fields, now)
    values |= _priced(values, _reference(ticker.symbol, fields))
    alert = Alert(user=user, ticker=ticker, splits_until=_in_shares_of(ticker), **_columns(values))
    _arm(alert, now)
    return alert


def edit(alert: Alert, fields: Mapping[str, Any]) -> Alert:
    """Change what `fields` names and keep the rest; raises Alert.DoesNotExist and what `create` raises.

    Whoever means another ticker makes another alert. One that was done or had run out may need a place again.
    """
    _check_same_ticker(alert, fields)
    given = {name: fields[name] for name in checking.FIELDS if name in fields}
    reference = _reference(alert.ticker.symbol, given)
    shares_of = _in_shares_of(alert.ticker)
    with transaction.atomic():
        owner = _lock_user(alert.user_id)
        row = _locked(alert.user_id, [alert.pk]).get()
        columns = _columns(_merged(row, given, reference))
        changed = {name for name, value in columns.items() if getattr(row, name) != value}
        if changed:
            _follow_splits_from(row, changed, shares_of)
            _change(row, owner, {name: columns[name] for name in changed})
            row.save()
            _tell()
    return row


def _follow_splits_from(row: Alert, changed: Collection[str], shares_of: date) -> None:
    """An edge of a channel that stays may be in newer shares than the other one: it is not restated twice."""
    if PRICES & set(changed):
        stays = any(getattr(row, name) is not None and name not in changed for name in ("lower", "upper"))
        row.splits_until = max(row.splits_until, shares_of) if stays else shares_of


def _change(row: Alert, owner: User, columns: Mapping[str, Any]) -> None:
    now = clock.now()
    had_place, was_done = has_place(row, now), is_done(row)
    for name, value in columns.items():
        setattr(row, name, value)
    row.edited_at = now
    if not VERSIONED & columns.keys():
        return
    row.version += 1
    idle = not (row.active or row.is_paused or was_done)
    if not is_expired(row, now) and (idle or ARMING & columns.keys()):
        _arm(row, now)
    if has_place(row, now) and not had_place:
        _check_room(owner, 1, now)


def duplicate(user: User, ids: Iterable[int]) -> list[Alert]:
    """New alerts with the same rules, armed; all of them or, with AlertLimit, none."""
    with transaction.atomic():
        owner = _lock_user(user.pk)
        rows = list(_locked(user.pk, ids))
        now = clock.now()
        _check_room(owner, len(rows), now)
        copies = [_copy(row, now) for row in rows]
        Alert.objects.bulk_create(copies)
        _tell()
    return copies


def _copy(row: Alert, now: datetime) -> Alert:
    kept = (*checking.FIELDS, "direction", "reference_price", "splits_until")
    copy = Alert(user=row.user, ticker=row.ticker, created_at=now)
    for name in kept:
        setattr(copy, name, getattr(row, name))
    if is_expired(row, now):
        copy.expires_at = None
    _arm(copy, now)
    return copy


# --- many at once: those that are not the user's are left out; each returns those that it has changed


def pause(user: User, ids: Iterable[int]) -> list[Alert]:
    with transaction.atomic():
        rows = [row for row in _locked(user.pk, ids) if row.active]
        now = clock.now()
        for row in rows:
            row.is_paused, row.active, row.edited_at = True, False, now
        return _saved(rows, "is_paused", "active", "edited_at")


def resume(user: User, ids: Iterable[int]) -> list[Alert]:
    """What is paused or done is armed, what is snoozed wakes up; what is at work stays as it is.

    Raises AlertLimit, and Expired where all of them have run out.
    """
    with transaction.atomic():
        owner = _lock_user(user.pk)
        rows = list(_locked(user.pk, ids))
        now = clock.now()
        living = [row for row in rows if not is_expired(row, now)]
        if rows and not living:
            raise Expired(max(row.expires_at for row in rows if row.expires_at is not None))
        resting = [row for row in living if not row.active or row.snoozed_until is not None]
        _check_room(owner, sum(not has_place(row, now) for row in resting), now)
        _check_work(owner, sum(not row.active for row in resting), now)
        for row in resting:
            _wake(row, now)
        return _saved(resting, *ARMED, "is_paused", "snoozed_until")


def _wake(row: Alert, now: datetime) -> None:
    """Who was only snoozed has been evaluated all the while, and stands as it stands."""
    row.version += 1
    row.edited_at = now
    row.snoozed_until = None
    if not row.active:
        row.is_paused = False
        _arm(row, now)


def snooze(user: User, ids: Iterable[int], until: object) -> list[Alert]:
    """Silent until then: what happens meanwhile is not told later. Raises InvalidRule."""
    with transaction.atomic():
        now = clock.now()
        moment = checking.until(until, now)
        rows = [row for row in _locked(user.pk, ids) if row.active and not is_expired(row, now)]
        for row in rows:
            row.snoozed_until, row.version, row.edited_at = moment, row.version + 1, now
        return _saved(rows, "snoozed_until", "version", "edited_at")


def delete(user: User, ids: Iterable[int]) -> list[Alert]:
    """`restore` undoes it."""
    with transaction.atomic():
        rows = list(_locked(user.pk, ids))
        now = clock.now()
        for row in rows:
            row.deleted_at, row.active, row.edited_at = now, False, now
        return _saved(rows, "deleted_at", "active", "edited_at")


def restore(user: User, ids: Iterable[int]) -> list[Alert]:
    """As they were before they were deleted; those that were at work are armed anew. Raises AlertLimit."""
    with transaction.atomic():
        owner = _lock_user(user.pk)
        rows = list(_locked(user.pk, ids, deleted=True))
        now = clock.now()
        alive = [row for row in rows if not is_expired(row, now) and (row.is_paused or not is_done(row))]
        _check_room(owner, len(alive), now)
        for row in rows:
            row.deleted_at, row.edited_at = None, now
        for row in alive:
            row.version += 1
            _arm(row, now)
        return _saved(rows, *ARMED, "deleted_at")


def on_time_zone_changed(user: User, **_: object) -> None:
    """The evaluation reads again what counts the user's days."""
    with transaction.atomic():
        rows = [row for row in _locked(user.pk, None) if row.active]
        for row in rows:
            row.edited_at = clock.now()
        _saved(rows, "edited_at")


# --- what they have in common

ARMED = ("active", "phase", "version", "armed_at", "armed_price", "edited_at")


def _arm(alert: Alert, now: datetime) -> None:
    """From `now` on, unless it is paused."""
    alert.active = not alert.is_paused
    alert.phase = first_phase(Kind(alert.kind)).value
    alert.armed_at = alert.edited_at = now
    alert.armed_price = None


def _locked(user_id: UUID, ids: Iterable[int] | None, *, deleted: bool = False) -> QuerySet[Alert]:
    """Rows of this user (None: all) by rising id, locked until the end of the transaction."""
    rows = Alert.objects.select_for_update(no_key=True, of=("self",)).select_related("user", "ticker")
    rows = rows.filter(user_id=user_id, deleted_at__isnull=not deleted).order_by("pk")
    return rows if ids is None else rows.filter(pk__in=list(ids))


def _saved(rows: Sequence[Alert], *columns: str) -> list[Alert]:
    if rows:
        Alert.objects.bulk_update(rows, columns)
        _tell()
    return list(rows)


def _tell() -> None:
    """On commit; whoever is not reached then looks by himself within a second."""
    loading.tell_changed()
    transaction.on_commit(demand.changed)


# --- the limit


def _lock_user(user_id: UUID) -> User:
    return User.objects.select_for_update(no_key=True).get(pk=user_id)


def _check_room(owner: User, wanted: int, now: datetime) -> None:
    """`owner` is locked."""
    in_use = places_in_use(owner, now)
    if wanted and in_use + wanted > owner.limits.max_alerts:
        raise AlertLimit(owner.tier, in_use)


def _check_work(owner: User, more: int, now: datetime) -> None:
    """After a change to a smaller plan there are more alerts than it has room for, and some are paused."""
    working = Alert.objects.filter(takes_a_place(now), user=owner, active=True).count()
    if more and working + more > owner.limits.max_alerts:
        raise AlertLimit(owner.tier, working)


def places_in_use(user: User, now: datetime) -> int:
    return Alert.objects.filter(takes_a_place(now), user=user).count()


# --- from fields to columns


def _ticker(fields: Mapping[str, Any]) -> Ticker:
    if fields.get("symbol") in (None, ""):
        raise InvalidRule({"symbol": FieldError("required", "Choose a ticker.")})
    symbol = canonical(fields["symbol"])
    ticker = Ticker.objects.select_related("quote").filter(symbol=symbol, is_active=True).first()
    if ticker is None:
        raise UnknownTicker(symbol)
    return ticker


def _check_same_ticker(alert: Alert, fields: Mapping[str, Any]) -> None:
    if fields.get("symbol") in (None, "") or canonical(fields["symbol"]) == alert.ticker.symbol:
        return
    raise InvalidRule(
        {"symbol": FieldError("invalid", "An alert stays with its ticker. Make another one for this.")}
    )


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """As they are stored: plain words and numbers, and which way a level lies."""
    columns = {name: getattr(value, "value", value) for name, value in values.items()}
    return {**columns, "direction": DIRECTIONS.get(values["kind"], 0)}


def _reference(symbol: str, fields: Mapping[str, Any]) -> Decimal | None:
    """The last known price, where percent of it were given; raises NoPrice."""
    if fields.get("threshold_percent") in (None, ""):
        return None
    quote = get_quotes([symbol], most_s=PRICE_PATIENCE_S)[symbol]
    if not isinstance(quote, Quote):
        raise NoPrice(symbol)
    return quote.price


def _in_shares_of(ticker: Ticker) -> date:
    """The day of the price that its owner sees: on the morning of a split that is still the one of before it."""
    today, last = today_of(ticker), getattr(ticker, "quote", None)
    if last is None or last.replay_date or _day_of(last) >= today:
        return today
    asked = get_quotes([ticker.symbol], patience_s=PRICE_PATIENCE_S, most_s=PRICE_PATIENCE_S)
    quote = asked[ticker.symbol]
    return min(today, _day_of(quote if isinstance(quote, Quote) else last))


def _day_of(quote: Quote | QuoteRow) -> date:
    return quote.as_of.astimezone(NEW_YORK).date()


def _priced(values: Mapping[str, Any], reference: Decimal | None) -> dict[str, Decimal | None]:
    """The price that is meant, where the level was given in percent."""
    percent = values["threshold_percent"]
    if percent is None or reference is None:
        return {"reference_price": None}
    threshold = (reference * (1 + percent / 100)).quantize(PRICE_STEP)
    if not 0 < threshold < checking.PRICES_BELOW:
        raise InvalidRule({"threshold_percent": FieldError("out_of_range", "That is no price any more.")})
    return {"threshold": threshold, "reference_price": reference}


def _merged(row: Alert, given: Mapping[str, Any], reference: Decimal | None) -> dict[str, Any]:
    """What is given, on top of what is; a level that stays keeps the price that its percent were taken of."""
    old: dict[str, Any] = {name: getattr(row, name) for name in checking.FIELDS}
    old |= {"priority": Priority(row.priority), "threshold_percent": None, "expires_at": None}
    given = _without_same_level(row, given)
    kind_stays = _measure(given.get("kind") or row.kind) == _measure(row.kind)
    level_stays = kind_stays and not {"threshold", "threshold_percent"} & given.keys()
    if not level_stays:
        old["threshold"] = None
    values = checking.checked({**old, **given}, clock.now())
    if level_stays:
        values |= {"threshold_percent": row.threshold_percent, "reference_price": row.reference_price}
    else:
        values |= _priced(values, reference)
    return values if "expires_at" in given else {**values, "expires_at": row.expires_at}


def _without_same_level(row: Alert, given: Mapping[str, Any]) -> dict[str, Any]:
    """Whoever sends back what he was told, price and percent, changes neither."""
    level = ("threshold", "threshold_percent")
    same = all(checking.as_decimal(given.get(name)) == getattr(row, name) for name in level)
    if same and row.threshold_percent is not None:
        return {name: value for name, value in given.items() if name not in level}
    return dict(given)


def _measure(kind: Any) -> str:
    """What the threshold of a kind is a number of; a price is no percentage."""
    return "price" if kind in LEVELS else str(kind)
