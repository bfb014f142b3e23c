"""Alpaca's past bars: what a request asks for, and one page of it over all its symbols.

A page is counted over all symbols, which come one after the other; its token says where the next one begins, so it is
good for ever and for any server.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Any

from django.utils.dateparse import parse_datetime

from core import clock, json
from marketdata.adjusting import Adjustment
from marketdata.api.bars import replay_date, replay_start
from marketdata.calendar import NEW_YORK
from marketdata.errors import InvalidSymbol
from marketdata.models import Ticker
from marketdata.providers.base import Interval
from marketdata.quotes import EPOCH, Bar, microseconds
from marketdata.symbols import canonical
from subscriptions.compat import alpaca as words
from subscriptions.compat.access import Refusal, Wrong
from subscriptions.compat.bars import EARLIEST, Asked, Windows, merged, stored_bars, zone_of

USUAL_LIMIT, MOST_BARS = 1_000, 10_000
# Rows after which a page ends, however long the bars are that they are merged into: of one symbol no more are read,
# and no further symbol is begun.
MOST_ROWS = 20_000
TIMEFRAME = re.compile(r"([0-9]{1,2})(Min|T|Hour|H|Day|D|Week|W|Month|M)")
SPANS = {"Min": "minute", "T": "minute", "Hour": "hour", "H": "hour", "Day": "day", "D": "day",
         "Week": "week", "W": "week", "Month": "month", "M": "month"}  # fmt: skip
COUNTS: Mapping[str, Collection[int]] = {
    "minute": range(1, 60), "hour": range(1, 24), "day": {1}, "week": {1}, "month": {1, 2, 3, 4, 6, 12},
}  # fmt: skip
ADJUSTMENTS = {
    frozenset({"raw"}): Adjustment.RAW,
    frozenset({"split"}): Adjustment.SPLIT,
    frozenset({"split", "spin-off"}): Adjustment.SPLIT,
    frozenset({"split", "dividend"}): Adjustment.ALL,
    frozenset({"split", "dividend", "spin-off"}): Adjustment.ALL,
    frozenset({"all"}): Adjustment.ALL,
}
LATEST = datetime.max.replace(tzinfo=UTC)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class _Windows(Windows):
    """Weeks begin on Monday here."""

    __slots__ = ()

    def _first_day(self, day: date) -> date:
        return day - timedelta(days=day.weekday()) if self.span == "week" else super()._first_day(day)


@dataclass(frozen=True, slots=True)
class Wish:
    """Bars that begin from `start` to `end`, both included; without a start those of today."""

    count: int
    span: str
    start: datetime | None
    end: datetime
    limit: int
    newest_first: bool
    adjustment: Adjustment


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: at a symbol, and there at a stored bar or with all of it."""

    symbol: str
    bar: datetime | None = None

    def token(self) -> str:
        us = None if self.bar is None else microseconds(self.bar)
        return base64.urlsafe_b64encode(json.dumps_bytes([self.symbol, us])).decode()


# --- what is asked for


def wish_of(asked: Mapping[str, str]) -> Wish:
    """Raises Refusal, naming what cannot be read."""
    count, span = _timeframe(asked.get("timeframe", ""))
    must_be(asked, "sort", {"asc", "desc"})
    must_be(asked, "currency", {"USD"})
    start = _moment(asked, "start", time.min)
    end = _moment(asked, "end", time.max)
    if start is not None and end is not None and start > end:
        raise _invalid("end should not be before start")
    now = clock.now()
    return Wish(
        count, span, start, min(end or now, now),
        limit=_limit(asked.get("limit", "")),
        newest_first=asked.get("sort") == "desc",
        adjustment=_adjustment(asked.get("adjustment", "")),
    )  # fmt: skip


def must_be(asked: Mapping[str, str], name: str, words: Collection[str]) -> None:
    if asked.get(name) and asked[name] not in words:
        raise _invalid(f"invalid {name}")


def _invalid(message: str) -> Refusal:
    return Refusal(Wrong.INVALID, message)


def _timeframe(text: str) -> tuple[int, str]:
    found = TIMEFRAME.fullmatch(text)
    if found and int(found[1]) in COUNTS[SPANS[found[2]]]:
        return int(found[1]), SPANS[found[2]]
    raise _invalid("invalid timeframe")


def _limit(text: str) -> int:
    if not text:
        return USUAL_LIMIT
    if re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= MOST_BARS:
        return int(text)
    raise _invalid(f"invalid limit: 1 to {MOST_BARS}")


def _adjustment(text: str) -> Adjustment:
    parts = frozenset(text.split(",")) if text else frozenset({"raw"})
    if parts in ADJUSTMENTS:
        return ADJUSTMENTS[parts]
    raise _invalid("invalid adjustment: raw, split or all")


