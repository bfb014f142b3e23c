"""A day of many people, run through the code that serves them: what is bought is counted at the provider.

Watchlists, demand, cadence, cache, claims, fetcher, provider chain, ledger and the tape that accepts, numbers and
publishes what was bought are the real ones; only the provider's prices are made up and time runs ahead. It writes
people and tickers, so it runs on throw-away servers only.
"""

from __future__ import annotations

import asyncio
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from uuid import uuid4

from accounts.models import User
from accounts.tiers import Tier
from core import clock
from core.redis import client, close_async_client
from dashboard.ledger import Report, Window, report
from dashboard.whatif import Scenario
from marketdata import attention, cache, freshness, lookup, metering, polling
from marketdata.models import Price, ProviderCall, Ticker
from marketdata.providers import registry
from marketdata.providers.simulator import Simulator
from marketdata.quotes import Quote, microseconds
from marketdata.tape import owner
from subscriptions.watchlist import watch

PROVIDER = Simulator.name
ROWS_AT_ONCE = 1_000
# So many people open their page at each beat, beside the timer that buys for all.
READERS = 20
# Who asked has the quotes at once; the tiers that all others read follow.
KEEPING_PATIENCE_S = 45.0
LOOK_EVERY_S = 0.005
# Early renewals cost a little more than one purchase in each lifetime.
MOST_PER_LIFETIME = 1.1

Progress = Callable[[int], None]


class AtPace(Simulator):
    """A vendor without a stream, whose quotes are good as long as the scenario says."""

    def __init__(self, lasting: timedelta, batch: int, now: Callable[[], datetime]) -> None:
        super().__init__(max_symbols_per_request=batch, now=now)
        self.capabilities = replace(self.capabilities, streams=False)
        self.lasting = lasting

    def _ttl(self, symbol: str, now: datetime) -> timedelta:
        return self.lasting


@dataclass
class Run:
    """What happened in so many lifetimes of a quote; the figures are counted, none is computed from the scenario."""

    periods: int
    wanted: int
    requests: int
    symbols_asked: int
    requests_alone: int
    requests_alone_batched: int
    quotes_read: int
    published: int
    report: Report
    complaints: list[str] = field(default_factory=list)

    @property
    def requests_per_refresh(self) -> Decimal:
        return Decimal(self.requests) / self.periods


def run(scenario: Scenario, periods: int, seed: int, progress: Progress = lambda _: None) -> Run:
    """Let people come and `periods` lifetimes pass."""
    rng = random.Random(seed)  # noqa: S311 -- a load, no secret
    watchlists = people_come(scenario, rng)
    with accelerated(scenario) as (provider, tick), tape():
        # Before the first beat nothing was ever asked: everybody finds a price from then on.
        start, reads = clock.now(), 0
        beats = max(1, round(scenario.ttl_s / polling.BEAT.total_seconds()))
        for beat in range(periods * beats):
            reads += one_beat(provider, watchlists, rng)
            tick(timedelta(seconds=scenario.ttl_s / beats))
            progress(beat + 1)
        wait_for_the_ledger(provider)
        asked = Counter(provider.symbols_asked)
        found = Run(
            periods=periods,
            wanted=len(set().union(*watchlists)),
            requests=provider.requests,
            symbols_asked=sum(asked.values()),
            requests_alone=naive_requests(provider, watchlists, 1),
            requests_alone_batched=naive_requests(provider, watchlists, scenario.batch),
            quotes_read=reads,
            published=wait_for_the_tape(set().union(*watchlists)),
            report=report(Window(start, clock.now())),
        )
    judge(found, scenario, asked, watchlists)
    return found


def people_come(scenario: Scenario, rng: random.Random) -> list[list[str]]:
    """Each with a real watchlist, drawn after Zipf's law; the symbols of each."""
    tickers = Ticker.objects.bulk_create(
        [
            Ticker(symbol=f"S{number:05}", name=f"Company {number}")
            for number in range(scenario.unique_tickers)
        ],
        batch_size=ROWS_AT_ONCE,
    )
    users = User.objects.bulk_create([_person(number) for number in range(scenario.users)], ROWS_AT_ONCE)
    weights = list(accumulate((rank + 1) ** -scenario.overlap for rank in range(len(tickers))))
    each = min(scenario.tickers_per_user, len(tickers))
    found = []
    for user in users:
        mine: dict[int, None] = {}
        while len(mine) < each:
            mine[rng.choices(range(len(tickers)), cum_weights=weights)[0]] = None
        watch(user, [tickers[position] for position in mine])
        found.append([tickers[position].symbol for position in mine])
    Price.objects.create(
        provider=PROVIDER,
        unit="request",
        usd=scenario.usd_per_request,
        valid_from=clock.now() - timedelta(days=1),
    )
    return found


def _person(number: int) -> User:
    name = f"u{number}"
    user = User(id=uuid4(), username=name, email=f"{name}@example.com", tier=Tier.EXPERT.value)
    user.set_unusable_password()
    return user


def one_beat(provider: Simulator, watchlists: Sequence[Sequence[str]], rng: random.Random) -> int:
    """The timer buys what is due, some people read; how many quotes they saw. All of them look all the time."""
    attention.forget()
    attention.look(set().union(*watchlists))
    before = Counter(provider.symbols_asked)
    polling.fetch_wanted()
    wait_until_kept([*(Counter(provider.symbols_asked) - before)], clock.now())
    seen = 0
    for watchlist in rng.sample(watchlists, min(READERS, len(watchlists))):
        outcomes = lookup.get_quotes(watchlist)
        good = [one for one in outcomes.values() if isinstance(one, Quote) and not one.stale]
        if len(good) < len(watchlist):
            raise RuntimeError(f"{len(watchlist) - len(good)} of {len(watchlist)} quotes could not be shown")
        seen += len(good)
    return seen


