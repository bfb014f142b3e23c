"""Positions as one short text, for protocols in which a client keeps only a text: the `id:` of Server-Sent Events.

`3,AAPL:1041,BRK.B:77;4,IBM:9`: by epoch, then the number of each symbol. A client hands back what it was given, or
anything else: what cannot be read is no position at all, and costs the client a snapshot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Position = tuple[int, int]

# A hundred symbols of twenty characters with long numbers are less than half of it.
MAX_LENGTH = 8_000
# Eighteen digits are below 2^63, and need no thought about how long a number takes to be read.
_NUMBER = r"[0-9]{1,18}"
_ENTRY = rf"[A-Z0-9.\-^=/]{{1,20}}:{_NUMBER}"
_GROUP = rf"{_NUMBER}(?:,{_ENTRY})+"
_TEXT = re.compile(rf"{_GROUP}(?:;{_GROUP})*")


def written(positions: Mapping[str, Position]) -> str:
    """Of canonical symbols; the same positions are the same text."""
    by_epoch: dict[int, list[str]] = {}
    for symbol, (epoch, number) in sorted(positions.items()):
        by_epoch.setdefault(epoch, []).append(f"{symbol}:{number}")
    return ";".join(f"{epoch},{','.join(entries)}" for epoch, entries in sorted(by_epoch.items()))


def read(text: str) -> dict[str, Position]:
    """The inverse of `written`; empty for any other text. Of a symbol that stands twice the last one counts."""
    if len(text) > MAX_LENGTH or not _TEXT.fullmatch(text):
        return {}
    found: dict[str, Position] = {}
    for group in text.split(";"):
        epoch, *entries = group.split(",")
        for entry in entries:
            symbol, _, number = entry.partition(":")
            found[symbol] = (int(epoch), int(number))
    return found
