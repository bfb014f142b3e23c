from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from math import log, sqrt
from statistics import pstdev

import pytest

from marketdata.acceptance import Acceptance, Refusal
from marketdata.errors import ProviderDown
from marketdata.providers import simulated_market
from marketdata.providers.base import Interval
from marketdata.providers.simulated_market import CELLS_PER_DAY, Market
from marketdata.providers.simulator import Halt, Outage, Script, Simulator, Spike
from marketdata.quotes import Session, microseconds
from tests.marketdata.fake_clock import START, FakeClock, collect

SECOND = timedelta(seconds=1)
MIDNIGHT = START.replace(hour=0, minute=0, second=0, microsecond=0)


def simulator(moment=START, **options):
    clock = FakeClock(moment)
    return Simulator(now=clock.now, wait=clock.wait, **options)


async def quote(symbol, moment=START, **options):
    return (await simulator(moment, **options).fetch_quotes([symbol]))[symbol]


@pytest.mark.parametrize("symbol", ["AAPL", "BRK.B", "^GSPC", "0700.HK", "BTC-USD", "EURUSD=X", "ZZZZ9"])
async def test_any_canonical_symbol_has_a_price(symbol):
    assert (await quote(symbol)).price > 0


@pytest.mark.parametrize("symbol", ["aapl", "BRK-B", "", "A B", "..", "А"])
def test_other_spellings_are_not_covered(symbol):
    assert not simulator().covers(symbol)


async def test_the_same_seed_gives_the_same_market_and_another_seed_another():
    assert await quote("ZZZZ", seed=7) == await quote("ZZZZ", seed=7)
    assert (await quote("ZZZZ", seed=7)).price != (await quote("ZZZZ", seed=8)).price


async def test_two_processes_agree_whatever_they_were_asked_before():
    one, other = simulator(), simulator()
    for minutes in (0, 50, 3_000, -700, 1):
        one.last_tick("SPY", microseconds(START + timedelta(minutes=minutes)))

    assert one.last_tick("SPY", microseconds(START)) == other.last_tick("SPY", microseconds(START))


async def test_the_day_so_far_is_that_of_the_ticks_so_far():
    provider = simulator()
    midnight_us = microseconds(MIDNIGHT)
    ticks = provider.ticks("NVDA", midnight_us - 1, microseconds(START))

    high, low, volume = Decimal(0), Decimal("Infinity"), 0
    for tick in ticks:
        high, low, volume = max(high, tick.price), min(low, tick.price), volume + tick.size
        assert (tick.high, tick.low, tick.volume, tick.open) == (high, low, volume, ticks[0].price)
    assert len(ticks) == (microseconds(START) - midnight_us) // 1_000_000 + 1
    assert ticks[-1] == simulator().last_tick("NVDA", microseconds(START))


async def test_a_new_day_begins_at_midnight_where_the_old_one_ended():
    before = await quote("SPY", MIDNIGHT - timedelta(microseconds=1))
    after = await quote("SPY", MIDNIGHT)

    assert after.open == after.previous_close == after.price == before.price
    assert after.high == after.low == after.price
    assert before.volume > 1_000 * after.volume


async def test_prices_move_on_the_cent_grid_and_never_jump():
    provider = simulator()
    us = microseconds(START)
    for symbol in ("SPY", "ZZZZ", "QQQQ", "BTC-USD"):
        prices = [tick.price for tick in provider.ticks(symbol, us, us + 7200 * 1_000_000)]
        assert all(abs(later / earlier - 1) < Decimal("0.01") for earlier, later in pairwise(prices))
        assert all(price == price.quantize(Decimal("0.01")) for price in prices)
        assert len(set(prices)) > 20


