"""What a day is compared with: the 52-week high and low, and the average volume, of the days before it.

From raw daily bars, restated in the shares of today (or of the replayed day): two queries, however many tickers.
Between two splits all bars have the same factor, and rounding keeps their order, so the extremes of each stretch are
found first and restated then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.db import connection

from alerts.series import Reference
from marketdata.adjusting import adjusted_price, split_ratio
from marketdata.quotes import Action, ActionKind
from marketdata.splits import today as today_in_new_york

YEAR = timedelta(weeks=52)
VOLUME_DAYS = 20

# One row per split that lies between the first and the last day looked at, or a single one without a split.
TICKERS = """
SELECT ticker.id, ticker.symbol, day.today, split.ex_date, split.split_from, split.split_to
  FROM marketdata_ticker AS ticker
  LEFT JOIN marketdata_quote AS quote ON quote.ticker_id = ticker.id
 CROSS JOIN LATERAL (SELECT coalesce(quote.replay_date, %(today)s::date) AS today) AS day
  LEFT JOIN marketdata_corporateaction AS split
         ON split.ticker_id = ticker.id AND split.kind = 'split'
        AND split.ex_date > day.today - %(days)s AND split.ex_date <= day.today
 WHERE ticker.symbol = ANY (%(symbols)s)
"""
# A stretch: one ticker's days from `since` on and before `until`, all in the same shares.
STRETCHES = """
SELECT stretch.ticker_id, stretch.until, bars.high, bars.low, bars.newest, volumes.newest_first
  FROM unnest(%(tickers)s::bigint[], %(since)s::date[], %(until)s::date[]) AS stretch (ticker_id, since, until)
 CROSS JOIN LATERAL (
   SELECT max(bar.high) AS high, min(bar.low) AS low, max(bar.day) AS newest
     FROM marketdata_dailybar AS bar
    WHERE bar.ticker_id = stretch.ticker_id AND bar.day >= stretch.since AND bar.day < stretch.until) AS bars
 CROSS JOIN LATERAL (
   SELECT array_agg(volume ORDER BY day DESC) AS newest_first FROM (
     SELECT bar.day, bar.volume FROM marketdata_dailybar AS bar
      WHERE bar.ticker_id = stretch.ticker_id AND bar.day >= stretch.since AND bar.day < stretch.until
      ORDER BY bar.day DESC LIMIT %(volumes)s) AS newest) AS volumes
 WHERE bars.newest IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class _Known:
    """A ticker, the day that counts as today, and its splits."""

    symbol: str
    today: date
    splits: list[Action]

    def stretches(self) -> list[tuple[date, date]]:
        days = sorted({split.ex_date for split in self.splits})
        return list(zip([self.today - YEAR, *days], [*days, self.today], strict=True))


@dataclass(frozen=True, slots=True)
class _Stretch:
    until: date
    high: Decimal
    low: Decimal
    newest: date
    volumes: list[int]
    """The newest first."""


def references(symbols: Iterable[str]) -> dict[str, Reference]:
    """By symbol, of those that have bars of the days before today."""
    known = _tickers(list(symbols))
    stretches = _stretches(known)
    return {
        one.symbol: _reference(one, stretches[ticker]) for ticker, one in known.items() if ticker in stretches
    }


def _tickers(symbols: Sequence[str]) -> dict[int, _Known]:
    known: dict[int, _Known] = {}
    values: dict[str, date | int | list[str]] = {
        "today": today_in_new_york(), "days": YEAR.days, "symbols": list(symbols),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(TICKERS, values)
        for ticker, symbol, today, ex_date, split_from, split_to in cursor.fetchall():
            one = known.setdefault(ticker, _Known(symbol, today, []))
            if ex_date is not None:
                split = Action(symbol, ActionKind.SPLIT, ex_date, split_from=split_from, split_to=split_to)
                one.splits.append(split)
    return known


def _stretches(known: dict[int, _Known]) -> dict[int, list[_Stretch]]:
    asked = [(ticker, *days) for ticker, one in known.items() for days in one.stretches()]
    if not asked:
        return {}
    tickers, since, until = (list(column) for column in zip(*asked, strict=True))
    found: dict[int, list[_Stretch]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            STRETCHES, {"tickers": tickers, "since": since, "until": until, "volumes": VOLUME_DAYS}
        )
        for ticker, *stretch in cursor.fetchall():
            found.setdefault(ticker, []).append(_Stretch(*stretch))
    return found


def _reference(known: _Known, stretches: list[_Stretch]) -> Reference:
    highs, lows, volumes = [], [], []
    for stretch in sorted(stretches, key=lambda one: one.until, reverse=True):
        day, splits, today = stretch.newest, known.splits, known.today
        highs.append(adjusted_price(stretch.high, day, splits, today))
        lows.append(adjusted_price(stretch.low, day, splits, today))
        ratio = split_ratio(splits, day, today)
        volumes += [round(volume * ratio) for volume in stretch.volumes]
    some = volumes[:VOLUME_DAYS]
    newest = max(stretch.newest for stretch in stretches)
    return Reference(max(highs), min(lows), Decimal(sum(some)) / len(some), newest)
