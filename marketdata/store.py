"""Writing quotes and bars to PostgreSQL: changed rows only, one statement with binary arrays.

Prices travel as float8 arrays and are cast to numeric by the server: exact up to 15 significant digits, to which
acceptance rounds a streamed price before anybody sees it, and three times cheaper than numeric arrays (see
docs/design/tape.md). What else has more digits, such as a bid or a fetched price, is rounded here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TypeVar

from django.db import IntegrityError, connection, transaction

from core.database import binary_cursor
from marketdata.models import Ticker
from marketdata.quotes import Bar, Quote

_COLUMNS = (
    ("ticker_id", "int8"),
    ("price", "float8"),
    ("change", "float8"),
    ("change_percent", "float8"),
    ("volume", "int8"),
    ("open", "float8"),
    ("high", "float8"),
    ("low", "float8"),
    ("previous_close", "float8"),
    ("bid", "float8"),
    ("ask", "float8"),
    ("as_of", "timestamptz"),
    ("received_at", "timestamptz"),
    ("expires_at", "timestamptz"),
    ("provider", "text"),
    ("session", "text"),
    ("replay_date", "date"),
    ("halted", "bool"),
    ("delayed_s", "int4"),
    ("epoch", "int8"),
    ("seq", "int8"),
)
_NAMES = ", ".join(name for name, _ in _COLUMNS)
_UPSERT = f"""
INSERT INTO marketdata_quote AS old ({_NAMES})
SELECT {_NAMES} FROM unnest({", ".join(f"%b::{kind}[]" for _, kind in _COLUMNS)}) AS new({_NAMES})
WHERE EXISTS (SELECT 1 FROM marketdata_ticker AS ticker WHERE ticker.id = new.ticker_id)
ON CONFLICT (ticker_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name, _ in _COLUMNS[1:])}
WHERE """  # noqa: S608 -- names come from the constant above
UPSERT_TICKED = _UPSERT + "(old.epoch, old.seq) < (excluded.epoch, excluded.seq)"
UPSERT_FETCHED = _UPSERT.replace(
    "epoch = excluded.epoch, seq = excluded.seq", "epoch = old.epoch, seq = old.seq"
) + ("old.as_of < excluded.as_of")

_BARS = """
INSERT INTO {table} AS old (ticker_id, {when}, open, high, low, close, volume)
SELECT * FROM unnest(%b::int8[], %b::{kind}[], %b::float8[], %b::float8[], %b::float8[], %b::float8[], %b::int8[])
  AS new (ticker_id, moment, open, high, low, close, volume)
WHERE EXISTS (SELECT 1 FROM marketdata_ticker AS ticker WHERE ticker.id = new.ticker_id)
ON CONFLICT (ticker_id, {when}) DO UPDATE
   SET open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close, volume = excluded.volume
 WHERE (old.open, old.high, old.low, old.close, old.volume)
       IS DISTINCT FROM (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume)
"""
UPSERT_MINUTE_BARS = _BARS.format(table="marketdata_minutebar", when="start", kind="timestamptz")
UPSERT_DAILY_BARS = _BARS.format(table="marketdata_dailybar", when="day", kind="date")


T = TypeVar("T")

# A ticker that is deleted between our look and our commit fails the write, once: the next look does not find it.
MOST_DELETIONS = 3


def past_deletions(write: Callable[[], T]) -> T:
    """Do a write in transactions of its own again where tickers were deleted while it ran."""
    for _ in range(MOST_DELETIONS):
        try:
            return write()
        except IntegrityError:
            continue
    return write()


def ticker_ids(symbols: Iterable[str]) -> dict[str, int]:
    return dict(Ticker.objects.filter(symbol__in=list(symbols)).values_list("symbol", "id"))


def store_ticked(quotes: Sequence[Quote], ids: Mapping[str, int]) -> int:
    """Rows written; a row that already holds a higher (epoch, seq) stays, so a stale owner writes nothing."""
    return _store(UPSERT_TICKED, quotes, ids)


def store_fetched(quotes: Sequence[Quote], ids: Mapping[str, int]) -> int:
    """Rows written; only where the fetched quote is newer in time, and without touching the tape's numbers."""
    return past_deletions(lambda: _store(UPSERT_FETCHED, quotes, ids))


def _store(statement: str, quotes: Sequence[Quote], ids: Mapping[str, int]) -> int:
    known = sorted((quote for quote in quotes if quote.symbol in ids), key=lambda quote: ids[quote.symbol])
    if not known:
        return 0
    columns = [[_plain(getattr(quote, name)) for quote in known] for name, _ in _COLUMNS[1:]]
    with transaction.atomic(), binary_cursor() as cursor:
        cursor.execute(statement, [[ids[quote.symbol] for quote in known], *columns])
        return cursor.rowcount


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    return getattr(value, "value", value)


def store_minute_bars(bars: Sequence[Bar], ids: Mapping[str, int]) -> int:
    """Rows inserted or changed."""
    return _store_bars(UPSERT_MINUTE_BARS, bars, [bar.start for bar in bars], ids)


def store_daily_bars(bars: Sequence[Bar], ids: Mapping[str, int]) -> int:
    """Rows inserted or changed; makes the monthly partitions that are missing."""
    days = [bar.start.date() for bar in bars]
    ensure_months(days)
    return _store_bars(UPSERT_DAILY_BARS, bars, days, ids)


def _store_bars(statement: str, bars: Sequence[Bar], when: Sequence[object], ids: Mapping[str, int]) -> int:
    rows = sorted(
        (ids[bar.symbol], moment, *map(float, (bar.open, bar.high, bar.low, bar.close)), bar.volume)
        for bar, moment in zip(bars, when, strict=True)
        if bar.symbol in ids
    )
    if not rows:
        return 0
    with transaction.atomic(), binary_cursor() as cursor:
        cursor.execute(statement, [list(column) for column in zip(*rows, strict=True)])
        return cursor.rowcount


# Any number, the same in every process: serialises the making of partitions.
PARTITION_LOCK = 7_310_001
_made: set[tuple[int, int]] = set()


def ensure_months(days: Iterable[date]) -> None:
    """Make the partitions of daily bars for the months of these days; idempotent, safe between processes."""
    missing = {(day.year, day.month) for day in days} - _made
    if not missing:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PARTITION_LOCK])
        for year, month in sorted(missing):
            first, after = date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS marketdata_dailybar_{first:%Y_%m} PARTITION OF marketdata_dailybar "
                f"FOR VALUES FROM ('{first}') TO ('{after}')"
            )
        # Known only when committed: an outer transaction may still roll the tables back.
        transaction.on_commit(lambda: _made.update(missing))
