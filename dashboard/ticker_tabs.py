"""The tabs of a ticker's page besides its overview. Each is a page of its own, drawn by the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from accounts.models import User
from dashboard.analysis_page import AnalysisView
from dashboard.earnings_page import EarningsView
from dashboard.news_page import NewsList, Place
from dashboard.news_views import zone_for
from marketdata.models import Ticker

LABELS = {"": "Overview", "news": "News", "earnings": "Earnings", "analyses": "Analyses"}


@dataclass(frozen=True, slots=True)
class Tab:
    key: str
    label: str
    url: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class TabWish:
    """What the address says of the tab, and of the place in it."""

    tab: str = ""
    quarter: str = ""
    before: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> TabWish:
        tab = given.get("tab", "")
        return cls(tab if tab in LABELS else "", given.get("quarter", ""), given.get("before", ""))

    def tabs(self, ticker: Ticker) -> list[Tab]:
        here = reverse("ticker", args=[ticker.symbol])
        return [
            Tab(key, label, f"{here}?tab={key}" if key else here, key == self.tab)
            for key, label in LABELS.items()
        ]


Part = NewsList | EarningsView | AnalysisView


def part_of(wish: TabWish, ticker: Ticker, user: User | None, now: datetime) -> Part | None:
    """What the tab shows; None for the overview."""
    zone = zone_for(user)
    match wish.tab:
        case "news":
            return NewsList.of([ticker.symbol], now, zone, Place.read(wish.before))
        case "earnings":
            return EarningsView.of(ticker.symbol, wish.quarter, zone)
        case "analyses":
            return AnalysisView.of(ticker, user, now, zone)
        case _:
            return None
