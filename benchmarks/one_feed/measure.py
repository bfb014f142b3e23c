"""Many people, few tickers: what is bought must follow the tickers, not the people."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from accounts.models import User
from accounts.tiers import Tier
from benchmarks.harness import children, roles
from benchmarks.harness.children import Crowd
from benchmarks.harness.population import make_tickers, make_users
from benchmarks.harness.report import Result, at_most, say
from benchmarks.harness.taste import Taste
from benchmarks.one_feed.refreshes import let_time_pass, passed, refresh, refresh_each_user
from benchmarks.vendor.bill import Bill, Counted
from benchmarks.vendor.provider import BATCH_SIZE, price_of
from marketdata import demand
from marketdata.models import Ticker
from marketdata.quotes import price_text
from marketdata.tape import openset
from subscriptions import watchlist

SEED = 20_250_102
USERS = 1_000
TICKERS = 100
WATCHED_BY_EACH = 8
REFRESHES, QUICK_REFRESHES = 5, 2
PROCESSES = 4
ASKERS_PER_PROCESS = 13
ATTEMPTS = 3
# The tape looks each second and closes after a grace; the rest is for a busy machine.
TAPE_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Crowded:
    """What one size of the crowd cost."""

    users: int
    wanted: int
    symbols_asked_per_ticker: float
    most_requests: int
    fewest_requests: int

    @property
    def minimum_requests(self) -> int:
        return math.ceil(self.wanted / BATCH_SIZE)


def measure(*, quick: bool) -> Result:
    result = Result()
    rng = random.Random(SEED)
    tickers = make_tickers(TICKERS, "SH")
    refreshes = QUICK_REFRESHES if quick else REFRESHES
    with roles.vendor() as bill:
        watchlists = people_come(tickers, rng, "first")
        once = refreshed(bill, refreshes, USERS, result)
        with roles.tape(bill):
            streamed = stream_of(bill, result)
            people_come(tickers, rng, "second")
            streamed_twice = stream_of(bill, result)
        twice = refreshed(bill, refreshes, 2 * USERS, result)
        judge(result, once, twice, streamed, streamed_twice)
        with children.crowd(PROCESSES) as crowd:
            several_processes_at_once(crowd, bill, watchlists, result)
            same_ticker_at_once(crowd, bill, tickers[0].symbol, result)
        compare(result, once, streamed, refresh_each_user(bill, watchlists))
    return result


def people_come(tickers: Sequence[Ticker], rng: random.Random, prefix: str) -> list[list[str]]:
    """Each with a real watchlist; the symbols of each."""
    say(f"{USERS} people watch {WATCHED_BY_EACH} tickers each")
    taste = Taste(len(tickers), rng)
    watchlists = []
    for user in make_users(USERS, prefix, [Tier.PRO, Tier.EXPERT]):
        mine = [tickers[position] for position in taste.several(WATCHED_BY_EACH)]
        watchlist.watch(user, mine)
        watchlists.append([ticker.symbol for ticker in mine])
    return watchlists


def refreshed(bill: Bill, refreshes: int, users: int, result: Result) -> Crowded:
    """Several refreshes of everything that is wanted, through the code of the periodic job."""
    say(f"{refreshes} refreshes for {users} people")
    wanted = demand.wanted()
    result.must(User.objects.count() == users, "not everybody is there")
    result.must(
        sum(one.holders for one in wanted.values()) == users * WATCHED_BY_EACH,
        "the demand does not add up to the watchlists",
    )
    bills = []
    for _ in range(refreshes):
        counted, wrong = refresh(bill)
        bills.append(counted)
        result.complaints += wrong[:3]
        result.must(
            set(counted.asked) == set(wanted), "a refresh asked for other tickers than the wanted ones"
        )
        result.must(max(counted.requests) <= BATCH_SIZE, "a request was bigger than the vendor allows")
    return Crowded(
        users=users,
        wanted=len(wanted),
        symbols_asked_per_ticker=mean(one.symbols_asked / len(wanted) for one in bills),
        most_requests=max(len(one.requests) for one in bills),
        fewest_requests=min(len(one.requests) for one in bills),
    )


def stream_of(bill: Bill, result: Result) -> Counted:
    """What the vendor has subscribed once the real tape has had time to follow the demand."""
    wanted = set(demand.wanted())
    deadline = time.monotonic() + TAPE_PATIENCE_S
    while bill.read().only_stream != wanted or openset.streaming(sorted(wanted)) != wanted:
        if time.monotonic() > deadline:
            result.complaints.append("the tape did not open what is wanted")
            break
        time.sleep(0.05)
    time.sleep(1.5)  # another look of the tape, which may subscribe nothing more
    counted = bill.read()
    result.must(counted.only_stream == wanted, "the tape streams something else than what is wanted")
    result.must(counted.most_streams <= 1, "more than one stream was open")
    return counted


def judge(result: Result, once: Crowded, twice: Crowded, streamed: Counted, streamed_twice: Counted) -> None:
    growth = twice.symbols_asked_per_ticker / once.symbols_asked_per_ticker
    result.figures |= {
        "users": once.users,
        "tickers": TICKERS,
        "symbols_asked_per_ticker_refresh": once.symbols_asked_per_ticker,
        "requests": once.most_requests,
        "minimum_requests": once.minimum_requests,
        "upstream_subscriptions": streamed.subscriptions,
        "distinct_tickers": once.wanted,
        "symbols_asked_after_doubling": growth,
        "requests_after_doubling": twice.most_requests,
        "upstream_subscriptions_after_doubling": streamed_twice.subscriptions,
        "upstream_connections": streamed_twice.connections,
    }
    result.must(once.wanted == twice.wanted, "the second half wants other tickers: choose another seed")
    for crowd in (once, twice):
        who = f"for {crowd.users} people"
        result.must(
            crowd.symbols_asked_per_ticker == 1.0, f"a ticker was bought more than once a refresh {who}"
        )
        result.must(crowd.most_requests == crowd.minimum_requests, f"more requests than needed {who}")
        result.must(crowd.fewest_requests == crowd.minimum_requests, f"fewer requests than possible {who}")
    for counted in (streamed, streamed_twice):
        result.must(counted.subscriptions == once.wanted, "a ticker was subscribed more than once")
        result.must(counted.connections == 1, "more than one connection")


def several_processes_at_once(
    crowd: Crowd, bill: Bill, watchlists: Sequence[Sequence[str]], result: Result
) -> None:
    """52 people in four processes open their pages in the same moment: everything is bought once."""
    people = watchlists[: PROCESSES * ASKERS_PER_PROCESS]
    result.figures |= {
        "concurrent_processes": PROCESSES,
        "concurrent_askers": len(people),
        **_asked_together(crowd, bill, people, result, "concurrent"),
    }


def same_ticker_at_once(crowd: Crowd, bill: Bill, symbol: str, result: Result) -> None:
    """As many who all miss the same ticker."""
    people = [[symbol]] * (PROCESSES * ASKERS_PER_PROCESS)
    figures = _asked_together(crowd, bill, people, result, "same_ticker")
    result.figures |= figures
    result.must(figures["same_ticker_requests"] == 1, "one ticker was bought more than once")


def _asked_together(
    crowd: Crowd, bill: Bill, people: Sequence[Sequence[str]], result: Result, prefix: str
) -> dict[str, Any]:
    """What holds while Redis answers: when it did not (a stalled disk), the same is asked once more."""
    everything = {symbol for one in people for symbol in one}
    attempts: list[list[dict[str, float]]] = []
    while len(attempts) < ATTEMPTS:
        say(f"{len(people)} people in {PROCESSES} processes ask at once ({prefix})")
        let_time_pass()
        bill.reset()
        wishes = [(bill.address, passed(), people[number::PROCESSES]) for number in range(PROCESSES)]
        seen = crowd.do_named("benchmarks.one_feed.askers.ask", wishes)
        attempts.append([one.failures for one in seen if one.failures])
        if not attempts[-1]:
            break
    result.must(
        not attempts[-1], f"{prefix}: something was away in each of {ATTEMPTS} attempts: {attempts[-1]}"
    )
    counted = bill.read()
    for symbol in everything:
        prices = set().union(*(one.prices.get(symbol, set()) for one in seen))
        sold_at = {price_text(price_of(counted.prices.get(symbol, 0)))}
        result.must(prices == sold_at, f"{prefix}: {symbol} was sold at {sold_at}, seen at {prices}")
    asked = counted.symbols_asked / len(everything)
    result.must(set(counted.asked) == everything, f"{prefix}: bought something else than what was asked for")
    result.must(asked == 1.0, f"{prefix}: {asked:.2f} purchases per ticker")
    return {
        f"{prefix}_symbols_asked_per_ticker": asked,
        f"{prefix}_requests": len(counted.requests),
        f"{prefix}_disturbed_attempts": sum(map(bool, attempts)),
    }


def compare(result: Result, once: Crowded, streamed: Counted, naive: Counted) -> None:
    result.baseline |= {
        "symbols_asked_per_ticker_refresh": naive.symbols_asked / once.wanted,
        "requests": len(naive.requests),
        "upstream_subscriptions": naive.subscriptions,
        "upstream_connections": naive.connections,
    }
    result.must(naive.symbols_asked == USERS * WATCHED_BY_EACH, "the naive way was not counted in full")
    result.ratio |= {
        "unshared_vs_shared": naive.symbols_asked / once.wanted / once.symbols_asked_per_ticker,
        "unshared_vs_shared_requests": len(naive.requests) / once.most_requests,
        "unshared_vs_shared_subscriptions": naive.subscriptions / streamed.subscriptions,
    }
    result.bars.append(at_most("symbols_asked_per_ticker_refresh", once.symbols_asked_per_ticker, 1.0))
