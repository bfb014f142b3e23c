"""Massive's streams as one: a connection for stocks, and one for each further market that is asked for.

The connections end together. A market that turns out to be outside the plan ends them once; on the next connection
its symbols are refused, so that they are polled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from functools import partial
from urllib.parse import urlsplit, urlunsplit

from core import clock
from marketdata.errors import BadRequest, PlanLocked
from marketdata.providers.base import AssetClass
from marketdata.providers.forked_stream import ForkedStream
from marketdata.providers.massive_market import MARKETS, PATHS, MarketStream, market_of
from marketdata.providers.plans import Plan
from marketdata.providers.vendor_stream import VendorStream

logger = logging.getLogger(__name__)

REAL_TIME = "socket."
NEVER_DELAYED = {PATHS[AssetClass.CRYPTO], PATHS[AssetClass.FOREX]}
# Somebody may buy the market meanwhile.
LOCKED_FOR_S = 3_600.0


def feed_url(url: str, plan: Plan, market: str) -> str:
    """The address of a market's stream: of a delayed plan `delayed.massive.com`, of one with a feed that feed.

    Coins and currencies have no delayed feed.
    """
    parts = urlsplit(url.rstrip("/"))
    feed = plan.feed or ("delayed" if delay_of(plan, market) else "")
    host = parts.netloc
    if feed and host.startswith(REAL_TIME):
        host = f"{feed}.{host.removeprefix(REAL_TIME)}"
    return f"{urlunsplit(parts._replace(netloc=host))}/{market}"


def delay_of(plan: Plan, market: str) -> int:
    return 0 if market in NEVER_DELAYED else plan.delayed


class MassiveStream(ForkedStream):
    """`make(market, on_locked)` makes the stream of one; `locked` says of markets until when not to ask again."""

    def __init__(
        self, make: Callable[[str, Callable[[], None]], MarketStream], locked: dict[str, float]
    ) -> None:
        makers = {market: partial(make, market, partial(self._lock, market)) for market in MARKETS}
        super().__init__("massive", makers, market_of)
        self._locked = locked

    async def subscribe(self, symbols: Collection[str]) -> None:
        """Raises BadRequest where one of the symbols is of a market outside the plan."""
        markets = {market_of(symbol) for symbol in symbols}
        if any(clock.monotonic() < self._locked.get(market, 0.0) for market in markets):
            raise BadRequest("massive does not stream this market in our plan")
        await super().subscribe(symbols)

    async def _branch(self, name: str) -> VendorStream:
        try:
            return await super()._branch(name)
        except PlanLocked:
            if not self._open:  # not even the first one: the key streams nothing
                raise
            self._lock(name)
            raise BadRequest("massive does not stream this market in our plan") from None

    def _lock(self, market: str) -> None:
        logger.warning("massive does not stream %s in our plan", market)
        self._locked[market] = clock.monotonic() + LOCKED_FOR_S
