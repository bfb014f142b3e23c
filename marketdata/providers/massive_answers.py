"""What Massive's JSON means, field by field, in our values. Pure but for the class of errors it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from marketdata.errors import (
    Malformed,
    NotFound,
    PlanLocked,
    ProviderDown,
    ProviderError,
    RateLimited,
    Unauthorized,
)
from marketdata.instruments import asset_class_of
from marketdata.providers.base import AssetClass, Interval, SymbolMatch
from marketdata.providers.massive_symbols import symbol_of
from marketdata.providers.reading import date_of, midnight, moment_of
from marketdata.providers.trade_conditions import MASSIVE, moves_price
from marketdata.providers.vendor import positive, whole
from marketdata.quotes import EPOCH, Action, ActionKind, Bar

Value = TypeVar("Value")
# What one row means; None for a row that means nothing to us.
Read = Callable[[Mapping[str, Any]], Value | None]
NEW_YORK = ZoneInfo("America/New_York")
NANOSECONDS, MILLISECONDS = 1_000_000_000, 1_000
KINDS = {"fx": AssetClass.FOREX, "crypto": AssetClass.CRYPTO, "indices": AssetClass.INDEX}
FUND_TYPES = {"ETF", "ETN", "ETV", "ETS", "FUND"}


def refusal_of(status: Any, words: str, retry_at: datetime) -> ProviderError:
    """The kind of refusal; the vendor's words decide it and are not repeated."""
    words = words.lower()
    if "maximum requests" in words:
        return RateLimited("massive asks us to wait", retry_at=retry_at)
    if "api key" in words:
        return Unauthorized("massive refuses our key")
    if status == "NOT_AUTHORIZED":
        return PlanLocked("massive: not in our plan")
    if status == "NOT_FOUND":
        return NotFound("massive does not have it")
    if status == "ERROR":
        return ProviderDown("massive answered with an error")
    return Malformed("massive: an answer without status")


def item_error(code: str) -> ProviderError:
    """Of one symbol in a batch whose other symbols are fine."""
    if code == "NOT_FOUND":
        return NotFound("massive does not have it")
    if "ENTITLED" in code or "AUTHORIZED" in code:
        return PlanLocked("massive: not in our plan")
    return ProviderDown("massive has an error for it")


def rows_of(body: Any, *, needed: bool = False) -> list[Mapping[str, Any]]:
    """`results`; an answer about nothing leaves it out, except where it is `needed`."""
    rows = body.get("results") if needed else body.get("results") or []
    if not isinstance(rows, list):
        raise Malformed("massive: results are no list")
    return [row for row in rows if isinstance(row, dict)]