def wait_until_kept(symbols: Sequence[str], since: datetime) -> None:
    """The tape, too, must have taken what was bought before the clock goes on: it would count as received later."""
    deadline = time.monotonic() + KEEPING_PATIENCE_S
    missing = list(symbols)
    while missing:
        cache.forget_memory()
        kept = cache.from_redis(missing)
        missing = [one for one in missing if one not in kept or not is_published(kept[one].quote, since)]
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(missing)} quotes were bought and not published by the tape")
        time.sleep(LOOK_EVERY_S)


def is_published(quote: Quote, since: datetime) -> bool:
    return quote.epoch > 0 and quote.received_at >= since


def wait_for_the_ledger(provider: Simulator) -> None:
    """An early renewal may still be on its way; `judge` says what was missing in the end."""
    deadline = time.monotonic() + KEEPING_PATIENCE_S
    while _in_ledger() < provider.requests and time.monotonic() < deadline:
        time.sleep(0.05)


def wait_for_the_tape(wanted: Collection[str]) -> int:
    """How many tickers have a latest quote that the tape numbered."""
    deadline = time.monotonic() + KEEPING_PATIENCE_S
    while True:
        cache.forget_memory()
        numbered = [one for one in cache.from_redis(list(wanted)).values() if one.quote.epoch]
        if len(numbered) == len(wanted) or time.monotonic() > deadline:
            return len(numbered)
        time.sleep(0.05)


@contextmanager
def tape() -> Iterator[None]:
    """The owner of the only shard, in a thread, since it must live by the accelerated clock."""
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        started.set_result((asyncio.get_running_loop(), stop))
        try:
            await owner.serve(0, 1, stop)
        finally:
            await close_async_client()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="tape", daemon=True)
    thread.start()
    loop, stop = started.result(KEEPING_PATIENCE_S)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(KEEPING_PATIENCE_S)


def naive_requests(provider: Simulator, watchlists: Sequence[Sequence[str]], size: int) -> int:
    """Nothing is shared: each asks for his own once, of the same provider, `size` symbols at a time."""
    before = provider.requests

    async def each() -> None:
        for watchlist in watchlists:
            for first in range(0, len(watchlist), size):
                await provider.fetch_quotes(watchlist[first : first + size])

    with metering.collecting():
        asyncio.run(each())
    return provider.requests - before


@contextmanager
def accelerated(scenario: Scenario) -> Iterator[tuple[Simulator, Callable[[timedelta], None]]]:
    """A clock that goes forward by hand, in this process and in Redis, and the simulator as the only provider."""
    real_now, real_us, real_ttl = clock.now, clock.now_us, freshness.OPEN_TTL
    moment, lasting = clock.now(), timedelta(seconds=scenario.ttl_s)

    def tick(step: timedelta) -> None:
        nonlocal moment
        moment += step
        cache.forget_memory()
        age_redis(step)

    clock.now = lambda: moment
    clock.now_us = lambda: microseconds(moment)
    freshness.OPEN_TTL = lasting
    provider = AtPace(lasting, scenario.batch, lambda: moment)
    try:
        with registry.override(provider):
            yield provider, tick
    finally:
        clock.now, clock.now_us, freshness.OPEN_TTL = real_now, real_us, real_ttl


def age_redis(step: timedelta) -> None:
    """Keys with a life lose so much of it: Redis counts by its own clock, which nobody can set forward."""
    redis, step_ms = client(), int(step / timedelta(milliseconds=1))
    keys = list(redis.scan_iter(count=ROWS_AT_ONCE))
    asking = redis.pipeline(transaction=False)
    for key in keys:
        asking.pttl(key)
    aging = redis.pipeline(transaction=False)
    for key, left in zip(keys, asking.execute(), strict=True):
        if 0 <= left <= step_ms:
            aging.delete(key)
        elif left > step_ms:
            aging.pexpire(key, left - step_ms)
    aging.execute()


def judge(
    found: Run, scenario: Scenario, asked: Mapping[str, int], watchlists: Sequence[Sequence[str]]
) -> None:
    """What must hold, whatever the figures are."""
    least = found.periods * math.ceil(found.wanted / scenario.batch)
    rules = {
        "the tape did not publish what was bought": found.published == found.wanted,
        "a wanted ticker was never asked for": set(asked) == set().union(*watchlists),
        "fewer requests than possible were counted": found.requests >= least,
        "more was bought than is allowed": found.symbols_asked
        <= MOST_PER_LIFETIME * found.wanted * found.periods,
        "the ledger has other calls than the provider": _in_ledger() == found.requests,
        "what was attributed is not what was billed": _is_exact(found.report),
        "a call has no price": found.report.total.unpriced == 0,
        "nobody's purchases were made": found.report.attribution.nobody == 0,
    }
    found.complaints += [complaint for complaint, holds in rules.items() if not holds]


def _in_ledger() -> int:
    return ProviderCall.objects.filter(provider=PROVIDER).count()


def _is_exact(found: Report) -> bool:
    return found.attribution.attributed == found.total.cost
