"""What kind of instrument a canonical symbol names, as far as its spelling tells. Pure."""

from __future__ import annotations

import re

from marketdata.providers.base import AssetClass

_FOREX = re.compile(r"[A-Z]{6}=X")
_COIN = re.compile(r"[A-Z0-9]{1,15}-[A-Z]{3,4}")
# OCC 21: root, yymmdd, C or P, strike in thousandths of a dollar.
_OPTION = re.compile(r"[A-Z]{1,6}\d{6}[CP]\d{8}")


def asset_class_of(symbol: str) -> AssetClass:
    """A share and a fund are spelled alike: both are told as stock."""
    if symbol.startswith("^"):
        return AssetClass.INDEX
    if _FOREX.fullmatch(symbol):
        return AssetClass.FOREX
    if _COIN.fullmatch(symbol):
        return AssetClass.CRYPTO
    if _OPTION.fullmatch(symbol):
        return AssetClass.OPTION
    return AssetClass.STOCK
