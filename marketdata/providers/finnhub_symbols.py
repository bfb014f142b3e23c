"""How Finnhub spells instruments. Pure.

Coins are quoted as Binance trades them, in Tether: BTC-USD is asked as BINANCE:BTCUSDT. Finnhub tells coins by
exchange, and that is the one whose symbols its quotes are known to answer; Tether has stayed within a percent of the
dollar, but it is not the dollar. Currency pairs are OANDA's: EURUSD=X is asked as OANDA:EUR_USD.
Its quotes tell no currency, so shares of exchanges that also trade in pence are not covered.
"""

from __future__ import annotations

from marketdata.instruments import asset_class_of
from marketdata.providers.base import AssetClass
from marketdata.providers.spelling import MINOR_UNIT_EXCHANGES, parts_of

COVERED = frozenset({AssetClass.STOCK, AssetClass.ETF, AssetClass.CRYPTO, AssetClass.FOREX})


def spelled(symbol: str) -> str | None:
    """How Finnhub spells a canonical symbol; None where it has none, or none that we know."""
    kind = asset_class_of(symbol)
    if kind not in COVERED or symbol.endswith("=F"):
        return None
    if kind is AssetClass.FOREX:
        return f"OANDA:{symbol[:3]}_{symbol[3:6]}"
    if kind is AssetClass.CRYPTO:
        coin, _, money = symbol.partition("-")
        return f"BINANCE:{coin}USDT" if money == "USD" else None
    return None if parts_of(symbol).exchange in MINOR_UNIT_EXCHANGES else symbol
