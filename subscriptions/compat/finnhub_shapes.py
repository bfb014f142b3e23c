"""What we know, in Finnhub's names and units. Pure.

A figure of a quote that we do not know is 0, or null where Finnhub tells null. Times are in seconds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from marketdata.instruments import asset_class_of
from marketdata.providers.base import AssetClass
from marketdata.providers.finnhub_symbols import spelled
from marketdata.quotes import Action, Bar, Quote, microseconds
from marketdata.symbols import canonical

# Of a symbol that it does not know Finnhub tells this, with status 200.
NOTHING = {"c": 0, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0}
NO_CANDLES = {"s": "no_data"}
KINDS = {
    AssetClass.ETF.value: "ETP",
    AssetClass.CRYPTO.value: "Crypto",
    AssetClass.FOREX.value: "Forex",
    AssetClass.INDEX.value: "Index",
}
_PAIR = re.compile(r"OANDA:([A-Z]{3})_([A-Z]{3})")
_COIN = re.compile(r"BINANCE:([A-Z0-9]{1,15})USDT")


def symbol_text(symbol: str) -> str:
    """Finnhub's spelling; where it has none, such as of an index, ours."""
    return spelled(symbol) or symbol


def meant(text: str) -> str:
    """The canonical symbol that Finnhub's spelling, or any other, means; raises InvalidSymbol."""
    if pair := _PAIR.fullmatch(text):
        return f"{pair[1]}{pair[2]}=X"
    if coin := _COIN.fullmatch(text):
        return f"{coin[1]}-USD"
    return canonical(text)


def number(value: Decimal | None) -> float:
    return 0 if value is None else float(value)


def quote(one: Quote) -> dict[str, Any]:
    return {
        "c": float(one.price),
        "d": None if one.change is None else float(one.change),
        "dp": None if one.change_percent is None else float(one.change_percent),
        "h": number(one.high),
        "l": number(one.low),
        "o": number(one.open),
        "pc": number(one.previous_close),
        "t": microseconds(one.as_of) // 1_000_000,
    }


def candles(bars: Sequence[Bar]) -> dict[str, Any]:
    """Columns side by side."""
    if not bars:
        return NO_CANDLES
    return {
        "c": [float(bar.close) for bar in bars],
        "h": [float(bar.high) for bar in bars],
        "l": [float(bar.low) for bar in bars],
        "o": [float(bar.open) for bar in bars],
        "s": "ok",
        "t": [microseconds(bar.start) // 1_000_000 for bar in bars],
        "v": [bar.volume for bar in bars],
    }


def match(symbol: str, name: str, asset_class: str) -> dict[str, str]:
    text = symbol_text(symbol)
    kind = KINDS.get(asset_class) or KINDS.get(asset_class_of(symbol).value, "Common Stock")
    return {"description": name.upper(), "displaySymbol": text, "symbol": text, "type": kind}


def profile(symbol: str, name: str, *, currency: str, exchange: str, sector: str) -> dict[str, str]:
    """What a directory has; Finnhub's other figures are left out."""
    told = {"currency": currency, "exchange": exchange, "finnhubIndustry": sector, "name": name}
    return {**{key: value for key, value in told.items() if value}, "ticker": symbol_text(symbol)}


def split(action: Action) -> dict[str, Any]:
    return {
        "symbol": action.symbol,
        "date": action.ex_date,
        "fromFactor": number(action.split_from),
        "toFactor": number(action.split_to),
    }


def dividend(action: Action) -> dict[str, Any]:
    """The amount as it was paid; Finnhub's adjusted one and its frequency are not known."""
    return {
        "symbol": action.symbol,
        "date": action.ex_date,
        "amount": number(action.amount),
        "payDate": action.pay_date or "",
        "recordDate": action.record_date or "",
        "declarationDate": action.declared_date or "",
        "currency": action.currency,
    }
