"""How Massive spells instruments: stocks plainly, everything else behind a letter that names its market.

Only spellings known for certain are translated. A share on another exchange than an American one is not sold here,
and a lower case letter in a ticker means something (`ABRpD` is a preferred share, `ABRPD` would be another company).
"""

from __future__ import annotations

import re
from functools import lru_cache

from marketdata.instruments import asset_class_of
from marketdata.providers.base import AssetClass
from marketdata.providers.spelling import is_canonical

INDEXES = {"^GSPC": "I:SPX", "^DJI": "I:DJI", "^NDX": "I:NDX", "^VIX": "I:VIX"}
_INDEX_NAMES = {ticker: symbol for symbol, ticker in INDEXES.items()}
# A share class, a unit, a warrant. Further single letters name exchanges in our spelling: VOD.L, 7203.T.
_SHARE = re.compile(r"[A-Z]{1,6}(?:\.(?:[A-E]|U|WS))?")
_PREFERRED = re.compile(r"([A-Z]{1,6})\.PR([A-Z])")
_PREFERRED_TICKER = re.compile(r"([A-Z]{1,6})p([A-Z])")
# What coins are priced in; the longer ones first, since BTCUSDT does not end with a coin's name and USD.
_COIN_MONEY = ("USDC", "USDT", "USD", "EUR", "GBP", "JPY", "AUD", "CAD", "CHF", "BRL", "BTC", "ETH")


@lru_cache(maxsize=20_000)
def ticker_of(symbol: str) -> str | None:
    """Massive's ticker of a canonical symbol; None where it has none, or none that we know."""
    match asset_class_of(symbol):
        case AssetClass.INDEX:
            return INDEXES.get(symbol)
        case AssetClass.FOREX:
            return f"C:{symbol.removesuffix('=X')}"
        case AssetClass.CRYPTO:
            return f"X:{symbol.replace('-', '')}"
        case AssetClass.OPTION:
            return f"O:{symbol}"
        case _:
            return _share_ticker(symbol)


@lru_cache(maxsize=20_000)
def symbol_of(ticker: str) -> str | None:
    """The canonical symbol of one of Massive's tickers; None where there is none."""
    market, separator, name = ticker.partition(":")
    if not separator:
        return _share_symbol(ticker)
    match market:
        case "I":
            return _INDEX_NAMES.get(ticker)
        case "C" if re.fullmatch(r"[A-Z]{6}", name):
            return f"{name}=X"
        case "X":
            return _coin_symbol(name)
        case "O" if asset_class_of(name) is AssetClass.OPTION:
            return name
        case _:
            return None


def _share_ticker(symbol: str) -> str | None:
    if preferred := _PREFERRED.fullmatch(symbol):
        return f"{preferred[1]}p{preferred[2]}"
    return symbol if _SHARE.fullmatch(symbol) else None


def _share_symbol(ticker: str) -> str | None:
    if preferred := _PREFERRED_TICKER.fullmatch(ticker):
        return f"{preferred[1]}.PR{preferred[2]}"
    return ticker if _SHARE.fullmatch(ticker) and is_canonical(ticker) else None


def _coin_symbol(name: str) -> str | None:
    for money in _COIN_MONEY:
        if name.endswith(money) and name != money:
            symbol = f"{name.removesuffix(money)}-{money}"
            return symbol if is_canonical(symbol) else None
    return None
