"""Dividends, splits and renames: asked of a provider once a day for each wanted ticker, kept as rows.

The newest whole answer of a provider is believed: amounts that were restated change, and a row of the same kind that it
no longer tells goes, or a split whose date was moved would count twice. What an operator entered or corrected wins: it
survives every load and hides what a provider tells of the same kind within a few days. See docs/design/history.md.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.core.cache import cache
from django.db import transaction
from django.db.models import Q, QuerySet
from kombu.exceptions import OperationalError as QueueAway

from core import clock, metrics
from marketdata.adjusting import PLACES
from marketdata.asking import ask_in_bulk
from marketdata.calendar import NEW_YORK
from marketdata.errors import InvalidSymbol, NotFound, PlanLocked, ProviderError
from marketdata.models import CorporateAction, Ticker
from marketdata.providers.base import Provider
from marketdata.providers.registry import Purpose
from marketdata.quotes import Action, ActionKind
from marketdata.symbols import canonical

logger = logging.getLogger(__name__)

OPERATOR = "operator"
LOOK_BACK = timedelta(days=30 * 366)
LOOK_AHEAD = timedelta(days=366)
# Below a day, so that a daily rhythm does not slip; after a failure sooner.
ASKED_FOR = timedelta(hours=20)
FAILED_FOR = timedelta(minutes=10)
# At most so many tasks at once: thousands of tickers spread over the hours.
QUEUED_AT_ONCE = 500
# Two providers, or an operator, may differ about the date of one and the same action by so much.
SAME_WITHIN = timedelta(days=5)
# A rename older than this does not retire a ticker: its symbol may be another company's by now.
RENAMED_LATELY = timedelta(days=90)
FACTS = (
    "amount",
    "currency",
    "split_from",
    "split_to",
    "new_symbol",
    "declared_date",
    "record_date",
    "pay_date",
)
LARGEST = Decimal(10) ** 12
Key = tuple[str, date, bool]


def ask_for(symbols: Iterable[str]) -> None:
    """Queue the loading of actions that were not asked for today, a task for each ticker."""
    from marketdata.tasks import load_actions_of  # noqa: PLC0415 -- tasks import this module

    wanted = list(symbols)
    asked = cache.get_many([_asked_key(symbol) for symbol in wanted])
    try:
        for symbol in [one for one in wanted if _asked_key(one) not in asked][:QUEUED_AT_ONCE]:
            load_actions_of.delay(symbol)
    except QueueAway:
        metrics.redis_failures.labels(used_by="queue").inc()


def load(symbol: str) -> int:
    """Ask for the actions of one ticker and store them; how many rows changed. Nothing is asked twice a day."""
    ticker = Ticker.objects.filter(symbol=symbol).first()
    if ticker is None or not claim(symbol):
        return 0
    try:
        return fetch_and_keep(ticker)
    except ProviderError as error:
        if not isinstance(error, (NotFound, PlanLocked)):
            cache.set(_asked_key(symbol), 1, FAILED_FOR.total_seconds())
        logger.info("no actions of %s: %s", symbol, error)
        return 0


def fetch_and_keep(ticker: Ticker) -> int:
    """Rows changed; raises the ProviderError that tells most."""
    today, symbol = clock.now().date(), ticker.symbol

    async def ask(provider: Provider) -> tuple[str, list[Action]]:
        told = await provider.fetch_actions(symbol, today - LOOK_BACK, today + LOOK_AHEAD)
        return provider.name, told

    return keep(ticker, *ask_in_bulk(Purpose.ACTIONS, symbol, ask))


def _asked_key(symbol: str) -> str:
    return f"actions:asked:{symbol}"


def claim(symbol: str) -> bool:
    """Whether the ticker was not asked for today; now it is."""
    return cache.add(_asked_key(symbol), 1, ASKED_FOR.total_seconds())


def keep(ticker: Ticker, provider: str, told: Sequence[Action]) -> int:
    """Bring the rows of a ticker up to a provider's whole answer; how many were written or withdrawn."""
    told = [_stored_form(action) for action in told]
    believed = {_key(action): action for action in told if _is_whole(action, ticker)}
    with transaction.atomic():
        Ticker.objects.select_for_update(no_key=True).get(pk=ticker.pk)  # one load at a time
        stored = {_key(row): row for row in ticker.actions.all()}
        by_hand = [row for row in stored.values() if row.provider == OPERATOR]
        for key in [key for key in believed if any(_is_same(key, _key(row)) for row in by_hand)]:
            del believed[key]
        changed = [_put(ticker, provider, action, stored.get(key)) for key, action in believed.items()]
        changed += [_put_former(ticker, provider, action) for action in told if _led_to(action, ticker)]
        gone = _withdraw(stored, believed)
    if gone:
        logger.warning("%s: %s no longer tells %d actions", ticker.symbol, provider, gone)
    return sum(changed) + gone


