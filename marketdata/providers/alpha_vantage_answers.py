"""What Alpha Vantage's texts mean: its spelling of symbols, its refusals, numbered names, New York's times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from core import clock
from marketdata.currency import normalised
from marketdata.errors import (
    BadRequest,
    NotFound,
    PlanLocked,
    ProviderError,
    RateLimited,
    Unauthorized,
)
from marketdata.instruments import asset_class_of
from marketdata.providers.base import AssetClass, SymbolMatch
from marketdata.providers.reading import bar_of, date_of, midnight, rows_of
from marketdata.providers.spelling import ours, parts_of
from marketdata.providers.vendor import positive, whole
from marketdata.quotes import Action, ActionKind, Bar

NEW_YORK = ZoneInfo("America/New_York")
COVERED = frozenset({AssetClass.STOCK, AssetClass.ETF, AssetClass.CRYPTO, AssetClass.FOREX})
# Ours and theirs; how others are spelled is not known, and of London (LON) the unit of price is not told.
EXCHANGES = {"TO": "TRT", "V": "TRV", "DE": "DEX", "BO": "BSE", "SS": "SHH", "SZ": "SHZ"}
OUR_EXCHANGES = {theirs: ours_ for ours_, theirs in EXCHANGES.items()} | {"LON": "L"}
# What dividends are paid in there: the list does not tell.
CURRENCIES = {"TO": "CAD", "V": "CAD", "DE": "EUR", "BO": "INR", "SS": "CNY", "SZ": "CNY"}
FUNDS = {"ETF", "Mutual Fund"}
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
# One request a month: more than two years of minutes would use up any plan's patience.
MONTHS_AT_MOST = 24
# A factor is told with four decimals, so 0.0333 stands for 1:30.
ROUNDED = Fraction(1, 10_000)


class InvalidCall(BadRequest):
    """It refuses the question; of one about a symbol that means the symbol."""


# --- symbols


def spelled(symbol: str) -> str | None:
    """Alpha Vantage's spelling of a canonical symbol; None where it has none, or none that we know."""
    if asset_class_of(symbol) not in COVERED or symbol.endswith("=F"):
        return None
    if asset_class_of(symbol) is not AssetClass.STOCK:
        return "/".join(pair_of(symbol))
    parts = parts_of(symbol)
    if len(parts.share_class) > 1 or (parts.exchange and parts.exchange not in EXCHANGES):
        return None
    root = f"{parts.root}-{parts.share_class}" if parts.share_class else parts.root
    return f"{root}.{EXCHANGES[parts.exchange]}" if parts.exchange else root


def asked_of(symbol: str) -> str:
    found = spelled(symbol)
    if found is None:
        raise NotFound(f"alpha_vantage does not have {symbol}")
    return found


def pair_of(symbol: str) -> tuple[str, str]:
    """BTC-USD is BTC in USD, EURUSD=X is EUR in USD."""
    if "-" in symbol:
        base, _, money = symbol.partition("-")
        return base, money
    return symbol[:3], symbol[3:6]


def matches_of(body: Any) -> list[SymbolMatch]:
    return [match for row in rows_of(body["bestMatches"]) if (match := _match_of(unnumbered(row)))]


def _match_of(figures: Mapping[str, Any]) -> SymbolMatch | None:
    symbol = ours_of(str(figures.get("symbol")))
    if symbol is None:
        return None
    _, currency = normalised({}, str(figures.get("currency") or "USD"))
    return SymbolMatch(
        symbol,
        str(figures.get("name") or ""),
        exchange=str(figures.get("region") or ""),
        asset_class=AssetClass.ETF if figures.get("type") in FUNDS else AssetClass.STOCK,
        currency=currency,
    )


def ours_of(theirs: str) -> str | None:
    root, dot, exchange = theirs.rpartition(".")
    if not dot:
        return ours(theirs)
    return ours(f"{root}.{OUR_EXCHANGES[exchange]}") if exchange in OUR_EXCHANGES else None


# --- refusals


