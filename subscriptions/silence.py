"""Which prices may be old: shards of the tape that fell silent, and tickers that lost their upstream.

What is said to clients follows from here: named once when it begins, ended by the next entry in `quotes`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from core import clock
from marketdata import staleness
from marketdata.cache import Look, decode_known
from marketdata.quotes import microseconds
from marketdata.tape.sharding import shard_of

# The owner of a shard says each second that it is alive; three missed mean that prices may be old.
SILENT_AFTER_S = 3.0


class Silence:
    """What one process has heard of the owners of the tape."""

    def __init__(self) -> None:
        self.since = clock.monotonic()
        self.silent_shards: set[int] = set()
        self.lost: set[str] = set()
        """Stale for another reason than the silence of their shard."""
        self.shards = 1
        self._beats: dict[int, float] = {}

    def heard(self, shard: int, of: int) -> None:
        self.shards = of
        self._beats[shard] = clock.monotonic()

    def lasts(self, shard: int) -> float:
        """Seconds since the owner of the shard was last heard of."""
        return clock.monotonic() - self._beats.get(shard, self.since)

    @property
    def is_deaf(self) -> bool:
        """Nobody at all was heard of: it may be this process that does not hear."""
        return min(map(self.lasts, range(self.shards))) > SILENT_AFTER_S

    def look(self) -> bool:
        """Whether other shards are silent than at the last look."""
        silent = {shard for shard in range(self.shards) if self.lasts(shard) > SILENT_AFTER_S}
        changed, self.silent_shards = silent != self.silent_shards, silent
        return changed

    def is_silent(self, symbol: str) -> bool:
        return bool(self.silent_shards) and shard_of(symbol, self.shards) in self.silent_shards

    def is_stale(self, symbol: str) -> bool:
        return symbol in self.lost or self.is_silent(symbol)

    def stale_of(self, symbols: Iterable[str]) -> list[str]:
        return sorted(filter(self.is_stale, symbols)) if self.lost or self.silent_shards else []

    def judge(self, symbol: str, look: Look, now: datetime, expires_us: int) -> None:
        if _is_stale(symbol, look, now, expires_us):
            self.lost.add(symbol)
        else:
            self.lost.discard(symbol)

    def forget(self, symbols: Collection[str]) -> None:
        self.lost.difference_update(symbols)


def _is_stale(symbol: str, look: Look, now: datetime, expires_us: int) -> bool:
    """The quote is read only where it may be: most stream, or are younger than that."""
    lost_at = look.lost.get(symbol)
    if symbol in look.listed or (lost_at is None and microseconds(now) < expires_us):
        return False
    return staleness.is_stale(decode_known(look.latest[symbol]), now, lost_at)
