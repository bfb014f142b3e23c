"""The directory of tickers: reading it from a CSV file and bringing the table up to date."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from django.db import transaction

from marketdata.currency import MINOR_UNITS
from marketdata.errors import InvalidSymbol, MarketDataError
from marketdata.instruments import asset_class_of
from marketdata.models import Ticker
from marketdata.providers.base import AssetClass
from marketdata.symbols import canonical

SHIPPED = Path(__file__).resolve().parent / "data" / "symbols.csv"
REQUIRED = ("symbol", "name")
BATCH = 2_000
NAME_LENGTH, EXCHANGE_LENGTH, SECTOR_LENGTH, CURRENCY_LENGTH = 200, 40, 60, 3


class DirectoryError(MarketDataError):
    """The file cannot be read as a directory at all; its message is safe to show."""


@dataclass(frozen=True, slots=True)
class Rejected:
    line: int
    symbol: str
    reason: str


@dataclass
class Report:
    rows: int = 0
    created: int = 0
    updated: int = 0
    rejected: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the file and the line it ends on."""

    number: int
    values: Mapping[str, str]


def read(path: Path) -> list[Line]:
    """All rows of a CSV file with a header; raises DirectoryError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_lines(csv.DictReader(file, restval="", strict=True)))
    except OSError as error:
        raise DirectoryError(f"{path}: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise DirectoryError(f"{path}: this is not UTF-8 text (byte {error.start}).") from error
    except csv.Error as error:
        raise DirectoryError(f"{path}: this is not CSV: {error}.") from error


def load(lines: Iterable[Line], on_progress: Callable[[int], None] | None = None) -> Report:
    """Create or update one ticker per row; rows that cannot be are rejected and the others go in."""
    report = Report()
    tickers = list(_tickers(lines, report))
    with transaction.atomic():
        for first in range(0, len(tickers), BATCH):
            _upsert(tickers[first : first + BATCH], report)
            if on_progress:
                on_progress(min(first + BATCH, len(tickers)))
    return report


def _lines(reader: csv.DictReader[str]) -> Iterator[Line]:
    missing = [name for name in REQUIRED if name not in (reader.fieldnames or ())]
    if missing:
        raise DirectoryError(f"The first line names no column {' and no column '.join(missing)}.")
    for row in reader:
        yield Line(reader.line_num, {name: value.strip() for name, value in row.items() if name})


def _tickers(lines: Iterable[Line], report: Report) -> Iterator[Ticker]:
    """Those that are right, each symbol once."""
    first_line: dict[str, int] = {}
    for line in lines:
        report.rows += 1
        try:
            ticker = _ticker(line.values)
            earlier = first_line.setdefault(ticker.symbol, line.number)
            if earlier != line.number:
                raise InvalidSymbol(f"{ticker.symbol} is on line {earlier} already.")
        except ValueError as error:
            report.rejected.append(Rejected(line.number, line.values["symbol"][:40], str(error)))
            continue
        yield ticker


def _ticker(values: Mapping[str, str]) -> Ticker:
    name = values["name"]
    if not name:
        raise ValueError("The name is missing.")
    if not name.isprintable():
        raise ValueError("The name has control characters.")
    symbol = canonical(listed(values["symbol"]))
    return Ticker(
        symbol=symbol,
        name=name[:NAME_LENGTH],
        exchange=_text(values, "exchange", EXCHANGE_LENGTH),
        sector=_text(values, "sector", SECTOR_LENGTH),
        asset_class=_asset_class(values, symbol),
        currency=_currency(values),
    )


def listed(symbol: str) -> str:
    """The exchanges' own listings write preferred shares with a dollar sign: ABR$D, TY$."""
    root, dollar, series = symbol.partition("$")
    return f"{root}.PR{series}" if dollar else symbol


def _text(values: Mapping[str, str], name: str, length: int) -> str:
    value = values.get(name, "")
    return value[:length] if value.isprintable() else ""


def _asset_class(values: Mapping[str, str], symbol: str) -> str:
    """As the file has it, else as the spelling tells."""
    if given := values.get("asset_class", ""):
        return AssetClass(given.lower()).value
    if values.get("is_etf", "").lower() in {"1", "true", "y", "yes"}:
        return AssetClass.ETF.value
    return asset_class_of(symbol).value


def _currency(values: Mapping[str, str]) -> str:
    """In capitals; pence and cents are told as their pounds and rands, as prices are. Empty: not in the file."""
    given = values.get("currency", "")
    code = MINOR_UNITS.get(given, given.upper())
    if code and not (len(code) == CURRENCY_LENGTH and code.isascii() and code.isalpha()):
        raise ValueError("The currency is no code of three letters, such as USD.")
    return code


def _upsert(tickers: list[Ticker], report: Report) -> None:
    """An empty exchange, sector or currency of the file does not erase what is known."""
    known = {old.symbol: old for old in Ticker.objects.filter(symbol__in=[one.symbol for one in tickers])}
    for ticker in tickers:
        if old := known.get(ticker.symbol):
            ticker.exchange = ticker.exchange or old.exchange
            ticker.sector = ticker.sector or old.sector
            ticker.currency = ticker.currency or old.currency
        ticker.currency = ticker.currency or "USD"
    Ticker.objects.bulk_create(
        tickers,
        update_conflicts=True,
        unique_fields=["symbol"],
        update_fields=["name", "exchange", "sector", "asset_class", "currency"],
    )
    report.created += len(tickers) - len(known)
    report.updated += len(known)
