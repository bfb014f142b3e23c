"""Prices in pence and cents, as London, Johannesburg and Tel Aviv tell them, become prices in the currency. Pure.

A price in pence that passes for pounds is a hundred times too high, so this is done where a vendor's answer is read.
The codes are told apart by case: GBp is pence, GBP is pounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

PER_MAJOR_UNIT = Decimal(100)
MINOR_UNITS: Mapping[str, str] = {"GBp": "GBP", "GBX": "GBP", "ZAc": "ZAR", "ILA": "ILS"}


def normalised(prices: Mapping[str, Decimal | None], currency: str) -> tuple[dict[str, Decimal | None], str]:
    """The same prices in the major unit, and its ISO code; what is told in a major unit is left as it is."""
    major = MINOR_UNITS.get(currency)
    if major is None:
        return dict(prices), currency
    return {name: None if price is None else price / PER_MAJOR_UNIT for name, price in prices.items()}, major
