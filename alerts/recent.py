"""The last seconds of ticks by ticker, for alerts that are heard of late. Pure.

An edit is committed a moment before the runner knows it; ticks of that moment count for the edited alert, and have
been evaluated without it.
"""

from __future__ import annotations

from collections import deque

from alerts.engine import Effect, Engine, Watched
from alerts.kinds import Kind
from alerts.series import TickLike


class Recent:
    """What came within `kept_s` seconds, by the tape's clock."""

    def __init__(self, kept_s: float) -> None:
        self._kept_us = int(kept_s * 1_000_000)
        self._ticks: dict[str, deque[TickLike]] = {}
        self._newest_us = self._pruned_us = 0

    def add(self, tick: TickLike) -> None:
        found = self._ticks.get(tick.symbol)
        if found is None:
            found = self._ticks[tick.symbol] = deque()
        found.append(tick)
        self._newest_us = tick.received_us
        if self._newest_us - self._pruned_us > self._kept_us:
            self._prune()

    def _prune(self) -> None:
        self._pruned_us = self._newest_us
        oldest = self._newest_us - self._kept_us
        for symbol in list(self._ticks):
            found = self._ticks[symbol]
            while found and found[0].received_us < oldest:
                found.popleft()
            if not found:
                del self._ticks[symbol]

    def catch_up(self, alert: Watched, engine: Engine) -> list[Effect]:
        """Evaluate an alert on what came after it was put into its phase; it is changed by that.

        On its own, with the references of this engine: nobody else's state may move twice. Moves are left to the next
        tick, since these few seconds do not tell what was before.
        """
        if alert.rule.kind is Kind.MOVES:
            return []
        alone = Engine()
        alone.refer(engine.references)
        alone.add(alert)
        effects: list[Effect] = []
        since = alert.armed_us
        for tick in tuple(self._ticks.get(alert.symbol, ())):
            if tick.received_us > since:
                effects += alone.on_tick(tick)
        return effects
