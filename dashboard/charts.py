"""Pictures drawn by the server: spark lines of today's minutes. Attributes and classes only, no inline style.

The same renderer draws the picture in a table's row and `/charts/<symbol>.svg`; in a page the classes take
their colours from the tokens, alone the attributes give those of the light theme.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from operator import or_

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import FloatField, Q
from django.db.models.functions import Cast
from django.utils.safestring import SafeString, mark_safe

from marketdata.models import MinuteBar
from marketdata.quotes import Quote
from marketdata.today import started

WIDTH, HEIGHT = 112, 32
# Room for the end dot at the right, and for half the line and the dot above and below.
RIGHT, MARGIN = 6, 3
# A regular session of a US exchange.
MINUTES = 390
# A phone squeezes the picture to 72 px: lines stay as wide as they are, and the end dot, a line of no length
# with round caps, stays a circle.
SHARP = 'vector-effect="non-scaling-stroke"'
COLOURS = {"up": "#006e7d", "down": "#b4430c", "flat": "#858d9b"}


def recent_closes(quotes: Mapping[int, Quote], now: datetime) -> dict[int, list[float]]:
    """Closes of the quote's day by ticker, at most of a session's length, oldest first: one query for a watchlist."""
    tickers_since: dict[datetime, list[int]] = defaultdict(list)
    for ticker_id, quote in quotes.items():
        longest = now - timedelta(minutes=MINUTES)
        tickers_since[max(started(quote) or longest, longest)].append(ticker_id)
    wanted = [Q(ticker_id__in=ids, start__gte=since) for since, ids in tickers_since.items()]
    rows = (
        MinuteBar.objects.filter(reduce(or_, wanted))
        .values("ticker_id")
        .annotate(closes=ArrayAgg(Cast("close", FloatField()), order_by="start"))
    )
    return {row["ticker_id"]: row["closes"] for row in rows}


def sparks(quotes: Mapping[int, Quote], now: datetime) -> dict[int, SafeString]:
    """Spark lines by ticker id, each up to its quote's price."""
    closes = recent_closes(quotes, now) if quotes else {}
    return {
        ticker_id: spark(
            [*closes.get(ticker_id, ()), float(quote.price)],
            float(quote.previous_close) if quote.previous_close else None,
        )
        for ticker_id, quote in quotes.items()
    }


def spark(closes: Sequence[float], previous: float | None) -> SafeString:
    """An SVG of these closes with the previous close dashed; the last one is the newest price."""
    values = _thinned(closes)
    if not values:
        return SafeString("")
    low, high = _bounds(values, previous)
    xs = _spread(len(values))
    ys = [_height(value, low, high) for value in values]
    trend = _trend(values[-1], previous)
    parts = [_opening(trend)]
    if previous is not None:
        y = _height(previous, low, high)
        parts.append(
            f'<path class="prev" d="M0 {y}H{WIDTH}" stroke="#cdd2da" stroke-dasharray="2 3" {SHARP}/>'
        )
    line = "L".join(f"{x} {y}" for x, y in zip(xs, ys, strict=True))
    parts.append(
        f'<path d="M{line}" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" {SHARP}/>'
        f'<path d="M{xs[-1]} {ys[-1]}h0" stroke="currentColor" stroke-width="5" stroke-linecap="round" {SHARP}/></svg>'
    )
    return mark_safe("".join(parts))  # noqa: S308 -- numbers and fixed words only


def _opening(trend: str) -> str:
    return (
        f'<svg class="spark spark-{trend}" xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}"'
        f' viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" color="{COLOURS[trend]}" aria-hidden="true">'
    )


def _thinned(closes: Sequence[float]) -> list[float]:
    """At most one point per horizontal pixel, always with the last."""
    step = max(len(closes) // (WIDTH - RIGHT) + 1, 1)
    return list(closes)[(len(closes) - 1) % step :: step]


def _bounds(values: Sequence[float], previous: float | None) -> tuple[float, float]:
    known = [*values, *([previous] if previous is not None else [])]
    return min(known), max(known)


def _spread(count: int) -> list[float]:
    width = WIDTH - RIGHT
    return [round(width * n / (count - 1), 1) for n in range(count)] if count > 1 else [float(width)]


def _height(value: float, low: float, high: float) -> float:
    if high == low:
        return HEIGHT / 2
    return round(MARGIN + (HEIGHT - 2 * MARGIN) * (high - value) / (high - low), 1)


def _trend(last: float, previous: float | None) -> str:
    if previous is None or last == previous:
        return "flat"
    return "up" if last > previous else "down"
