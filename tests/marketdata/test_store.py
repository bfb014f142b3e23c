from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from marketdata import cache, store
from marketdata.models import DailyBar, MinuteBar, Quote
from marketdata.quotes import Bar
from tests.factories import make_ticker
from tests.marketdata import test_cache

# The size of the last trade is of the stream only.
EXTREME = replace(test_cache.EXTREME, size=0)
START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def bar(symbol: str = "AAPL", start: datetime = START, close: str = "100", volume: int = 10) -> Bar:
    price = Decimal(close)
    return Bar(symbol, start, price, price + 1, price - 1, price, volume)


def stored(symbol: str = "AAPL"):
    return cache.from_database([symbol])[symbol].quote


@pytest.fixture
def ids(db) -> dict[str, int]:
    return {symbol: make_ticker(symbol).pk for symbol in ("AAPL", "MSFT", "BRK.A")}


def test_what_is_written_to_the_database_is_read_back_exactly(ids):
    assert store.store_ticked([EXTREME], ids) == 1

    assert stored("BRK.A") == EXTREME


def test_missing_fields_stay_missing(ids):
    bare = replace(
        EXTREME, change=None, change_percent=None, volume=None, open=None, high=None, low=None,
        previous_close=None, bid=None, ask=None, replay_date=None, halted=False,
    )  # fmt: skip
    store.store_ticked([bare], ids)

    assert stored("BRK.A") == bare


class Exactness(TestCase):
    @given(digits=st.integers(1, 10**15 - 1), places=st.integers(0, 8), volume=st.integers(0, 2**63 - 1))
    def test_prices_of_up_to_15_digits_are_stored_exactly(self, digits, places, volume):
        price = Decimal(digits).scaleb(-places)
        if price >= 10**12:
            return
        ids = {"BRK.A": make_ticker("BRK.A").pk}
        store.store_ticked([replace(EXTREME, price=price, volume=volume)], ids)

        assert (stored("BRK.A").price, stored("BRK.A").volume) == (price, volume)


@pytest.mark.parametrize(("epoch", "seq"), [(4, 999), (5, 6), (5, 7)])
def test_a_stale_owner_writes_nothing(ids, epoch, seq):
    current = replace(EXTREME, epoch=5, seq=7)
    store.store_ticked([current], ids)

    stale = replace(current, price=Decimal(1), epoch=epoch, seq=seq, as_of=current.as_of + timedelta(hours=1))
    assert store.store_ticked([stale], ids) == 0
    assert stored("BRK.A") == current


@pytest.mark.parametrize(("epoch", "seq"), [(5, 8), (6, 1)])
def test_a_higher_number_is_written(ids, epoch, seq):
    store.store_ticked([replace(EXTREME, epoch=5, seq=7)], ids)
    newer = replace(EXTREME, price=Decimal("2.5"), epoch=epoch, seq=seq)

    assert store.store_ticked([newer], ids) == 1
    assert stored("BRK.A") == newer


def test_only_changed_rows_are_written(ids):
    first = [replace(EXTREME, symbol=symbol, seq=1) for symbol in ids]
    assert store.store_ticked(first, ids) == 3

    assert store.store_ticked([first[0], replace(first[1], seq=2), first[2]], ids) == 1


def test_a_fetched_quote_is_written_where_it_is_newer_and_keeps_the_tapes_numbers(ids):
    ticked = replace(EXTREME, epoch=5, seq=7)
    store.store_ticked([ticked], ids)
    fetched = replace(EXTREME, price=Decimal(9), epoch=0, seq=0)

    assert store.store_fetched([fetched], ids) == 0
    assert store.store_fetched([replace(fetched, as_of=fetched.as_of - timedelta(seconds=1))], ids) == 0
    newer = replace(fetched, as_of=fetched.as_of + timedelta(seconds=1))
    assert store.store_fetched([newer], ids) == 1
    assert stored("BRK.A") == replace(newer, epoch=5, seq=7)


def test_a_first_fetched_quote_is_below_every_number_of_the_tape(ids):
    store.store_fetched([replace(EXTREME, epoch=0, seq=0)], ids)

    assert store.store_ticked([replace(EXTREME, epoch=1, seq=1)], ids) == 1


def test_unknown_tickers_are_left_out(ids):
    assert store.store_ticked([EXTREME, replace(EXTREME, symbol="NEW")], ids) == 1
    assert store.store_ticked([], ids) == 0
    assert store.store_minute_bars([bar("NEW")], ids) == 0


def test_a_ticker_deleted_meanwhile_does_not_spoil_the_others(ids):
    gone = {**ids, "GONE": 10**9}
    quotes = [replace(EXTREME, symbol=symbol) for symbol in gone]

    assert store.store_ticked(quotes, gone) == 3
    assert store.store_minute_bars([bar("GONE"), bar()], gone) == 1
    assert store.store_daily_bars([bar("GONE"), bar()], gone) == 1
    connection.check_constraints()


@pytest.mark.parametrize("number", [1, 3])
def test_any_number_of_quotes_is_one_statement(ids, number, django_assert_num_queries):
    quotes = [replace(EXTREME, symbol=symbol) for symbol in list(ids)[:number]]

    with django_assert_num_queries(2):  # a savepoint around it; the statement itself has a cursor of its own
        store.store_ticked(quotes, ids)


def test_a_minute_is_written_once_and_again_only_when_it_changed(ids):
    assert store.store_minute_bars([bar(), bar("MSFT")], ids) == 2
    assert store.store_minute_bars([bar(), bar("MSFT", close="101")], ids) == 1

    rows = MinuteBar.objects.order_by("ticker__symbol").values_list("ticker__symbol", "close", "volume")
    assert list(rows) == [("AAPL", 100, 10), ("MSFT", 101, 10)]


def test_bars_keep_small_prices_and_big_volumes(ids):
    tiny = Bar("AAPL", START, *[Decimal("0.00000001")] * 4, 2**40 + 1)
    store.store_minute_bars([tiny], ids)

    row = MinuteBar.objects.get()
    assert (row.open, row.low, row.volume) == (Decimal("0.00000001"), Decimal("0.00000001"), 2**40 + 1)


def test_days_of_any_month_find_their_partition(ids):
    days = [date(1999, 12, 31), date(2000, 1, 1), date(2000, 2, 29), date(2031, 12, 31)]
    bars = [bar(start=datetime(day.year, day.month, day.day, tzinfo=UTC)) for day in days]

    assert store.store_daily_bars(bars, ids) == 4
    assert store.store_daily_bars(bars, ids) == 0
    assert list(DailyBar.objects.order_by("day").values_list("day", flat=True)) == days


@pytest.mark.django_db(transaction=True)
def test_a_month_whose_making_was_rolled_back_is_made_again():
    ids = {"AAPL": make_ticker("AAPL").pk}
    bars = [bar(start=datetime(1987, 10, 19, tzinfo=UTC))]
    with transaction.atomic():
        store.store_daily_bars(bars, ids)
        transaction.set_rollback(True)

    assert store.store_daily_bars(bars, ids) == 1
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE marketdata_dailybar_1987_10")
    store._made.discard((1987, 10))


def test_a_price_that_is_no_number_is_refused_by_the_database(ids):
    with pytest.raises(Exception, match="quote_price_is_a_price"), transaction.atomic():
        store.store_ticked([replace(EXTREME, price=Decimal("NaN"))], ids)
    assert not Quote.objects.exists()


def test_ids_of_symbols_come_from_the_directory(ids):
    assert store.ticker_ids(["AAPL", "NONE"]) == {"AAPL": ids["AAPL"]}
