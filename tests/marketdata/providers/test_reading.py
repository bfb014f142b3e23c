from __future__ import annotations

import struct
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.providers.reading import bar_of, date_of, exact, moment_of, rows_of, shortest


def single(value):
    return struct.unpack("<f", struct.pack("<f", float(value)))[0]


@pytest.mark.parametrize(
    ("value", "per_second", "moment"),
    [
        (1_763_733_600, 1, datetime(2025, 11, 21, 14, tzinfo=UTC)),
        (Decimal("1763733600.25"), 1, datetime(2025, 11, 21, 14, 0, 0, 250_000, tzinfo=UTC)),
        ("1763733600", 1, datetime(2025, 11, 21, 14, tzinfo=UTC)),
        (1_763_733_600_123, 1_000, datetime(2025, 11, 21, 14, 0, 0, 123_000, tzinfo=UTC)),
        # of another unit than agreed, or no time at all
        (1_763_733_600_123, 1, None),
        (1_763_733_600, 1_000, None),
        (0, 1, None),
        (-5, 1, None),
        (True, 1, None),
        (None, 1, None),
        ("soon", 1, None),
        (10**400, 1, None),
    ],
)
def test_a_time_is_of_the_agreed_unit_or_none(value, per_second, moment):
    assert moment_of(value, per_second) == moment


@pytest.mark.parametrize("text", ["", "None", "2026-02-30", "0000-00-00", None, 20260101])
def test_what_is_no_date_is_none(text):
    assert date_of(text) is None


@given(st.decimals(min_value="0.01", max_value="99999.99", places=2))
def test_a_price_in_cents_survives_single_precision(price):
    assert shortest(single(price)) == price


@pytest.mark.parametrize(
    ("told", "price"),
    [
        ("189.33999633789062", "189.34"),
        ("64250.55078125", "64250.55"),
        ("189.34", "189.34"),
        ("189.3412345678", "189.3412345678"),
        ("1E+400", "1E+400"),
        ("123456789012E+300", "123456789012E+300"),
    ],
)
def test_only_a_number_in_single_precision_is_shortened(told, price):
    assert exact(Decimal(told)) == Decimal(price)


def test_a_bar_without_a_price_is_none():
    row = {"open": "1", "high": "2", "low": "1", "close": "2", "volume": None}
    start = datetime(2026, 1, 5, tzinfo=UTC)

    assert bar_of("AAPL", start, row).volume == 0
    assert bar_of("AAPL", start, {**row, "close": "None"}) is None
    assert bar_of("AAPL", start, {**row, "low": "0"}) is None


@pytest.mark.parametrize("value", [None, {}, "rows", [1], [{}, None]])
def test_what_is_no_list_of_objects_is_refused(value):
    with pytest.raises(TypeError):
        rows_of(value)
