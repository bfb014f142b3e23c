"""What we know, in Massive's names and units. Pure.

A figure that we do not know is left out, as Massive leaves out what is empty; nothing is made up. Prices are JSON
numbers; trades and quotes are timed in nanoseconds, bars in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from marketdata.instruments import asset_class_of
from marketdata.providers.base import AssetClass
from marketdata.providers.massive_symbols import symbol_of, ticker_of
from marketdata.quotes import Bar, Quote, Session, microseconds
from marketdata.symbols import canonical

MARKETS = {
    AssetClass.CRYPTO: "crypto",
    AssetClass.FOREX: "fx",
    AssetClass.INDEX: "indices",
    AssetClass.OPTION: "options",
}
STATUSES = {
    Session.PRE: "early_trading",
    Session.REGULAR: "open",
    Session.POST: "late_trading",
    Session.CLOSED: "closed",
}
# No ticker is longer, `O:` and an option's twenty-one characters included.
LONGEST = 40


# --- symbols


def ticker_text(symbol: str) -> str:
    """Massive's spelling; where it has none, such as of a share in London, ours."""
    return ticker_of(symbol) or symbol


def meant(text: str) -> str:
    """The canonical symbol that Massive's spelling, or any other, means; raises InvalidSymbol."""
    if len(text) > LONGEST:  # what is read is remembered, and strangers choose it
        return canonical(text)
    return symbol_of(text) or canonical(text)


# --- one figure


def number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def ms(moment: datetime) -> int:
    return microseconds(moment) // 1_000


def ns(moment: datetime) -> int:
    return microseconds(moment) * 1_000


def known(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value != {}}


def trade_id(epoch: int, seq: int) -> str:
    """Unlike any other of this ticker; empty for a price that was fetched and not streamed."""
    return f"{epoch}-{seq}" if epoch else ""


# --- prices now


def last_trade(quote: Quote) -> dict[str, Any]:
    """The last price as a trade, of `/v2/last/trade`."""
    at = ns(quote.as_of)
    return {"T": ticker_text(quote.symbol), **_trade(quote), "y": at}


def last_nbbo(quote: Quote) -> dict[str, Any] | None:
    """Bid and ask, of `/v2/last/nbbo`; None where we know neither."""
    book = _book(quote)
    return {"T": ticker_text(quote.symbol), **book, "y": ns(quote.as_of)} if book else None


def snapshot(quote: Quote, minute: Bar | None) -> dict[str, Any]:
    """One ticker of `/v2/snapshot`; `minute` is the last stored one."""
    return known(
        {
            "ticker": ticker_text(quote.symbol),
            "todaysChange": number(quote.change),
            "todaysChangePerc": number(quote.change_percent),
            "updated": ns(quote.as_of),
            "day": _day(quote),
            "lastTrade": _trade(quote),
            "lastQuote": _book(quote),
            "min": _minute(quote, minute),
            "prevDay": known({"c": number(quote.previous_close)}),
        }
    )


def universal(quote: Quote, name: str) -> dict[str, Any]:
    """One ticker of `/v3/snapshot`."""
    kind = asset_class_of(quote.symbol)
    at, timed = ns(quote.as_of), timeframe(quote)
    item = {
        "ticker": ticker_text(quote.symbol),
        "name": name,
        "type": MARKETS.get(kind, "stocks"),
        "market_status": STATUSES[quote.session],
        "session": _session(quote),
    }
    if kind is AssetClass.INDEX:
        return {**item, "value": number(quote.price), "last_updated": at, "timeframe": timed}
    sides = known({"bid": number(quote.bid), "ask": number(quote.ask)})
    if sides:
        item["last_quote"] = {**sides, "last_updated": at, "timeframe": timed}
    if kind is not AssetClass.FOREX or not sides:
        price = known({"price": number(quote.price), "size": quote.size or None})
        item["last_trade"] = {**price, "last_updated": at, "sip_timestamp": at, "timeframe": timed}
    return item


def not_found(ticker: str) -> dict[str, str]:
    """In the place of a ticker of `/v3/snapshot` that there is not."""
    return {"error": "NOT_FOUND", "message": "Ticker not found.", "ticker": ticker}


def timeframe(quote: Quote) -> str:
    return "DELAYED" if quote.delayed_s else "REAL-TIME"


def _trade(quote: Quote) -> dict[str, Any]:
    number_of_it = trade_id(quote.epoch, quote.seq)
    return known(
        {
            "i": number_of_it or None,
            "p": number(quote.price),
            "q": quote.seq or None,
            "s": quote.size or None,
            "t": ns(quote.as_of),
        }
    )


def _book(quote: Quote) -> dict[str, Any]:
    sides = known({"p": number(quote.bid), "P": number(quote.ask)})
    return {**sides, "t": ns(quote.as_of)} if sides else {}


def _day(quote: Quote) -> dict[str, Any]:
    return known(
        {
            "o": number(quote.open),
            "h": number(quote.high),
            "l": number(quote.low),
            "c": number(quote.price),
            "v": quote.volume,
        }
    )


def _minute(quote: Quote, minute: Bar | None) -> dict[str, Any]:
    if minute is None:
        return {}
    return {**known({"av": quote.volume}), **aggregate(minute)}


def _session(quote: Quote) -> dict[str, Any]:
    return known(
        {
            "change": number(quote.change),
            "change_percent": number(quote.change_percent),
            "open": number(quote.open),
            "high": number(quote.high),
            "low": number(quote.low),
            "close": number(quote.price),
            "price": number(quote.price),
            "previous_close": number(quote.previous_close),
            "volume": quote.volume,
            "last_updated": ns(quote.as_of),
        }
    )


# --- bars


def aggregate(bar: Bar) -> dict[str, Any]:
    return {
        "v": bar.volume,
        "o": number(bar.open),
        "c": number(bar.close),
        "h": number(bar.high),
        "l": number(bar.low),
        "t": ms(bar.start),
    }
