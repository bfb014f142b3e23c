"""What kind of instrument a canonical symbol names, as far as its spelling tells. Pure."""

from __future__ import annotations

import re
from functools import lru_cache

from marketdata.providers.base import AssetClass

_FOREX = re.compile(r"[A-Z]{6}=X")
_COIN = re.compile(r"[A-Z0-9]{1,15}-[A-Z]{3,4}")
# OCC 21: root, yymmdd, C or P, strike in thousandths of a dollar.
_OPTION = re.compile(r"[A-Z]{1,6}\d{6}[CP]\d{8}")
# Exchanges outside the United States, as Yahoo spells them after the last dot; what else stands there is a share
# class, a warrant or a unit of New York.
_EXCHANGES = frozenset(
    [
        *[
            "AS",
            "AT",
            "AX",
            "BA",
            "BE",
            "BK",
            "BO",
            "BR",
            "CA",
            "CN",
            "CO",
            "CR",
            "DE",
            "DU",
            "F",
            "HA",
            "HE",
            "HK",
        ],
        *[
            "HM",
            "IC",
            "IL",
            "IR",
            "IS",
            "JK",
            "JO",
            "KL",
            "KQ",
            "KS",
            "L",
            "LS",
            "MC",
            "MI",
            "MU",
            "MX",
            "NE",
            "NS",
        ],
        *[
            "NZ",
            "OL",
            "PA",
            "PR",
            "QA",
            "RG",
            "RO",
            "SA",
            "SG",
            "SI",
            "SN",
            "SR",
            "SS",
            "ST",
            "SW",
            "SZ",
            "T",
            "TA",
        ],
        *["TL", "TO", "TW", "TWO", "V", "VI", "VS", "WA"],
    ]
)


@lru_cache(maxsize=20_000)
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


@lru_cache(maxsize=20_000)
def is_foreign(symbol: str) -> bool:
    """Whether it is listed on an exchange outside the United States: 0700.HK, RCI.B.TO."""
    _, dot, suffix = symbol.rpartition(".")
    return bool(dot) and suffix in _EXCHANGES
