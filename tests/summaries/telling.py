"""A scripted provider that tells news and earnings calls, and short ways to write them."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta

from core import clock
from marketdata.company import EarningsCall, News, Speech
from marketdata.errors import NotFound
from tests.providers import Scripted
from tests.summaries.making import body


class Telling(Scripted):
    def __init__(self, *symbols: str, name: str = "telling") -> None:
        super().__init__(*symbols, name=name)
        self.capabilities = replace(self.capabilities, news=True, transcripts=True)
        self.news: list[News] = []
        self.calls: list[EarningsCall] = []
        self.unwritten: set[tuple[int, int]] = set()
        """Listed, without a transcript so far."""
        self.news_requests: list[tuple[str, datetime]] = []
        self.list_requests: list[str] = []
        self.call_requests: list[tuple[str, int, int]] = []
        self._lock = threading.Lock()

    async def fetch_news(self, symbol: str, since: datetime) -> list[News]:
        self.news_requests.append((symbol, since))
        if self.failure is not None:
            raise self.failure
        return [one for one in self.news if symbol in one.symbols]

    async def fetch_calls(self, symbol: str, newest: int) -> list[tuple[int, int]]:
        self.list_requests.append(symbol)
        if self.failure is not None:
            raise self.failure
        listed = {(one.year, one.quarter) for one in self.calls if one.symbol == symbol} | self.unwritten
        return sorted(listed, reverse=True)[:newest]

    async def fetch_call(self, symbol: str, year: int, quarter: int) -> EarningsCall:
        with self._lock:
            self.call_requests.append((symbol, year, quarter))
        for one in self.calls:
            if (one.symbol, one.year, one.quarter) == (symbol, year, quarter):
                return one
        raise NotFound


def told(number: int = 1, *symbols: str, days_ago: float = 0, **fields) -> News:
    """An article of which no other number has the words."""
    values = {
        "external_id": f"n{number}", "headline": f"News number {number}", "body": f"<p>{body(number)}</p>",
        "published_at": clock.now() - timedelta(days=days_ago), "symbols": symbols or ("AAPL",), "source": "The Wire",
        **fields,
    }  # fmt: skip
    return News(**values)


def call(symbol: str = "AAPL", year: int = 2026, quarter: int = 1, text: str = "", **fields) -> EarningsCall:
    words = text or body(year * 4 + quarter)
    speeches = (Speech("Operator", "Welcome."), Speech("Ada Lee", words, "CFO"))
    return EarningsCall(
        symbol, year, quarter, f"{symbol} Q{quarter} {year}", fields.pop("speeches", speeches), **fields
    )