def refusal(words: str) -> ProviderError:
    """The kind of refusal; the vendor's words decide it and are not repeated."""
    words = words.lower()
    now = clock.now()
    wait = partial(RateLimited, "alpha_vantage asks us to wait")
    # In this order: the request to slow down names the daily limit as well, and most texts praise premium plans.
    meanings: tuple[tuple[str, Callable[[], ProviderError]], ...] = (
        ("sparingly", partial(wait, retry_at=now + SECOND)),
        ("per minute", partial(wait, retry_at=now + MINUTE)),
        ("per day", partial(wait, retry_at=next_midnight(now))),
        ("premium", partial(PlanLocked, "alpha_vantage: not in our plan")),
        ("no articles", partial(NotFound, "alpha_vantage has no articles")),
        ("invalid inputs", partial(InvalidCall, "alpha_vantage refuses the question")),
        ("apikey", partial(Unauthorized, "alpha_vantage refuses our key")),
        ("api key", partial(Unauthorized, "alpha_vantage refuses our key")),
        ("invalid api call", partial(InvalidCall, "alpha_vantage refuses the question")),
        ("", partial(wait, retry_at=now + MINUTE)),
    )
    return next(meaning() for sign, meaning in meanings if sign in words)


def next_midnight(now: datetime) -> datetime:
    """The sooner one of the next midnights of UTC and of New York."""
    return min(_midnight_after(now, UTC), _midnight_after(now, NEW_YORK))


def _midnight_after(now: datetime, zone: tzinfo) -> datetime:
    tomorrow = now.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), zone).astimezone(UTC)


# --- figures


def unnumbered(figures: Mapping[str, Any]) -> dict[str, Any]:
    """`05. price` and `5. Exchange Rate` without their numbers."""
    return {name.partition(". ")[2] or name: value for name, value in figures.items()}


def figures_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The day's figures of a quote, single or in a batch."""
    previous_close = positive(row.get("previous close")) or positive(row.get("previous_close"))
    prices = {name: positive(row.get(name)) for name in ("open", "high", "low")}
    return {**prices, "previous_close": previous_close, "volume": whole(row.get("volume"))}


def local(text: Any, zone: tzinfo) -> datetime | None:
    """A local time without its zone, in UTC."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def new_york(text: Any) -> datetime | None:
    return local(text, NEW_YORK)


# --- series


def bars_of(symbol: str, name: str, start_of: Callable[[str], datetime | None], body: Any) -> list[Bar]:
    """Raises as a reader of another shape does."""
    found = ((start_of(told), unnumbered(row)) for told, row in body[name].items())
    bars = (bar_of(symbol, start, row) for start, row in found if start)
    return [bar for bar in bars if bar]


def start_of_day(text: str) -> datetime | None:
    day = date_of(text)
    return midnight(day) if day else None


def months(start: datetime, end: datetime) -> list[str]:
    """The months of New York that a range touches, the oldest first; of a longer range the newest ones."""
    if start >= end:
        return []
    first, last = start.astimezone(NEW_YORK), (end - timedelta(microseconds=1)).astimezone(NEW_YORK)
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [f"{number // 12}-{number % 12 + 1:02}" for number in numbers][-MONTHS_AT_MOST:]


# --- corporate actions


def actions_of(
    symbol: str, action_of: Callable[[str, Mapping[str, Any]], Action | None], body: Any
) -> list[Action]:
    """Of one kind; raises as a reader of another shape does."""
    return [action for row in rows_of(body["data"]) if (action := action_of(symbol, row))]


def dividend_of(symbol: str, row: Mapping[str, Any]) -> Action | None:
    ex_date, amount = date_of(row.get("ex_dividend_date")), positive(row.get("amount"))
    if ex_date is None or amount is None:
        return None
    return Action(
        symbol,
        ActionKind.DIVIDEND,
        ex_date,
        amount=amount,
        currency=CURRENCIES.get(parts_of(symbol).exchange, "USD"),
        declared_date=date_of(row.get("declaration_date")),
        record_date=date_of(row.get("record_date")),
        pay_date=date_of(row.get("payment_date")),
    )


def split_of(symbol: str, row: Mapping[str, Any]) -> Action | None:
    ex_date, factor = date_of(row.get("effective_date")), positive(row.get("split_factor"))
    if ex_date is None or factor is None:
        return None
    before, after = _ratio(factor)
    return Action(symbol, ActionKind.SPLIT, ex_date, split_from=before, split_to=after)


def _ratio(factor: Decimal) -> tuple[Decimal, Decimal]:
    """4.0000 is from 1 to 4, 0.0200 from 50 to 1, 1.5000 from 2 to 3, and 1.0123 what it is."""
    exact = Fraction(factor)
    inverse = round(1 / exact)
    if inverse > 1 and abs(exact - Fraction(1, inverse)) < ROUNDED:
        return Decimal(inverse), Decimal(1)
    simple = exact.limit_denominator(10)
    if abs(exact - simple) < ROUNDED:
        return Decimal(simple.denominator), Decimal(simple.numerator)
    return Decimal(1), factor
