"""What serving so many people would cost, before anybody came: the arithmetic of the what-if page and of
`simulatecosts`. Units are in the names; nothing here asks anybody."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from functools import lru_cache

DAY_S = 86_400
# A trading day as refreshes see it: the regular session at its own pace, the rest slowly.
OPENS = time(9, 30)
SESSION_S = 23_400
DAYS_PER_MONTH = Decimal("30.4375")  # 365.25 / 12


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `requests` in any `seconds` seconds."""

    requests: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who is served, how fresh, and at what price. `overlap` is Zipf's exponent: 0 all tickers alike, 1 as in life."""

    users: int = 1000
    tickers_per_user: int = 8
    unique_tickers: int = 100
    overlap: float = 1.0
    ttl_s: int = 15
    closed_ttl_s: int = 300
    batch: int = 50
    days: int = 30
    usd_per_request: Decimal = Decimal(0)
    usd_per_month: Decimal = Decimal(0)
    limits: tuple[Limit, ...] = ()
    analyses_per_ticker_day: Decimal = Decimal(0)
    tokens_per_analysis: int = 2000
    usd_per_million_tokens: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Bill:
    """One way of buying: requests in a day, and what all of it costs over the days of the scenario."""

    requests_per_day: int
    requests: int
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Feasibility:
    """Whether a plan's limits allow the shared requests; `text` says where they end."""

    fits: bool
    text: str
    most_tickers: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`shared` is what Onetape does. `alone` buys each ticker for each user; `alone_batched` lets each one batch."""

    distinct_tickers: int
    refreshes_per_day: int
    shared: Bill
    shared_unbatched: Bill
    alone: Bill
    alone_batched: Bill
    feasibility: Feasibility

    def saving_percent(self, other: Bill, shared: Bill | None = None) -> Decimal:
        """How many requests fewer, in percent."""
        mine = (shared or self.shared).requests
        return Decimal(100) - Decimal(100) * mine / other.requests if other.requests else Decimal(0)


def answer(scenario: Scenario) -> Answer:
    distinct = distinct_tickers(
        scenario.users, scenario.tickers_per_user, scenario.unique_tickers, scenario.overlap
    )
    each = min(scenario.tickers_per_user, scenario.unique_tickers)
    asked = scenario.users * each
    refreshes = refreshes_per_day(scenario)

    def bill(per_refresh: int, analysed: int) -> Bill:
        return _bill(scenario, refreshes * per_refresh, analysed)

    return Answer(
        distinct_tickers=distinct,
        refreshes_per_day=refreshes,
        shared=bill(math.ceil(distinct / scenario.batch), distinct),
        shared_unbatched=bill(distinct, distinct),
        alone=bill(asked, asked),
        alone_batched=bill(scenario.users * math.ceil(each / scenario.batch), asked),
        feasibility=feasibility(scenario, math.ceil(distinct / scenario.batch)),
    )


def refreshes_per_day(scenario: Scenario) -> int:
    """How often a quote runs out in a trading day: by the TTL of the session, then by that of the rest of the day."""
    return math.ceil(SESSION_S / scenario.ttl_s) + math.ceil((DAY_S - SESSION_S) / scenario.closed_ttl_s)


def _bill(scenario: Scenario, requests_per_day: int, analysed: int) -> Bill:
    requests = requests_per_day * scenario.days
    tokens = scenario.analyses_per_ticker_day * analysed * scenario.days * scenario.tokens_per_analysis
    usd = (
        requests * scenario.usd_per_request
        + scenario.usd_per_month * scenario.days / DAYS_PER_MONTH
        + tokens * scenario.usd_per_million_tokens / 1_000_000
    )
    return Bill(requests_per_day, requests, usd)


@lru_cache(maxsize=256)
def distinct_tickers(users: int, each: int, unique: int, overlap: float) -> int:
    """How many tickers at least one wants, as expected when each picks `each` different ones by Zipf's law."""
    if users == 0 or each == 0 or unique == 0:
        return 0
    if each >= unique:
        return unique
    weights = [(rank + 1) ** -overlap for rank in range(unique)]
    eager = _eagerness(weights, each)
    wanted_by_none = (math.exp(-eager * weight * users) for weight in weights)
    return min(max(round(unique - sum(wanted_by_none)), each), unique)


