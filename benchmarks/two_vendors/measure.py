"""A cold start of everything that is wanted; then readers over HTTP while the main vendor hangs and then refuses."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import time as time_of_day
from datetime import timedelta
from itertools import islice, product
from statistics import median, quantiles
from string import ascii_uppercase
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from accounts.models import User
from accounts.tiers import Tier
from benchmarks.harness import children, roles
from benchmarks.harness.population import make_users
from benchmarks.harness.report import Result, at_most, say
from benchmarks.two_vendors.readers import Read
from benchmarks.two_vendors.vendors import Vendors, open_for_business
from core import http
from marketdata import market_hours, metering, polling
from marketdata.calendar import NEW_YORK
from marketdata.errors import ProviderError
from marketdata.models import CalendarException, ProviderCall, Quote, Ticker
from marketdata.providers import registry
from marketdata.quotes import price_text
from marketdata.standins.base import Fault, StandIn
from subscriptions.models import Subscription

LAST_MINUTE = time_of_day(23, 59)
TICKERS = 5_000
READ = 150
POLLERS = 4
READERS = 6
BEFORE_S, AFTER_S = 6.0, 45.0
QUICK_AFTER_S = 8.0
CUT_S, QUICK_CUT_S = 60.0, 12.0
# A breaker lets one request through every half minute, of each process.
BREAKER_WINDOW_S = 30.0
# What is under way when the third failure opens it: ten windows a second for the three seconds that a request hangs.
FIRST_FAILURES = 30


def measure(*, quick: bool) -> Result:
    result = Result()
    symbols = ["Q" + "".join(letters) for letters in islice(product(ascii_uppercase, repeat=3), TICKERS)]
    tickers = Ticker.objects.bulk_create(Ticker(symbol=symbol, name=symbol) for symbol in symbols)
    users = make_users(TICKERS // 20 + READERS, "reader", [Tier.EXPERT])
    Subscription.objects.bulk_create(
        Subscription(user=users[number // 20], ticker=ticker) for number, ticker in enumerate(tickers)
    )
    open_the_market()
    with open_for_business(symbols) as vendors:
        prices = {symbol: price_text(vendors.main.market.listed[symbol].price) for symbol in symbols}
        cold_start(vendors, prices, result)
        scene = Scene(vendors, QUICK_CUT_S if quick else CUT_S, QUICK_AFTER_S if quick else AFTER_S)
        with children.crowd(READERS) as crowd, roles.web() as path:
            logs = scene.play(crowd, path, dict(islice(prices.items(), READ)), users[-READERS:])
        judge(logs, scene, result)
    return result


def open_the_market() -> None:
    """A regular session whatever the day: prices are then good for 15 s only."""
    today = timezone.now().astimezone(NEW_YORK).date()
    CalendarException.objects.bulk_create(
        CalendarException(
            day=today + timedelta(days=days), closed=False, opens_at=time_of_day.min, closes_at=LAST_MINUTE
        )
        for days in (-1, 0, 1)
    )
    market_hours.reread()


def cold_start(vendors: Vendors, prices: dict[str, str], result: Result) -> None:
    say(f"cold start of {TICKERS:,} wanted tickers, {POLLERS} pollers at once")
    began = time.monotonic()
    with ThreadPoolExecutor(POLLERS) as pool:
        for poll in [pool.submit(polling.fetch_wanted) for _ in range(POLLERS)]:
            poll.result()
    took = time.monotonic() - began
    asked = vendors.asked(vendors.main) + vendors.asked(vendors.next)
    stored = {symbol: price_text(price) for symbol, price in _stored()}
    result.figures |= {
        "tickers": TICKERS,
        "cold_start_s": round(took, 2),
        "cold_start_requests": len(vendors.main.asked) + len(vendors.next.asked),
        "cold_start_calls_per_symbol": max(asked.values(), default=0),
    }
    result.must(
        asked.keys() == prices.keys(), f"{len(prices.keys() - asked.keys())} symbols were never asked"
    )
    result.must(max(asked.values(), default=0) == 1, "a symbol was bought more than once")
    result.must(stored == prices, "the stored prices are not those that were sold")
    rows = ProviderCall.objects.count()
    result.must(
        rows == len(vendors.main.asked) + len(vendors.next.asked),
        f"the ledger has {rows} rows, not one per call",
    )


def _stored() -> list[tuple[str, Any]]:
    return list(Quote.objects.values_list("ticker__symbol", "price"))


@dataclass
class Scene:
    """Readers all the time; the main vendor hangs for half of the cut and drops connections for the other half."""

    vendors: Vendors
    cut_s: float
    after_s: float
    began: float = 0.0
    ended: float = 0.0
    asked_dead: int = 0
    asked_healed: int = 0
    asked_next: int = 0
    naive_ms: float = 0.0

    def play(
        self, crowd: children.Crowd, path: str, prices: dict[str, str], readers: Sequence[User]
    ) -> list[Read]:
        say(
            f"{READERS} readers; after {BEFORE_S:.0f} s the main vendor hangs, then drops: {self.cut_s:.0f} s"
        )
        seconds = BEFORE_S + self.cut_s + self.after_s
        asks = [(path, session_of(user), prices, number, seconds) for number, user in enumerate(readers)]
        director = threading.Thread(target=self._direct)
        director.start()
        logs: list[Read] = crowd.do_named("benchmarks.two_vendors.readers.read", asks)
        director.join()
        self.asked_healed = len(self.vendors.main.asked) - self.asked_healed
        return logs

    def _direct(self) -> None:
        main, other = self.vendors.main, self.vendors.next
        time.sleep(BEFORE_S)
        self.began, dead, served = time.monotonic(), len(main.asked), len(other.asked)
        for fault in (Fault.SLOW, Fault.DROPPED):
            main.heal()
            main.fail(fault)
            until = time.monotonic() + self.cut_s / 2
            if fault is Fault.SLOW:
                self.naive_ms = naive_read(main)
            time.sleep(max(0.0, until - time.monotonic()))
        main.heal()
        self.ended = time.monotonic()
        self.asked_dead, self.asked_next = len(main.asked) - dead - 1, len(other.asked) - served
        self.asked_healed = len(main.asked)


def naive_read(main: StandIn) -> float:
    """Milliseconds that a reader waits who asks the vendor himself, and in the end has nothing."""

    async def ask() -> None:
        with metering.collecting(), suppress(ProviderError):
            await registry.make(main.vendor).fetch_quotes([next(iter(main.market.listed))])
        await http.close_client()

    began = time.monotonic()
    asyncio.run(ask())
    return (time.monotonic() - began) * 1000


def session_of(user: User) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    assert session.session_key
    return session.session_key


def judge(logs: Sequence[Read], scene: Scene, result: Result) -> None:
    everything = [(at, took) for log in logs for at, took in zip(log.at, log.took_ms, strict=True)]
    all_ms = [took for _, took in everything]
    during = [took for at, took in everything if scene.began <= at <= scene.ended]
    result.figures |= {
        "readers": READERS,
        "cut_s": scene.cut_s,
        "requests": len(all_ms),
        "requests_during_cut": len(during),
        "api_p50_ms": median(all_ms),
        "api_p95_ms": quantiles(all_ms, n=20)[18],
        "api_p95_during_cut_ms": quantiles(during, n=20)[18],
        "api_max_ms": max(all_ms),
        "calls_to_dead_vendor": scene.asked_dead,
        "calls_to_next_vendor": scene.asked_next,
        "quotes_by_provider": dict(sum((log.providers for log in logs), start=Counter())),
        "stale_quotes": sum(log.stale for log in logs),
        "not_200": sum(count for log in logs for status, count in log.statuses.items() if status != 200),
    }
    result.baseline["naive_read_during_cut_ms"] = scene.naive_ms
    result.ratio["naive_vs_p95_during_cut"] = scene.naive_ms / result.figures["api_p95_during_cut_ms"]
    _demand(logs, scene, result)


def _demand(logs: Sequence[Read], scene: Scene, result: Result) -> None:
    for log in logs:
        result.complaints += log.wrong[:3]
    result.must(result.figures["not_200"] == 0, "a reader was refused")
    result.must(sum(log.without_price for log in logs) == 0, "a quote had no price")
    result.must(scene.asked_next > 0, "the next vendor was not asked during the cut")
    if scene.after_s > BREAKER_WINDOW_S:
        result.must(scene.asked_healed > 0, "the main vendor was not asked again after it had healed")
    result.bars += [
        at_most("api_p95_ms", result.figures["api_p95_ms"], 500),
        at_most("api_p95_during_cut_ms", result.figures["api_p95_during_cut_ms"], 500),
        at_most(
            "calls_to_dead_vendor", scene.asked_dead, FIRST_FAILURES + 2 * scene.cut_s / BREAKER_WINDOW_S
        ),
    ]