def _key(one: Action | CorporateAction) -> Key:
    return str(one.kind), one.ex_date, one.special


def _is_same(one: Key, other: Key) -> bool:
    return one[::2] == other[::2] and abs(one[1] - other[1]) <= SAME_WITHIN


def _stored_form(action: Action) -> Action:
    """In the eight decimals of the database, so that the same answer is known to be the same."""
    return replace(
        action,
        amount=_rounded(action.amount),
        split_from=_rounded(action.split_from),
        split_to=_rounded(action.split_to),
    )


def _rounded(value: Decimal | None) -> Decimal | None:
    """None for what is no positive number that the database holds."""
    if value is None or not value.is_finite() or not PLACES <= value < LARGEST:
        return None
    return value.quantize(PLACES)


def _is_whole(action: Action, ticker: Ticker) -> bool:
    """What cannot be is left out, and told: one bad line must not cost the others."""
    if _led_to(action, ticker):
        return False  # kept with the former symbol
    match action.kind:
        case ActionKind.DIVIDEND:
            whole = action.amount is not None
        case ActionKind.SPLIT:
            whole = action.split_from is not None and action.split_to is not None
        case ActionKind.RENAME:
            whole = _is_symbol(action.new_symbol) and action.new_symbol != ticker.symbol
    if not whole or action.symbol != ticker.symbol:
        logger.warning("%s: a %s of %s makes no sense", ticker.symbol, action.kind.value, action.ex_date)
        return False
    return True


def _led_to(action: Action, ticker: Ticker) -> bool:
    """Whether it is the rename by which the ticker got its symbol."""
    return (
        action.kind is ActionKind.RENAME
        and action.new_symbol == ticker.symbol != action.symbol
        and _is_symbol(action.symbol)
    )


def _put_former(ticker: Ticker, provider: str, action: Action) -> bool:
    """The rename belongs to the old symbol, which is made known, for nobody to watch, if it is not."""
    old, _ = Ticker.objects.get_or_create(
        symbol=action.symbol, defaults={**_described(ticker), "is_active": False}
    )
    row = old.actions.filter(kind=action.kind.value, ex_date=action.ex_date, special=action.special).first()
    if row is not None and row.provider == OPERATOR:
        return False
    return _put(old, provider, action, row)


def _described(ticker: Ticker) -> dict[str, str]:
    """What a ticker keeps when only its symbol changes."""
    names = ("name", "exchange", "sector", "asset_class", "currency")
    return {name: getattr(ticker, name) for name in names}


def _is_symbol(text: str) -> bool:
    try:
        return canonical(text) == text
    except InvalidSymbol:
        return False


def _put(ticker: Ticker, provider: str, action: Action, row: CorporateAction | None) -> bool:
    """Whether anything but the time of loading is new."""
    now, facts = clock.now(), {name: getattr(action, name) for name in FACTS}
    known_since = row.loaded_at if row else None
    if row is None:
        row = CorporateAction(
            ticker=ticker, kind=action.kind.value, ex_date=action.ex_date, special=action.special
        )
    is_new = known_since is None or any(getattr(row, name) != value for name, value in facts.items())
    for name, value in {**facts, "provider": provider, "loaded_at": now}.items():
        setattr(row, name, value)
    row.save()
    if is_due(row, known_since, today_of(ticker)):
        follow(row)
    return is_new


