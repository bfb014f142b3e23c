"""Alpaca's news: articles of Benzinga as HTML, at most fifty in a page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from marketdata.company import News
from marketdata.providers.alpaca_answers import moment_of
from marketdata.providers.company_reading import about, address, text
from marketdata.providers.spelling import is_canonical
from marketdata.providers.spelling import ours as canonical_or_none

PATH = "/v1beta1/news"
PER_PAGE = 50
# Coins are spelled without a sign between them and the dollar, here only.
_COIN = re.compile(r"([A-Z0-9]{2,6})USDT?")


def spelled(symbol: str) -> str:
    return symbol.replace("-", "")


def ours(told: Any) -> str | None:
    """The canonical symbol; no share of the United States has more than five letters."""
    name = text(told)
    if len(name) > 5 and "." not in name and (coin := _COIN.fullmatch(name)):
        symbol = f"{coin[1]}-{name.removeprefix(coin[1])}"
        return symbol if is_canonical(symbol) else None
    return canonical_or_none(name)


def news_of(symbol: str, row: Mapping[str, Any]) -> News | None:
    """None for an article without a headline; raises as a reader of another shape does."""
    headline = text(row["headline"])
    if not headline:
        return None
    return News(
        str(row["id"]),
        headline,
        moment_of(row["created_at"]),
        about(symbol, map(ours, row["symbols"])),
        text(row.get("content")) or text(row.get("summary")),
        text(row.get("source")),
        address(row.get("url")),
    )
