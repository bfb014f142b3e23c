"""What Yahoo's answers mean: its spelling of symbols, its states of the market, prices in pence, charts.

Most of our spelling is Yahoo's: BTC-USD, EURUSD=X, ^GSPC, ES=F, 0700.HK. Only share classes and their like differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from marketdata.currency import normalised
from marketdata.instruments import asset_class_of
from marketdata.providers.base import AssetClass, Interval, SymbolMatch
from marketdata.providers.reading import bar_of, exact, midnight, moment_of
from marketdata.providers.spelling import currency_guess, ours, parts_of
from marketdata.providers.vendor import positive, whole
from marketdata.quotes import Action, ActionKind, Bar, Session

NEW_YORK = ZoneInfo("America/New_York")
KINDS = {"WS": "WT", "U": "UN", "UN": "UN", "RT": "RI"}
COVERED = frozenset(AssetClass)
ASSETS = {
    "ETF": AssetClass.ETF,
    "MUTUALFUND": AssetClass.ETF,
    "INDEX": AssetClass.INDEX,
    "CURRENCY": AssetClass.FOREX,
    "CRYPTOCURRENCY": AssetClass.CRYPTO,
    "OPTION": AssetClass.OPTION,
}
# PREPRE and POSTPOST are the hours of the night.
SESSIONS = {
    "PRE": Session.PRE,
    "REGULAR": Session.REGULAR,
    "POST": Session.POST,
    "PREPRE": Session.CLOSED,
    "POSTPOST": Session.CLOSED,
    "CLOSED": Session.CLOSED,
}
REGULAR = {
    "price": "regularMarketPrice",
    "previous_close": "regularMarketPreviousClose",
    "open": "regularMarketOpen",
    "high": "regularMarketDayHigh",
    "low": "regularMarketDayLow",
    "bid": "bid",
    "ask": "ask",
}


# --- symbols


def spelled(symbol: str) -> str:
    """Yahoo's spelling of a canonical symbol: BRK.B is BRK-B, ABR.PRD is ABR-PD, a warrant ends with -WT."""
    if asset_class_of(symbol) is not AssetClass.STOCK or "." not in symbol:
        return symbol
    parts = parts_of(symbol)
    found = parts.root
    if parts.share_class:
        found += f"-{_class(parts.share_class)}"
    return f"{found}.{parts.exchange}" if parts.exchange else found


def _class(share_class: str) -> str:
    if share_class.startswith("PR"):
        return f"P{share_class[2:]}"
    return KINDS.get(share_class, share_class)


def match_of(row: Mapping[str, Any]) -> SymbolMatch | None:
    symbol = ours(row.get("symbol"))
    if symbol is None:
        return None
    return SymbolMatch(
        symbol,
        str(row.get("longname") or row.get("shortname") or ""),
        exchange=str(row.get("exchDisp") or row.get("exchange") or ""),
        asset_class=ASSETS.get(str(row.get("quoteType")), AssetClass.STOCK),
        currency=currency_guess(symbol),
    )


# --- quotes


def session_of(row: Mapping[str, Any]) -> Session | None:
    return SESSIONS.get(str(row.get("marketState")))


def last_of(row: Mapping[str, Any]) -> tuple[dict[str, Decimal | None], datetime | None]:
    """(price and the day's other prices, time of the price), the newest that the row has, in the major unit.

    Before the open the regular figures are those of the last day: its price is the previous close, and today has no
    open, high and low yet. After the close and at night the day goes on with the extended price.
    """
    prices = {name: exact(positive(row.get(told))) for name, told in REGULAR.items()}
    as_of = moment_of(row.get("regularMarketTime"))
    for part in ("pre", "post"):
        price, moment = (
            exact(positive(row.get(f"{part}MarketPrice"))),
            moment_of(row.get(f"{part}MarketTime")),
        )
        if price is None or moment is None or (as_of is not None and moment <= as_of):
            continue
        if part == "pre":
            prices |= {"previous_close": prices["price"], **dict.fromkeys(("open", "high", "low"))}
        prices["price"], as_of = price, moment
    found, _ = normalised(prices, str(row.get("currency") or "USD"))
    return found, as_of


def volume_of(row: Mapping[str, Any], prices: Mapping[str, Decimal | None]) -> int | None:
    """The day's; before the open it is still that of the last day, and not told."""
    return None if prices["open"] is None else whole(row.get("regularMarketVolume"))


def delay_of(row: Mapping[str, Any]) -> int:
    """In seconds; Yahoo says minutes."""
    return 60 * (whole(row.get("exchangeDataDelayedBy")) or 0)


# --- charts


PRICES = ("open", "high", "low", "close")


def bars_of(symbol: str, interval: Interval, chart: Mapping[str, Any]) -> list[Bar]:
    """As they stand in the chart: adjusted for the splits of its range, but in the major unit."""
    columns = chart["indicators"]["quote"][0]
    currency, zone = str(chart["meta"].get("currency") or "USD"), zone_of(chart)
    found: list[Bar | None] = []
    for told, *figures in zip(
        chart.get("timestamp") or [], *(columns.get(name, []) for name in (*PRICES, "volume")), strict=True
    ):
        moment = moment_of(told)
        if moment is None:
            continue
        start = midnight(moment.astimezone(zone).date()) if interval is Interval.DAY else moment
        found.append(_bar(symbol, start, figures, currency))
    return [bar for bar in found if bar]


def _bar(symbol: str, start: datetime, figures: Sequence[Any], currency: str) -> Bar | None:
    """None for the gap that Yahoo leaves where nothing was traded."""
    prices = {name: exact(positive(told)) for name, told in zip(PRICES, figures, strict=False)}
    major, _ = normalised(prices, currency)
    return bar_of(symbol, start, {**major, "volume": figures[-1]})


def actions_of(symbol: str, chart: Mapping[str, Any]) -> list[Action]:
    """Dividends as adjusted for the splits that came after, and splits."""
    events = chart.get("events") or {}
    zone, currency = zone_of(chart), str(chart["meta"].get("currency") or "USD")
    found: list[Action | None] = [
        *(_dividend(symbol, row, zone, currency) for row in (events.get("dividends") or {}).values()),
        *(_split(symbol, row, zone) for row in (events.get("splits") or {}).values()),
    ]
    return [action for action in found if action]


def _dividend(symbol: str, row: Mapping[str, Any], zone: ZoneInfo, currency: str) -> Action | None:
    moment, amount = moment_of(row["date"]), exact(positive(row["amount"]))
    if moment is None or amount is None:
        return None
    paid, major = normalised({"amount": amount}, currency)
    ex_date = moment.astimezone(zone).date()
    return Action(symbol, ActionKind.DIVIDEND, ex_date, amount=paid["amount"], currency=major)


def _split(symbol: str, row: Mapping[str, Any], zone: ZoneInfo) -> Action | None:
    moment, after, before = moment_of(row["date"]), positive(row["numerator"]), positive(row["denominator"])
    if moment is None or after is None or before is None:
        return None
    ex_date = moment.astimezone(zone).date()
    return Action(symbol, ActionKind.SPLIT, ex_date, split_from=before, split_to=after)


def zone_of(chart: Mapping[str, Any]) -> ZoneInfo:
    """Where the exchange is: its days are told by the moment they open."""
    try:
        return ZoneInfo(str(chart["meta"].get("exchangeTimezoneName")))
    except (ZoneInfoNotFoundError, ValueError):
        return NEW_YORK
