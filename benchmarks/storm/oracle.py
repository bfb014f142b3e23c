"""Whether everything still adds up after a storm: rows, intervals and demand against the logs of the clients.

The logs say what was asked, when, and what was answered; nothing else of them is believed. Which of two
simultaneous operations came last nobody knows from outside, so a pair may end in any state that one of its
possible last operations leaves; a user's intervals, however, must tell one history without a contradiction.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection

from benchmarks.storm.clients import WATCH, Deed
from marketdata import demand
from subscriptions.models import Subscription, WatchInterval

Pair = tuple[uuid.UUID, int]


@dataclass(frozen=True)
class Interval:
    started_at: datetime
    ended_at: datetime | None


@dataclass
class Findings:
    """Empty when all is well; the texts are samples."""

    drift: int = 0
    over_limit: set[uuid.UUID] = field(default_factory=set)
    samples: list[str] = field(default_factory=list)

    def wrong(self, text: str) -> None:
        self.drift += 1
        if len(self.samples) < 10:
            self.samples.append(text)


def judge(deeds: Sequence[Deed], limits: Mapping[uuid.UUID, int]) -> Findings:
    """All that was ever done to the subscriptions of the users in `limits`, against what the database holds of them."""
    findings = Findings()
    rows = {row for row in Subscription.objects.values_list("user_id", "ticker_id") if row[0] in limits}
    intervals = read_intervals(limits)
    check_last_states(findings, deeds, rows)
    check_numbers(findings, deeds, rows, intervals)
    check_open_intervals(findings, rows, intervals)
    check_histories(findings, intervals, limits)
    check_demand(findings, intervals)
    return findings


def read_intervals(limits: Mapping[uuid.UUID, int]) -> dict[Pair, list[Interval]]:
    found: defaultdict[Pair, list[Interval]] = defaultdict(list)
    stored = WatchInterval.objects.values_list("user_id", "ticker_id", "started_at", "ended_at")
    for user, ticker, started_at, ended_at in stored.order_by("started_at", "id").iterator():
        if user in limits:
            found[user, ticker].append(Interval(started_at, ended_at))
    return found


def possible_last_states(deeds: Iterable[Deed]) -> dict[Pair, set[bool]]:
    """Watched or not, after each operation that may have been a pair's last: nothing was sent after its answer."""
    of_pair: defaultdict[Pair, list[tuple[float, float, bool]]] = defaultdict(list)
    for deed in deeds:
        if deed.kind is WATCH and not deed.done:
            continue  # refused: nothing was changed
        for ticker in deed.tickers:
            of_pair[deed.user, ticker].append((deed.sent, deed.answered, deed.kind))
    states = {}
    for pair, some in of_pair.items():
        last_sent = max(sent for sent, _, _ in some)
        states[pair] = {kind for _, answered, kind in some if answered >= last_sent}
    return states


def check_last_states(findings: Findings, deeds: Sequence[Deed], rows: set[Pair]) -> None:
    states = possible_last_states(deeds)
    for pair, possible in states.items():
        if (pair in rows) not in possible:
            findings.wrong(f"{pair} is {'still' if pair in rows else 'not'} watched")
    for pair in rows - states.keys():
        findings.wrong(f"{pair} is watched, which nobody asked for")


def check_numbers(
    findings: Findings, deeds: Sequence[Deed], rows: set[Pair], intervals: Mapping[Pair, Sequence[Interval]]
) -> None:
    """What came (an interval each) minus what the clients were told has gone is what is there."""
    there = Counter(user for user, _ in rows)
    came: Counter[uuid.UUID] = Counter()
    for (user, _), some in intervals.items():
        came[user] += len(some)
    gone: Counter[uuid.UUID] = Counter()
    for deed in deeds:
        if deed.kind is not WATCH:
            gone[deed.user] += deed.done
    for user in came.keys() | gone.keys() | there.keys():
        if came[user] - gone[user] != there[user]:
            findings.wrong(f"{user}: {came[user]} came, {gone[user]} went, {there[user]} are there")


def check_open_intervals(
    findings: Findings, rows: set[Pair], intervals: Mapping[Pair, Sequence[Interval]]
) -> None:
    open_now = {pair for pair, some in intervals.items() if any(one.ended_at is None for one in some)}
    for pair in open_now ^ rows:
        findings.wrong(
            f"{pair} is {'wanted but not recorded' if pair in rows else 'recorded but not wanted'}"
        )


def check_histories(
    findings: Findings, intervals: Mapping[Pair, Sequence[Interval]], limits: Mapping[uuid.UUID, int]
) -> None:
    """No interval ends before it begins or overlaps the next; at no moment was a user above the limit."""
    changes: defaultdict[uuid.UUID, list[tuple[datetime, int]]] = defaultdict(list)
    for (user, ticker), some in intervals.items():
        for one, after in zip(some, [*some[1:], None], strict=True):
            changes[user].append((one.started_at, 1))
            if one.ended_at is not None:
                changes[user].append((one.ended_at, -1))
            if not _in_order(one, after):
                findings.wrong(f"{user} {ticker}: {one} then {after}")
    for user, moments in changes.items():
        held = 0
        for _, change in sorted(moments):  # at one and the same moment, what goes goes first
            held += change
            if held > limits[user]:
                findings.over_limit.add(user)


def _in_order(one: Interval, after: Interval | None) -> bool:
    if one.ended_at is None:
        return after is None
    return one.started_at <= one.ended_at and (after is None or one.ended_at <= after.started_at)


def check_demand(findings: Findings, intervals: Mapping[Pair, Sequence[Interval]]) -> None:
    """What the tape derives from the rows against a recount of the intervals, of the tickers these users touched."""
    symbols = _symbols()
    recount = Counter(
        symbols[ticker] for (_, ticker), some in intervals.items() for one in some if one.ended_at is None
    )
    derived = {symbol: one.holders for symbol, one in demand.wanted().items()}
    for symbol in {symbols[ticker] for _, ticker in intervals}:
        if derived.get(symbol, 0) != recount[symbol]:
            findings.wrong(f"{symbol}: {derived.get(symbol, 0)} holders derived, {recount[symbol]} recounted")


def _symbols() -> dict[int, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, symbol FROM marketdata_ticker")
        return dict(cursor.fetchall())
