"""Quotes for wanted tickers that nobody streams: fetched in batches on a timer, handed to the tape's owner."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from redis.exceptions import RedisError

from core import metrics
from core.redis import client
from marketdata import demand, lookup
from marketdata.cache import encode
from marketdata.quotes import Quote
from marketdata.tape import openset
from marketdata.tape.sharding import shard_of

# The owner reads within milliseconds; what waits longer is old news.
INBOX_LENGTH = 10_000


def fetch_wanted() -> int:
    """Fetch each wanted ticker that does not stream and was not checked lately; how many quotes went to the tape.

    How long ago its last trade was does not matter: a quiet share or a closed market is not asked more often.

    While Redis cannot tell what streams, nothing is bought: the tape could not be handed it either.
    """
    wanted = demand.wanted()
    streamed = openset.streaming(list(wanted))
    if streamed is None:
        return 0
    bought: list[Quote] = []
    for fresh_s in {w.fresh_s for symbol, w in wanted.items() if symbol not in streamed}:
        symbols = [s for s, w in wanted.items() if s not in streamed and w.fresh_s == fresh_s]
        outcomes = lookup.get_quotes(symbols, max_age=timedelta(seconds=fresh_s))
        bought += [one for one in outcomes.values() if isinstance(one, Quote) and not one.stale]
    hand_over(bought)
    return len(bought)


def hand_over(quotes: Iterable[Quote]) -> None:
    """Give fetched quotes to the owner of their shard, which accepts, numbers and publishes them."""
    try:
        redis = client()
        shards = max(1, openset.shards(redis))
        pipe = redis.pipeline(transaction=False)
        for quote in quotes:
            key = openset.inbox_key(shard_of(quote.symbol, shards))
            pipe.xadd(key, {"q": encode(quote)}, maxlen=INBOX_LENGTH, approximate=True)
        pipe.execute()
    except RedisError:
        metrics.redis_failures.labels(used_by="inbox").inc()
