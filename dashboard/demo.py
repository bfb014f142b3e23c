"""What an empty installation is filled with, so that there is something to see: tickers, people, what they watch."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

from accounts.models import User
from accounts.tiers import Tier
from dashboard.demo_alerts import load_alerts
from marketdata import directory, fundamentals
from marketdata.models import Ticker
from marketdata.providers import registry
from marketdata.providers.registry import Purpose
from subscriptions.watchlist import watch
from summaries import demo as texts

STAFF = "admin"
WATCHLISTS: dict[Tier, tuple[str, ...]] = {
    Tier.FREE: ("AAPL", "MSFT", "IBM"),
    Tier.PRO: ("AAPL", "MSFT", "IBM", "GOOG", "META", "SPY", "QQQ", "SCHD"),
    Tier.EXPERT: (
        *("AAPL", "MSFT", "IBM", "GOOG", "FB", "NVDA", "AMZN", "TSLA"),
        *("BRK.B", "JPM", "VTI", "SPY", "KO", "XOM", "COST"),
    ),
}


@dataclass(frozen=True, slots=True)
class Login:
    """What somebody needs to log in once; the password is stored nowhere else."""

    email: str
    password: str
    tier: str
    watches: int


def load_demo() -> list[Login]:
    """The shipped tickers, one user per tier and one staff user, with random passwords; alerts on their tickers,
    and something to read about them.
    """
    logins = _load_people()
    for (
        tier,
        symbols,
    ) in WATCHLISTS.items():  # after the commit: a price is fetched by others, who must see the tickers
        load_alerts(User.objects.get(username=tier.value), symbols)
    texts.load()
    _load_figures()
    return logins


def _load_figures() -> None:
    """Those that are invented here. A real vendor is asked by the daily round, not at the cost of a start."""
    for symbol in sorted({symbol for symbols in WATCHLISTS.values() for symbol in symbols}):
        asked = registry.candidates(symbol, purpose=Purpose.FUNDAMENTALS)
        if asked and asked[0].capabilities.simulated:
            fundamentals.load(symbol)


@transaction.atomic
def _load_people() -> list[Login]:
    directory.load(directory.read(directory.SHIPPED))
    logins = [_person(tier.value, tier, WATCHLISTS[tier]) for tier in Tier]
    return [*logins, _person(STAFF, Tier.EXPERT, (), is_staff=True)]


def _person(name: str, tier: Tier, symbols: Iterable[str], *, is_staff: bool = False) -> Login:
    password = secrets.token_urlsafe(12)
    user = User.objects.create_user(
        username=name,
        email=f"{name}@example.com",
        password=password,
        tier=tier.value,
        is_staff=is_staff,
        is_superuser=is_staff,
    )
    tickers = {ticker.symbol: ticker for ticker in Ticker.objects.filter(symbol__in=symbols)}
    watch(user, [tickers[symbol] for symbol in symbols])
    return Login(email=user.email, password=password, tier=user.limits.label, watches=len(tickers))
