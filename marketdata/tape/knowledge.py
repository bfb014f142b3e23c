"""What must be known of a symbol before its first price, whether it streams or is polled.

Splits of today; and what a former owner said last. The first price of a term has nothing before it that it could be
compared with here, but whoever watches has: it is marked where it stands on another base than what was said last
(other provider, split in between).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet

from django.db.models import F

from core import clock
from core.database import in_thread
from marketdata.acceptance import Acceptance, Before
from marketdata.models import CorporateAction, Quote
from marketdata.quotes import ActionKind, microseconds
from marketdata.splits import morning_of, splits_on, today


class Knowledge:
    """Of the symbols that are wanted; given to the one who judges. All but `lose` ask PostgreSQL."""

    def __init__(self, acceptance: Acceptance) -> None:
        self._acceptance = acceptance
        self._known: set[str] = set()

    async def gain(self, wanted: AbstractSet[str], ids: Mapping[str, int]) -> None:
        new = {symbol: ids[symbol] for symbol in wanted - self._known}
        if not new:
            return
        found = await in_thread(splits_on, today(), new)
        self._acceptance.remind(await in_thread(said_before, new))
        self._acceptance.splits = self._acceptance.splits | found
        self._known |= new.keys()

    async def renew(self, ids: Mapping[str, int]) -> None:
        """Splits of a day that has begun, and those that were announced late."""
        known = set(self._known)
        found = await in_thread(splits_on, today(), {symbol: ids[symbol] for symbol in known})
        gained = {symbol: one for symbol, one in self._acceptance.splits.items() if symbol not in known}
        self._acceptance.splits = gained | found

    def lose(self, wanted: Collection[str]) -> set[str]:
        """The symbols that are not wanted any more: their prices will be no measure when they are again."""
        lost = self._known.difference(wanted)
        self._known -= lost
        for symbol in lost:
            self._acceptance.forget(symbol)
            self._acceptance.splits.pop(symbol, None)
        return lost


def said_before(ids: Mapping[str, int]) -> dict[str, Before]:
    """By symbol, for those that any tape has ever published."""
    rows = Quote.objects.filter(ticker_id__in=ids.values(), epoch__gt=0)
    said = {
        row[0]: (row[1], microseconds(row[2])) for row in rows.values_list("ticker_id", "provider", "as_of")
    }
    found = CorporateAction.objects.filter(
        kind=ActionKind.SPLIT.value,
        ticker_id__in=said,
        ex_date__lte=today(),
        ex_date__gte=F("ticker__quote__as_of__date"),
    )
    mornings = [(one.ticker_id, morning_of(one.ex_date)) for one in found]
    split = {
        ticker_id for ticker_id, morning_us in mornings if said[ticker_id][1] < morning_us <= clock.now_us()
    }
    return {
        symbol: Before(*said[ticker_id], has_split=ticker_id in split)
        for symbol, ticker_id in ids.items()
        if ticker_id in said
    }