def test_volatility_is_about_a_quarter_a_year():
    changes = []
    for seed in range(20):
        market = Market(seed)
        closes = [market.price("ZZZZ", (20_000 + day) * CELLS_PER_DAY) for day in range(250)]
        changes += [log(later / earlier) for earlier, later in pairwise(closes)]

    assert 0.2 < pstdev(changes) * sqrt(365) < 0.32
    assert max(map(abs, changes)) < 0.12


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(simulated_market, "MAX_SYMBOLS", 5)
    market = Market(1)

    for i in range(23):
        market.path(f"S{i}", 1_000_000)
        market.before(f"S{i}", 1_000_000)

    assert len(market._lattice) <= 5
    assert len(market._paths) <= 5
    assert len(market._days) <= 5


@pytest.mark.parametrize(("rate", "number"), [(0.1, 6), (1, 60), (10, 600)])
async def test_the_rate_of_ticks_can_be_chosen(rate, number):
    ticks = await collect(simulator(script=Script(ticks_per_second=rate)), ["AAPL"], 60)

    assert number - 1 <= len(ticks) <= number + max(1, rate)


def test_a_rate_too_slow_for_a_quarter_hour_is_refused():
    with pytest.raises(ValueError, match="ticks"):
        simulator(script=Script(ticks_per_second=0.001))


async def test_a_thousand_symbols_stream_with_one_timer():
    clock = FakeClock()
    waits = []

    async def wait(seconds):
        waits.append(seconds)
        await clock.wait(seconds)

    ticks = await collect(Simulator(now=clock.now, wait=wait), [f"S{i}" for i in range(1_000)], 1)

    assert len(waits) == 20
    assert 950 <= len(ticks) <= 1_050
    assert len({tick.symbol for tick in ticks}) > 700


async def test_after_a_pause_missed_ticks_are_skipped():
    clock = FakeClock()
    provider = Simulator(now=clock.now, wait=clock.wait)
    stream = await provider.open_stream()
    await stream.subscribe(["AAPL"])
    batches = stream.batches()
    await anext(batches)

    clock.moment += timedelta(hours=8)
    ticks = await anext(batches)

    assert len(ticks) == 1
    assert clock.moment.timestamp() * 1e6 - ticks[0].as_of_us < 1_000_000


async def test_a_clock_that_was_set_back_ends_nothing():
    clock = FakeClock()
    provider = Simulator(now=clock.now, wait=clock.wait)
    stream = await provider.open_stream()
    await stream.subscribe(["AAPL"])
    batches = stream.batches()
    await anext(batches)

    clock.moment -= timedelta(hours=8)

    assert clock.now().timestamp() * 1e6 - (await anext(batches))[0].as_of_us < 1_000_000


