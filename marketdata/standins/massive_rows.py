"""What the stand-in of Massive writes: rows and snapshots in that vendor's names and units."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from core import clock
from marketdata.instruments import asset_class_of
from marketdata.providers.base import AssetClass
from marketdata.providers.massive_symbols import ticker_of
from marketdata.quotes import Action, Bar
from marketdata.standins.base import Fault
from marketdata.standins.market import EPOCH, Listed

NEW_YORK = ZoneInfo("America/New_York")
MARKETS = {
    AssetClass.CRYPTO: "crypto",
    AssetClass.FOREX: "fx",
    AssetClass.INDEX: "indices",
    AssetClass.OPTION: "options",
}


def moment_of(found: Listed, fault: Fault | None) -> datetime:
    skew = timedelta(hours=1) if fault is Fault.SKEWED else timedelta(0)
    return (found.at or clock.now()) + skew


def spoiled(item: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
    """With zeros, or what is no number, for every price."""
    if fault not in {Fault.ZEROS, Fault.NOT_A_NUMBER}:
        return item
    wrong = 0 if fault is Fault.ZEROS else float("nan")
    for part in ("session", "last_trade", "last_quote", "last_minute"):
        for name, value in item.get(part, {}).items():
            if isinstance(value, float):
                item[part][name] = wrong
    return item | ({"value": wrong} if "value" in item else {})


def snapshot_of(ticker: str, found: Listed, at: datetime) -> dict[str, Any]:
    kind, now = asset_class_of(found.symbol), _ns(at)
    change = found.price - found.previous_close
    session = {
        "change": float(change), "change_percent": _percent(found),
        "close": float(found.price), "high": float(found.high), "low": float(found.low), "open": float(found.open),
        "previous_close": float(found.previous_close), "price": float(found.price), "volume": found.volume,
        "last_updated": now,
    }  # fmt: skip
    item = {
        "ticker": ticker, "name": found.name, "type": MARKETS.get(kind, "stocks"), "market_status": "open",
        "session": session,
    }  # fmt: skip
    if kind is AssetClass.INDEX:
        return {**item, "value": float(found.price), "last_updated": now, "timeframe": "REAL-TIME"}
    if kind is not AssetClass.CRYPTO:
        item["last_quote"] = {
            "ask": float(found.ask), "ask_size": 110, "ask_exchange": 323, "bid": float(found.bid), "bid_size": 172,
            "bid_exchange": 323, "last_updated": now, "timeframe": "REAL-TIME",
        }  # fmt: skip
    if kind is not AssetClass.FOREX:
        item["last_trade"] = {
            "conditions": [12], "exchange": 11, "id": 12345, "price": float(found.price), "size": 100,
            "timeframe": "REAL-TIME", "last_updated": now,
            **({} if kind is AssetClass.CRYPTO else {"sip_timestamp": now, "participant_timestamp": now}),
        }  # fmt: skip
    return item


def _percent(found: Listed) -> float:
    before = found.previous_close
    return float((found.price - before) / before * 100) if before else 0.0


def old_snapshot_of(ticker: str, found: Listed) -> dict[str, Any]:
    now = _ns(found.at or clock.now())
    change = found.price - found.previous_close
    day = {
        "o": float(found.open), "h": float(found.high), "l": float(found.low), "c": float(found.price),
        "v": found.volume, "vw": float(found.price),
    }  # fmt: skip
    before = {**day, "c": float(found.previous_close)}
    return {
        "ticker": ticker, "todaysChange": float(change),
        "todaysChangePerc": _percent(found), "updated": now, "day": day,
        "min": {**day, "av": found.volume, "n": 1, "t": now // 1_000_000}, "prevDay": before,
        "lastTrade": {"c": [12], "i": "12345", "p": float(found.price), "s": 100, "t": now, "x": 11},
        "lastQuote": {"P": float(found.ask), "S": 1, "p": float(found.bid), "s": 1, "t": now},
    }  # fmt: skip


def aggregate(bar: Bar, moment: datetime, factor: Decimal) -> dict[str, Any]:
    return {
        "v": float(bar.volume * factor), "vw": float(bar.close / factor), "o": float(bar.open / factor),
        "c": float(bar.close / factor), "h": float(bar.high / factor), "l": float(bar.low / factor),
        "t": ms(moment), "n": 1,
    }  # fmt: skip


def dividend(action: Action) -> dict[str, Any]:
    return {
        "id": f"E{action.ex_date:%y%m%d}", "ticker": ticker_of(action.symbol), "cash_amount": float(action.amount or 0),
        "currency": action.currency, "dividend_type": "SC" if action.special else "CD", "frequency": 4,
        "ex_dividend_date": action.ex_date.isoformat(), "declaration_date": _text(action.declared_date),
        "record_date": _text(action.record_date), "pay_date": _text(action.pay_date),
    }  # fmt: skip


def split(action: Action) -> dict[str, Any]:
    return {
        "id": f"P{action.ex_date:%y%m%d}", "ticker": ticker_of(action.symbol),
        "execution_date": action.ex_date.isoformat(),
        "split_from": float(action.split_from or 1), "split_to": float(action.split_to or 1),
    }  # fmt: skip


def ticker_row(found: Listed) -> dict[str, Any]:
    kind = asset_class_of(found.symbol)
    row = {
        "ticker": ticker_of(found.symbol), "name": found.name, "market": MARKETS.get(kind, "stocks"),
        "locale": "us" if kind is AssetClass.STOCK else "global", "active": True,
        "last_updated_utc": "2026-11-20T00:00:00Z",
    }  # fmt: skip
    if kind is AssetClass.STOCK:
        fund = "ETF" if "ETF" in found.name else "CS"
        return {
            **row,
            "primary_exchange": found.exchange,
            "type": fund,
            "currency_name": found.currency.lower(),
        }
    return {**row, "currency_symbol": found.currency, "currency_name": "United States Dollar"}


def is_within(action: Action, name: str, params: Mapping[str, str]) -> bool:
    day = action.ex_date.isoformat()
    return (
        params.get(f"{name}.gte", "") <= day < params.get(f"{name}.lt", "9999")
        and day <= params.get(f"{name}.lte", "9999")
        and params.get(name, day) == day
    )


def edge(text: str, symbol: str, *, is_days: bool, whole_day: bool = False) -> datetime:
    """The moment that an end of a range names; days are dealt out by date, so theirs are of UTC."""
    if text.isdigit():
        return EPOCH + timedelta(milliseconds=int(text))
    day = date.fromisoformat(text)
    begin = datetime.combine(day, time(), UTC) if is_days else midnight(symbol, day)
    return begin + timedelta(days=1, milliseconds=-1) if whole_day else begin


def midnight(symbol: str, day: date) -> datetime:
    is_stock = asset_class_of(symbol) in {AssetClass.STOCK, AssetClass.INDEX, AssetClass.OPTION}
    return datetime.combine(day, time(), NEW_YORK if is_stock else UTC)


def _text(day: date | None) -> str | None:
    return day.isoformat() if day else None


def ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _ns(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1) * 1_000
