"""Real web server, runner of alerts and worker; ticks are written as the tape writes them.

Two parts: one fire each 100 ms, and a thousand in one batch of ticks. The oracle: each alert fires once, each
notification arrives on its owner's socket, by e-mail and by webhook, once, and of a batch the critical ones first.
"""

from __future__ import annotations

import os
import smtplib
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal
from statistics import median
from typing import Any

from accounts.keys import make_key
from accounts.models import User
from accounts.tiers import Tier
from alerts.kinds import Kind, Phase
from alerts.models import Alert, Channel, ChannelKind, Notification, Position, Trigger
from benchmarks.harness import roles
from benchmarks.harness.population import make_tickers, make_users
from benchmarks.harness.report import Result, at_most, say
from benchmarks.told.sinks import Arrivals, Loop
from core import clock
from core.redis import client
from marketdata.accepted import Accepted, encode, fields_of, key_of
from marketdata.models import Ticker

USERS, RATE, BURST, BURST_TICKERS = 20, 10, 1_000, 20
WAYS = ("browser", "email", "webhook")
PATIENCE_S = 60.0
SECRET = "whsec_" + "c2VjcmV0IG9mIGEgYmVuY2htYXJrLCAzMiBieXRlcw=="  # made up here
NAIVE = 100


def measure(*, quick: bool) -> Result:
    arrivals, loop, result = Arrivals(), Loop(), Result()
    with ExitStack() as stack:
        smtp, web_port = loop.serve_mail(arrivals), loop.serve_webhooks(arrivals)
        os.environ["EMAIL_URL"] = f"smtp://127.0.0.1:{smtp}"
        os.environ["EGRESS_ALLOW"] = f"127.0.0.1:{web_port}"
        users = _users(web_port)
        steady = RATE * (5 if quick else 30)
        tickers = make_tickers(steady + BURST_TICKERS, "T")
        _alerts(users, tickers, steady)
        loop.connect(
            arrivals, stack.enter_context(roles.web()), [make_key(user, "browser").text for user in users]
        )
        _start(stack)
        _steady(result, arrivals, tickers[:steady])
        _burst(result, arrivals, tickers[steady:], steady)
        _judge(result, arrivals, steady)
        _naive(result, users[0], smtp, web_port)
    return result


# --- the scene


def _users(web_port: int) -> list[User]:
    users = make_users(USERS, "told", [Tier.EXPERT])
    for user in users:
        for kind, address in (
            (ChannelKind.EMAIL, user.email),
            (ChannelKind.WEBHOOK, f"http://127.0.0.1:{web_port}/"),
        ):
            Channel.objects.create(
                user=user,
                kind=kind.value,
                name=kind.label,
                address=address,
                label="sink",
                secret=SECRET,
                digest_above=0,
            )
    return users


def _alerts(users: list[User], tickers: list[Ticker], steady: int) -> None:
    now = clock.now()

    def alert(number: int, ticker: Ticker, priority: int) -> Alert:
        return Alert(
            user=users[number % USERS], ticker=ticker, kind=Kind.ABOVE.value, threshold=Decimal(100), mode="once",
            direction=1, phase=Phase.ARMED, armed_at=now, splits_until=now.date(), priority=priority,
        )  # fmt: skip

    rows = [alert(number, ticker, 3) for number, ticker in enumerate(tickers[:steady])]
    rows += [
        # Not in step with the users, so that everybody has some of each priority.
        alert(number, tickers[steady + number % BURST_TICKERS], number // USERS % 4 + 1)
        for number in range(BURST)
    ]
    Alert.objects.bulk_create(rows, batch_size=1_000)


def _start(stack: ExitStack) -> None:
    worker = ("-m", "celery", "--quiet", "-A", "config", "worker", "-l", "WARNING", "--without-gossip")
    stack.enter_context(roles.role("worker", *worker, "-Q", "realtime,default", "-P", "threads", "-c", "4"))
    child = stack.enter_context(roles.role("alerts", "manage.py", "runalerts"))
    roles.wait_until(Position.objects.exclude(at=None).exists, child, "alerts")
    time.sleep(3)  # the worker, of which nothing tells that it listens
    say("everything runs")


# --- what happens


class _Numbers:
    last = 0


def _send(symbols: list[str]) -> float:
    """One batch, as the tape writes it; the exchange's time is now."""
    now = clock.now_us()
    ticks = [
        Accepted(symbol, Decimal(101), now, now + n, "benchmark", "regular", 1, False, False, False, 0, "", 1)
        for n, symbol in enumerate(symbols)
    ]
    _Numbers.last += 1
    client().xadd(key_of(0), fields_of(1, _Numbers.last, clock.now_us(), encode(ticks)))
    return now / 1e6


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)


