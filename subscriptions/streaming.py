"""What a connection may stream: watched tickers, others for a while within the limit, demo symbols for visitors."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from marketdata.models import Ticker
from subscriptions.models import Subscription
from subscriptions.watchlist import stop_streaming, watch

# A ticker that is streamed without being watched is given up this long after its connection went.
KEEP_FOR = timedelta(minutes=10)
# `last_accessed` need not be truer than this.
ACCESS_GRAIN = timedelta(minutes=1)


@dataclass
class Grant:
    """What was allowed; `temporary`: symbol and ticker id of those that are not on the watchlist."""

    symbols: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    forbidden: list[str] = field(default_factory=list)
    temporary: dict[str, int] = field(default_factory=dict)


Asked = tuple[uuid.UUID | None, Sequence[str]]


@dataclass(frozen=True)
class _Known:
    """What the database says about all who ask together."""

    tickers: dict[str, tuple[int, bool]]
    users: set[uuid.UUID]
    held: dict[uuid.UUID, dict[str, datetime | None]]


def take_places(user_id: uuid.UUID | None, granted: Grant) -> None:
    """For those that are not watched: within the limit, under the lock of this user only. Raises TierLimit or
    User.DoesNotExist, and then nothing is allowed."""
    if user_id is not None and granted.temporary:
        tickers = Ticker.objects.filter(pk__in=granted.temporary.values())
        user = User.objects.get(pk=user_id, is_active=True)
        watch(user, list(tickers), until=timezone.now() + KEEP_FOR)


def grant_many(asked: Sequence[Asked]) -> list[Grant | BaseException]:
    """For many who ask at once, in a fixed number of queries; what is `temporary` still has to take its place."""
    now = timezone.now()
    known = _look_up(asked, now)
    answers = [_answer(user_id, symbols, known) for user_id, symbols in asked]
    _touch(known.users, {ticker for ticker, _ in known.tickers.values()}, now)
    return answers


def _look_up(asked: Sequence[Asked], now: datetime) -> _Known:
    symbols = {symbol for _, those in asked for symbol in those}
    rows = Ticker.objects.filter(symbol__in=symbols).values_list("symbol", "pk", "is_active")
    tickers = {symbol: (pk, active) for symbol, pk, active in rows}
    asking = {user_id for user_id, _ in asked if user_id is not None}
    if not asking:
        return _Known(tickers, set(), {})
    users = set(User.objects.filter(pk__in=asking, is_active=True).values_list("pk", flat=True))
    held: dict[uuid.UUID, dict[str, datetime | None]] = {user: {} for user in users}
    mine = Subscription.objects.active(now).filter(user__in=users, ticker__symbol__in=symbols)
    for user, symbol, ends_at in mine.values_list("user_id", "ticker__symbol", "ends_at"):
        held[user][symbol] = ends_at
    return _Known(tickers, users, held)


def _answer(user_id: uuid.UUID | None, symbols: Sequence[str], known: _Known) -> Grant | BaseException:
    if user_id is None:
        return _for_visitor(symbols, known)
    if user_id not in known.users:
        return User.DoesNotExist()
    return _for_user(user_id, symbols, known)


def _for_visitor(symbols: Sequence[str], known: _Known) -> Grant:
    offered = [symbol for symbol in symbols if known.tickers.get(symbol, (0, False))[1]]
    return Grant(
        symbols=[symbol for symbol in offered if symbol in settings.DEMO_SYMBOLS],
        forbidden=[symbol for symbol in offered if symbol not in settings.DEMO_SYMBOLS],
        unknown=[symbol for symbol in symbols if symbol not in offered],
    )


def _for_user(user_id: uuid.UUID, symbols: Sequence[str], known: _Known) -> Grant:
    """The watchlist freely, demo tickers at the cost of the house, others for a while within the limit.

    A ticker that has been retired goes on for those who have it and is given to nobody else.
    """
    held = known.held[user_id]
    offered = [symbol for symbol in symbols if symbol in held or known.tickers.get(symbol, (0, False))[1]]
    others = [symbol for symbol in offered if _needs_place(symbol, held)]
    return Grant(
        symbols=offered,
        unknown=[symbol for symbol in symbols if symbol not in offered],
        temporary={symbol: known.tickers[symbol][0] for symbol in others},
    )


def _needs_place(symbol: str, held: dict[str, datetime | None]) -> bool:
    """`held`: what has a row, and until when; None is the watchlist."""
    return symbol not in settings.DEMO_SYMBOLS and held.get(symbol, KEEP_FOR) is not None


@transaction.atomic
def _touch(users: Collection[uuid.UUID], tickers: Collection[int], now: datetime) -> None:
    """They were looked at. Rows that somebody is busy with are skipped: waiting for several could be a deadlock."""
    if not users:
        return
    mine = Subscription.objects.active(now).filter(user__in=users, ticker__in=tickers)
    old = mine.filter(last_accessed__lt=now - ACCESS_GRAIN).select_for_update(skip_locked=True, no_key=True)
    if ids := list(old.values_list("pk", flat=True)):
        Subscription.objects.filter(pk__in=ids).update(last_accessed=now)


def give_up(user_id: uuid.UUID | None, ticker_ids: Collection[int]) -> None:
    """A client no longer streams these; they run out soon, unless another connection of the user has them too."""
    if user_id is not None and ticker_ids:
        stop_streaming(user_id, ticker_ids)
