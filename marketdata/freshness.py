"""How long a price is good: by the session its market is in.

    shares, funds, indexes, options    the calendar of New York
    coins                              always open
    currency pairs                     Sunday 17:00 to Friday 17:00 in New York, holidays or not
    shares of other exchanges          Monday to Friday in UTC, all day: their own calendars are not known here,
                                       and a price that is asked too often harms less than one that is too old
    replay and simulator               always open, whatever the symbol

See docs/design/quotes.md.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from marketdata import market_hours
from marketdata.calendar import NEW_YORK
from marketdata.instruments import asset_class_of, is_foreign
from marketdata.providers import registry
from marketdata.providers.base import AssetClass, Provider
from marketdata.quotes import Quote, Session

OPEN_TTL = timedelta(seconds=15)
OTHERWISE_TTL = timedelta(minutes=5)

# When the week of currencies ends on Friday, and begins on Sunday.
FOREX_TURN = time(17)


class Market(StrEnum):
    """Whose hours a price keeps; a word of the API."""

    NEW_YORK = "new_york"
    CURRENCIES = "currencies"
    WEEKDAYS = "weekdays"
    ALWAYS = "always"


def market_of(symbol: str) -> Market:
    match asset_class_of(symbol):
        case AssetClass.CRYPTO:
            return Market.ALWAYS
        case AssetClass.FOREX:
            return Market.CURRENCIES
    return Market.WEEKDAYS if is_foreign(symbol) else Market.NEW_YORK


def market_from(provider: Provider | None, symbol: str) -> Market:
    """As this provider keeps it; without one it follows from the symbol alone."""
    always = provider is not None and provider.capabilities.always_open
    return Market.ALWAYS if always else market_of(symbol)


def session_of(symbol: str, moment: datetime) -> Session:
    """The session that the market of this canonical symbol is in at an aware moment."""
    match market_of(symbol):
        case Market.ALWAYS:
            return Session.REGULAR
        case Market.CURRENCIES:
            return _open_if(_forex_trades(moment))
        case Market.WEEKDAYS:
            return _open_if(moment.astimezone(UTC).isoweekday() <= 5)
        case Market.NEW_YORK:
            return market_hours.calendar().session_at(moment)


def ttl_of(symbol: str, moment: datetime) -> timedelta:
    """How long a quote of this symbol that was fetched at this moment need not be asked for again.

    Before the open it is good until then at most: the first price of the day must not wait for minutes.
    """
    if session_of(symbol, moment) is Session.REGULAR:
        return OPEN_TTL
    if market_of(symbol) is not Market.NEW_YORK:
        return OTHERWISE_TTL
    before_open = market_hours.calendar().next_open(moment) - moment
    return max(OPEN_TTL, min(OTHERWISE_TTL, before_open))


def session_from(provider: Provider | None, symbol: str, moment: datetime) -> Session:
    """The session as this provider keeps it; without one it follows from the symbol alone."""
    is_open = market_from(provider, symbol) is Market.ALWAYS
    return Session.REGULAR if is_open else session_of(symbol, moment)


def ttl_from(provider: Provider | None, symbol: str, moment: datetime) -> timedelta:
    """How long a quote that this provider gave at this moment is good."""
    return OPEN_TTL if market_from(provider, symbol) is Market.ALWAYS else ttl_of(symbol, moment)


def provider_named(name: str) -> Provider | None:
    """None where the settings name it no more."""
    return next((one for one in registry.providers() if one.name == name), None)


def day_of(quote: Quote) -> date:
    """The day whose bar the quote belongs to: the replayed one, UTC's where the market is made up, its market's."""
    if quote.replay_date is not None:
        return quote.replay_date
    provider = provider_named(quote.provider)
    if provider is not None and provider.capabilities.simulated:
        return quote.as_of.astimezone(UTC).date()
    return trading_day_of(quote.symbol, quote.as_of)


def trading_day_of(symbol: str, moment: datetime) -> date:
    """The day that a trade at this moment belongs to: New York's for what trades there, else that of UTC."""
    if market_of(symbol) is Market.NEW_YORK:
        return market_hours.calendar().trading_day_of(moment)
    return moment.astimezone(UTC).date()


def _open_if(true: bool) -> Session:
    return Session.REGULAR if true else Session.CLOSED


def _forex_trades(moment: datetime) -> bool:
    local = moment.astimezone(NEW_YORK)
    match local.isoweekday():
        case 5:
            return local.time() < FOREX_TURN
        case 6:
            return False
        case 7:
            return local.time() >= FOREX_TURN
    return True
