from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from core import clock
from marketdata.providers.day_figures import DayFigures, trading_date
from marketdata.quotes import Quote, Session, microseconds

# A Tuesday noon in New York.
NOON = datetime(2026, 1, 6, 17, tzinfo=UTC)


def quote(symbol="AAPL", as_of=NOON, **fields):
    figures = {"open": Decimal(100), "high": Decimal(110), "low": Decimal(90), "previous_close": Decimal(99)}
    return Quote(
        symbol=symbol,
        price=Decimal(105),
        as_of=as_of,
        received_at=as_of,
        expires_at=as_of,
        provider="vendor",
        **{**figures, "volume": 1_000, **fields},
    )


def tick(days, price, *, size=10, at=NOON, symbol="AAPL"):
    return days.tick(symbol, Decimal(price), size, microseconds(at), provider="vendor")


def figures(tick):
    return tick.volume, tick.open, tick.high, tick.low, tick.previous_close


def test_without_a_quote_only_what_was_streamed_is_known():
    days = DayFigures()
    tick(days, 100)

    assert figures(tick(days, 101, size=5)) == (0, None, None, None, None)


def test_a_quote_tells_the_day_and_trades_go_on_from_it():
    days = DayFigures()
    days.remember(quote(bid=Decimal(104), ask=Decimal(106)))

    told = tick(days, 111)

    assert figures(told) == (1_010, Decimal(100), Decimal(111), Decimal(90), Decimal(99))
    assert (told.bid, told.ask, told.session) == (Decimal(104), Decimal(106), Session.REGULAR)
    assert tick(days, 89).low == Decimal(89)


def test_a_later_quote_takes_nothing_back():
    days = DayFigures()
    days.remember(quote())
    tick(days, 120, size=500)
    days.remember(quote(high=Decimal(115)))

    assert figures(tick(days, 100, size=1)) == (1_501, Decimal(100), Decimal(120), Decimal(90), Decimal(99))


def test_a_new_day_begins_at_new_yorks_midnight_with_nothing_known():
    days = DayFigures()
    days.remember(quote())
    late = datetime(2026, 1, 7, 4, 59, tzinfo=UTC)

    assert tick(days, 100, at=late).volume == 1_010
    assert figures(tick(days, 100, at=late + timedelta(minutes=1))) == (0, None, None, None, None)


def test_a_coins_day_begins_at_midnight_of_utc():
    days = DayFigures()
    days.remember(quote("BTC-USD"))
    late = datetime(2026, 1, 6, 23, 59, tzinfo=UTC)

    assert tick(days, 100, at=late, symbol="BTC-USD").volume == 1_010
    assert tick(days, 100, at=late + timedelta(minutes=1), symbol="BTC-USD").volume == 0


def test_what_comes_late_from_yesterday_changes_nothing_today():
    days = DayFigures()
    yesterday = NOON - timedelta(days=1)
    days.remember(quote())
    tick(days, 5, at=yesterday)
    days.remember(quote(as_of=yesterday, high=Decimal(500)))

    assert figures(tick(days, 100)) == (1_010, Decimal(100), Decimal(110), Decimal(90), Decimal(99))


def test_a_halt_lasts_into_the_next_day_until_somebody_trades():
    days = DayFigures()
    days.remember(quote())
    halted = days.halt("AAPL", microseconds(NOON), halted=True, provider="vendor")
    just_before = tick(days, 104, at=NOON - timedelta(seconds=1))
    morning = days.day_of("AAPL", NOON + timedelta(days=1)).halted_us
    traded = tick(days, 90, at=NOON + timedelta(days=1))

    assert (halted.price, halted.size, halted.halted, halted.volume) == (Decimal(105), 0, True, 1_000)
    assert just_before.halted
    assert morning == microseconds(NOON)
    assert not traded.halted


def test_a_halt_of_a_symbol_without_a_price_marks_its_next_tick():
    days = DayFigures()

    assert days.halt("AAPL", microseconds(NOON), halted=True, provider="vendor") is None
    assert tick(days, 100, at=NOON + timedelta(seconds=1)).halted


@pytest.mark.parametrize("price", ["10500", "1.05", "200"])
def test_a_single_price_that_no_other_agrees_with_is_neither_high_nor_low_nor_that_of_a_halt(price):
    days = DayFigures()
    days.remember(quote())
    tick(days, 106)
    wild = tick(days, price)
    halted = days.halt("AAPL", microseconds(NOON), halted=True, provider="vendor")
    after = tick(days, 107)

    assert [figures(one)[2:4] for one in (wild, after)] == [(Decimal(110), Decimal(90))] * 2
    assert halted.price == Decimal(106)


def test_a_real_gap_counts_from_its_second_trade_on():
    days = DayFigures()
    days.remember(quote())

    assert [tick(days, price).low for price in (105, 60, 61)] == [90, 90, 61]


def test_a_price_in_another_unit_does_not_count_however_often_it_comes():
    days = DayFigures()
    days.remember(quote())

    assert [tick(days, 10_500).high for _ in range(3)] == [110, 110, 110]


@pytest.mark.parametrize("size", [2**63 - 1, 10**13])
def test_a_size_that_cannot_be_does_not_spoil_the_volume_of_the_day(size):
    days = DayFigures()
    days.remember(quote())
    tick(days, 105, size=size)

    assert tick(days, 105).volume == 1_010


def test_sizes_never_sum_up_to_what_no_column_holds():
    days = DayFigures()
    days.remember(quote(volume=2**63 - 1))

    assert tick(days, 105).volume < 2**63


def test_a_time_ahead_of_the_clock_ends_no_day():
    days = DayFigures()
    today = clock.now()
    days.remember(quote(as_of=today))
    days.tick("AAPL", Decimal(105), 10, microseconds(today + timedelta(days=400)), provider="vendor")

    assert figures(tick(days, 106, at=today))[1:] == (Decimal(100), Decimal(110), Decimal(90), Decimal(99))


def test_nothing_is_kept_of_a_day_that_is_still_to_come():
    days = DayFigures()
    later = clock.now() + timedelta(days=2)
    days.remember(quote(as_of=later))

    assert figures(tick(days, 106, at=clock.now())) == (0, None, None, None, None)


@pytest.mark.parametrize(
    ("symbol", "moment", "day"),
    [
        ("AAPL", datetime(2026, 1, 7, 3, tzinfo=UTC), date(2026, 1, 6)),
        ("^GSPC", datetime(2026, 1, 7, 3, tzinfo=UTC), date(2026, 1, 6)),
        ("BTC-USD", datetime(2026, 1, 7, 3, tzinfo=UTC), date(2026, 1, 7)),
        ("EURUSD=X", datetime(2026, 1, 7, 3, tzinfo=UTC), date(2026, 1, 7)),
        # In the middle of Tokyo's day New York's date changes.
        ("7203.T", datetime(2026, 1, 7, 3, tzinfo=UTC), date(2026, 1, 7)),
        ("7203.T", datetime(2026, 1, 7, 6, tzinfo=UTC), date(2026, 1, 7)),
    ],
)
def test_the_date_of_a_day_is_that_of_its_market(symbol, moment, day):
    assert trading_date(symbol, moment) == day
