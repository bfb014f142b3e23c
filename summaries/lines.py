"""Articles and earnings calls in files of JSON lines: one object on each, in UTF-8. Pure.

A line that cannot be read is told with its number and costs no other line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar

import orjson

from marketdata.company import EarningsCall, News, Speech
from marketdata.errors import InvalidSymbol
from marketdata.symbols import canonical

T = TypeVar("T")
# A line of this size is a mistake, such as a whole file of JSON on one line.
LONGEST = 2_000_000
MOST_SYMBOLS = 100
MOST_SPEECHES = 5_000
NOON = time(12)


class BadLine(Exception):
    """Its message is safe to show."""


@dataclass(frozen=True, slots=True)
class Bad:
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class ArticleLine:
    number: int
    news: News
    licence: str = ""
    is_fictional: bool = False


@dataclass(frozen=True, slots=True)
class CallLine:
    number: int
    call: EarningsCall
    is_fictional: bool = False


def articles(lines: Iterable[bytes], now: datetime) -> Iterator[ArticleLine | Bad]:
    """`{"id", "date" or "days_ago", "headline", "text", "tickers", "source", "url", "license", "fictional"}`."""
    for number, line in _numbered(lines):
        try:
            yield _article(number, _object(line), now)
        except BadLine as error:
            yield Bad(number, str(error))


def calls(lines: Iterable[bytes]) -> Iterator[CallLine | Bad]:
    """`{"symbol", "year", "quarter", "title", "held_on", "speeches": [{"speaker", "role", "text"}], "fictional"}`."""
    for number, line in _numbered(lines):
        try:
            yield _call(number, _object(line))
        except BadLine as error:
            yield Bad(number, str(error))


def _numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Those that are not blank, counted from 1 as an editor does."""
    for number, line in enumerate(lines, 1):
        if stripped := line.removeprefix(b"\xef\xbb\xbf").strip():
            yield number, stripped


def _object(line: bytes) -> dict[str, Any]:
    if len(line) > LONGEST:
        raise BadLine(f"The line is longer than {LONGEST:,} bytes.")
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise BadLine("This is not JSON.") from None
    if not isinstance(found, dict):
        raise BadLine("This is no JSON object.")
    return found


def _article(number: int, values: dict[str, Any], now: datetime) -> ArticleLine:
    headline = _text(values, "headline")
    if not headline.strip():
        raise BadLine("The headline is missing.")
    source, own_id = _text(values, "source"), _text(values, "id")
    news = News(
        external_id=f"{source}:{own_id}" if own_id else "",  # ids of different sources are often alike
        headline=headline,
        published_at=_moment(values, now),
        symbols=_symbols(values),
        body=_text(values, "text"),
        source=source,
        url=_text(values, "url"),
    )
    licence = _text(values, "license") or _text(values, "licence")
    return ArticleLine(number, news, licence, _flag(values, "fictional"))


def _call(number: int, values: dict[str, Any]) -> CallLine:
    year, quarter = _whole(values, "year"), _whole(values, "quarter")
    if not 1 <= quarter <= 4:
        raise BadLine("The quarter is none of 1 to 4.")
    try:
        symbol = canonical(values.get("symbol"))
    except InvalidSymbol as error:
        raise BadLine(f"symbol: {error}") from error
    call = EarningsCall(
        symbol=symbol,
        year=year,
        quarter=quarter,
        title=_text(values, "title").strip() or f"{symbol}: earnings call, Q{quarter} {year}",
        speeches=tuple(_speeches(values)),
        held_on=_day(values["held_on"]) if values.get("held_on") else None,
    )
    return CallLine(number, call, _flag(values, "fictional"))


def _speeches(values: dict[str, Any]) -> Iterator[Speech]:
    for one in _list(values, "speeches", dict, MOST_SPEECHES):
        if text := _text(one, "text").strip():
            yield Speech(_text(one, "speaker"), text, _text(one, "role"))


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):  # ids are numbers at some vendors
        return str(value)
    if not isinstance(value, str):
        raise BadLine(f"{name} is no text.")
    return value


def _flag(values: dict[str, Any], name: str) -> bool:
    value = values.get(name, False)
    if not isinstance(value, bool):
        raise BadLine(f"{name} is neither true nor false.")
    return value


def _whole(values: dict[str, Any], name: str) -> int:
    value = values.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadLine(f"{name} is no whole number.")
    return value


def _list(values: dict[str, Any], name: str, kind: type[T], most: int) -> list[T]:
    found = values.get(name)
    if not isinstance(found, list) or not found or not all(isinstance(one, kind) for one in found):
        raise BadLine(f"{name} is no list, or it is empty.")
    if len(found) > most:
        raise BadLine(f"{name} has more than {most:,} entries.")
    return found


def _symbols(values: dict[str, Any]) -> tuple[str, ...]:
    """In canonical spelling; what is no symbol stays as it is, and nobody will know it."""
    return tuple(dict.fromkeys(_symbol(text) for text in _list(values, "tickers", str, MOST_SYMBOLS)))


def _symbol(text: str) -> str:
    try:
        return canonical(text)
    except InvalidSymbol:
        return text[:20]


def _moment(values: dict[str, Any], now: datetime) -> datetime:
    """A day counts as its noon in UTC, which is the same day nearly everywhere, or as now while that is to come.

    `days_ago` is for articles that are never to be old: the demo's.
    """
    ago = values.get("days_ago")
    if ago is not None:
        if not isinstance(ago, (int, float)) or isinstance(ago, bool) or not 0 <= ago <= 36_500:
            raise BadLine("days_ago is no number of days.")
        return now - timedelta(days=ago)
    text = _text(values, "date")
    with suppress(ValueError):
        return _on(date.fromisoformat(text), now)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadLine("The date is missing or not written as 2026-03-02 or 2026-03-02T14:30Z.") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _on(day: date, now: datetime) -> datetime:
    noon = datetime.combine(day, NOON, UTC)
    return now if now < noon and now.astimezone(UTC).date() == day else noon


def _day(value: object) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise BadLine("held_on is not written as 2026-03-02.") from None