def _steady(result: Result, arrivals: Arrivals, tickers: list[Ticker]) -> None:
    began = time.monotonic()
    for number, ticker in enumerate(tickers):
        time.sleep(max(0.0, began + number / RATE - time.monotonic()))
        _send([ticker.symbol])
    _wait(lambda: all(arrivals.count(way) >= len(tickers) for way in WAYS))
    exchange = _exchange_times()
    for way in WAYS:
        ages = sorted(times[0] - exchange[told] for told, times in arrivals.ways[way].items())
        result.figures[f"{way}_p50_ms"] = round(median(ages) * 1000, 1) if ages else None
        result.figures[f"{way}_p95_ms"] = round(ages[int(len(ages) * 0.95)] * 1000, 1) if ages else None
    result.bars.append(
        at_most("exchange time to browser, p95 ms", result.figures["browser_p95_ms"] or 1e9, 1_000)
    )
    say(f"steady: {result.figures}")


def _exchange_times() -> dict[int, float]:
    rows = Notification.objects.values_list("pk", "trigger__exchange_at")
    return {pk: at.timestamp() for pk, at in rows}


def _burst(result: Result, arrivals: Arrivals, tickers: list[Ticker], before: int) -> None:
    sent = _send([ticker.symbol for ticker in tickers])
    _wait(lambda: all(arrivals.count(way) >= before + BURST for way in WAYS))
    rows = {
        pk: (user, priority)
        for pk, user, priority in Notification.objects.values_list("pk", "user", "priority")
    }
    for way in WAYS:
        told = arrivals.order[way][before:]
        ends = [arrivals.ways[way][one][0] - sent for one in told]
        critical = [arrivals.ways[way][one][0] - sent for one in told if rows[one][1] == 1]
        result.figures[f"burst_{way}_s"] = round(max(ends, default=PATIENCE_S), 2)
        result.figures[f"burst_{way}_critical_s"] = round(max(critical, default=PATIENCE_S), 2)
        # Senders work side by side: the last critical one may end after the first of the next priority.
        share = sum(rows[one][1] == 1 for one in told[: len(critical)]) / max(1, len(critical))
        result.figures[f"burst_{way}_critical_first_percent"] = round(100 * share, 1)
    _judge_order(result, [rows[one] for one in arrivals.order["browser"][before:]])
    slowest = max(result.figures[f"burst_{way}_s"] for way in WAYS)
    result.figures["burst_s"], result.figures["fires"] = slowest, before + BURST
    result.bars.append(at_most(f"{BURST} fires of one moment are all in after s", slowest, 5.0))


def _judge_order(result: Result, seen: list[tuple[Any, int]]) -> None:
    """On each socket what is more urgent comes first."""
    by_user: dict[Any, list[int]] = {}
    for user, priority in seen:
        by_user.setdefault(user, []).append(priority)
    wrong = sum(priorities != sorted(priorities) for priorities in by_user.values())
    result.must(wrong == 0, f"{wrong} of {len(by_user)} browsers did not get the critical ones first")


def _judge(result: Result, arrivals: Arrivals, steady: int) -> None:
    """Everything once, and to its owner."""
    result.must(Trigger.objects.count() == steady + BURST, "not every alert has fired exactly once")
    told = set(Notification.objects.values_list("pk", flat=True))
    for way in WAYS:
        got = arrivals.ways[way]
        result.must(
            set(got) == told, f"{way}: {len(told - set(got))} missing, {len(set(got) - told)} unknown"
        )
        twice = sum(len(times) > 1 for times in got.values())
        result.must(twice == 0, f"{way}: {twice} arrived twice though nothing failed")


# --- the naive way


def _naive(result: Result, user: User, smtp: int, web_port: int) -> None:
    """One alert after the other: looked at, saved, told, mailed and posted in line, as most trackers do it."""
    ticker = make_tickers(1, "NAIVE")[0]
    now = clock.now()
    Alert.objects.bulk_create(
        Alert(
            user=user,
            ticker=ticker,
            kind="above",
            threshold=100,
            phase=1,
            armed_at=now,
            splits_until=now.date(),
        )
        for _ in range(NAIVE)
    )
    began = time.monotonic()
    for alert in Alert.objects.filter(ticker=ticker, active=True).select_related("user"):
        _fire_naively(alert, smtp, web_port)
    per_fire = (time.monotonic() - began) / NAIVE
    result.baseline = {
        "fires": NAIVE,
        "ms_per_fire": round(per_fire * 1000, 2),
        "burst_s": round(per_fire * BURST, 2),
    }
    result.ratio["burst_vs_naive"] = round(per_fire * BURST / result.figures["burst_s"], 2)


def _fire_naively(alert: Any, smtp: int, web_port: int) -> None:
    alert.active = False
    alert.save()
    now = clock.now()
    told = Notification.objects.create(
        user=alert.user, title="fired", symbol="NAIVE", scheduled_at=now, created_at=now, priority=3
    )
    with smtplib.SMTP("127.0.0.1", smtp) as server:
        server.sendmail(
            "a@example.com", [alert.user.email], f"Message-ID: <ot-{told.pk}-0@x>\r\n\r\nfired\r\n"
        )
    request = urllib.request.Request(f"http://127.0.0.1:{web_port}/", data=b"{}", method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 -- loopback
        assert answer.status == 204
