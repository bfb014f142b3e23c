"""Who wants which articles: each user five tickers, a few of which everybody likes."""

from __future__ import annotations

import random
from collections import Counter
from functools import cache

from marketdata.models import Ticker
from summaries import news, orders

EACH = 5


@cache
def tickers() -> tuple[str, ...]:
    """Those that have news."""
    return tuple(Ticker.objects.order_by("symbol").values_list("symbol", flat=True))


def of_user(user: int) -> list[str]:
    """The same at every call."""
    rng, found = random.Random(user), set[str]()
    names = tickers()
    weights = [1 / (rank + 1) for rank in range(len(names))]
    while len(found) < min(EACH, len(names)):
        found.add(rng.choices(names, weights)[0])
    return sorted(found)


def want(first: int, number: int) -> None:
    """What the page of each of these users asks for."""
    for user in range(first, first + number):
        orders.want_summaries(news.latest(of_user(user)))


def wanters(users: int) -> Counter[int]:
    """How many users want each article, by its key."""
    by_symbol = {one: set(news.latest([one]).values_list("pk", flat=True)) for one in tickers()}
    found: Counter[int] = Counter()
    for user in range(users):
        found.update(set().union(*(by_symbol[one] for one in of_user(user))))
    return found
