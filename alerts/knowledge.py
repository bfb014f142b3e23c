"""What the runner knows besides ticks and rules: the days before, when markets open, and which ticks are too old."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from alerts import levels
from alerts.engine import Effect, Engine, Watched
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
COMPARED = (Kind.VOLUME.value, Kind.HIGH_52W.value, Kind.LOW_52W.value)


class Knowledge:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._began_us = clock.now_us()

    def is_mine(self, alert: Watched, shard: int, shards: int) -> bool:
        return shard_of(alert.symbol, shards) == shard

    # --- ticks

    def decide(self, tick: Accepted) -> Sequence[Effect]:
        """Let the engine decide, unless the tick says nothing about now."""
        if tick.halted:
            metrics.alerts_ticks_refused.labels(reason="halted").inc()
            return ()
        if tick.received_us - tick.as_of_us > OLDEST_US + tick.delayed_s * 1_000_000 and not tick.replay:
            metrics.alerts_ticks_refused.labels(reason="stale").inc()
            return ()
        return self._engine.on_tick(tick)

    # --- the days before

    async def renew(self) -> None:
        """What the days before say of each ticker that is compared with them; also a new day, or a split."""
        await in_thread(market_hours.refresh)
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

    # --- silence

    def silent_since(self, symbol: str, last: TickLike | None) -> int | None:
        """From when on silence counts: while the regular session is open, not from before it began."""
        now = clock.now()
        provider = freshness.provider_named(last.provider) if last is not None else None
        if freshness.session_from(provider, symbol, now) is not Session.REGULAR:
            return None
        since = max(self._began_us, last.received_us if last is not None else 0)
        if freshness.market_from(provider, symbol) is Market.NEW_YORK:
            since = max(since, microseconds(market_hours.calendar().span_at(now).start))
        return since
