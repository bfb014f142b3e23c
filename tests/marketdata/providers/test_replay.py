from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from marketdata.acceptance import Acceptance
from marketdata.errors import NotFound
from marketdata.providers.base import Interval
from marketdata.providers.replay import SLOT_US, Replay
from marketdata.providers.replay_bars import SYMBOLS, History, histories, loop_days
from marketdata.quotes import microseconds
from tests.marketdata.fake_clock import START, FakeClock, collect


def replay(moment=START, speed=1.0):
    clock = FakeClock(moment)
    return Replay(speed=speed, now=clock.now, wait=clock.wait)


def start_of_day(provider, moment=START):
    us = microseconds(moment)
    return moment - timedelta(microseconds=us % provider.day_us)


async def quote(symbol, moment, speed=1.0):
    return (await replay(moment, speed).fetch_quotes([symbol]))[symbol]


def test_the_history_is_the_real_one():
    apple = histories()["AAPL"]

    assert {symbol: len(history.days) for symbol, history in histories().items()} == {
        "AAPL": 3270,
        "FB": 196,
        "GOOG": 2148,
        "IBM": 3270,
        "MSFT": 3270,
    }
    row = apple.row(date(2012, 9, 21))  # the highest price of those years, on the day of the iPhone 5
    assert (row.open, row.high, row.low, row.close) == (70241, 70507, 69936, 70010)
    assert apple.close_before(date(2012, 9, 21)) == 69870
    assert histories()["FB"].close_before(date(2012, 5, 18)) is None


def test_every_day_of_the_history_can_be_walked():
    for history in histories().values():
        for row in history.rows(date(2000, 1, 1), date(2014, 1, 1)):
            assert 0 < row.low <= min(row.open, row.close) <= max(row.open, row.close) <= row.high
            assert row.volume > 0


def test_the_loop_goes_over_the_days_on_which_all_five_exist():
    assert (loop_days()[0], loop_days()[-1], len(loop_days())) == (date(2012, 5, 18), date(2013, 3, 1), 196)


def test_one_day_follows_the_other_and_after_the_last_comes_the_first():
    provider = replay(speed=390)
    start_us = microseconds(start_of_day(provider))

    dates = [provider.last_tick("IBM", start_us + i * provider.day_us).replay_date for i in range(2 * 196)]

    days = list(loop_days())
    at = days.index(dates[0])
    assert dates == (days[at:] + days[:at]) * 2


@pytest.mark.parametrize(("speed", "minutes"), [(1, 390), (10, 39), (60, 6), (390, 1)])
def test_a_day_lasts_whole_minutes(speed, minutes):
    assert replay(speed=speed).day_us == minutes * 60_000_000


@pytest.mark.parametrize("speed", [0, -1, 0.5, 391, float("nan"), float("inf")])
def test_an_impossible_speed_is_refused(speed):
    with pytest.raises(ValueError, match="speed"):
        replay(speed=speed)


@pytest.mark.parametrize("symbol", sorted(SYMBOLS))
@pytest.mark.parametrize("speed", [1, 10, 390])
async def test_a_day_begins_with_its_open_touches_its_extremes_and_ends_with_its_close(symbol, speed):
    provider = replay(speed=speed)
    start_us = microseconds(start_of_day(provider))
    ticks = provider.ticks(symbol, start_us - 1, start_us + provider.day_us - 1)
    row = histories()[symbol].row(ticks[0].replay_date)
    prices = [int(tick.price * 100) for tick in ticks]

    assert (prices[0], max(prices), min(prices), prices[-1]) == (row.open, row.high, row.low, row.close)
    assert (ticks[-1].volume, sum(tick.size for tick in ticks)) == (row.volume, row.volume)
    assert (ticks[-1].high * 100, ticks[-1].low * 100) == (row.high, row.low)
    assert ticks[0].as_of_us == start_us
    assert all(tick.size > 0 for tick in ticks)
    assert {tick.replay_date for tick in ticks} == {row.day}
    assert len(ticks) == provider.day_us // SLOT_US


async def test_a_new_day_begins_with_its_real_open_and_volume_and_the_real_previous_close():
    provider = replay()
    start = start_of_day(provider)
    before, after = await quote("MSFT", start - timedelta(microseconds=1)), await quote("MSFT", start)
    previous = histories()["MSFT"].row(before.replay_date)
    row = histories()["MSFT"].row(after.replay_date)

    assert before.price * 100 == previous.close
    assert before.volume == previous.volume
    assert after.previous_close == before.price
    assert after.price * 100 == after.open * 100 == row.open
    assert after.volume < row.volume / 10_000
    assert (after.as_of, after.change) == (start, after.price - before.price)


def test_on_its_first_day_a_share_has_no_previous_close():
    provider = replay()
    number = 196 * 400 + loop_days().index(date(2012, 5, 18))

    tick = provider.last_tick("FB", number * provider.day_us)

    assert (tick.replay_date, tick.price, tick.previous_close) == (date(2012, 5, 18), Decimal("42.05"), None)


async def test_prices_look_like_prices():
    provider = replay()
    start_us = microseconds(start_of_day(provider))
    prices = [tick.price for tick in provider.ticks("AAPL", start_us - 1, start_us + provider.day_us - 1)]
    steps = [abs(later / earlier - 1) for earlier, later in pairwise(prices)]

    assert max(steps) < Decimal("0.002")
    assert len(set(prices)) > 300
    assert sum(step > 0 for step in steps) > len(steps) / 2
    assert all(price == price.quantize(Decimal("0.01")) for price in prices)


