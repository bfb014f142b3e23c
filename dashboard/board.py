"""A board is a table of tickers with all a page needs of it: rows, their common age, and the same as JSON for scripts.

It never asks a provider: a page must not wait, the stream fills it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboard.charts import sparks
from dashboard.phases import payload_of
from dashboard.rows import COLUMNS, Age, Column, WatchRow, age_of, row_of, table_of
from marketdata.lookup import stored_quotes
from marketdata.models import Ticker
from marketdata.payload import quote_payload
from marketdata.quotes import Quote


@dataclass(frozen=True, slots=True)
class Board:
    rows: list[WatchRow]
    age: Age
    payload: dict[str, Any]
    columns: tuple[Column, ...] = COLUMNS


def board_of(
    asked: Mapping[Ticker, datetime | None], now: datetime, alerts: Mapping[str, int] | None = None
) -> Board:
    """`asked` says of each ticker since when somebody wants it, which is shown until its first price.

    `alerts` says how many the user who looks has on it.
    """
    quotes = stored_quotes(ticker.symbol for ticker in asked)
    plain = [row_of(ticker, quotes[ticker.symbol], now, since) for ticker, since in asked.items()]
    rows = table_of(plain, sparks_by_symbol(asked, quotes, now), alerts)
    payload = {
        "now": round(now.timestamp() * 1000),
        "phases": payload_of(now),
        "quotes": [quote_payload(quotes[row.symbol]) for row in rows],
    }
    return Board(rows, age_of(rows, now), payload)


def sparks_by_symbol(
    tickers: Mapping[Ticker, Any], quotes: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    priced = {
        ticker.pk: quote
        for ticker in tickers
        for quote in [quotes[ticker.symbol]]
        if isinstance(quote, Quote)
    }
    drawn = sparks(priced, now)
    return {ticker.symbol: drawn[ticker.pk] for ticker in tickers if ticker.pk in drawn}
