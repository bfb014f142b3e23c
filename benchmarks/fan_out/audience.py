"""Who follows what: people of the highest tier, logged in, each with several of the tickers after Zipf's law."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.utils.crypto import get_random_string

from accounts.models import User
from accounts.tiers import Tier
from benchmarks.harness.population import BATCH, make_tickers, make_users
from benchmarks.harness.taste import Taste
from marketdata.models import Ticker
from subscriptions.models import Subscription

SEED = 20_260_105


@dataclass(frozen=True)
class Fan:
    """One connection: the header that proves who it is (or none), and positions in the list of symbols."""

    cookie: str
    follows: tuple[int, ...]
    group: int = 0


@dataclass(frozen=True)
class Audience:
    symbols: list[str]
    fans: list[Fan]

    @cached_property
    def followers(self) -> list[int]:
        """Of each symbol, in the order of `symbols`."""
        counted = Counter(position for fan in self.fans for position in fan.follows)
        return [counted[position] for position in range(len(self.symbols))]


def tastes(people: int, tickers: int, each: int) -> list[tuple[int, ...]]:
    taste = Taste(tickers, random.Random(SEED))
    return [tuple(taste.several(each)) for _ in range(people)]


def strangers(symbols: Sequence[str], follows: Sequence[tuple[int, ...]]) -> Audience:
    """The same wishes without accounts, for the naive way, which asks nobody who he is."""
    return Audience(list(symbols), [Fan("-", one) for one in follows])


def logged_in(tickers: int, follows: Sequence[tuple[int, ...]], groups: Sequence[int] = ()) -> Audience:
    """Real accounts with watchlists and sessions; written in bulk, as one by one would take longer than the rest."""
    rows = make_tickers(tickers, "FAN")
    users = make_users(len(follows), "fan", [Tier.EXPERT])
    watch(users, rows, follows)
    cookies = [f"{settings.SESSION_COOKIE_NAME}={key}" for key in sessions_of(users)]
    fans = [
        Fan(cookie, one, groups[number] if groups else 0)
        for number, (cookie, one) in enumerate(zip(cookies, follows, strict=True))
    ]
    return Audience([row.symbol for row in rows], fans)


def watch(users: Sequence[User], rows: Sequence[Ticker], follows: Sequence[tuple[int, ...]]) -> None:
    Subscription.objects.bulk_create(
        (
            Subscription(user=user, ticker=rows[position])
            for user, one in zip(users, follows, strict=True)
            for position in one
        ),
        batch_size=BATCH,
    )


def sessions_of(users: Sequence[User]) -> list[str]:
    """A session key for each, as a login would have made it."""
    store = SessionStore()
    kept = [store.get_model_class()(**_session(store, user)) for user in users]
    store.get_model_class().objects.bulk_create(kept, batch_size=BATCH)
    return [one.session_key for one in kept]


def _session(store: SessionStore, user: User) -> dict[str, object]:
    data = {
        SESSION_KEY: str(user.pk),
        BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
        HASH_SESSION_KEY: user.get_session_auth_hash(),
    }
    return {
        "session_key": get_random_string(32, "abcdefghijklmnopqrstuvwxyz0123456789"),
        "session_data": store.encode(data),
        "expire_date": store.get_expiry_date(),
    }