async def test_two_processes_agree_and_so_do_quotes_and_the_stream():
    streamed = await collect(replay(speed=10), ["AAPL", "FB"], 10)
    other = replay(speed=10)

    for tick in streamed:
        moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=tick.as_of_us)
        assert other.last_tick(tick.symbol, tick.as_of_us) == tick
        assert (await quote(tick.symbol, moment, speed=10)).price == tick.price


async def test_the_stream_delivers_two_ticks_a_second_at_irregular_times_in_order():
    ticks = await collect(replay(), ["AAPL"], 60)
    times = [tick.as_of_us for tick in ticks]

    assert 117 <= len(ticks) <= 122
    assert times == sorted(set(times))
    assert [tick.sequence for tick in ticks] == list(range(ticks[0].sequence, ticks[0].sequence + len(ticks)))
    gaps = {later - earlier for earlier, later in pairwise(times)}
    assert len(gaps) > 50
    assert max(gaps) < 1_000_000


async def test_the_stream_goes_on_over_the_change_of_days_and_its_ticks_are_believed():
    provider = replay()
    clock_start = start_of_day(provider) - timedelta(seconds=5)
    ticks = await collect(replay(clock_start), sorted(SYMBOLS), 10)
    judge = Acceptance()

    verdicts = [judge.judge(tick, tick.as_of_us + 50_000) for tick in ticks]

    assert len({tick.replay_date for tick in ticks}) == 2
    assert all(verdict.accepted for verdict in verdicts)
    assert len({(tick.symbol, tick.sequence) for tick in ticks}) == len(ticks) >= 98


def test_the_fourth_of_a_great_jump_over_night_is_held_once_and_then_believed():
    """Facebook opened 23.7 % higher on 2012-10-24: a real gap beyond the band."""
    provider = replay()
    number = 196 * 400 + loop_days().index(date(2012, 10, 24))
    start_us = number * provider.day_us
    judge = Acceptance()

    verdicts = [
        judge.judge(tick, tick.as_of_us)
        for tick in provider.ticks("FB", start_us - 30_000_000, start_us + 10_000_000)
    ]

    assert sum(len(verdict.ticks) for verdict in verdicts) == len(verdicts)
    assert sum(judge.refused.values()) == 1


async def test_daily_bars_are_the_real_days_before_the_replayed_one():
    provider = replay()
    today = (await provider.fetch_quotes(["IBM"]))["IBM"].replay_date

    bars = await provider.fetch_bars("IBM", Interval.DAY, datetime(2000, 1, 1, tzinfo=UTC), START)

    assert bars[0].start == datetime(2000, 3, 1, tzinfo=UTC)
    assert bars[-1].start.date() < today
    assert bars[-1].start.date() == loop_days()[loop_days().index(today) - 1]
    assert bars[-1].close == (await provider.fetch_quotes(["IBM"]))["IBM"].previous_close


async def test_minute_bars_sum_up_exactly_the_ticks_of_the_day_so_far():
    provider = replay()
    start = start_of_day(provider)
    ticks = provider.ticks("GOOG", microseconds(start) - 1, microseconds(START))

    bars = await provider.fetch_bars("GOOG", Interval.MINUTE, START - timedelta(days=9), START)

    minutes = {}
    for tick in ticks:
        minutes.setdefault(tick.as_of_us // 60_000_000 * 60_000_000, []).append(tick)
    assert [microseconds(bar.start) for bar in bars] == list(minutes)
    for bar in bars:
        of_minute = minutes[microseconds(bar.start)]
        prices = [tick.price for tick in of_minute]
        assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
        assert bar.volume == sum(tick.size for tick in of_minute)


async def test_history_and_the_running_day_take_less_than_six_megabytes():
    provider = replay()
    await provider.fetch_quotes(sorted(SYMBOLS))

    columns = [getattr(history, name) for history in histories().values() for name in History.__slots__]
    paths = [day.path for day in provider._days.values()]
    parts = [part for path in paths for part in (path.prices, path.highs, path.lows, path.jitter)]

    assert len(paths) == 5
    assert sum(map(sys.getsizeof, [*columns, *parts])) < 6_000_000


async def test_the_real_dividends_and_splits_are_told():
    everything = (date(1990, 1, 1), date(2030, 1, 1))
    apple = await replay().fetch_actions("AAPL", *everything)
    microsoft = await replay().fetch_actions("MSFT", *everything)
    ibm = await replay().fetch_actions("IBM", *everything)

    assert [(one.kind, one.ex_date, one.split_to or one.amount) for one in apple] == [
        ("split", date(2000, 6, 21), 2),
        ("split", date(2005, 2, 28), 2),
        ("dividend", date(2012, 8, 9), Decimal("2.65")),
        ("dividend", date(2012, 11, 7), Decimal("2.65")),
        ("dividend", date(2013, 2, 7), Decimal("2.65")),
    ]
    assert (len(ibm), len(microsoft)) == (52, 38)
    assert [(one.ex_date, one.amount) for one in microsoft if one.special] == [
        (date(2004, 11, 15), Decimal("3.08"))
    ]
    assert await replay().fetch_actions("GOOG", *everything) == []


async def test_actions_are_those_of_the_days_that_were_asked_for():
    found = await replay().fetch_actions("AAPL", date(2005, 2, 28), date(2012, 8, 9))

    assert [one.ex_date for one in found] == [date(2005, 2, 28)]
    with pytest.raises(NotFound):
        await replay().fetch_actions("TSLA", date(2000, 1, 1), date(2014, 1, 1))
