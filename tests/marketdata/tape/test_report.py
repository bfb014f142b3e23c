from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from core import metrics
from core.resilience import Backoff
from marketdata.models import Upstream as UpstreamRow
from marketdata.quotes import Tick
from marketdata.tape import report
from marketdata.tape.lines import Lines
from marketdata.tape.report import Office
from marketdata.tape.upstream import Upstream
from tests.providers import Scripted

TICK = Tick("AAPL", Decimal(1), size=1, volume=1, as_of_us=1, provider="counted")


def test_ticks_are_counted_by_provider_and_refusals_by_reason():
    counts = report.Counts()
    accepted = metrics.ticks_accepted.labels(provider="counted")._value.get()
    refused = metrics.ticks_refused.labels(provider="counted", reason="future")._value.get()
    assert counts.last_tick_at is None

    counts.accept(1_700_000_000_000_000)
    counts.accept(1_700_000_001_000_000)
    counts.measure("counted")
    counts.measure("counted")
    counts.refuse(TICK, "future")

    assert (counts.accepted, counts.refused) == (2, {"future": 1})
    assert counts.last_tick_at == datetime(2023, 11, 14, 22, 13, 21, tzinfo=UTC)
    assert metrics.ticks_accepted.labels(provider="counted")._value.get() == accepted + 2
    assert metrics.ticks_refused.labels(provider="counted", reason="future")._value.get() == refused + 1


@pytest.mark.django_db
def test_there_is_one_row_for_each_shard_and_provider_and_it_says_the_newest():
    counts: defaultdict[str, report.Counts] = defaultdict(report.Counts)
    upstream = Upstream(Scripted(), list, Backoff())
    lines = {"scripted": Lines(lambda: upstream)}
    for number, holder in enumerate(["a", "b"], 1):
        counts["scripted"].accept(number)
        upstream.subscribed = {f"S{n}" for n in range(number)}
        upstream.last_error = "lost" * number
        report.write(report.rows(Office(0, number, holder), lines, counts, {}))
    report.write(report.rows(Office(1, 9, "c"), lines, counts, {}))

    row = UpstreamRow.objects.get(shard="0")
    assert (row.holder, row.epoch, row.symbols_open, row.ticks_accepted, row.last_error, row.state) == (
        "b", 2, 2, 2, "lostlost", "idle",
    )  # fmt: skip
    assert UpstreamRow.objects.count() == 2


def test_without_connections_there_is_nothing_to_report():
    assert report.rows(Office(0, 1, "a"), {}, defaultdict(report.Counts), {}) == []


def test_an_operator_reads_what_is_wrong_when_it_is_tried_again_and_what_found_no_room(monkeypatch):
    upstream = Upstream(Scripted(), list, Backoff())
    lines = Lines(lambda: upstream)
    assert report.trouble(lines, 0) == ""

    upstream.last_error = "RateLimited: slow down"
    upstream.retry_at = datetime(2026, 3, 4, 15, 4, 5, tzinfo=UTC)
    monkeypatch.setattr(Upstream, "refused", {"A", "B"})

    assert report.trouble(lines, 7) == (
        "RateLimited: slow down; next try at 15:04:05 UTC; 7 symbols over its limit; 2 symbols refused"
    )
    upstream.last_error = "x" * 400
    assert len(report.trouble(lines, 7)) == 300
