from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import clock, metrics
from core.redis import client
from marketdata import ledger, quota
from marketdata.errors import Kind
from marketdata.metering import Call
from marketdata.models import Cause, ProviderCall
from marketdata.providers.base import Unit, Window
from marketdata.quota import Priority
from marketdata.quota_windows import LocalWindows, slot_ms
from marketdata.quotes import EPOCH
from tests.marketdata.rush import LIMIT, rush
from tests.outages import postgres_switch, redis_away
from tests.providers import Scripted

MINUTE, DAY = Window(10, 60), Window(25, 86_400)
NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
numbers = count()


@pytest.fixture(autouse=True)
def empty():
    client().flushall()


@pytest.fixture
def now(monkeypatch):
    """Sets the time for Redis, this process and the ledger; nothing expires by another clock."""
    for script in ("TAKE", "SPEND"):
        text = getattr(quota, script).replace("redis.call('PEXPIRE', KEYS[i], slot * 62)", "")
        monkeypatch.setattr(quota, script, text)

    def put(moment: datetime) -> datetime:
        monkeypatch.setattr(quota, "_now_ms", lambda: (moment - EPOCH) // timedelta(milliseconds=1))
        monkeypatch.setattr(clock, "now", lambda: moment)
        monkeypatch.setattr(clock, "now_us", lambda: (moment - EPOCH) // timedelta(microseconds=1))
        return moment

    put(NOON)
    return put


def vendor(*windows: Window, name: str = "vendor") -> Scripted:
    return Scripted(name=name, windows=windows)


def granted(provider: Scripted, times: int, priority: Priority = Priority.ALERT, symbols: int = 1) -> int:
    """How many of so many requests may be made."""
    return sum(quota.take(provider, priority, symbols=symbols).granted for _ in range(times))


def call(provider: str = "vendor", at: datetime = NOON, **fields) -> Call:
    return Call(provider, "quotes", at, Kind.OK, **fields)


# --- never more than the vendor allows


# Parts of a window; those that just reach its end are where it would be exceeded.
PARTS = st.floats(0, 0.7) | st.sampled_from([0.0, 1 / 60, 0.98, 0.999, 0.9999, 1.0])
STEPS = st.lists(st.tuples(PARTS, st.integers(1, 4)), min_size=1, max_size=40)


@given(
    limit=st.integers(1, 12),
    seconds=st.sampled_from([1, 7, 60, 3600, 86_400]),
    unit=st.sampled_from([Unit.REQUEST, Unit.SYMBOL, Unit.CREDIT]),
    offset=st.integers(0, 10**8),
    steps=STEPS,
    local=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
def test_no_window_of_the_vendors_wherever_it_begins_holds_more_than_the_limit(  # noqa: PLR0917 -- drawn
    monkeypatch, limit, seconds, unit, offset, steps, local
):
    window = Window(limit, seconds, unit)
    provider = vendor(window, name=f"vendor{next(numbers)}")
    # The clock is ours, so nothing may expire by another one's; and no ledger is needed.
    monkeypatch.setattr(quota, "TAKE", quota.TAKE.replace("redis.call('PEXPIRE', KEYS[i], slot * 62)", ""))
    monkeypatch.setattr(quota, "LONG_S", 10**9)
    alone = LocalWindows(1)
    moment = 1_800_000_000_000 + offset
    made: list[tuple[int, int]] = []
    for part, symbols in steps:
        moment += int(part * seconds * 1000)
        monkeypatch.setattr(quota, "_now_ms", lambda moment=moment: moment)
        cost = 1 if unit is Unit.REQUEST else symbols
        if local:
            is_granted = alone.take(provider.name, {window: cost}, 0.0, moment)[0] <= moment
        else:
            grant = quota.take(provider, Priority.ALERT, symbols=symbols)
            is_granted = grant.granted
            assert is_granted or grant.retry_at > EPOCH + timedelta(milliseconds=moment)
        if is_granted:
            made.append((moment, cost))
            assert _in_window(made, moment, seconds * 1000) <= limit
        else:
            # Nor is anybody refused for what is long over.
            assert _in_window(made, moment, seconds * 1000 + 2 * slot_ms(window)) + cost > limit


def _in_window(made, moment, length_ms):
    return sum(cost for at, cost in made if at > moment - length_ms)


@pytest.mark.parametrize("begin_ms", [0, 1, 500, 999])
@pytest.mark.parametrize("is_local", [False, True])
def test_one_request_keeps_its_place_for_a_whole_window(now, begin_ms, is_local):
    begin, provider, alone = NOON + timedelta(milliseconds=begin_ms), vendor(Window(1, 60)), LocalWindows(1)

    def take(after_ms: int) -> bool:
        moment = now(begin + timedelta(milliseconds=after_ms))
        at_ms = (moment - EPOCH) // timedelta(milliseconds=1)
        if is_local:
            return alone.take("vendor", {Window(1, 60): 1}, 0.0, at_ms)[0] <= at_ms
        return quota.take(provider, Priority.ALERT).granted

    assert [take(after) for after in (0, 1, 30_000, 59_000, 59_999, 62_000)] == [True, *[False] * 4, True]


def test_each_of_several_windows_is_kept(now):
    provider = vendor(Window(3, 1), Window(5, 60))

    assert granted(provider, 10) == 3
    now(NOON + timedelta(seconds=2))
    assert granted(provider, 10) == 2


def test_what_one_window_refuses_is_counted_in_none(now):
    provider = vendor(Window(1, 1), Window(5, 60))
    granted(provider, 10)

    assert [budget.used for budget in quota.budgets(provider)] == [1, 1]


def test_who_is_refused_is_told_when_there_is_room_and_then_there_is(now):
    provider = vendor(MINUTE)
    granted(provider, 10)

    refused = quota.take(provider, Priority.ALERT)
    assert NOON + timedelta(seconds=60) < refused.retry_at <= NOON + timedelta(seconds=62)
    now(refused.retry_at - timedelta(milliseconds=1))
    assert not quota.take(provider, Priority.ALERT).granted
    now(refused.retry_at)
    assert quota.take(provider, Priority.ALERT).granted


def test_threads_that_take_at_once_get_exactly_the_limit():
    provider = vendor(Window(10, 600))

    with ThreadPoolExecutor(64) as pool:
        got = list(pool.map(lambda _: quota.take(provider, Priority.ALERT).granted, range(64)))

    assert sum(got) == 10


def test_processes_that_take_at_once_get_exactly_the_limit():
    assert Counter(rush("quota", "vendor")) == {"True": LIMIT, "False": 64 - LIMIT}


def test_one_take_is_one_round_trip(monkeypatch):
    sent = []
    execute = client().execute_command
    monkeypatch.setattr(
        client(), "execute_command", lambda *args, **named: (sent.append(args[0]), execute(*args, **named))[1]
    )
    quota.take(vendor(Window(5, 1), Window(10, 60), Window(100, 600)), Priority.ALERT)

    assert sent == ["EVAL"]


# --- units


@pytest.mark.parametrize("unit", [Unit.SYMBOL, Unit.CREDIT])
def test_symbols_and_credits_cost_by_the_symbol(unit):
    provider = vendor(Window(10, 60, unit))

    assert [quota.take(provider, Priority.ALERT, symbols=4).granted for _ in range(3)] == [True, True, False]
    assert quota.take(provider, Priority.ALERT, symbols=2).granted
    assert quota.budgets(provider)[0].left == 0


def test_requests_cost_one_whatever_they_ask():
    assert granted(vendor(MINUTE), 20, symbols=100) == 10


# --- who may ask when little is left


def test_each_priority_leaves_its_part_to_those_above_it():
    provider = vendor(Window(100, 600))
    order = [Priority.BACKFILL, Priority.WARM, Priority.HELD, Priority.VISIBLE, Priority.ALERT]

    assert [granted(provider, 100, priority) for priority in order] == [60, 20, 10, 8, 2]


def test_what_is_left_is_told():
    provider = vendor(Window(4, 60), Window(100, 600))

    assert quota.take(provider, Priority.ALERT).left == 1
    assert quota.take(provider, Priority.ALERT).left == 0.75
    assert quota.left_of(provider) == 0.5


def test_without_windows_nothing_is_refused_and_everything_is_left():
    provider = vendor()

    assert granted(provider, 5) == 5
    assert quota.left_of(provider) == 1


def test_invented_prices_are_never_refused():
    provider = vendor()
    provider.capabilities = replace(provider.capabilities, simulated=True)
    quota.block("vendor", clock.now() + timedelta(hours=1))

    assert quota.take(provider, Priority.BACKFILL).granted


# --- what was made already


def test_what_was_made_already_counts_beyond_the_limit_too():
    provider = vendor(Window(3, 60))
    granted(provider, 2)

    quota.spend(provider, 5)

    assert quota.budgets(provider)[0].used == 7
    assert granted(provider, 1) == 0


def test_what_was_made_already_is_one_round_trip(monkeypatch):
    sent = []
    monkeypatch.setattr(client(), "execute_command", lambda *args: sent.append(args[0]))

    quota.spend(vendor(MINUTE, Window(5, 1)), 200)
    quota.spend(vendor(MINUTE), 0)
    quota.spend(vendor(MINUTE), -1)
    quota.spend(vendor(), 3)

    assert sent == ["EVAL"]


# --- a flushed Redis


@pytest.mark.django_db(transaction=True)
def test_after_a_flush_the_day_is_counted_anew_from_the_ledger(now):
    provider = vendor(DAY)
    ages = [timedelta(hours=hours) for hours in (1, 2, 23.9, 24.1, 40)]
    ledger.record([call(at=NOON - age) for age in ages], Cause.POLL)
    ledger.record([call("another")], Cause.POLL)
    ledger.record([call(unit=Unit.SYMBOL_MINUTE, units=Decimal(500))], Cause.STREAM)

    assert granted(provider, 40) == 25 - 3


@pytest.mark.django_db(transaction=True)
def test_what_was_taken_before_the_flush_is_not_taken_again(now):
    provider = vendor(DAY)
    while quota.take(provider, Priority.ALERT).granted:
        ledger.record([call()], Cause.POLL)
    assert ProviderCall.objects.count() == 25

    client().flushall()

    assert granted(provider, 5) == 0


@pytest.mark.django_db(transaction=True)
def test_pages_made_while_the_window_is_unknown_are_not_lost_and_not_counted_twice(now):
    provider = vendor(DAY)
    ledger.record([call() for _ in range(5)], Cause.BACKFILL)

    quota.spend(provider, 4)

    assert granted(provider, 40) == 20


@pytest.mark.django_db(transaction=True)
def test_the_ledger_is_asked_once_not_at_each_take(django_assert_num_queries):
    provider = vendor(DAY)

    with django_assert_num_queries(1):
        granted(provider, 5)


@pytest.mark.django_db(transaction=True)
def test_a_day_without_calls_is_not_counted_again_while_another_window_refuses(django_assert_num_queries):
    provider = vendor(DAY)
    quota.block("vendor", clock.now() + timedelta(minutes=1))

    with django_assert_num_queries(1):
        assert granted(provider, 5) == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("unit", "used"), [(Unit.REQUEST, 2), (Unit.SYMBOL, 5)])
def test_symbols_are_counted_from_the_ledger_too(now, unit, used):
    provider = vendor(Window(25, 86_400, unit))
    ledger.record([call(symbols=("A", "B")), call(symbols=("A", "B", "C"))], Cause.POLL)

    assert granted(provider, 40) == 25 - used


@pytest.mark.django_db(transaction=True)
def test_without_a_database_a_forgotten_day_begins_empty():
    from django.db import connection  # noqa: PLC0415 -- one use

    connection.close()
    with postgres_switch() as postgres:
        postgres.off()
        assert granted(vendor(DAY), 40) == 25


# --- what the vendor says


def test_a_vendor_that_says_nothing_is_left_is_not_asked_until_its_window_begins_anew(now):
    provider = vendor(MINUTE)
    reset = NOON + timedelta(seconds=20)
    quota.note([call(remaining=0, reset_at=reset)])

    assert quota.take(provider, Priority.ALERT) == quota.Grant(granted=False, retry_at=reset)
    now(reset)
    assert quota.take(provider, Priority.ALERT).granted


def test_what_the_vendor_says_is_left_is_counted_down(now):
    quota.note([call(remaining=3, reset_at=NOON + timedelta(seconds=20))])

    assert granted(vendor(MINUTE), 10) == 3


def test_an_answer_that_was_overtaken_gives_nothing_back(now):
    reset = NOON + timedelta(seconds=20)
    quota.note([call(remaining=2, reset_at=reset)])
    quota.note([call(remaining=9, reset_at=reset)])

    assert granted(vendor(MINUTE), 10) == 2


def test_the_vendors_next_window_begins_anew(now):
    quota.note([call(remaining=0, reset_at=NOON + timedelta(seconds=20))])
    quota.note([call(remaining=5, reset_at=NOON + timedelta(seconds=80))])

    assert granted(vendor(MINUTE), 10) == 5


def test_a_vendor_that_tells_half_of_it_tells_nothing():
    quota.note([call(remaining=0), call(reset_at=clock.now() + timedelta(minutes=1)), call()])

    assert granted(vendor(MINUTE), 10) == 10


def test_nobody_asks_a_provider_before_the_moment_it_told(now):
    until = NOON + timedelta(minutes=3)
    quota.block("vendor", until)

    assert [quota.take(vendor(MINUTE), one).granted for one in Priority] == [False] * len(Priority)
    assert quota.take(vendor(MINUTE), Priority.ALERT).retry_at == until
    assert quota.blocked_until(vendor(MINUTE)) == until
    assert quota.take(vendor(MINUTE, name="other"), Priority.ALERT).granted
    now(until)
    assert quota.take(vendor(MINUTE), Priority.ALERT).granted


def test_of_two_moments_the_later_counts(now):
    later = NOON + timedelta(minutes=5)
    quota.block("vendor", later)
    quota.block("vendor", NOON + timedelta(seconds=1))

    assert quota.take(vendor(MINUTE), Priority.ALERT).retry_at == later
    with redis_away():
        assert quota.take(vendor(MINUTE), Priority.ALERT).retry_at == later


def test_a_moment_that_has_passed_blocks_nothing(now):
    quota.block("vendor", NOON - timedelta(seconds=1))

    assert quota.take(vendor(MINUTE), Priority.ALERT).granted


# --- Redis away


def test_while_redis_is_away_each_process_keeps_to_its_part(now):
    failures = metrics.redis_failures.labels(used_by="quota")._value.get
    before = failures()
    with redis_away():
        assert granted(vendor(Window(40, 60)), 50) == 10
        assert granted(vendor(Window(1, 60), name="small"), 5) == 1
        now(NOON + timedelta(seconds=62))
        assert granted(vendor(Window(40, 60)), 50) == 10

    assert failures() == before + 105


def test_while_redis_is_away_pages_and_blocks_and_reserves_count_too(now):
    with redis_away():
        quota.spend(vendor(Window(40, 60)), 4)
        assert granted(vendor(Window(40, 60)), 50, Priority.BACKFILL) == 2
        assert granted(vendor(Window(40, 60)), 50) == 4
        quota.block("blocked", NOON + timedelta(minutes=1))
        assert granted(vendor(MINUTE, name="blocked"), 5) == 0
        quota.note([call(remaining=0, reset_at=NOON + timedelta(minutes=1))])
        assert quota.left_of(vendor(MINUTE)) == 1


# --- the forecast


def at_rate(now, provider: Scripted, *, every: timedelta, times: int, begin: datetime) -> datetime:
    for number in range(times):
        now(begin + number * every)
        assert quota.take(provider, Priority.ALERT).granted
    return begin + (times - 1) * every


@pytest.mark.parametrize("window", [Window(600, 600), Window(600, 3600), Window(600, 86_400)])
def test_it_says_when_the_window_will_be_used_up(now, monkeypatch, window):
    monkeypatch.setattr(quota, "LONG_S", 10**9)  # needs no ledger
    every, provider = timedelta(seconds=window.seconds / 1000), vendor(window)
    last = at_rate(now, provider, every=every, times=400, begin=NOON)

    # 200 are left, at the same rate; a slot is not exactly so many requests.
    assert abs(quota.budgets(provider)[0].exhausted_at - (last + 200 * every)) < 200 * every * 0.15


def test_on_a_morning_that_has_just_begun_it_says_0936(now, monkeypatch):
    monkeypatch.setattr(quota, "LONG_S", 10**9)  # needs no ledger
    open_, provider = NOON.replace(hour=9, minute=30), vendor(Window(500, 3600))
    at_rate(now, provider, every=timedelta(seconds=0.73), times=250, begin=open_)

    assert f"{quota.budgets(provider)[0].exhausted_at:%H:%M}" == "09:36"


def test_one_burst_is_no_rate(now):
    provider = vendor(Window(200, 60))
    granted(provider, 8)

    assert quota.budgets(provider)[0].exhausted_at is None


def test_a_rate_that_holds_is_forecast_as_nothing(now):
    provider = vendor(Window(60, 60))
    at_rate(now, provider, every=timedelta(seconds=1.1), times=100, begin=NOON)

    assert quota.budgets(provider)[0].exhausted_at is None


def test_an_unused_window_is_forecast_as_nothing(now):
    assert quota.budgets(vendor(MINUTE)) == [quota.Budget("vendor", MINUTE, 0)]


def test_a_window_that_is_used_up_says_now(now):
    provider = vendor(MINUTE)
    granted(provider, 10)

    (budget,) = quota.budgets(provider)
    assert (budget.left, budget.exhausted_at) == (0, NOON)
