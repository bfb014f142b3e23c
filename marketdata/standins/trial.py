"""A stand-in that trades by itself, for trying a vendor's settings without an account: see `manage.py standin`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from random import Random

from marketdata.standins.alpaca import AlpacaStandIn
from marketdata.standins.alpha_vantage import AlphaVantageStandIn
from marketdata.standins.base import StandIn
from marketdata.standins.finnhub import FinnhubStandIn
from marketdata.standins.massive import MassiveStandIn
from marketdata.standins.stream import StreamStandIn, Trade
from marketdata.standins.yahoo import YahooStandIn

KINDS: Mapping[str, type[StandIn]] = {
    kind.vendor: kind
    for kind in (AlpacaStandIn, MassiveStandIn, FinnhubStandIn, AlphaVantageStandIn, YahooStandIn)
}
KEY, SECRET = "standin-key", "standin-secret"
SECOND_S = 1.0
# Hundredths of a percent that a price moves in a second, at most.
STEP = 5


def standin_of(vendor: str) -> StandIn:
    """A stand-in with the default market and the key that `settings_of` names."""
    return KINDS[vendor](key=KEY, secret=SECRET if vendor == "alpaca" else "")


def settings_of(standin: StandIn) -> dict[str, str]:
    """The environment that leads Onetape to it."""
    prefix = standin.vendor.upper()
    chosen = {"MARKETDATA_PROVIDERS": f"{standin.vendor},simulator"}
    if standin.vendor == "alpaca":
        chosen |= {"ALPACA_KEY_ID": KEY, "ALPACA_SECRET_KEY": SECRET, "ALPACA_DATA_URL": standin.url}
    elif isinstance(standin, YahooStandIn):
        chosen |= {"YAHOO_ENABLED": "1", "YAHOO_URL": standin.url, "YAHOO_COOKIE_URL": standin.cookie_url}
    elif isinstance(standin, FinnhubStandIn):
        chosen |= {"FINNHUB_API_KEY": KEY, "FINNHUB_URL": standin.rest_url}
    else:
        chosen |= {f"{prefix}_API_KEY": KEY, f"{prefix}_URL": standin.url}
    if standin.vendor == "massive":
        chosen["MASSIVE_PLAN"] = "advanced"  # the free one has no prices of today
    if isinstance(standin, StreamStandIn):
        chosen[f"{prefix}_STREAM_URL"] = standin.stream_url
    return chosen


async def trade(standin: StandIn, rng: Random) -> None:
    """Once a second every price of its market moves a little, and streams; for ever."""
    number = 0
    while True:
        trades = []
        for symbol, listed in list(standin.market.listed.items()):
            number += 1
            price = moved(listed.price, rng)
            volume = listed.volume + 100
            high, low = max(listed.high, price), min(listed.low, price)
            standin.market.put(symbol, price=price, high=high, low=low, bid=price, ask=price, volume=volume)
            trades.append(Trade(symbol, price, id=number))
        if isinstance(standin, StreamStandIn):
            await standin.sell(*trades)
        await asyncio.sleep(SECOND_S)


def moved(price: Decimal, rng: Random) -> Decimal:
    """By at most five hundredths of a percent, in steps of the price's own fineness, never to nothing."""
    fine = Decimal(1).scaleb(int(price.as_tuple().exponent))
    return max(fine, (price * (1 + Decimal(rng.randint(-STEP, STEP)) / 10_000)).quantize(fine))
