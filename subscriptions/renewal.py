"""Every 20 s: streamed tickers stay wanted while their connections live, and rights that went are taken back.

One process checks all its connections together: a fixed number of queries, whatever their number.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts.credentials import Login, still_valid
from accounts.models import User
from accounts.tiers import limits_of
from marketdata.models import Ticker
from subscriptions.errors import Refused, TierLimit
from subscriptions.streaming import KEEP_FOR
from subscriptions.watchlist import watch

# Sooner than the 30 s after which a row ends that another connection of the same user gave up (run_out.sql).
RENEW_EVERY_S = 20.0

# Under the locks of their users, like everything that writes these rows; a user who is busy is done one by one.
RENEW = """
WITH live AS (SELECT * FROM unnest(%(users)s::uuid[], %(tickers)s::bigint[]) AS l (user_id, ticker_id)),
     people AS (SELECT u.id FROM accounts_user AS u WHERE u.id = ANY (%(users)s::uuid[]) AND u.is_active
                 ORDER BY u.id FOR NO KEY UPDATE SKIP LOCKED)
UPDATE subscriptions_subscription AS s SET ends_at = greatest(s.ends_at, %(until)s::timestamptz)
  FROM live JOIN people ON people.id = live.user_id
 WHERE s.user_id = live.user_id AND s.ticker_id = live.ticker_id AND NOT s.dormant
   AND s.ends_at > clock_timestamp()
RETURNING s.user_id, s.ticker_id
"""
WATCHLISTS = """
SELECT s.user_id, array_agg(t.symbol) FILTER (WHERE NOT s.dormant), array_agg(t.symbol) FILTER (WHERE s.dormant)
  FROM subscriptions_subscription AS s JOIN marketdata_ticker AS t ON t.id = s.ticker_id
 WHERE s.user_id = ANY (%s::uuid[]) AND s.ends_at IS NULL
 GROUP BY s.user_id
"""

Pair = tuple[uuid.UUID, int]


@dataclass(frozen=True)
class Held:
    """What one connection has, as it was when the check began; `temporary` as in `streaming.Grant`."""

    login: Login
    symbols: frozenset[str]
    temporary: Mapping[str, int]


@dataclass(frozen=True)
class Verdict:
    """`ended`: nobody is logged in there any more. Else `lost` says which symbols go, and why; `tier` is today's."""

    ended: Refused | None = None
    tier: str = ""
    lost: Sequence[Refused] = ()


@dataclass(frozen=True)
class Watched:
    awake: frozenset[str] = frozenset()
    dormant: frozenset[str] = frozenset()


@dataclass
class _Findings:
    """What the database says about everybody who is connected."""

    logins: Mapping[Login, User]
    watched: Mapping[uuid.UUID, Watched]
    refused: Collection[Pair] = field(default_factory=set)


def review(held: Sequence[Held]) -> list[Verdict]:
    """Renew what these connections stream; a verdict for each of them."""
    if not held:
        return []
    logins = still_valid({one.login for one in held})
    users = {user.pk: user for user in logins.values()}
    found = _Findings(logins=logins, watched=_watched(users))
    present = [one for one in held if one.login in logins]
    found.refused = _renew(_to_renew(present, found), users)
    return [_verdict(one, found) for one in held]


def _verdict(held: Held, found: _Findings) -> Verdict:
    user = found.logins.get(held.login)
    if user is None:
        return Verdict(ended=_ended(held.login))
    watched = found.watched.get(user.pk, Watched())
    unpaid = held.symbols - watched.awake - set(settings.DEMO_SYMBOLS)
    asleep = {
        symbol
        for symbol in unpaid
        if (
            (user.pk, held.temporary[symbol]) in found.refused
            if symbol in held.temporary
            else symbol in watched.dormant
        )
    }
    gone = unpaid - asleep - held.temporary.keys()
    limits = limits_of(user.tier)
    lost = []
    if asleep:
        message = (
            f"Your {limits.label} plan has room for {limits.max_tickers} tickers: these are no longer live."
        )
        lost.append(Refused("tier_limit", message, sorted(asleep)))
    if gone:
        message = "No longer on your watchlist. Subscribe again to stream without watching."
        lost.append(Refused("not_watched", message, sorted(gone)))
    return Verdict(tier=user.tier, lost=lost)


def _ended(login: Login) -> Refused:
    if login.api_key_id is not None:
        return Refused("session_ended", "This API key is no longer valid. Connect again with another one.")
    return Refused("session_ended", "You are logged out. Log in and connect again.")


# --- what they may stream


def _watched(user_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Watched]:
    with connection.cursor() as cursor:
        cursor.execute(WATCHLISTS, [list(user_ids)])
        return {
            user: Watched(frozenset(awake or ()), frozenset(dormant or ()))
            for user, awake, dormant in cursor.fetchall()
        }


def _to_renew(held: Iterable[Held], found: _Findings) -> set[Pair]:
    return {
        (one.login.user_id, ticker)
        for one in held
        for symbol, ticker in one.temporary.items()
        if symbol not in found.watched.get(one.login.user_id, Watched()).awake
    }


def _renew(streamed: Collection[Pair], users: Mapping[uuid.UUID, User]) -> set[Pair]:
    """Push the ends away, and grant again what ended meanwhile; answers what was refused."""
    if not streamed:
        return set()
    until = timezone.now() + KEEP_FOR
    who, what = zip(*streamed, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(RENEW, {"users": list(who), "tickers": list(what), "until": until})
        renewed = set(cursor.fetchall())
    missing = sorted(set(streamed) - renewed)
    tickers = Ticker.objects.in_bulk({ticker for _, ticker in missing})
    return {pair for pair in missing if not _grant_again(users[pair[0]], tickers.get(pair[1]), until)}


def _grant_again(user: User, ticker: Ticker | None, until: datetime) -> bool:
    if ticker is None:
        return False
    try:
        watch(user, [ticker], until=until)
    except (TierLimit, User.DoesNotExist):
        return False
    return True
