from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.models import DailyBar, MinuteBar
from marketdata.quotes import EPOCH, Bar, Correction, Tick
from marketdata.tape.history import MINUTE_US, History, stored_minutes, write_bars
from marketdata.tape.writing import Said
from tests.factories import make_minute_bar, make_ticker

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
START_US = int(START.timestamp()) * 1_000_000


def tick(price: str, *, after_s: float = 0, size: int = 10, symbol: str = "AAPL") -> Tick:
    return Tick(symbol, Decimal(price), size, 1000, START_US + int(after_s * 1_000_000), "scripted")


def bar(*prices: str, volume: int, minute: int = 0, symbol: str = "AAPL") -> Bar:
    return Bar(symbol, START + timedelta(minutes=minute), *map(Decimal, prices), volume)


def last_of_each(bars: list[Bar]) -> dict[tuple[str, datetime], Bar]:
    return {(one.symbol, one.start): one for one in bars}


def recomputed(ticks: list[Tick]) -> dict[tuple[str, datetime], Bar]:
    """What the bars must be, from all raw ticks at once."""
    bars = {}

    def key(one: Tick) -> tuple[str, int]:
        return (one.symbol, one.as_of_us // MINUTE_US)

    for (symbol, minute), group in groupby(sorted(ticks, key=key), key):
        found = list(group)
        prices = [one.price for one in found]
        start = EPOCH + timedelta(minutes=minute)
        bars[symbol, start] = Bar(
            symbol, start, prices[0], max(prices), min(prices), prices[-1], sum(one.size for one in found)
        )
    return bars


TICKS = st.builds(
    tick,
    st.decimals(Decimal("0.00000001"), Decimal(10**9), places=8).map(str),
    after_s=st.floats(0, 300),
    size=st.integers(0, 2**40),
    symbol=st.sampled_from(["AAPL", "MSFT"]),
)
# After each tick: whether the bars are taken then, and written or not.
STEPS = st.lists(st.tuples(TICKS, st.sampled_from(["wait", "take", "write", "fail"])), max_size=60)


@given(STEPS)
def test_bars_equal_a_recomputation_from_the_raw_ticks_whatever_writing_failed_in_between(steps):
    steps.sort(key=lambda step: step[0].as_of_us)
    history = History()
    written: dict[tuple[str, datetime], Bar] = {}
    taken: list[Bar] = []

    for one, what in steps:
        history.add_tick(one)
        if what == "take":  # further ticks come while these are being written
            history.put_back_bars(taken, [])
            taken = history.take_minute_bars()
        elif what == "write":
            written |= last_of_each(taken)
            taken = []
        elif what == "fail":
            history.put_back_bars(taken, [])
            taken = []
    history.put_back_bars(taken, [])
    written |= last_of_each(history.take_minute_bars())

    assert written == recomputed([one for one, _ in steps])
    assert history.take_minute_bars() == []


def test_the_running_minute_is_handed_over_again_only_when_it_changed():
    history = History()
    history.add_tick(tick("10"))
    assert history.take_minute_bars() == [bar("10", "10", "10", "10", volume=10)]
    assert history.take_minute_bars() == []

    history.add_tick(tick("12", after_s=1))
    assert history.take_minute_bars() == [bar("10", "12", "10", "12", volume=20)]


def test_a_late_tick_of_a_finished_minute_does_not_spoil_the_running_one():
    history = History()
    history.add_tick(tick("10", after_s=61))
    history.add_tick(tick("99", after_s=30))

    assert history.take_minute_bars() == [bar("10", "10", "10", "10", volume=10, minute=1)]


def test_a_new_owner_goes_on_from_the_stored_bar_of_the_running_minute():
    history = History()
    history.open(["AAPL"], [bar("10", "15", "9", "11", volume=500)], START_US + 30_000_000)

    history.add_tick(tick("16", after_s=31, size=5))

    assert history.take_minute_bars() == [bar("10", "16", "9", "16", volume=505)]


def test_the_last_quote_of_an_earlier_minute_said_again_makes_no_bar():
    history = History()
    history.open(["AAPL"], [], START_US + 61_000_000)

    history.add_tick(tick("10", after_s=30, size=0))
    assert history.take_minute_bars() == []

    history.add_tick(tick("11", after_s=62))
    assert history.take_minute_bars() == [bar("11", "11", "11", "11", volume=10, minute=1)]


def test_a_symbol_that_is_opened_again_finishes_the_minute_it_left():
    history = History()
    history.open(["AAPL"], [], START_US)
    history.add_tick(tick("10"))

    history.open(["AAPL"], [bar("7", "8", "6", "7", volume=70, minute=2)], START_US + 120_000_000)
    history.add_tick(tick("9", after_s=121, size=1))

    assert history.take_minute_bars() == [
        bar("10", "10", "10", "10", volume=10),
        bar("7", "9", "6", "9", volume=71, minute=2),
    ]


def test_a_symbol_that_is_opened_again_in_its_minute_keeps_what_it_has():
    history = History()
    history.open(["AAPL"], [], START_US)
    history.add_tick(tick("10"))
    history.add_tick(tick("12", after_s=1))

    history.open(["AAPL"], [bar("10", "10", "10", "10", volume=10)], START_US + 2_000_000)
    history.add_tick(tick("11", after_s=3))

    assert history.take_minute_bars() == [bar("10", "12", "10", "11", volume=30)]


def test_a_fetched_symbol_begins_with_its_first_quote():
    history = History()
    history.open_once("AAPL", START_US + 60_000_000)
    history.add_tick(tick("9", after_s=10, size=0))
    history.open_once("AAPL", START_US + 300_000_000)
    history.add_tick(tick("10", after_s=70, size=0))

    assert history.take_minute_bars() == [bar("10", "10", "10", "10", volume=0, minute=1)]


def test_only_the_newest_quote_of_a_symbol_waits_and_one_put_back_does_not_replace_it():
    history = History()
    history.add_said(Said(tick("1"), 1, START))
    history.add_said(Said(tick("7", symbol="MSFT"), 1, START))
    taken = history.take_said()
    assert {(one.tick.symbol, one.tick.price) for one in taken} == {("AAPL", 1), ("MSFT", 7)}

    history.add_said(Said(tick("2"), 2, START))
    history.put_back_said(taken)

    assert {(one.tick.symbol, one.tick.price) for one in history.take_said()} == {("AAPL", 2), ("MSFT", 7)}
    assert history.take_said() == []


def test_the_bar_of_the_day_comes_from_the_providers_day_fields():
    history = History()
    day = replace(tick("11"), open=Decimal(10), high=Decimal(12), low=Decimal(9), volume=2**41)
    for one in (
        replace(day, price=Decimal("11.5")),
        day,
        replace(day, symbol="MSFT", replay_date=date(2012, 10, 25)),
        replace(day, symbol="NVDA", open=None),
    ):
        history.add_said(Said(one, 1, START))

    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    assert history.take_daily_bars() == [
        Bar("AAPL", midnight, Decimal(10), Decimal(12), Decimal(9), Decimal(11), 2**41),
        Bar(
            "MSFT",
            datetime(2012, 10, 25, tzinfo=UTC),
            Decimal(10),
            Decimal(12),
            Decimal(9),
            Decimal(11),
            2**41,
        ),
    ]
    assert history.take_daily_bars() == []


def test_a_day_put_back_yields_to_a_newer_state():
    history = History()
    day = replace(tick("11"), open=Decimal(10), high=Decimal(12), low=Decimal(9))
    history.add_said(Said(day, 1, START))
    old = history.take_daily_bars()
    history.add_said(Said(replace(day, price=Decimal(13)), 2, START))

    history.put_back_bars([], old)

    assert [one.close for one in history.take_daily_bars()] == [13]


def test_a_day_that_ends_between_two_writes_has_a_bar_as_well_as_the_next():
    history = History()
    before = replace(tick("11"), open=Decimal(10), high=Decimal(12), low=Decimal(9))
    for price, days in (("11", 0), ("11.5", 1), ("12", 1)):
        at_us = before.as_of_us + days * 86_400_000_000
        history.add_said(Said(replace(before, price=Decimal(price), as_of_us=at_us), 1, START))

    assert [(one.start.day, one.close) for one in history.take_daily_bars()] == [
        (2, Decimal(11)),
        (3, Decimal(12)),
    ]


def test_of_many_symbols_fewer_trades_are_kept_each(monkeypatch):
    monkeypatch.setattr("marketdata.tape.history.KEPT_OF_ALL", 100)
    history = History()
    symbols = ["A", "B", "C", "D"]
    for number in range(30):
        for symbol in symbols:
            history.add_tick(replace(tick("100", after_s=number, symbol=symbol), trade_id=str(number)))

    def can_take_back(number: int) -> bool:
        return history.correct(Correction("A", "scripted", START_US, trade_id=str(number)), None)

    assert [can_take_back(number) for number in (0, 24, 29)] == [False, False, True]


@pytest.mark.django_db
def test_several_states_of_one_minute_are_written_as_the_last():
    ids = {"AAPL": make_ticker("AAPL").pk}
    states = [bar("10", "10", "10", "10", volume=1), bar("10", "11", "10", "11", volume=2)]
    day = Bar("AAPL", datetime(2026, 3, 2, tzinfo=UTC), Decimal(1), Decimal(2), Decimal(1), Decimal(2), 5)

    write_bars(states, [day], ids)

    row = MinuteBar.objects.get()
    assert (row.high, row.close, row.volume) == (11, 11, 2)
    assert DailyBar.objects.get().close == 2


@pytest.mark.django_db
def test_the_stored_bar_of_the_running_minute_is_found_and_no_other(django_assert_num_queries):
    apple, other = make_ticker("AAPL"), make_ticker("MSFT")
    make_minute_bar(apple, START - timedelta(minutes=1), "9")
    make_minute_bar(apple, START, "10")
    make_minute_bar(other, START, "50")

    with django_assert_num_queries(1):
        found = stored_minutes({"AAPL": apple.pk}, START)

    assert found == [bar("10", "11", "9", "10", volume=10)]


# --- trades that are taken back


def trade(name: str, price: str, *, after_s: float = 0, size: int = 10) -> Tick:
    return replace(tick(price, after_s=after_s, size=size), trade_id=name)


def cancel(name: str, **fields) -> Correction:
    return Correction("AAPL", "scripted", START_US, trade_id=name, **fields)


def test_a_trade_that_is_taken_back_leaves_the_bar_as_if_it_had_not_been():
    history = History()
    for one in (trade("1", "10"), trade("2", "99"), trade("3", "1"), trade("4", "11")):
        history.add_tick(one)

    assert history.correct(cancel("2"), None)
    assert history.correct(cancel("3"), None)

    assert history.take_minute_bars() == [bar("10", "11", "10", "11", volume=20)]
    assert not history.correct(cancel("3"), None)
    assert history.take_minute_bars() == []


def test_a_trade_that_is_corrected_counts_with_its_right_price():
    history = History()
    history.add_tick(trade("1", "10"))
    history.add_tick(trade("2", "99"))
    history.take_minute_bars()

    assert history.correct(cancel("2", price=Decimal(12)), None)

    assert history.take_minute_bars() == [bar("10", "12", "10", "12", volume=20)]


def test_a_trade_of_the_minute_before_can_still_be_taken_back_and_older_ones_not():
    history = History()
    history.add_tick(trade("1", "10"))
    history.add_tick(trade("2", "99", after_s=1))
    history.add_tick(trade("3", "11", after_s=61))
    history.take_minute_bars()

    assert history.correct(cancel("2"), None)
    assert history.take_minute_bars() == [bar("10", "10", "10", "10", volume=10)]

    history.add_tick(trade("4", "12", after_s=121))
    assert not history.correct(cancel("1"), None)


def test_what_is_stored_or_nameless_stays_and_what_came_after_can_be_taken_back():
    history = History()
    history.open(["AAPL"], [bar("10", "15", "9", "11", volume=500)], START_US)
    history.add_tick(trade("1", "99", after_s=1))
    history.add_tick(tick("16", after_s=2))
    history.add_tick(trade("2", "98", after_s=3))

    assert not history.correct(cancel("1"), None)
    assert history.correct(cancel("2"), None)

    assert history.take_minute_bars() == [bar("10", "99", "9", "16", volume=520)]


def test_a_minute_without_any_trade_left_stands_still_at_the_last_good_price():
    history = History()
    history.add_tick(trade("1", "99"))
    history.take_minute_bars()

    assert history.correct(cancel("1"), Decimal(10))

    assert history.take_minute_bars() == [bar("10", "10", "10", "10", volume=0)]


def test_trades_of_one_minute_are_remembered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr("marketdata.tape.history.KEPT_TRADES", 3)
    history = History()
    for number in range(1, 6):
        history.add_tick(trade(str(number), str(10 + number)))

    assert [history.correct(cancel(str(number)), None) for number in range(1, 6)] == [False] * 4 + [True]
    assert history.take_minute_bars() == [bar("11", "14", "11", "14", volume=40)]


def test_of_a_symbol_that_is_closed_no_trades_are_remembered_but_its_minute_goes_on():
    history = History()
    history.add_tick(trade("1", "10"))
    history.add_tick(trade("2", "11", after_s=61))

    history.close(["AAPL", "MSFT"])
    history.add_tick(trade("3", "12", after_s=62))

    assert [history.correct(cancel(name), None) for name in "123"] == [False, False, True]
    assert history.take_minute_bars() == [
        bar("10", "10", "10", "10", volume=10),
        bar("11", "11", "11", "11", volume=10, minute=1),
    ]
