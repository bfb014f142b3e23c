"""Alerts for the demo accounts: one that fires within minutes, and the others in the states that alerts can be in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from accounts.models import User
from alerts import rules
from core import clock
from marketdata.lookup import get_quotes
from marketdata.quotes import Quote

# Both made markets leave a channel of this width, in percent each way, within a few minutes.
NEAR = Decimal("0.02")
PATIENCE_S = 10.0
SNOOZE = timedelta(days=1)
CATEGORY = "Demo"


def load_alerts(user: User, symbols: Sequence[str]) -> int:
    """On the first three of these; how many. Where no price can be had, fewer."""
    quotes = get_quotes(symbols[:3], most_s=PATIENCE_S)
    prices = {symbol: quote.price for symbol, quote in quotes.items() if isinstance(quote, Quote)}
    made = [
        rules.create(user, {"category": CATEGORY, **fields}).pk for fields in _wishes(symbols[:3], prices)
    ]
    if len(made) > 1:
        rules.pause(user, made[-1:])
        rules.snooze(user, made[-2:-1], clock.now() + SNOOZE)
    return len(made)


def _wishes(symbols: Sequence[str], prices: Mapping[str, Decimal]) -> Iterator[dict[str, Any]]:
    if not set(symbols) <= prices.keys():
        return
    first, second, third = symbols
    yield {
        "symbol": first, "kind": "leaves_channel", "lower": _at(prices[first], -NEAR),
        "upper": _at(prices[first], NEAR), "mode": "repeat", "cooldown_s": 900, "priority": "high",
        "note": "A narrow channel around the price when the demo was made, so that you soon see what a notification "
        "looks like.",
    }  # fmt: skip
    yield {
        "symbol": first, "kind": "above", "threshold_percent": "2", "mode": "repeat", "rearm_band": "0.5",
        "note": "Armed again once the price is half a percent back.",
    }  # fmt: skip
    yield {
        "symbol": second, "kind": "below", "threshold_percent": "-3", "mode": "daily", "priority": "critical",
    }  # fmt: skip
    yield {"symbol": third, "kind": "moves", "threshold": "1", "window_s": 3_600, "mode": "repeat"}
    yield {"symbol": third, "kind": "crosses_above", "threshold_percent": "1"}


def _at(price: Decimal, percent: Decimal) -> Decimal:
    return (price * (1 + percent / 100)).quantize(Decimal("0.0001"))
