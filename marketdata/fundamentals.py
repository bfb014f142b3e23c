"""Figures of companies: asked of a provider once a day for each wanted ticker, the newest kept as one row.

One provider's answer is kept whole: figures of two are never mixed. What was invented gives way to what is real, and
comes back only where no real provider covers the ticker any more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.cache import cache
from django.db import transaction
from kombu.exceptions import OperationalError as QueueAway

from core import clock, metrics
from marketdata import company, models
from marketdata.asking import ask_in_bulk
from marketdata.company import FIGURES
from marketdata.errors import Malformed, NotFound, PlanLocked, ProviderError
from marketdata.models import Ticker
from marketdata.providers import registry
from marketdata.providers.base import Provider
from marketdata.providers.registry import Purpose

logger = logging.getLogger(__name__)

# Below a day, so that a daily rhythm does not slip; after a failure sooner.
ASKED_FOR = timedelta(hours=20)
FAILED_FOR = timedelta(minutes=10)
# At most so many tasks at once: thousands of tickers spread over the hours.
QUEUED_AT_ONCE = 500
# No company has that much of anything; whoever tells it has told something else.
LARGEST = Decimal(10) ** 18
PLACES = Decimal("1e-9")
# A period may end in a later time zone, but not in the future.
AHEAD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored of one company, and who told it when."""

    figures: company.Fundamentals
    provider: str
    simulated: bool
    loaded_at: datetime


def of(symbols: Iterable[str]) -> dict[str, Known]:
    """What is stored of these canonical symbols; inventions beside real prices, or of old settings, do not count."""
    rows = models.Fundamentals.objects.filter(ticker__symbol__in=list(symbols)).select_related("ticker")
    return {row.ticker.symbol: _known(row) for row in rows if _counts(row)}


def _counts(row: models.Fundamentals) -> bool:
    if registry.is_dismissed(row.provider):
        return False
    return not row.simulated or not _is_covered_really(row.ticker.symbol)


def _known(row: models.Fundamentals) -> Known:
    told = {name: Decimal(text) for name, text in row.figures.items() if name in FIGURES}
    figures = company.Fundamentals(row.ticker.symbol, row.as_of, row.currency, **told)
    return Known(figures, row.provider, row.simulated, row.loaded_at)


# --- Asking


def ask_for(symbols: Iterable[str]) -> None:
    """Queue the loading of figures that were not asked for today, a task for each ticker."""
    from marketdata.tasks import load_fundamentals_of  # noqa: PLC0415 -- tasks import this module

    wanted = list(symbols)
    asked = cache.get_many([_asked_key(symbol) for symbol in wanted])
    try:
        for symbol in [one for one in wanted if _asked_key(one) not in asked][:QUEUED_AT_ONCE]:
            load_fundamentals_of.delay(symbol)
    except QueueAway:
        metrics.redis_failures.labels(used_by="queue").inc()


def load(symbol: str) -> bool:
    """Ask for the figures of one ticker and keep them; whether it has new ones. Nothing is asked twice a day."""
    ticker = Ticker.objects.filter(symbol=symbol).first()
    if ticker is None or not cache.add(_asked_key(symbol), 1, ASKED_FOR.total_seconds()):
        return False
    try:
        return fetch_and_keep(ticker)
    except ProviderError as error:
        if not isinstance(error, (NotFound, PlanLocked)):
            cache.set(_asked_key(symbol), 1, FAILED_FOR.total_seconds())
        logger.info("no fundamentals of %s: %s", symbol, error)
        return False


def _asked_key(symbol: str) -> str:
    return f"fundamentals:asked:{symbol}"


def fetch_and_keep(ticker: Ticker) -> bool:
    """Whether the row was written; raises the ProviderError that tells most."""

    async def ask(provider: Provider) -> tuple[Provider, company.Fundamentals]:
        """Only an answer that makes sense ends the chain."""
        return provider, sensible(await provider.fetch_fundamentals(ticker.symbol), ticker)

    provider, told = ask_in_bulk(Purpose.FUNDAMENTALS, ticker.symbol, ask)
    return keep(ticker, told, provider.name, simulated=provider.capabilities.simulated)


# --- Keeping


def sensible(told: company.Fundamentals, ticker: Ticker) -> company.Fundamentals:
    """Without figures that cannot be; raises Malformed for another company's, NotFound where nothing is left."""
    if told.symbol != ticker.symbol or told.as_of > clock.now().date() + AHEAD:
        raise Malformed(f"fundamentals of {ticker.symbol} that cannot be")
    figures: dict[str, Any] = {name: _sensible(name, getattr(told, name)) for name in FIGURES}
    refused = [name for name, value in figures.items() if value is None and getattr(told, name) is not None]
    if refused:
        logger.warning("%s: senseless %s", ticker.symbol, ", ".join(refused))
    if not any(value is not None for value in figures.values()):
        raise NotFound(f"no fundamentals of {ticker.symbol}")
    return replace(told, **figures)


NEVER_NEGATIVE = frozenset({"shares", "cash", "total_debt", "dividend_per_share", "current_ratio"})


def _sensible(name: str, value: Decimal | None) -> Decimal | None:
    if value is None or not value.is_finite() or abs(value) > LARGEST:
        return None
    if (name in NEVER_NEGATIVE and value < 0) or (name == "shares" and value == 0):
        return None
    try:
        return value.quantize(PLACES)
    except InvalidOperation:
        return None


def keep(ticker: Ticker, told: company.Fundamentals, provider: str, *, simulated: bool) -> bool:
    """Store sensible figures unless better ones are there; whether they were stored."""
    with transaction.atomic():
        Ticker.objects.select_for_update(no_key=True).get(pk=ticker.pk)  # one load at a time
        row = models.Fundamentals.objects.filter(ticker=ticker).first()
        if row is not None and not _is_better(told, row, simulated=simulated):
            return False
        models.Fundamentals.objects.update_or_create(
            ticker=ticker,
            defaults={
                "as_of": told.as_of,
                "currency": told.currency,
                "figures": as_text(told),
                "provider": provider,
                "simulated": simulated,
                "loaded_at": clock.now(),
            },
        )
    return True


def _is_better(told: company.Fundamentals, row: models.Fundamentals, *, simulated: bool) -> bool:
    if simulated is not row.simulated:
        return row.simulated or not _is_covered_really(told.symbol)
    return told.as_of >= row.as_of


def _is_covered_really(symbol: str) -> bool:
    return any(one.covers(symbol) and not one.capabilities.simulated for one in registry.providers())


def as_text(told: company.Fundamentals) -> dict[str, str]:
    """The figures that were told, as the row holds them: plain decimals without needless zeros."""
    figures = ((name, getattr(told, name)) for name in FIGURES)
    return {name: format(value.normalize(), "f") for name, value in figures if value is not None}