async def test_minute_bars_sum_up_exactly_the_ticks():
    provider = simulator()
    start = START.replace(second=0, microsecond=0) - timedelta(minutes=40)
    ticks = provider.ticks("SPY", microseconds(start) - 1, microseconds(START))

    bars = await provider.fetch_bars("SPY", Interval.MINUTE, start, START)

    minutes = {}
    for tick in ticks:
        minutes.setdefault(tick.as_of_us // 60_000_000 * 60_000_000, []).append(tick)
    assert [microseconds(bar.start) for bar in bars] == list(minutes)
    for bar in bars:
        of_minute = minutes[microseconds(bar.start)]
        prices = [tick.price for tick in of_minute]
        assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
        assert bar.volume == sum(tick.size for tick in of_minute)


async def test_daily_bars_end_yesterday_and_agree_with_the_day_as_it_was():
    bars = await simulator().fetch_bars("SPY", Interval.DAY, START - timedelta(days=10), START)
    last = await quote("SPY", MIDNIGHT - timedelta(microseconds=1))

    assert len(bars) == 9
    assert bars[-1].start == MIDNIGHT - timedelta(days=1)
    assert (bars[-1].open, bars[-1].high, bars[-1].low) == (last.open, last.high, last.low)
    assert (bars[-1].close, bars[-1].volume) == (last.price, last.volume)


async def test_a_spike_multiplies_prices_and_acceptance_drops_it():
    spike = Spike("AAPL", START + 5 * SECOND, START + 6 * SECOND, 100)
    script = Script(spikes=(spike, Spike("IBM", START, None, 50)))
    ticks = await collect(simulator(script=script), ["AAPL"], 20)
    plain = await collect(simulator(), ["AAPL"], 20)
    judge = Acceptance()

    believed = [out for tick in ticks for out in judge.judge(tick, tick.as_of_us).ticks]

    wrong = [tick for tick in ticks if tick not in plain]
    assert len(wrong) == 1
    assert wrong[0].price == wrong[0].high > 99 * plain[0].price
    assert believed == [tick for tick in plain if tick.sequence != wrong[0].sequence]


async def test_a_gap_stays_and_is_believed_within_three_seconds():
    script = Script(spikes=(Spike("AAPL", START + 5 * SECOND, None, 0.65),))
    ticks = await collect(simulator(script=script), ["AAPL"], 20)
    judge = Acceptance()

    believed = [out for tick in ticks for out in judge.judge(tick, tick.as_of_us).ticks]

    assert believed == ticks
    assert judge.refused == {Refusal.OUTLIER_HELD: 1}
    assert ticks[-1].price == ticks[-1].low < ticks[0].price * Decimal("0.66")


async def test_a_halt_is_told_once_and_silences_its_symbol_only():
    halt = Halt("AAPL", START + 5 * SECOND, START + 15 * SECOND)
    ticks = await collect(simulator(script=Script(halts=(halt,))), ["AAPL", "IBM"], 25)
    of_apple = [tick for tick in ticks if tick.symbol == "AAPL"]
    during = [tick for tick in of_apple if microseconds(halt.start) <= tick.as_of_us < microseconds(halt.end)]
    before = of_apple[of_apple.index(during[0]) - 1]

    assert [(tick.as_of_us, tick.halted, tick.size) for tick in during] == [
        (microseconds(halt.start), True, 0)
    ]
    assert during[0].price == before.price
    assert [tick.halted for tick in of_apple].count(True) == 1
    assert of_apple[-1].as_of_us > microseconds(halt.end)
    assert len(ticks) - len(of_apple) >= 24
    judge = Acceptance()
    assert all(judge.judge(tick, tick.as_of_us).accepted for tick in of_apple)


async def test_a_quote_during_a_halt_says_so():
    script = Script(halts=(Halt("AAPL", START, START + 10 * SECOND),))

    assert (await quote("AAPL", START + 9 * SECOND, script=script)).halted
    assert (await quote("AAPL", START + 9 * SECOND, script=script)).as_of == START
    assert not (await quote("AAPL", START + 12 * SECOND, script=script)).halted
    assert not (await quote("IBM", START + 9 * SECOND, script=script)).halted


async def test_late_ticks_come_out_of_order_and_none_is_lost():
    ticks = await collect(simulator(script=Script(late_every=5, late_by_s=2.5)), ["AAPL"], 61)
    sequences = [tick.sequence for tick in ticks]

    assert sequences != sorted(sequences)
    assert len(set(sequences)) == len(sequences)
    inner = range(min(sequences) + 5, max(sequences) - 5)
    assert set(inner) <= set(sequences)
    judge = Acceptance()
    refusals = [judge.judge(tick, tick.as_of_us + 2_500_000).refusal for tick in ticks]
    assert {reason for reason in refusals if reason} == {Refusal.OUT_OF_ORDER}


async def test_duplicate_ticks_come_twice_in_a_row():
    ticks = await collect(simulator(script=Script(duplicate_every=4)), ["AAPL"], 40)

    doubled = [earlier for earlier, later in pairwise(ticks) if earlier == later]
    assert len(doubled) in (9, 10, 11)
    assert all(tick.sequence % 4 == 0 for tick in doubled)
    judge = Acceptance()
    assert sum(not judge.judge(tick, tick.as_of_us).accepted for tick in ticks) == len(doubled)
    assert judge.refused == {Refusal.DUPLICATE: len(doubled)}


async def test_during_an_outage_nothing_is_answered_and_the_stream_is_lost():
    script = Script(outages=(Outage(START + 3 * SECOND, START + 60 * SECOND),))
    provider = simulator(script=script)
    stream = await provider.open_stream()
    await stream.subscribe(["AAPL"])

    with pytest.raises(ProviderDown):
        async for _ in stream.batches():
            pass
    with pytest.raises(ProviderDown):
        await provider.fetch_quotes(["AAPL"])
    with pytest.raises(ProviderDown):
        await provider.fetch_bars("AAPL", Interval.DAY, START, START)
    with pytest.raises(ProviderDown):
        await provider.open_stream()
    assert provider.requests == 2
    assert provider.connections == 1
    assert (await quote("AAPL", START + 60 * SECOND, script=script)).price > 0


async def test_an_answer_can_take_its_time():
    provider = simulator(script=Script(latency_s=1.5))

    await provider.fetch_quotes(["AAPL"])

    assert provider.now() == START + timedelta(seconds=1.5)


@pytest.mark.parametrize(
    ("hour", "session"),
    [(8.9, None), (9.1, Session.PRE), (14.6, Session.REGULAR), (21.1, Session.POST), (25.1, None)],
)
async def test_with_sessions_ticks_come_in_the_hours_of_new_york_only(hour, session):
    moment = datetime(2026, 1, 14, tzinfo=UTC) + timedelta(hours=hour)  # winter: five hours behind
    ticks = await collect(simulator(moment, script=Script(sessions=True)), ["AAPL"], 5) if session else []
    provider = simulator(moment, script=Script(sessions=True))
    us = microseconds(moment)

    assert bool(provider.ticks("AAPL", us, us + 5_000_000)) == bool(session)
    assert {tick.session for tick in ticks} == ({session} if session else set())
    assert not provider.capabilities.always_open


async def test_with_sessions_a_quote_of_the_weekend_is_of_friday_evening():
    sunday = datetime(2026, 7, 12, 15, tzinfo=UTC)  # summer: four hours behind

    found = await quote("AAPL", sunday, script=Script(sessions=True))

    assert found.as_of < datetime(2026, 7, 11, 0, 0, tzinfo=UTC)
    assert found.as_of > datetime(2026, 7, 10, 23, 59, 57, tzinfo=UTC)
    assert found.session is Session.POST


async def test_with_sessions_bars_leave_out_closed_minutes_and_weekends():
    monday = datetime(2026, 7, 13, 8, 2, 30, tzinfo=UTC)  # two minutes after pre-market opened
    provider = simulator(monday, script=Script(sessions=True))

    minutes = await provider.fetch_bars("AAPL", Interval.MINUTE, monday - timedelta(hours=9), monday)
    days = await provider.fetch_bars("AAPL", Interval.DAY, monday - timedelta(days=7), monday)

    assert [bar.start.minute for bar in minutes] == [0, 1, 2]
    assert [bar.start.isoweekday() for bar in days] == [2, 3, 4, 5]


async def test_with_sessions_a_holiday_has_no_bar_and_a_half_day_ends_early():
    thanksgiving_friday = datetime(2026, 11, 27, 23, tzinfo=UTC)
    provider = simulator(thanksgiving_friday, script=Script(sessions=True))
    week = timedelta(days=7)

    days = await provider.fetch_bars("AAPL", Interval.DAY, thanksgiving_friday - week, thanksgiving_friday)
    found = (await provider.fetch_quotes(["AAPL"]))["AAPL"]

    # In UTC Friday is not over yet.
    assert [bar.start.isoweekday() for bar in days] == [1, 2, 3]
    assert found.as_of < datetime(2026, 11, 27, 22, tzinfo=UTC)
    assert found.expires_at - found.received_at == timedelta(minutes=5)
