from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from marketdata.providers.day_figures import DayFigures
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
        volume=1_000,
        **{**figures, **fields},
    )


def tick(days, price, *, size=10, at=NOON, symbol="AAPL"):
    return days.tick(symbol, Decimal(price), size, microseconds(at), provider="vendor")


def figures(tick):
    return tick.volume, tick.open, tick.high, tick.low, tick.previous_close


def test_without_a_quote_only_what_was_streamed_is_known():
    days = DayFigures()
    tick(days, 100)

    assert figures(tick(days, 101, size=5)) == (15, None, None, None, None)


def test_a_quote_tells_the_day_and_trades_go_on_from_it():
    days = DayFigures()
    days.remember(quote(bid=Decimal(104), ask=Decimal(106)))

    told = tick(days, 111)

    assert figures(told) == (1_010, Decimal(100), Decimal(111), Decimal(90), Decimal(99))
    assert (told.bid, told.ask, told.session) == (Decimal(104), Decimal(106), Session.REGULAR)
    assert tick(days, 80).low == Decimal(80)


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
    assert figures(tick(days, 100, at=late + timedelta(minutes=1))) == (10, None, None, None, None)


def test_a_coins_day_begins_at_midnight_of_utc():
    days = DayFigures()
    days.remember(quote("BTC-USD"))
    late = datetime(2026, 1, 6, 23, 59, tzinfo=UTC)

    assert tick(days, 100, at=late, symbol="BTC-USD").volume == 1_010
    assert tick(days, 100, at=late + timedelta(minutes=1), symbol="BTC-USD").volume == 10


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
