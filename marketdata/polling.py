"""Quotes for wanted tickers that nobody streams: fetched in batches on a timer, handed to the tape's owner.

How often each one is asked, `cadence` says: by who looks, by the session of its market, by what is left of the budget.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from redis.exceptions import RedisError

from core import clock, metrics
from core.redis import client
from marketdata import attention, cadence, demand, freshness, lookup, market_hours, quota, refusals
from marketdata.cache import encode
from marketdata.cadence import Need, Pace
from marketdata.demand import Wanted
from marketdata.freshness import Market
from marketdata.models import Cause
from marketdata.providers import registry
from marketdata.providers.base import Provider
from marketdata.providers.chain import Asking
from marketdata.quota import Priority
from marketdata.quotes import Quote
from marketdata.quoting import Outcome
from marketdata.tape import openset
from marketdata.tape.sharding import shard_of

# As in config/celery.py.
BEAT = timedelta(seconds=5)
# The most urgent first.
RANKS: tuple[cadence.Rank, ...] = ("alert", "visible", "held", "warm")
# The owner reads within milliseconds; what waits longer is old news.
INBOX_LENGTH = 10_000


def fetch_wanted() -> int:
    """Fetch each wanted ticker that does not stream and is due; how many new quotes went to the tape.

    How long ago its last trade was does not matter: a quiet share or a closed market is not asked more often.

    While Redis cannot tell what streams, nothing is bought: the tape could not be handed it either.
    """
    market_hours.refresh()
    wanted = demand.wanted()
    streamed = openset.streaming(list(wanted))
    if streamed is None:
        return 0
    rest = {symbol: one for symbol, one in wanted.items() if symbol not in streamed}
    metrics.poll_symbols_plain.inc(len(rest) * (BEAT / freshness.OPEN_TTL))
    return sum(_fetch(pace, symbols) for pace, symbols in _by_pace(rest))


def _by_pace(wanted: Mapping[str, Wanted]) -> list[tuple[Pace, list[str]]]:
    groups: defaultdict[Pace, list[str]] = defaultdict(list)
    for symbol, pace in paces_of(wanted).items():
        groups[pace].append(symbol)
    return sorted(groups.items(), key=lambda group: (RANKS.index(group[0].rank), group[0].max_age))


def paces_of(wanted: Mapping[str, Wanted]) -> dict[str, Pace]:
    """How old the quote of each may be now, and how urgent it is."""
    now, looked_at = clock.now(), attention.looked_at()
    next_open = market_hours.calendar().next_open(now)
    routes = {symbol: registry.route(symbol) for symbol in wanted}
    left = _budgets_left(routes.values())
    found = {}
    for symbol, one in wanted.items():
        provider = routes[symbol]
        need = Need(
            session=freshness.session_from(provider, symbol, now),
            ttl=freshness.ttl_from(provider, symbol, now),
            looked_at=symbol in looked_at,
            fresh=timedelta(seconds=one.fresh_s),
            alert_fresh=None if one.alert_s is None else timedelta(seconds=one.alert_s),
            budget_left=left[provider.name] if provider else 1.0,
        )
        opens = next_open if freshness.market_from(provider, symbol) is Market.NEW_YORK else None
        found[symbol] = cadence.pace_of(need, now, opens, BEAT)
    return found


def _budgets_left(providers: Iterable[Provider | None]) -> dict[str, float]:
    distinct = {provider.name: provider for provider in providers if provider is not None}
    return {name: quota.left_of(provider) for name, provider in distinct.items()}


def _fetch(pace: Pace, symbols: Sequence[str]) -> int:
    """Those of the symbols whose quote is older than their pace allows; how many new quotes went to the tape."""
    began = clock.now()
    cause = Cause.WARM if pace.rank == "warm" else Cause.POLL
    outcomes = lookup.get_quotes(
        refusals.others(symbols),
        max_age=pace.max_age,
        asking=Asking(Priority(pace.rank), cause),
        patience_s=None,  # nobody waits for this
    )
    asked = {symbol: one for symbol, one in outcomes.items() if not _was_known(one, began)}
    metrics.poll_symbols.labels(priority=pace.rank).inc(len(asked))
    refusals.remember(asked, pace.max_age)
    # What the tape has numbered it knows already.
    new = [one for one in outcomes.values() if isinstance(one, Quote) and not one.stale and not one.epoch]
    hand_over(new)
    return len(new)


def _was_known(outcome: Outcome, began: datetime) -> bool:
    return isinstance(outcome, Quote) and not outcome.stale and outcome.received_at < began


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
