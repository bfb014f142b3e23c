"""The sweep over minute bars: with nothing to find, with 10,000 alerts to fire, its plans; and load-and-loop."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

from django.db import connection, transaction

from alerts import sweep, telling
from alerts.kinds import Phase
from alerts.models import Alert, Notification, Outbox, Sweep, Trigger
from benchmarks.evaluation.field import Field
from benchmarks.harness.report import Result, at_least, at_most, say
from core import clock
from marketdata.models import MinuteBar

MINUTE = timedelta(minutes=1)
# Bars of each ticker before now, and after: the run takes some minutes.
BARS_BEFORE, BARS_AFTER = 60, 15
AT_ONCE = 2
"""Alerts of each ticker that one pass shall find."""
PLANS = ("force_custom_plan", "force_generic_plan")

QUOTES = """
INSERT INTO marketdata_quote (ticker_id, price, as_of, received_at, expires_at, provider, session, halted, delayed_s,
                              epoch, seq)
SELECT id, price, %s, %s, %s, 'simulator', 'regular', false, 0, 1, 1
  FROM unnest(%s::bigint[], %s::numeric[]) AS one (id, price)
"""
# Nothing is within half a per cent of a price.
BARS = """
INSERT INTO marketdata_minutebar (ticker_id, start, open, high, low, close, volume)
SELECT id, %s + number * interval '1 minute', price, price * 1.005, price * 0.995, price, 100
  FROM unnest(%s::bigint[], %s::numeric[]) AS one (id, price), generate_series(%s, %s) AS number
"""
PEAKS = """
UPDATE marketdata_minutebar AS bar SET high = peak.price
  FROM unnest(%s::bigint[], %s::numeric[]) AS peak (id, price) WHERE bar.ticker_id = peak.id AND bar.start = %s
"""


def prepare(field: Field) -> None:
    """An hour of minutes in which nothing was reached, and some to come."""
    now = clock.now()
    later, minute = now + timedelta(hours=1), now.replace(second=0, microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(QUOTES, [later, later, later, field.ids, field.prices])
        cursor.execute(BARS, [minute, field.ids, field.prices, -BARS_BEFORE, BARS_AFTER])
    with connection.cursor() as cursor:
        for table in ("marketdata_quote", "marketdata_minutebar"):
            cursor.execute(f"VACUUM ANALYZE {table}")


# --- nothing to find


def nothing(passes: int, result: Result) -> None:
    say(f"{passes} sweeps that find nothing")
    took, used = [], []
    for _ in range(passes):
        _look_again()
        began, before = time.perf_counter(), _processor_ms()
        written = sweep.run()
        took.append((time.perf_counter() - began) * 1000)
        used.append(_processor_ms() - before)
        result.must(not written.claimed, f"{len(written.claimed)} alerts were found that no bar has reached")
    result.figures |= {
        "sweep_0_ms": median(took), "sweep_0_ms_max": max(took), "sweep_0_cpu_ms": median(used)
    }  # fmt: skip
    result.bars.append(at_most("sweep_0_ms", median(took), 100))


def _processor_ms() -> float:
    """Processor time of this process and of its backend: what a busy machine does not stretch so much."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    backend = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6
    return backend + time.process_time() * 1000


def _look_again() -> datetime:
    """As if the last minute had just settled, and the one before had been looked at; its start."""
    start = (clock.now() - sweep.SETTLED).replace(second=0, microsecond=0) - MINUTE
    Sweep.objects.update_or_create(pk=sweep.NAME, defaults={"until": start})
    return start


# --- 10,000 at once


def many(field: Field, passes: int, result: Result) -> list[int]:
    """Each pass finds the next nearest of each ticker. Returns which alerts have fired."""
    fired: list[int] = []
    took, in_all, used = [], [], []
    for number in range(passes):
        _past_the_minute()
        start = _look_again()
        right = _peak(field, (number + 1) * AT_ONCE, start) - set(fired)
        before = updates()
        with _committed() as moments:
            began, processor = time.perf_counter(), _processor_ms()
            written = sweep.run()
            in_all.append((time.perf_counter() - began) * 1000)
        took.append((moments[-1][0] - began) * 1000 if moments else float("inf"))
        used.append(moments[-1][1] - processor if moments else float("inf"))
        _check_pass(right, written.claimed, updates() - before, result)
        fired += sorted(right)
        _calm(field, start)
    result.figures |= {
        "sweep_10000_ms": median(took), "sweep_10000_cpu_ms": median(used),
        "sweep_10000_told_ms": median(in_all), "triggers": len(fired),
        "rows_written": len(fired),
    }  # fmt: skip
    result.bars.append(at_most("sweep_10000_ms", median(took), 500))
    result.must(len(fired) == passes * AT_ONCE * len(field.symbols), f"{len(fired)} alerts should have fired")
    _check_rows(fired, result)
    return fired


def _past_the_minute() -> None:
    """Not in the last seconds before another minute settles, or the pass would be of a later one."""
    left = 60 - (clock.now() - sweep.SETTLED).second
    if left < 5:
        time.sleep(left)


