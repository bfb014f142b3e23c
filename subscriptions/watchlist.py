"""Watching and unwatching: the only code that writes subscriptions. The limit holds under any concurrency.

Each operation is one statement, a function in the database (see subscriptions/sql/), so that the count and the
insert happen under one lock. Nothing is counted by hand: the rows are the truth.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection, transaction
from django.db.models import CharField, Count, IntegerField, Q, QuerySet, Value
from django.utils import timezone

from accounts.models import User
from accounts.tiers import LIMITS, Tier, limits_of
from marketdata import demand
from marketdata.freshness import OPEN_TTL
from marketdata.models import Ticker
from subscriptions.errors import TierLimit
from subscriptions.models import Subscription, WatchInterval

# For the database, which reads the user's tier under its lock.
ALLOWED = json.dumps({tier.value: limits.max_tickers for tier, limits in LIMITS.items()})
# Locked at once while what they no longer stream is ended.
PEOPLE_AT_ONCE = 500


def watch(user: User, tickers: Sequence[Ticker], *, until: datetime | None = None) -> None:
    """All of these tickers or none; those already watched stay. Raises TierLimit and changes nothing then.

    With `until` the rows end by themselves: a ticker that is streamed without being on the watchlist. Such rows
    never keep the watchlist from growing: the oldest of them end where it needs their place.
    Raises User.DoesNotExist when there is no such active user any more.
    """
    symbols = {ticker.pk: ticker.symbol for ticker in tickers}
    if not symbols:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT in_use, added, tier, room FROM subscriptions_watch(%s, %s, %s, %s)",
            [user.pk, sorted(symbols), ALLOWED, until],
        )
        answer = cursor.fetchone()
    if answer is None:
        raise User.DoesNotExist
    in_use, added, tier, room = answer
    if not room:
        raise TierLimit(tier, in_use, [symbol for pk, symbol in symbols.items() if pk in added])
    transaction.on_commit(demand.changed)


def unwatch(user: User, tickers: Iterable[Ticker]) -> int:
    """How many subscriptions ended; a ticker that was not watched is no error."""
    return _call("SELECT subscriptions_unwatch(%s, %s)", user.pk, (ticker.pk for ticker in tickers))


def stop_streaming(user_id: uuid.UUID, ticker_ids: Iterable[int]) -> int:
    """Let those run out that are streamed without being watched; another connection may still renew them."""
    return _call("SELECT subscriptions_run_out(%s, %s)", user_id, ticker_ids)


def _call(statement: str, user_id: uuid.UUID, ticker_ids: Iterable[int]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, [user_id, sorted(set(ticker_ids))])
        (rows,) = cursor.fetchone()
    transaction.on_commit(demand.changed)
    return int(rows)


def watched(user: User) -> QuerySet[Subscription]:
    """The watchlist, oldest first, dormant rows included."""
    return (
        Subscription.objects.lasting()
        .filter(user=user)
        .select_related("ticker")
        .order_by("dormant", "subscribed_at", "ticker_id")
    )


def count(user: User) -> int:
    """What counts against the limit: the watchlist and what is streamed beside it, without dormant rows."""
    return Subscription.objects.active().filter(user=user).count()


@transaction.atomic
def trim(user: User) -> None:
    """After a change of tier: the longest watched tickers stay awake up to the limit, the rest sleep, none is lost.

    What is only streamed ends where there is no room beside the watchlist.
    """
    tier = User.objects.select_for_update(no_key=True).values_list("tier", flat=True).get(pk=user.pk)
    limit = limits_of(tier).max_tickers
    now = timezone.now()
    rows = Subscription.objects.filter(user=user).order_by("subscribed_at", "ticker_id")
    lasting = list(rows.lasting())
    streamed = list(rows.filter(ends_at__gt=now))
    _sleep(user, [row for row in lasting[limit:] if not row.dormant], now)
    _wake(user, [row for row in lasting[:limit] if row.dormant], now)
    too_many = streamed[max(0, limit - len(lasting)) :]
    _close_intervals(user, too_many, now)
    Subscription.objects.filter(pk__in=[row.pk for row in too_many]).delete()
    transaction.on_commit(demand.changed)


def _sleep(user: User, rows: Sequence[Subscription], now: datetime) -> None:
    _close_intervals(user, rows, now)
    Subscription.objects.filter(pk__in=[row.pk for row in rows]).update(dormant=True)


def _wake(user: User, rows: Sequence[Subscription], now: datetime) -> None:
    Subscription.objects.filter(pk__in=[row.pk for row in rows]).update(dormant=False)
    WatchInterval.objects.bulk_create(
        [WatchInterval(user=user, ticker_id=row.ticker_id, started_at=now) for row in rows],
        ignore_conflicts=True,
    )


def _close_intervals(user: User, rows: Sequence[Subscription], now: datetime) -> None:
    tickers = [row.ticker_id for row in rows]
    WatchInterval.objects.filter(user=user, ended_at__isnull=True, ticker__in=tickers).update(ended_at=now)


def end_expired() -> int:
    """Delete streamed rows whose time is over and close their intervals at that time; how many there were."""
    total = 0
    while gone := _end_some_expired():
        total += gone
    return total


def _end_some_expired() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT subscriptions_end_expired(%s)", [PEOPLE_AT_ONCE])
        return int(cursor.fetchone()[0])


def wanted_by_people() -> QuerySet[Subscription, tuple[int, int, str]]:
    """The demand of all subscriptions, for `marketdata.demand`."""
    return Subscription.objects.active().values_list(
        "ticker_id",
        Value(OPEN_TTL.seconds, output_field=IntegerField()),
        Value("watched", output_field=CharField()),
    )


def on_tier_changed(user: User, **_: object) -> None:
    trim(user)


def trim_all() -> int:
    """Make every watchlist fit its tier, whatever was missed; how many users were not as they should be.

    The signal of a change of tier is lost when its process dies right after the commit; this finds it.
    """
    found = 0
    for tier in Tier:
        limit = limits_of(tier).max_tickers
        counts = Q(subscription__dormant=False) & (
            Q(subscription__ends_at__isnull=True) | Q(subscription__ends_at__gt=timezone.now())
        )
        awake = Count("subscription", filter=counts)
        asleep = Count("subscription", filter=Q(subscription__dormant=True))
        for user in (
            User.objects.filter(tier=tier.value)
            .annotate(awake=awake, asleep=asleep)
            .filter(Q(awake__gt=limit) | Q(asleep__gt=0, awake__lt=limit))
        ):
            trim(user)
            found += 1
    return found
