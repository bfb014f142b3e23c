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


def session_of(symbol: str, moment: datetime) -> Session:
    """The session that the market of this canonical symbol is in at an aware moment."""
    match asset_class_of(symbol):
        case AssetClass.CRYPTO:
            return Session.REGULAR
        case AssetClass.FOREX:
            return _open_if(_forex_trades(moment))
    if is_foreign(symbol):
        return _open_if(moment.astimezone(UTC).isoweekday() <= 5)
    return market_hours.calendar().session_at(moment)


def ttl_of(symbol: str, moment: datetime) -> timedelta:
    """How long a quote of this symbol that was fetched at this moment need not be asked for again.

    Before the open it is good until then at most: the first price of the day must not wait for minutes.
    """
    if session_of(symbol, moment) is Session.REGULAR:
        return OPEN_TTL
    if not follows_new_york(symbol):
        return OTHERWISE_TTL
    before_open = market_hours.calendar().next_open(moment) - moment
    return max(OPEN_TTL, min(OTHERWISE_TTL, before_open))


def session_from(provider: Provider | None, symbol: str, moment: datetime) -> Session:
    """The session as this provider keeps it; without one it follows from the symbol alone."""
    return Session.REGULAR if _is_always_open(provider) else session_of(symbol, moment)


def ttl_from(provider: Provider | None, symbol: str, moment: datetime) -> timedelta:
    """How long a quote that this provider gave at this moment is good."""
    return OPEN_TTL if _is_always_open(provider) else ttl_of(symbol, moment)


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
    if follows_new_york(symbol):
        return market_hours.calendar().trading_day_of(moment)
    return moment.astimezone(UTC).date()


def follows_new_york(symbol: str) -> bool:
    return asset_class_of(symbol) not in {AssetClass.CRYPTO, AssetClass.FOREX} and not is_foreign(symbol)


def _is_always_open(provider: Provider | None) -> bool:
    return provider is not None and provider.capabilities.always_open


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