def _eagerness(weights: Sequence[float], each: int) -> float:
    """The factor with which the chances 1 - exp(-factor * weight) of picking a ticker add up to `each`."""
    low, high = 0.0, 1.0
    while _picked(weights, high) < each:
        high *= 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _picked(weights, middle) < each else (low, middle)
    return high


def _picked(weights: Sequence[float], factor: float) -> float:
    return sum(1 - math.exp(-factor * weight) for weight in weights)


def feasibility(scenario: Scenario, per_refresh: int) -> Feasibility:
    """Against each window of the plan. A day's quota begins at the open, when it matters most."""
    if not scenario.limits:
        return Feasibility(fits=True, text="No limit of requests is known.")
    found = [_against(scenario, limit, per_refresh) for limit in scenario.limits]
    worst = next((one for one in found if not one.fits), None)
    most = min(one.most_tickers for one in found if one.most_tickers is not None)
    if worst:
        return Feasibility(fits=False, text=worst.text, most_tickers=most)
    return Feasibility(
        fits=True, text=f"Fits; up to {most:,} tickers at {scenario.ttl_s} s.", most_tickers=most
    )


def _against(scenario: Scenario, limit: Limit, per_refresh: int) -> Feasibility:
    capacity = _capacity(scenario, limit)
    if per_refresh <= capacity // scenario.batch:
        return Feasibility(fits=True, text="", most_tickers=capacity)
    if limit.seconds >= DAY_S:
        at = exhausted_at(scenario, limit.requests, per_refresh)
        return Feasibility(fits=False, text=f"Exhausted at {at:%H:%M} New York time.", most_tickers=capacity)
    slowest = math.ceil(per_refresh * limit.seconds / limit.requests)
    text = (
        f"{limit.requests} requests in {limit.seconds} s carry {capacity:,} tickers at {scenario.ttl_s} s; "
        f"these need {slowest:,} s."
    )
    return Feasibility(fits=False, text=text, most_tickers=capacity)


def _capacity(scenario: Scenario, limit: Limit) -> int:
    """How many tickers one window can keep as fresh as wanted."""
    if limit.seconds >= DAY_S:
        return limit.requests * (limit.seconds // DAY_S) // refreshes_per_day(scenario) * scenario.batch
    return limit.requests * scenario.ttl_s // limit.seconds * scenario.batch


def exhausted_at(scenario: Scenario, requests: int, per_refresh: int) -> time:
    """When the last request of a day's quota is spent, counted from the open, in New York."""
    rounds = (requests - 1) // max(per_refresh, 1)
    in_session = math.ceil(SESSION_S / scenario.ttl_s)
    if rounds < in_session:
        seconds = rounds * scenario.ttl_s
    else:
        seconds = SESSION_S + (rounds - in_session) * scenario.closed_ttl_s
    minute = (OPENS.hour * 60 + OPENS.minute + seconds // 60) % (24 * 60)
    return time(minute // 60, minute % 60)


@dataclass(frozen=True, slots=True)
class PaperLine:
    """One line of the table this product began with: what was written, and what its own numbers make."""

    name: str
    without: Decimal
    shared: Decimal
    without_right: Decimal
    shared_right: Decimal
    remark: str


def paper() -> Iterator[PaperLine]:
    """1,000 users with 8 tickers each, 100 different ones, asked for once a minute at $0.01, as a table "per month"."""
    per_day = (Decimal("0.01") * 1440 * 8000, Decimal("0.01") * 1440 * 100)
    month = 30
    requests = (per_day[0] * month, per_day[1] * month)
    socket, models = (Decimal(500), Decimal(50)), (Decimal(480), Decimal(15))
    yield PaperLine("Quote requests", *per_day, *requests, "the table's figures are per day, not per month")
    yield PaperLine("WebSocket connections", *socket, *socket, "per month")
    yield PaperLine("Language model", *models, *models, "per month")
    written = (sum_of(per_day[0], socket[0], models[0]), sum_of(per_day[1], socket[1], models[1]))
    right = (sum_of(requests[0], socket[0], models[0]), sum_of(requests[1], socket[1], models[1]))
    yield PaperLine("Total", *written, *right, "days and months were added up")
    users = 1000
    yield PaperLine(
        "Per user",
        Decimal(116),
        Decimal("0.15"),
        right[0] / users,
        right[1] / users,
        "$1,505 for 1,000 users is $1.505; $0.15 would be 10,000 users",
    )


def sum_of(*amounts: Decimal) -> Decimal:
    return sum(amounts, Decimal(0))