def object_of(item: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = item.get(name)
    return found if isinstance(found, dict) else {}


def middle(bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    """What a currency pair is worth: it is quoted, not traded."""
    return (bid + ask) / 2 if bid and ask and bid <= ask else None


def last_of(symbol: str, item: Mapping[str, Any]) -> tuple[Decimal | None, datetime | None]:
    """The price now and its time, from the best that this class of instrument and this plan have."""
    kind, session = asset_class_of(symbol), object_of(item, "session")
    if kind is AssetClass.INDEX:
        return positive(item.get("value")), moment_of(item.get("last_updated"), NANOSECONDS)
    book, trade = object_of(item, "last_quote"), object_of(item, "last_trade")
    if kind is AssetClass.FOREX and (price := middle(positive(book.get("bid")), positive(book.get("ask")))):
        return price, moment_of(book.get("last_updated"), NANOSECONDS)
    closed = positive(session.get("close"))
    if price := positive(trade.get("price")):
        if kind is AssetClass.STOCK and closed and not moves_price(trade.get("conditions"), MASSIVE):
            price = closed
        told = trade.get("sip_timestamp") or trade.get("last_updated") or trade.get("participant_timestamp")
        return price, moment_of(told, NANOSECONDS)
    told = session.get("last_updated") or item.get("last_updated")
    return positive(session.get("price")) or closed, moment_of(told, NANOSECONDS)


def is_real_time(item: Mapping[str, Any]) -> bool:
    """Whether what the price was taken from says so."""
    parts = (item, object_of(item, "last_trade"), object_of(item, "last_quote"))
    told = {part["timeframe"] for part in parts if "timeframe" in part}
    return told == {"REAL-TIME"}


def day_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a snapshot beside its price, by the names of a quote."""
    session, book = object_of(item, "session"), object_of(item, "last_quote")
    prices = {name: positive(session.get(name)) for name in ("previous_close", "open", "high", "low")}
    sides = {name: positive(book.get(name)) for name in ("bid", "ask")}
    return {**prices, **sides, "volume": whole(session.get("volume"))}


def next_page(address: Any) -> tuple[str, dict[str, str]] | None:
    """Path and query of the next page, None behind the last one; whatever host it names gets no key from us."""
    if not address:
        return None
    parts = urlsplit(address)
    if not parts.path.startswith("/"):
        raise Malformed("massive: the next page has no address")
    return parts.path, {name: value for name, value in parse_qsl(parts.query) if name.lower() != "apikey"}


def listed(rows: list[Mapping[str, Any]], read: Read[Value]) -> list[Value]:
    return [value for row in rows if (value := read(row)) is not None]


def readable(rows: list[Mapping[str, Any]], read: Read[Value]) -> list[Value]:
    """What can be read of the rows; raises Malformed where that is nothing at all."""
    found = listed(rows, read)
    if rows and not found:
        raise Malformed("massive: no row can be read")
    return found


def range_of(interval: Interval, start: datetime, end: datetime) -> tuple[str, str]:
    """First and last start of a bar as the path wants them: days as dates, both included."""
    last = end - timedelta(microseconds=1)
    if interval is Interval.DAY:
        return start.astimezone(UTC).date().isoformat(), last.astimezone(UTC).date().isoformat()
    return str((start - EPOCH) // timedelta(milliseconds=1)), str((last - EPOCH) // timedelta(milliseconds=1))


def bar_of(symbol: str, interval: Interval, row: Mapping[str, Any]) -> Bar | None:
    """None where a figure is missing."""
    moment = moment_of(row.get("t"), MILLISECONDS)
    prices = [positive(row.get(name)) for name in "ohlc"]
    if moment is None or None in prices:
        return None
    if interval is Interval.DAY:
        moment = midnight(_day_of(moment))
    opened, high, low, close = (price for price in prices if price is not None)
    return Bar(symbol, moment, opened, high, low, close, whole(row.get("v")) or 0)


def _day_of(moment: datetime) -> date:
    """A stock's day begins at midnight in New York, which is never midnight in UTC; a coin's in UTC."""
    is_utc = moment.time() == time()
    return moment.date() if is_utc else moment.astimezone(NEW_YORK).date()


def dividend_of(symbol: str, row: Mapping[str, Any]) -> Action | None:
    ex_date, amount = date_of(row.get("ex_dividend_date")), positive(row.get("cash_amount"))
    if ex_date is None or amount is None:
        return None
    return Action(
        symbol,
        ActionKind.DIVIDEND,
        ex_date,
        amount=amount,
        currency=str(row.get("currency") or "USD").upper(),
        special=row.get("dividend_type") == "SC",
        declared_date=date_of(row.get("declaration_date")),
        record_date=date_of(row.get("record_date")),
        pay_date=date_of(row.get("pay_date")),
    )


def split_of(symbol: str, row: Mapping[str, Any]) -> Action | None:
    ex_date = date_of(row.get("execution_date"))
    before, after = positive(row.get("split_from")), positive(row.get("split_to"))
    if ex_date is None or before is None or after is None:
        return None
    return Action(symbol, ActionKind.SPLIT, ex_date, split_from=before, split_to=after)


def match_of(row: Mapping[str, Any]) -> SymbolMatch | None:
    symbol = symbol_of(str(row.get("ticker")))
    if symbol is None:
        return None
    fund = AssetClass.ETF if row.get("type") in FUND_TYPES else AssetClass.STOCK
    money = row.get("currency_symbol") or row.get("currency_name")
    return SymbolMatch(
        symbol,
        str(row.get("name") or ""),
        exchange=str(row.get("primary_exchange") or ""),
        asset_class=KINDS.get(str(row.get("market")), fund),
        currency=str(money or "USD").upper(),
    )
