"""Daily bars on their way from a provider into the database: flipped units are put right, and counted."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from core import metrics
from marketdata import store
from marketdata.actions import action_of
from marketdata.models import CorporateAction
from marketdata.quotes import ActionKind, Bar
from marketdata.unit_flips import without_unit_flips

logger = logging.getLogger(__name__)


def keep(symbol: str, bars: Sequence[Bar]) -> int:
    """Store the daily bars of one ticker, oldest first; rows inserted or changed."""
    if not bars:
        return 0
    splits = CorporateAction.objects.filter(ticker__symbol=symbol, kind=ActionKind.SPLIT.value)
    right, flipped = without_unit_flips(bars, [action_of(row, symbol) for row in splits])
    if flipped:
        metrics.unit_flips.inc(len(flipped))
        logger.warning(
            "%s: %d days from %s on were in another unit and are put right", symbol, len(flipped), flipped[0]
        )
    return store.store_daily_bars(right, store.ticker_ids([symbol]))