def _peak(field: Field, nearest: int, start: datetime) -> set[int]:
    """In this minute each price has exceeded so many levels; which ones, by comparing each."""
    peaks = [
        field.upwards(place)[nearest - 1].threshold + Decimal("0.00000001") for place in range(len(field.ids))
    ]
    with connection.cursor() as cursor:
        cursor.execute(PEAKS, [field.ids, peaks, start])
    return {
        level.id for level in field.everyone() if level.direction > 0 and peaks[level.place] > level.threshold
    }


def _calm(field: Field, start: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(PEAKS, [field.ids, field.prices, start])


@contextmanager
def _committed() -> Iterator[list[tuple[float, float]]]:
    """When each commit was done, and the processor time by then: what is told afterwards is another matter."""
    moments: list[tuple[float, float]] = []
    tell = telling.tell_and_wait

    def telling_later(*arguments: Any) -> None:
        moments.append((time.perf_counter(), _processor_ms()))
        tell(*arguments)

    telling.tell_and_wait = telling_later
    try:
        yield moments
    finally:
        telling.tell_and_wait = tell


def updates() -> int:
    """Rows of alerts that were ever updated, by the server's own count."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'alerts_alert'")
        return int(cursor.fetchone()[0])


def _check_pass(right: set[int], claimed: set[int], updated: int, result: Result) -> None:
    result.must(claimed == right, f"a pass fired {len(claimed)} alerts where {len(right)} were exceeded")
    result.must(updated == len(right), f"a pass updated {updated} alerts for {len(right)} triggers")


def _check_rows(fired: Sequence[int], result: Result) -> None:
    """One trigger, one notification and one outbox row for each fire; the alert waits, or is done."""
    triggers = list(Trigger.objects.values_list("alert_id", "fire_seq"))
    result.must(
        sorted(triggers) == [(pk, 1) for pk in sorted(fired)], "the triggers are not those of the fires"
    )
    told = set(Notification.objects.values_list("trigger_id", flat=True))
    result.must(told == set(Trigger.objects.values_list("pk", flat=True)), "a trigger is not told once")
    result.must(
        Notification.objects.count() == Outbox.objects.count() == len(fired), "notifications or outbox rows"
    )
    waiting = Alert.objects.filter(pk__in=fired, phase=Phase.WAITING, fire_seq=1)
    result.must(waiting.count() == len(fired), "an alert that fired does not wait")
    result.must(not waiting.filter(mode="once", active=True).exists(), "an alert that fires once goes on")


# --- plans


def plans(result: Result) -> None:
    """No plan of the pass reads all alerts, neither for these values nor for any."""
    start = _look_again()
    values = sweep.Window(start - sweep.AGAIN, start + MINUTE).values()
    ids = list(Alert.objects.order_by("pk").values_list("pk", flat=True)[: sweep.MOST])
    wrong = [
        f"{name} {plan}"
        for name, more in (("reached", {"after": 0, "most": sweep.MOST}), ("missed", {"ids": ids}))
        for plan in PLANS
        if "Seq Scan on alerts_alert" in _explained(sweep.statement(name), {**values, **more}, plan)
    ]
    result.figures["explain"] = f"a sequential scan: {wrong}" if wrong else "no sequential scan"
    result.must(not wrong, f"plans read all alerts: {wrong}")


def _explained(statement: str, values: dict[str, Any], plan: str) -> str:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL plan_cache_mode = {plan}")
        cursor.execute(f"EXPLAIN {statement}", values)
        return "\n".join(line for (line,) in cursor.fetchall())


# --- the naive way


def load_and_loop(result: Result) -> None:
    """Every armed alert, compared one by one with the last minutes; it writes nothing, so it has it easy."""
    say("load and loop")
    since = clock.now() - sweep.AGAIN
    began = time.perf_counter()
    reach: dict[int, tuple[Decimal, Decimal]] = {}
    for ticker, low, high in MinuteBar.objects.filter(start__gte=since).values_list(
        "ticker_id", "low", "high"
    ):
        known = reach.get(ticker, (low, high))
        reach[ticker] = min(known[0], low), max(known[1], high)
    found = 0
    rows = Alert.objects.filter(active=True, phase=Phase.ARMED).values_list(
        "ticker_id", "direction", "threshold"
    )
    for ticker, direction, threshold in rows.iterator(20_000):
        low, high = reach[ticker]
        found += high > threshold if direction > 0 else low < threshold
    took = (time.perf_counter() - began) * 1000
    result.must(not found, f"the naive way found {found}")
    result.baseline["load_and_loop_ms"] = took
    result.ratio["sweep_vs_naive"] = took / result.figures["sweep_0_ms"]
    result.bars.append(at_least("sweep_vs_naive", result.ratio["sweep_vs_naive"], 20))


def arm_again(fired: Sequence[int]) -> None:
    Alert.objects.filter(pk__in=fired).update(phase=Phase.ARMED, active=True)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE alerts_alert")
