from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from marketdata.quotes import Bar, Correction
from marketdata.tape.closing import ALLOWED_LATENESS_US, MINUTE_US
from marketdata.tape.history import History
from tests.marketdata.tape.test_history import START_US, bar, tick

END_US = START_US + MINUTE_US
DUE_US = END_US + ALLOWED_LATENESS_US


def closed(history: History, now_us: int) -> list[Bar]:
    return history.closings.take(now_us)


def test_a_bar_is_told_once_when_its_minute_and_the_allowed_lateness_are_over():
    history = History()
    history.add_tick(tick("100", size=5))
    history.add_tick(tick("103", after_s=20, size=7))

    assert closed(history, DUE_US - 1) == []
    assert closed(history, DUE_US) == [bar("100", "103", "100", "103", volume=12)]
    history.add_tick(tick("104", after_s=59))
    assert closed(history, DUE_US + MINUTE_US) == []


def test_what_comes_or_is_taken_back_late_still_counts():
    history = History()
    history.add_tick(tick("100", size=5))
    history.add_tick(replace(tick("103", after_s=20), trade_id="wrong"))
    history.add_tick(tick("99", after_s=61))
    history.correct(Correction("AAPL", "scripted", START_US, trade_id="wrong"), None)

    assert closed(history, DUE_US) == [bar("100", "100", "100", "100", volume=5)]


def test_minutes_that_come_in_one_burst_are_told_one_after_the_other():
    history = History()
    for minute in range(3):
        history.add_tick(tick("100", after_s=60 * minute))

    assert closed(history, DUE_US + MINUTE_US) == [
        bar("100", "100", "100", "100", volume=10, minute=minute) for minute in (0, 1)
    ]


def test_a_delayed_provider_has_its_delay_longer():
    history = History()
    history.add_tick(replace(tick("100"), delayed_s=900))

    assert closed(history, DUE_US + 900_000_000 - 1) == []
    assert len(closed(history, DUE_US + 900_000_000)) == 1


def test_a_minute_that_a_former_owner_began_is_told_whole():
    history = History()
    history.open(["AAPL"], [bar("100", "105", "99", "101", volume=50)], START_US + 30_000_000)
    history.add_tick(tick("106", after_s=40))

    assert closed(history, DUE_US) == [bar("100", "106", "99", "106", volume=60)]


def test_a_symbol_that_is_closed_and_opened_within_the_minute_has_one_bar():
    history = History()
    history.open(["AAPL"], [], START_US)
    history.add_tick(tick("100"))
    history.close(["AAPL"])
    history.open(["AAPL"], [bar("100", "100", "100", "100", volume=10)], START_US + 30_000_000)
    history.add_tick(tick("101", after_s=40))

    assert closed(history, DUE_US) == [bar("100", "101", "100", "101", volume=20)]
    assert closed(history, DUE_US + MINUTE_US) == []


def test_two_symbols_close_together():
    history = History()
    history.add_tick(tick("1"))
    history.add_tick(tick("2", symbol="MSFT"))

    assert [one.close for one in closed(history, DUE_US)] == [Decimal(1), Decimal(2)]
