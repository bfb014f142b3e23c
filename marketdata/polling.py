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
from marketdata import attention, cache, cadence, demand, freshness, lookup, market_hours, quota, refusals
from marketdata.cache import Found, encode
from marketdata.cadence import Need, Pace
from marketdata.demand import Wanted
from marketdata.freshness import Market
from marketdata.models import Cause
from marketdata.providers import registry
from marketdata.providers.base import Provider
from marketdata.providers.chain import Asking
from marketdata.quota import Priority
from marketdata.quotes import EPOCH, Quote, Reason
from marketdata.quoting import Outcome
from marketdata.tape import openset
from marketdata.tape.sharding import shard_of

# As in config/celery.py.
BEAT = timedelta(seconds=5)
# One run ends before the next one is due, however slow the providers are: a thread of the worker does nothing else
# meanwhile. What comes later waits in the cache and is handed over by the next run.
RUN_S = 4.0
# The most urgent first.
RANKS: tuple[cadence.Rank, ...] = ("alert", "visible", "held", "warm")
# The owner reads within milliseconds; what waits longer is old news.
INBOX_LENGTH = 10_000


def fetch_wanted() -> int:
    """Fetch each wanted ticker that does not stream and is due; how many new quotes went to the tape.

    How long ago its last trade was does not matter: a quiet share or a closed market is not asked more often.

    While Redis cannot tell what streams, nothing is bought: the tape could not be handed it either.
    """
    until = clock.monotonic() + RUN_S
    market_hours.refresh()
    wanted = demand.wanted()
    streamed = openset.streaming(list(wanted))
    if streamed is None:
        return 0
    rest = {symbol: one for symbol, one in wanted.items() if symbol not in streamed}
    metrics.poll_symbols_plain.inc(len(rest) * (BEAT / freshness.OPEN_TTL))
    return sum(_fetch(pace, symbols, until) for pace, symbols in _by_pace(rest))


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


def _fetch(pace: Pace, symbols: Sequence[str], until: float) -> int:
    """Those of the symbols whose quote is older than their pace allows; how many new quotes went to the tape."""
    began = clock.now()
    cause = Cause.WARM if pace.rank == "warm" else Cause.POLL
    patience_s = max(0.0, until - clock.monotonic())
    outcomes = lookup.get_quotes(
        _affordable(refusals.others(symbols), began - pace.max_age),
        max_age=pace.max_age,
        asking=Asking(Priority(pace.rank), cause),
        patience_s=patience_s,
        most_s=patience_s,
    )
    asked = {symbol: one for symbol, one in outcomes.items() if not _was_known(one, began)}
    metrics.poll_symbols.labels(priority=pace.rank).inc(sum(_was_answered(one) for one in asked.values()))
    refusals.remember(asked, pace.max_age)
    # What the tape has numbered it knows already.
    new = [one for one in outcomes.values() if isinstance(one, Quote) and not one.stale and not one.epoch]
    hand_over(new)
    return len(new)


def _affordable(symbols: Sequence[str], due: datetime) -> list[str]:
    """Those not checked since `due`, the longest unchecked first, as many as providers can be asked for; and the rest.

    More of them would only be refused, and always the same ones, were they not in this order.
    """
    checked = {symbol: found.quote.received_at for symbol, found in _found(symbols).items()}
    by_providers: defaultdict[tuple[Provider, ...], list[str]] = defaultdict(list)
    kept = [symbol for symbol in symbols if symbol in checked and checked[symbol] >= due]
    for symbol in symbols:
        if symbol not in checked or checked[symbol] < due:
            by_providers[registry.candidates(symbol)].append(symbol)
    for providers, found in by_providers.items():
        found.sort(key=lambda symbol: checked.get(symbol, EPOCH))
        kept += found[: _symbols_left(providers)]
    return kept


def _found(symbols: Sequence[str]) -> dict[str, Found]:
    known = cache.from_memory(symbols)
    return known | cache.from_redis([symbol for symbol in symbols if symbol not in known])


def _symbols_left(providers: Sequence[Provider]) -> int | None:
    left = [quota.symbols_left(provider) for provider in providers]
    return None if None in left else sum(one or 0 for one in left)


def _was_answered(outcome: Outcome) -> bool:
    """Not where a budget refused it, or no answer has come yet."""
    return outcome.reason not in {Reason.RATE_LIMITED, Reason.PROVIDER_DOWN}


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
