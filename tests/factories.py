"""Rows for tests, each with sensible values and only what the test cares about spelled out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count

from allauth.account.models import EmailAddress

from accounts.models import User
from accounts.tiers import Tier
from alerts.kinds import DIRECTIONS, Kind, Phase, first_phase
from alerts.models import Alert
from marketdata import store
from marketdata.models import DailyBar, MinuteBar, Ticker
from marketdata.models import Quote as QuoteRow
from subscriptions.models import Subscription, WatchInterval

PASSWORD = "correct-horse-7"
_numbers = count(1)


def make_user(username: str = "", tier: str = Tier.FREE.value, password: str | None = None, **fields) -> User:
    """Without a password nothing is hashed, which is slow on purpose: log in with `client.force_login`."""
    username = username or f"user{next(_numbers)}"
    user = User(username=username, email=f"{username.lower()}@example.com", tier=tier)
    for name, value in fields.items():
        setattr(user, name, value)
    if password is None:
        user.set_unusable_password()
    else:
        user.set_password(password)
    user.save()
    return user


def prove_address(user: User) -> None:
    """The account's address is known to be the user's."""
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)


def make_staff(username: str = "staff") -> User:
    return make_user(username, is_staff=True, is_superuser=True)


def make_ticker(symbol: str = "", **fields) -> Ticker:
    symbol = symbol or f"T{next(_numbers)}"
    return Ticker.objects.create(symbol=symbol, **{"name": f"{symbol} Inc.", "exchange": "NYSE", **fields})


def make_quote(ticker: Ticker, price: str = "100", **fields) -> QuoteRow:
    now = datetime.now(UTC)
    values = {
        "price": Decimal(price),
        "as_of": now,
        "received_at": now,
        "expires_at": now + timedelta(minutes=5),
        "provider": "simulator",
        **fields,
    }
    return QuoteRow.objects.create(ticker=ticker, **values)


def make_daily_bar(ticker: Ticker, day: date, close: str = "100") -> DailyBar:
    store._made.clear()  # the partitions of an earlier test were rolled back with it
    store.ensure_months([day])
    price = Decimal(close)
    return DailyBar.objects.create(
        ticker=ticker, day=day, open=price, high=price + 1, low=price - 1, close=price, volume=1000
    )


def make_minute_bar(ticker: Ticker, start: datetime, close: str = "100") -> MinuteBar:
    price = Decimal(close)
    return MinuteBar.objects.create(
        ticker=ticker, start=start, open=price, high=price + 1, low=price - 1, close=price, volume=10
    )


def make_subscription(user: User, ticker: Ticker, **fields) -> Subscription:
    return Subscription.objects.create(user=user, ticker=ticker, **fields)


def make_interval(user: User, ticker: Ticker, **fields) -> WatchInterval:
    return WatchInterval.objects.create(
        user=user, ticker=ticker, **{"started_at": datetime.now(UTC), **fields}
    )


def make_alert(
    user: User, ticker: Ticker, kind: Kind = Kind.ABOVE, threshold: str | None = "100", **fields
) -> Alert:
    """As `rules.create` makes it; a phase, the moments and whatever else the test cares about may be given."""
    now = datetime.now(UTC)
    values = {
        "threshold": None if threshold is None else Decimal(threshold),
        "phase": first_phase(kind).value,
        "direction": DIRECTIONS.get(kind, 0),
        "armed_at": now,
        "splits_until": now.date(),
        **fields,
    }
    return Alert.objects.create(user=user, ticker=ticker, kind=kind.value, **values)


def make_armed_alert(user: User, ticker: Ticker, threshold: str = "100", **fields) -> Alert:
    """A crossing that a tick on the near side has armed."""
    return make_alert(
        user, ticker, fields.pop("kind", Kind.CROSSES_ABOVE), threshold, phase=Phase.ARMED.value, **fields
    )
