"""The one JSON shape of a quote: REST answers and socket snapshots. Prices are text, times end in Z."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from marketdata import freshness
from marketdata.quotes import NoQuote, Quote, Reason, price_text

_EMPTY: dict[str, Any] = {
    "symbol": None,
    "price": None,
    "change": None,
    "change_percent": None,
    "volume": None,
    "open": None,
    "high": None,
    "low": None,
    "previous_close": None,
    "bid": None,
    "ask": None,
    "as_of": None,
    "received_at": None,
    "provider": None,
    "market": None,
    "session": None,
    "replay_date": None,
    "halted": False,
    "delayed_s": None,
    "stale": False,
    "reason": None,
    "e": 0,
    "n": 0,
}


def quote_payload(outcome: Quote | NoQuote) -> dict[str, Any]:
    """Every key is always there; without a price `reason` says why.

    Who hands the quote over has marked it stale where it is (`staleness`): only he knows whether it streams.
    """
    if isinstance(outcome, NoQuote):
        return _EMPTY | {"symbol": outcome.symbol, "reason": outcome.reason.value}
    return {
        "symbol": outcome.symbol,
        "price": price_text(outcome.price),
        "change": _text(outcome.change),
        "change_percent": _text(outcome.change_percent),
        "volume": outcome.volume,
        "open": _text(outcome.open),
        "high": _text(outcome.high),
        "low": _text(outcome.low),
        "previous_close": _text(outcome.previous_close),
        "bid": _text(outcome.bid),
        "ask": _text(outcome.ask),
        "as_of": time_text(outcome.as_of),
        "received_at": time_text(outcome.received_at),
        "provider": outcome.provider,
        "market": freshness.market_from(freshness.provider_named(outcome.provider), outcome.symbol).value,
        "session": outcome.session.value,
        "replay_date": outcome.replay_date.isoformat() if outcome.replay_date else None,
        "halted": outcome.halted,
        "delayed_s": outcome.delayed_s,
        "stale": outcome.stale,
        "reason": _reason(outcome),
        "e": outcome.epoch,
        "n": outcome.seq,
    }


def time_text(moment: datetime) -> str:
    """ISO 8601 in UTC with Z; milliseconds, as no price is dated finer."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _text(number: Decimal | None) -> str | None:
    return None if number is None else price_text(number)


def _reason(quote: Quote) -> str | None:
    if quote.reason:
        return quote.reason.value
    return Reason.HALTED.value if quote.halted else None
