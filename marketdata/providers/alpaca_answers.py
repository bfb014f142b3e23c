"""What Alpaca's JSON means: snapshots, bars and corporate actions as our own values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from marketdata.errors import Malformed, NotFound, ProviderError
from marketdata.instruments import asset_class_of
from marketdata.providers.base import AssetClass, Interval
from marketdata.providers.day_figures import trading_date
from marketdata.providers.trade_conditions import moves_price, sip_letters
from marketdata.providers.vendor import number, positive, whole
from marketdata.quotes import Action, ActionKind, Bar

NEW_YORK = ZoneInfo("America/New_York")


# --- symbols


def spelled(symbol: str) -> str:
    """BTC-USD is BTC/USD there; shares are spelled as ours."""
    return symbol.replace("-", "/") if asset_class_of(symbol) is AssetClass.CRYPTO else symbol


def ours(text: str) -> str:
    return text.replace("/", "-")


# --- times


def moment_of(text: Any) -> datetime:
    """An RFC 3339 time, cut to microseconds; raises ValueError or TypeError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment.astimezone(UTC)


def day_of_bar(symbol: str, moment: datetime) -> date:
    """The date of a daily bar, which begins at New York's midnight, that of a coin at that of UTC."""
    return trading_date(symbol, moment)


# --- snapshots


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The price of a symbol and what is told beside it."""

    price: Decimal
    as_of: datetime
    previous_close: Decimal | None
    figures: Mapping[str, Any]


def snapshot_of(symbol: str, entry: Any) -> Snapshot | ProviderError:
    """One entry of a map of snapshots: any of its five parts may be missing or null.

    Raises ValueError, TypeError or AttributeError where a part has another shape.
    """
    if entry is None:
        return NotFound(f"alpaca knows no price of {symbol}")
    found = _last_price(entry)
    if isinstance(found, ProviderError):
        return found
    price, as_of = found
    day, before = _part(entry, "dailyBar"), _part(entry, "prevDailyBar")
    if day and day_of_bar(symbol, moment_of(day["t"])) < trading_date(symbol, as_of):
        day, before = {}, day  # the first trades of a morning: the last daily bar is yesterday's
    quote = _part(entry, "latestQuote")
    figures = {
        "open": positive(day.get("o")),
        "high": positive(day.get("h")),
        "low": positive(day.get("l")),
        "volume": whole(day.get("v")),
        "bid": positive(quote.get("bp")),
        "ask": positive(quote.get("ap")),
    }
    return Snapshot(price, as_of, positive(before.get("c")), figures)


def _last_price(entry: Mapping[str, Any]) -> tuple[Decimal, datetime] | ProviderError:
    """That of the last trade if it moves the price, else the close of the last minute or day."""
    bad = False
    trade = _part(entry, "latestTrade")
    candidates = [(trade, "p")] if moves_price(trade.get("c"), sip_letters(trade.get("z"))) else []
    candidates += [(_part(entry, "minuteBar"), "c"), (_part(entry, "dailyBar"), "c")]
    for part, name in candidates:
        told = number(part.get(name))
        if told is not None and told > 0:
            return told, moment_of(part["t"])
        bad = bad or (told is not None and told < 0)
    return Malformed("alpaca tells a price below zero") if bad else NotFound("alpaca knows no price")


def _part(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = entry.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise TypeError(name)
    return found


# --- bars


def bar_of(symbol: str, interval: Interval, row: Mapping[str, Any]) -> Bar:
    """Raises KeyError, TypeError or ValueError for a row that is no bar."""
    start = moment_of(row["t"])
    if interval is Interval.DAY:
        start = datetime.combine(day_of_bar(symbol, start), time(), UTC)
    prices = {name: positive(row[name]) for name in "ohlc"}
    volume = whole(row["v"])
    opened, high, low, close = prices["o"], prices["h"], prices["l"], prices["c"]
    if opened is None or high is None or low is None or close is None or volume is None:
        raise ValueError(row)
    return Bar(symbol, start, opened, high, low, close, volume)


# --- corporate actions


def actions_of(symbol: str, groups: Mapping[str, Any]) -> Iterator[Action]:
    """Those of the groups asked for. Raises KeyError, TypeError or ValueError for a row of another shape."""
    for row in groups.get("cash_dividends") or []:
        yield _dated(
            symbol, row, ActionKind.DIVIDEND, amount=_rate(row, "rate"), special=bool(row.get("special"))
        )
    for group in ("forward_splits", "reverse_splits"):
        for row in groups.get(group) or []:
            rates = {"split_from": _rate(row, "old_rate"), "split_to": _rate(row, "new_rate")}
            yield _dated(symbol, row, ActionKind.SPLIT, **rates)
    for row in groups.get("stock_dividends") or []:
        # New shares beside the old ones, so in effect a split.
        rates = {"split_from": Decimal(1), "split_to": 1 + _rate(row, "rate")}
        yield _dated(symbol, row, ActionKind.SPLIT, **rates)
    for row in groups.get("name_changes") or []:
        if ours(row["old_symbol"]) == symbol:
            day = date.fromisoformat(row["process_date"])
            yield Action(symbol, ActionKind.RENAME, day, new_symbol=ours(row["new_symbol"]))


def _dated(symbol: str, row: Mapping[str, Any], kind: ActionKind, **fields: Any) -> Action:
    if ours(row["symbol"]) != symbol:
        raise ValueError(row)
    return Action(
        symbol,
        kind,
        date.fromisoformat(row["ex_date"]),
        record_date=_date(row.get("record_date")),
        pay_date=_date(row.get("payable_date")),
        **fields,
    )


def _date(text: Any) -> date | None:
    return date.fromisoformat(text) if text else None


def _rate(row: Mapping[str, Any], name: str) -> Decimal:
    found = positive(row[name])
    if found is None:
        raise ValueError(row)
    return found