def _withdraw(stored: dict[Key, CorporateAction], believed: dict[Key, Action]) -> int:
    """Delete what the answer no longer has. A kind that it lacks altogether, and years before it, prove nothing."""
    first: dict[str, date] = {}
    for kind, day, _ in believed:
        first[kind] = min(day, first.get(kind, day))
    gone = [
        row.pk
        for key, row in stored.items()
        if row.provider != OPERATOR
        and key not in believed
        and key[0] in first
        and key[1] >= first[key[0]] - SAME_WITHIN
    ]
    return CorporateAction.objects.filter(pk__in=gone).delete()[0] if gone else 0


# --- Reading


def today_of(ticker: Ticker) -> date:
    """Up to when actions of a ticker count: the replayed day, else today in New York."""
    quote = getattr(ticker, "quote", None)
    return (quote.replay_date if quote else None) or clock.now().astimezone(NEW_YORK).date()


def visible(ticker: Ticker) -> QuerySet[CorporateAction]:
    """Also those announced for the days to come; of a replayed ticker none, the replay does not know its future."""
    quote = getattr(ticker, "quote", None)
    rows = CorporateAction.objects.filter(ticker=ticker)
    return rows.filter(ex_date__lte=quote.replay_date) if quote and quote.replay_date else rows


def action_of(row: CorporateAction, symbol: str) -> Action:
    facts = {name: getattr(row, name) for name in FACTS}
    return Action(symbol, ActionKind(row.kind), row.ex_date, special=row.special, **facts)


def shares_text(number: Decimal) -> str:
    """4 or 1.5: shares are whole more often than not."""
    return format(number.normalize(), "f")


def ratio_text(row: CorporateAction) -> str:
    """4:1, as people say it: new shares for old ones; a reverse split is 1:50."""
    return f"{shares_text(row.split_to or Decimal(0))}:{shares_text(row.split_from or Decimal(0))}"


# --- Renames


def is_due(row: CorporateAction, known_since: datetime | None, today: date) -> bool:
    """Whether a rename has come into force since it was last looked at."""
    if row.kind != ActionKind.RENAME or not today - RENAMED_LATELY < row.ex_date <= today:
        return False
    return known_since is None or known_since.astimezone(NEW_YORK).date() < row.ex_date


def follow(row: CorporateAction) -> Ticker:
    """Put the new ticker in the place of the old one, which nobody can newly watch from now on."""
    old = row.ticker
    new, _ = Ticker.objects.get_or_create(symbol=row.new_symbol, defaults=_described(old))
    Ticker.objects.filter(pk=new.pk).update(is_active=True)
    Ticker.objects.filter(pk=old.pk).update(is_active=False)
    CorporateAction.objects.filter(pk=row.pk).update(loaded_at=clock.now())
    logger.info("%s is %s since %s", old.symbol, row.new_symbol, row.ex_date)
    return new


def follow_due() -> int:
    """Renames that were announced and have come into force since, also of tickers that nobody wants; how many."""
    today = clock.now().astimezone(NEW_YORK).date()
    lately = Q(ex_date__gt=today - RENAMED_LATELY, ex_date__lte=today)
    rows = CorporateAction.objects.filter(lately, kind=ActionKind.RENAME.value, ticker__is_active=True)
    due = [
        row
        for row in rows.select_related("ticker__quote")
        if is_due(row, row.loaded_at, today_of(row.ticker))
    ]
    for row in due:
        follow(row)
    return len(due)


def successor(ticker: Ticker) -> Ticker | None:
    """The ticker that an inactive one became, over any number of renames."""
    seen: set[int] = set()
    found: Ticker | None = ticker
    while found is not None and not found.is_active and found.pk not in seen:
        seen.add(found.pk)
        renames = visible(found).filter(kind=ActionKind.RENAME.value, ex_date__lte=today_of(found))
        symbol = renames.order_by("-ex_date").values_list("new_symbol", flat=True).first()
        found = Ticker.objects.filter(symbol=symbol).select_related("quote").first() if symbol else None
    return found if found is not None and found.is_active and found.pk != ticker.pk else None
