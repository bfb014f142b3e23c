"""Two vendors with real protocols on loopback, selling the same market at the same prices."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

from django.conf import settings

from marketdata.standins.alpaca import AlpacaStandIn
from marketdata.standins.base import StandIn
from marketdata.standins.market import Market
from marketdata.standins.massive import MassiveStandIn

KEY, SECRET = "benchmark-key", "benchmark-secret"
SNAPSHOTS = {"alpaca": ("/v2/stocks/snapshots", "symbols"), "massive": ("/v3/snapshot", "ticker.any_of")}


@dataclass(frozen=True)
class Vendors:
    """`main` is asked first."""

    main: StandIn
    next: StandIn

    def asked(self, standin: StandIn, since: int = 0) -> Counter[str]:
        """How often it was asked for a quote of each symbol."""
        path, parameter = SNAPSHOTS[standin.vendor]
        return Counter(
            symbol
            for one in standin.asked[since:]
            if one.path == path
            for symbol in one.params[parameter].split(",")
        )


@contextmanager
def open_for_business(symbols: Sequence[str]) -> Iterator[Vendors]:
    """Both run in threads of this process; the settings of it and of its children lead to them."""
    market = Market()
    pattern = market.listed["AAPL"]
    for number, symbol in enumerate(symbols):
        price = Decimal(1_000 + number).scaleb(-2)
        market.listed[symbol] = replace(
            pattern, symbol=symbol, price=price, open=price, high=price, low=price, previous_close=price,
            bid=price - Decimal("0.01"), ask=price + Decimal("0.01"),
        )  # fmt: skip
    main, other = (
        AlpacaStandIn(market, key=KEY, secret=SECRET),
        MassiveStandIn(market, key=KEY),
    )
    main.feeds = {"sip"}
    with main.in_thread(), other.in_thread():
        _lead_to(main, other)
        yield Vendors(main, other)


def _lead_to(main: StandIn, other: StandIn) -> None:
    chosen = {
        "MARKETDATA_PROVIDERS": "alpaca,massive",
        "ALPACA_KEY_ID": KEY,
        "ALPACA_SECRET_KEY": SECRET,
        "ALPACA_PLAN": "algo-trader-plus",
        "ALPACA_DATA_URL": main.url,
        "ALPACA_STREAM_URL": main.stream_url,
        "MASSIVE_API_KEY": KEY,
        "MASSIVE_PLAN": "advanced",
        "MASSIVE_URL": other.url,
        "MASSIVE_STREAM_URL": other.stream_url,
    }
    os.environ.update(chosen)
    for name, value in chosen.items():
        setattr(settings, name, value.split(",") if name == "MARKETDATA_PROVIDERS" else value)
