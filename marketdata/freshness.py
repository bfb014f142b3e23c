"""How long a price is good: by the session its market is in."""

from __future__ import annotations

from datetime import datetime, timedelta

from marketdata.instruments import asset_class_of
from marketdata.providers.base import AssetClass
from marketdata.providers.sessions import session_at as new_york_session
from marketdata.quotes import Session, microseconds

OPEN_TTL = timedelta(seconds=15)
OTHERWISE_TTL = timedelta(minutes=5)


def session_of(symbol: str, moment: datetime) -> Session:
    """The session that the market of this canonical symbol is in at an aware moment."""
    if asset_class_of(symbol) is AssetClass.CRYPTO:
        return Session.REGULAR
    return new_york_session(microseconds(moment))


def ttl_of(symbol: str, moment: datetime) -> timedelta:
    """How long a quote of this symbol that was fetched at this moment need not be asked for again."""
    return OPEN_TTL if session_of(symbol, moment) is Session.REGULAR else OTHERWISE_TTL
