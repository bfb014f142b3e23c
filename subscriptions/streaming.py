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
from subscriptions.models import Subscription, SubscriptionQuerySet
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


def grant(user_id: uuid.UUID | None, symbols: Sequence[str]) -> Grant:
    """Allow what may be streamed; raises TierLimit or User.DoesNotExist, then nothing is allowed."""
    tickers = Ticker.objects.in_bulk(symbols, field_name="symbol")
    return _for_visitor(symbols, tickers) if user_id is None else _for_user(user_id, symbols, tickers)


def _for_visitor(symbols: Sequence[str], tickers: dict[str, Ticker]) -> Grant:
    known = [symbol for symbol in symbols if symbol in tickers and tickers[symbol].is_active]
    return Grant(
        symbols=[symbol for symbol in known if symbol in settings.DEMO_SYMBOLS],
        forbidden=[symbol for symbol in known if symbol not in settings.DEMO_SYMBOLS],
        unknown=[symbol for symbol in symbols if symbol not in known],
    )


def _for_user(user_id: uuid.UUID, symbols: Sequence[str], tickers: dict[str, Ticker]) -> Grant:
    """The watchlist freely, demo tickers at the cost of the house, others for a while within the limit.

    A ticker that has been retired goes on for those who have it and is given to nobody else.
    """
    user = User.objects.get(pk=user_id, is_active=True)
    now = timezone.now()
    mine = Subscription.objects.active(now).filter(user=user, ticker__in=tickers.values())
    held = dict(mine.values_list("ticker__symbol", "ends_at"))
    known = [
        symbol for symbol in symbols if symbol in held or (symbol in tickers and tickers[symbol].is_active)
    ]
    others = [tickers[symbol] for symbol in known if _needs_place(symbol, held)]
    if others:
        watch(user, others, until=now + KEEP_FOR)
    _touch(mine, now)
    return Grant(
        symbols=known,
        unknown=[symbol for symbol in symbols if symbol not in known],
        temporary={ticker.symbol: ticker.pk for ticker in others},
    )


def _needs_place(symbol: str, held: dict[str, datetime | None]) -> bool:
    """`held`: what has a row, and until when; None is the watchlist."""
    return symbol not in settings.DEMO_SYMBOLS and held.get(symbol, KEEP_FOR) is not None


@transaction.atomic
def _touch(rows: SubscriptionQuerySet, now: datetime) -> None:
    """They were looked at. Rows that somebody is busy with are skipped: waiting for several could be a deadlock."""
    old = rows.filter(last_accessed__lt=now - ACCESS_GRAIN).select_for_update(skip_locked=True, no_key=True)
    if ids := list(old.values_list("pk", flat=True)):
        Subscription.objects.filter(pk__in=ids).update(last_accessed=now)


def give_up(user_id: uuid.UUID | None, ticker_ids: Collection[int]) -> None:
    """A client no longer streams these; they run out soon, unless another connection of the user has them too."""
    if user_id is not None and ticker_ids:
        stop_streaming(user_id, ticker_ids)