def _moment(asked: Mapping[str, str], name: str, of_day: time) -> datetime | None:
    """RFC 3339, without a zone in UTC; a date is a day in New York, and begins or ends there."""
    text = asked.get(name, "")
    if not text:
        return None
    try:
        found = _read_moment(text, of_day)
    except ValueError:
        raise _invalid(f"invalid {name}") from None
    try:
        return max(found.astimezone(UTC), EARLIEST)
    except OverflowError:  # within hours of either end of the calendar
        return EARLIEST if found.year < EARLIEST.year else LATEST


def _read_moment(text: str, of_day: time) -> datetime:
    if DAY.fullmatch(text):
        return datetime.combine(date.fromisoformat(text), of_day, NEW_YORK)
    # A bare + in a query arrives as a space.
    found = parse_datetime(text) or parse_datetime(text.replace(" ", "+"))
    if found is None:
        raise ValueError(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def place_of(token: str) -> Place | None:
    """The inverse of `Place.token`; raises Refusal for anything else."""
    if not token:
        return None
    try:
        symbol, us = json.loads(base64.urlsafe_b64decode(token))
        bar = None if us is None else max(EPOCH + timedelta(microseconds=us), EARLIEST)
        return Place(canonical(symbol), bar)
    except (ValueError, TypeError, OverflowError, InvalidSymbol):
        raise _invalid("invalid page_token") from None


# --- one page


def page_of(
    symbols: Sequence[str], wish: Wish, begin: Place | None
) -> tuple[dict[str, list[dict[str, Any]]], str | None]:
    """(bars by symbol, the token of the next page or None)."""
    tickers = Ticker.objects.filter(symbol__in=symbols).select_related("quote").order_by("symbol")
    rows: dict[str, list[dict[str, Any]]] = {}
    room, unread = wish.limit, MOST_ROWS
    for ticker in tickers if begin is None else [one for one in tickers if one.symbol >= begin.symbol]:
        if not room or unread <= 0:
            return rows, Place(ticker.symbol).token()
        resume = begin.bar if begin is not None and begin.symbol == ticker.symbol else None
        found, more, read = _read(ticker, wish, resume, room)
        if found:
            rows[ticker.symbol] = [words.bar_of(bar, bar.start) for bar in found]
        if more is not None:
            return rows, Place(ticker.symbol, more).token()
        room, unread = room - len(found), unread - read
    return rows, None


def _read(
    ticker: Ticker, wish: Wish, resume: datetime | None, room: int
) -> tuple[list[Bar], datetime | None, int]:
    """(at most `room` bars, the stored bar that the next page begins with or None, how many stored ones were read)."""
    windows = _Windows(wish.count, wish.span, zone_of(ticker.symbol))
    start = wish.start or _today(ticker, windows)
    # Twice, for the hour that a clock is put back has all its minutes twice.
    most = min(2 * room * windows.most_bars, MOST_ROWS) + 1 if windows.most_bars > 1 else room + 1
    stored = stored_bars(ticker, _asked(windows, wish, start, resume, most))
    groups = _grouped(stored, windows)
    more: datetime | None = None
    if len(stored) == most:  # the last one may go on
        more = groups.pop()[1][0].start
    kept = [(begin, those) for begin, those in groups if start <= begin <= wish.end]
    if len(kept) > room:
        kept, more = kept[:room], kept[room][1][0].start
    order = -1 if wish.newest_first else 1
    return [_sum_of(begin, those[::order], windows) for begin, those in kept], more, len(stored)


def _grouped(stored: Sequence[Bar], windows: Windows) -> list[tuple[datetime, list[Bar]]]:
    """The beginning of each window, and its bars in the order in which they come."""
    if windows.most_bars == 1 and windows.interval is Interval.MINUTE:
        return [(bar.start, [bar]) for bar in stored]
    return [(begin, list(those)) for begin, those in groupby(stored, windows.start_of)]


def _sum_of(begin: datetime, bars: Sequence[Bar], windows: Windows) -> Bar:
    """Of bars that are oldest first."""
    return replace(bars[0], start=begin) if len(bars) == 1 else merged(bars, windows)[0]


def _asked(windows: Windows, wish: Wish, start: datetime, resume: datetime | None, most: int) -> Asked:
    """Windows are read whole."""
    first, last = windows.bounds(min(start, wish.end), wish.end)
    asked = Asked(windows.interval, first, last, most, wish.newest_first, wish.adjustment)
    if resume is None:
        return asked
    return replace(asked, end=resume) if wish.newest_first else replace(asked, start=resume)


def _today(ticker: Ticker, windows: Windows) -> datetime:
    """Since when what is running belongs to today, or to the day that is being replayed."""
    if windows.interval is Interval.MINUTE and (since := replay_start(ticker)):
        return since
    day = replay_date(ticker) or clock.now().astimezone(windows.zone).date()
    return datetime.combine(day, time.min, windows.zone).astimezone(UTC)
