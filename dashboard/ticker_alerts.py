"""A user's alerts where a ticker is shown: beside its chart, and as the number at the bell of the watchlist."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count

from accounts.models import User
from alerts.kinds import LEVELS
from alerts.models import Alert
from alerts.states import State, takes_a_place
from alerts.wording import condition
from dashboard.alert_form import KIND_NAMES, AlertForm, first_values
from dashboard.alert_rows import AlertRow, rows_of
from dashboard.moments import zone_of
from marketdata.models import Ticker
from marketdata.quotes import NoQuote, Quote

OVER = (State.TRIGGERED, State.EXPIRED)


@dataclass(frozen=True, slots=True)
class TickerAlerts:
    """`form` is filled in with the price as it is: only the way it should go has to be chosen."""

    rows: list[AlertRow]
    form: AlertForm
    in_use: int
    """Those of this ticker that take a place."""
    total: int
    """Of all tickers, likewise."""
    levels: list[dict[str, Any]]
    """Lines of the chart."""

    @classmethod
    def of(cls, ticker: Ticker, quote: Quote | NoQuote, user: User, now: datetime) -> TickerAlerts:
        alerts = list(Alert.objects.filter(user=user, ticker=ticker, deleted_at=None).order_by("-pk"))
        for alert in alerts:
            alert.user, alert.ticker = user, ticker
        rows = rows_of(alerts, {ticker.symbol: quote}, (), now, zone_of(user.time_zone))
        price = quote.price if isinstance(quote, Quote) else None
        return cls(
            rows=rows,
            form=AlertForm(initial=dict(first_values(ticker.symbol, price)), auto_id="quick_%s"),
            in_use=sum(row.state not in OVER for row in rows),
            total=Alert.objects.filter(takes_a_place(now), user=user).count(),
            levels=[line for row in rows if row.state not in OVER for line in _lines(row)],
        )

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """Of the short form: those that need a price and nothing else."""
        return [(kind.value, KIND_NAMES[kind]) for kind in LEVELS]


def _lines(row: AlertRow) -> Iterable[dict[str, Any]]:
    rule = row.alert.rule
    words = f"Alert {condition(rule).removeprefix('is ')}"
    for level in (rule.threshold if rule.kind in LEVELS else None, rule.lower, rule.upper):
        if level is not None:
            yield {"price": str(level), "words": words}


def counts_by_symbol(user: User, now: datetime) -> dict[str, int]:
    """How many alerts of this user are there on each ticker, without those that are over."""
    rows = Alert.objects.filter(takes_a_place(now), user=user).order_by()
    return dict(rows.values_list("ticker__symbol").annotate(number=Count("pk")))
