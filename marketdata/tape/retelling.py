"""The last minutes of a former owner, made again of the ticks that it passed on.

An owner that is killed takes with it what it had not stored: ten seconds of the running minute at most, and of the
minute before, if that had just ended. Every tick of it is in the stream for alerts. A minute is made of its ticks
alone, or is as it was stored, never of both, so that nothing counts twice; it is made anew only where it then holds at
least as much as what was stored.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import datetime

from core import clock
from marketdata import accepted
from marketdata.accepted import Batch, Follower
from marketdata.quotes import Accepted, Bar, Tick, microseconds
from marketdata.tape.history import History

logger = logging.getLogger(__name__)

# A minute, the ten seconds until it is stored, and the time until somebody takes over.
LOOK_BACK_US = 100_000_000
# Nobody publishes meanwhile.
PATIENCE_S = 2.0

Key = tuple[str, datetime]


class Retelling:
    """Bars by symbol and start, from batches in the order of the stream."""

    def __init__(self) -> None:
        self._history, self._follower = History(), Follower()
        self._complete_from_us = 0

    def hear(self, batch: Batch) -> None:
        if not self._follower.is_new(batch):
            return
        if not self._follower.follow(batch) and batch.number > 1:
            self._complete_from_us = batch.at_us
        said_again = _said_again(batch)
        for correction in batch.corrections:
            mine = said_again is not None and said_again.symbol == correction.symbol
            self._history.correct(correction, said_again.price if said_again and mine else None)
        for tick in batch.ticks if said_again is None else batch.ticks[1:]:
            # As the former owner did: minutes before its first tick are none of it.
            self._history.open_once(tick.symbol, tick.received_us)
            self._history.add_tick(_tick(tick))

    def bars(self) -> dict[Key, Bar]:
        """Minutes of which no tick is missing."""
        made = {(bar.symbol, bar.start): bar for bar in self._history.take_minute_bars()}
        return {key: bar for key, bar in made.items() if microseconds(bar.start) >= self._complete_from_us}


def _said_again(batch: Batch) -> Accepted | None:
    """The price that a correction brought back: no trade, and in its bar already."""
    if not batch.corrections or not batch.ticks:
        return None
    first = batch.ticks[0]
    is_again = first.symbol == batch.corrections[-1].symbol and first.rebased and not first.size
    return first if is_again else None


def _tick(one: Accepted) -> Tick:
    return Tick(
        one.symbol, one.price, one.size, one.volume, one.as_of_us, one.provider, trade_id=one.trade_id
    )


async def retell(shard: int) -> dict[Key, Bar]:
    """Nothing where it takes too long; raises RedisError."""
    retelling, began = Retelling(), clock.monotonic()
    since_us = clock.now_us() - LOOK_BACK_US
    async for batches in accepted.pages(shard, since_us, await accepted.newest(shard)):
        for batch in batches:
            retelling.hear(batch)
        if clock.monotonic() - began > PATIENCE_S:
            logger.warning("tape: so many ticks that the last minutes of the former owner stay as they are")
            return {}
    return retelling.bars()


def fuller(retold: Mapping[Key, Bar], stored: Collection[Bar], symbols: Collection[str]) -> list[Bar]:
    """The retold minutes of these symbols that hold more than is stored."""
    before = {(bar.symbol, bar.start): bar for bar in stored}
    mine = [(bar, before.get(key)) for key, bar in retold.items() if bar.symbol in symbols]
    return [bar for bar, was in mine if was is None or (bar != was and _holds(bar, was))]


def _holds(bar: Bar, other: Bar) -> bool:
    return bar.volume >= other.volume and bar.high >= other.high and bar.low <= other.low
