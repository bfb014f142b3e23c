"""What API users do: ask for eight quotes not older than fifteen seconds, again and again."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.harness.children import meet
from benchmarks.storm.over_http import UnixConnection

AT_ONCE = 8
PAUSE_S = 0.05


@dataclass
class Read:
    """`at` is when each request began, on the clock that all processes share."""

    at: list[float] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    providers: Counter[str] = field(default_factory=Counter)
    without_price: int = 0
    stale: int = 0
    wrong: list[str] = field(default_factory=list)


def read(path: str, session: str, prices: dict[str, str], seed: int, seconds: float) -> Read:
    """One reader for so long; every price is compared with what both vendors sell."""
    log, rng, symbols = Read(), random.Random(seed), sorted(prices)
    connection = UnixConnection(path)
    meet()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        _ask(connection, session, rng.sample(symbols, AT_ONCE), prices, log)
        time.sleep(PAUSE_S)
    connection.close()
    return log


def _ask(
    connection: UnixConnection, session: str, wish: Sequence[str], prices: dict[str, str], log: Read
) -> None:
    began = time.monotonic()
    url = f"/api/v1/quotes/?symbols={','.join(wish)}&max_age=15"
    connection.request("GET", url, headers={"Cookie": f"sessionid={session}"})
    answer = connection.getresponse()
    body = answer.read()
    log.at.append(began)
    log.took_ms.append((time.monotonic() - began) * 1000)
    log.statuses[answer.status] += 1
    if answer.status == 200:
        _judge(wish, json.loads(body), prices, log)


def _judge(wish: Sequence[str], body: object, prices: dict[str, str], log: Read) -> None:
    quotes = body["results"] if isinstance(body, dict) and "results" in body else body
    assert isinstance(quotes, list)
    if [one["symbol"] for one in quotes] != list(wish):
        log.wrong.append(f"asked {wish}")
    for one in quotes:
        log.stale += one["stale"]
        log.without_price += one["price"] is None
        log.providers[one["provider"] or "none"] += 1
        if one["price"] not in (None, prices[one["symbol"]]):
            log.wrong.append(f"{one['symbol']} {one['price']}")
