"""Since when the day of a quote runs: what a chart of today begins with."""

from __future__ import annotations

from datetime import date, datetime
from typing import Protocol

from django.conf import settings

from marketdata.providers.replay import day_start


class Dated(Protocol):
    """A quote or its row."""

    @property
    def as_of(self) -> datetime: ...

    @property
    def replay_date(self) -> date | None: ...


def started(quote: Dated) -> datetime | None:
    """The start of the replayed day that the quote belongs to; None where nothing is replayed.

    One replayed day follows the other without a pause, so their minutes cannot be told apart by a gap.
    """
    return day_start(quote.as_of, settings.REPLAY_SPEED) if quote.replay_date else None
