"""What the vendors' spellings of symbols have in common: the parts of our own. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from marketdata.errors import InvalidSymbol
from marketdata.symbols import canonical

# One letter after a dot is a share class, except where it is an exchange: London, Frankfurt, Tokyo, TSX Venture.
ONE_LETTER_EXCHANGES = frozenset("LFTV")
# Exchanges that trade in pence and cents as well as in pounds: a price from there without its currency is no price.
MINOR_UNIT_EXCHANGES = frozenset({"L", "IL", "JO", "TA"})
# What stands after the dot without being an exchange or a share class: warrants, units, rights.
KINDS = frozenset({"WS", "U", "UN", "RT"})


class Parts(NamedTuple):
    """RCI.B.TO is root RCI, share class B, exchange TO."""

    root: str
    share_class: str = ""
    exchange: str = ""


@lru_cache(maxsize=20_000)
def is_canonical(symbol: str) -> bool:
    try:
        return canonical(symbol) == symbol
    except InvalidSymbol:
        return False


def ours(text: object) -> str | None:
    """The canonical symbol that a vendor's spelling means, or None."""
    try:
        return canonical(text)
    except InvalidSymbol:
        return None


def parts_of(symbol: str) -> Parts:
    """The parts of a canonical share or fund."""
    root, *rest = symbol.split(".")
    if len(rest) == 2:
        return Parts(root, rest[0], rest[1])
    if not rest:
        return Parts(root)
    return Parts(root, share_class=rest[0]) if _is_class(rest[0]) else Parts(root, exchange=rest[0])


def currency_guess(symbol: str) -> str:
    """Dollars for what is not spelled with another exchange or another currency; empty for what is: not known."""
    if symbol.endswith("=X"):
        return symbol[3:6]
    if "-" in symbol:
        return symbol.rpartition("-")[2]
    return "" if parts_of(symbol).exchange else "USD"


def _is_class(suffix: str) -> bool:
    if len(suffix) == 1:
        return suffix not in ONE_LETTER_EXCHANGES
    is_preferred = len(suffix) <= 3 and suffix.startswith("PR")
    return suffix in KINDS or is_preferred or (len(suffix) == 3 and suffix.startswith("WS"))
