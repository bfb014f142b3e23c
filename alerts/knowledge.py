"""What the runner knows besides ticks and rules: the days before, when markets open, which ticks are too
old, and where the stream had holes.
"""

from __future__ import annotations

from collections.abc import Collection

from alerts import levels, splits, sweep
from alerts.conditions import moment
from alerts.engine import Engine, Watched
from alerts.kinds import Kind
from alerts.series import TickLike
from core import clock, metrics
from core.database import in_thread
from marketdata import freshness, market_hours
from marketdata.accepted import Accepted
from marketdata.freshness import Market
from marketdata.quotes import Session, microseconds
from marketdata.tape.sharding import shard_of

# A price that was true so long before it came is no news: the last close at a weekend, say. Thinly traded tickers have
# prices of some minutes ago all day long.
OLDEST_US = 15 * 60 * 1_000_000
# Whoever has not come to the end of the stream for so long may have lost ticks: no silence began before it did again.
INTERRUPTED_US = 5_000_000
# Minute bars are written ten seconds after their trades at the latest.
SETTLED_US = 15 * 1_000_000
COMPARED = (Kind.VOLUME.value, Kind.HIGH_52W.value, Kind.LOW_52W.value)


class Knowledge:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._read_until_us = 0
        self.heard_until_us = 0
        """All that had been sent then is read; 0: not yet."""
        self._heard_since_us = 0
        self._holes: list[tuple[int, int]] = []

    def is_mine(self, alert: Watched, shard: int, shards: int) -> bool:
        return shard_of(alert.symbol, shards) == shard

    # --- ticks

    def counts(self, tick: Accepted) -> bool:
        """Whether it says something about now; else it tells at most that the price stands on another base."""
        refusal = _refusal_of(tick)
        if refusal:
            metrics.alerts_ticks_refused.labels(reason=refusal).inc()
            self._engine.begin_anew(tick)
        return not refusal

    # --- the days before

    async def renew(self) -> None:
        """What the days before say of each ticker that is compared with them; also a new day, or a split.

        Beat has thresholds follow a split each minute; on that morning it must not be missed because beat is down.
        """
        await in_thread(market_hours.refresh)
        await in_thread(splits.follow)
        lanes = self._engine.lanes
        symbols = [
            symbol for symbol, lane in lanes.items() if any(which.kind in COMPARED for which in lane.books)
        ]
        if symbols:
            self._engine.refer(await in_thread(levels.references, symbols))

    async def of_symbols(self, symbols: Collection[str]) -> None:
        """Before alerts on these are admitted."""
        if missing := [symbol for symbol in symbols if symbol not in self._engine.references]:
            self._engine.refer(await in_thread(levels.references, missing))

    # --- holes

    def read_until(self, at_us: int) -> None:
        self._read_until_us = at_us

    def missed(self, until_us: int) -> None:
        """Ticks between the last batch and this moment are lost; the first batch ever follows nothing."""
        metrics.alerts_gaps.inc()
        if self._read_until_us:
            self._holes.append((self._read_until_us, until_us))

    async def mend(self) -> None:
        """Sweep over the holes, as soon as the minutes are written."""
        while self._holes and clock.now_us() - self._holes[0][1] > SETTLED_US:
            since, until = self._holes[0]
            await in_thread(sweep.over, list(self._engine.lanes), moment(since), moment(until))
            self._holes.pop(0)

    # --- silence

    def heard_all(self, until_us: int) -> None:
        """The end of the stream was reached: what had not come by then is silence, what comes later not yet."""
        if until_us - self.heard_until_us > INTERRUPTED_US:
            self._heard_since_us = until_us
        self.heard_until_us = until_us

    def silent_since(self, symbol: str, last: TickLike | None) -> int | None:
        """From when on silence counts: while the regular session is open, not from before it began, nor from before
        the last interruption was over."""
        now = clock.now()
        provider = freshness.provider_named(last.provider) if last is not None else None
        if freshness.session_from(provider, symbol, now) is not Session.REGULAR:
            return None
        since = max(self._heard_since_us, last.received_us if last is not None else 0)
        if freshness.market_from(provider, symbol) is Market.NEW_YORK:
            since = max(since, microseconds(market_hours.calendar().span_at(now).start))
        return since


def _refusal_of(tick: Accepted) -> str:
    if tick.halted:
        return "halted"
    late_us = tick.received_us - tick.as_of_us - tick.delayed_s * 1_000_000
    return "stale" if late_us > OLDEST_US and not tick.replay else ""
