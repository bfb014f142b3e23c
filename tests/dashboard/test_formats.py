from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from dashboard import formats


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("589.58", "589.58"),
        ("1234567.89", "1,234,567.89"),
        ("32.775", "32.78"),
        ("0.1234", "0.1234"),
        ("0.00001234", "0.0000"),
        ("1", "1.00"),
        ("-3.5", "\u22123.50"),
        (None, "\u2014"),
    ],
)
def test_a_price_has_two_decimals_and_four_below_one(value, shown) -> None:
    assert formats.price(Decimal(value) if value else None) == shown


def test_a_column_with_one_price_below_one_has_four_decimals_for_all() -> None:
    assert formats.decimals_for([Decimal("589.58"), None, Decimal("0.42")]) == 4
    assert formats.decimals_for([Decimal("589.58"), None]) == 2
    assert formats.price(Decimal("589.58"), 4) == "589.5800"


@pytest.mark.parametrize(
    ("value", "shown", "arrow"),
    [
        ("21.48", "+21.48", "up"),
        ("-1.785", "\u22121.79", "down"),
        ("0", "0.00", "flat"),
        ("-0.004", "0.00", "flat"),
        ("0.005", "+0.01", "up"),
        ("1234.5", "+1,234.50", "up"),
    ],
)
def test_a_change_has_a_sign_unless_it_is_shown_as_zero(value, shown, arrow) -> None:
    assert formats.signed(Decimal(value)) == shown
    assert formats.direction(Decimal(value)) == arrow


def test_what_is_missing_is_a_dash_and_points_nowhere() -> None:
    assert formats.signed(None) == formats.percent(None) == formats.volume(None) == "\u2014"
    assert formats.direction(None) == "flat"


def test_percent_has_a_thin_space_before_its_sign() -> None:
    assert formats.percent(Decimal("3.7812")) == "+3.78\u2009%"
    assert formats.percent(Decimal(150)) == "+150.00\u2009%"


@pytest.mark.parametrize(
    ("units", "shown"),
    [
        (0, "0"),
        (99_999, "99,999"),
        (100_000, "0.10\u2009M"),
        (50_673_412, "50.67\u2009M"),
        (9_876_543_210, "9,876.54\u2009M"),
    ],
)
def test_volume_is_in_millions_unless_that_would_hide_it(units, shown) -> None:
    assert formats.volume(units) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-2, "0.0\u2009s"),
        (0.44, "0.4\u2009s"),
        (9.94, "9.9\u2009s"),
        (9.96, "9\u2009s"),
        (40.9, "40\u2009s"),
        (61, "1\u2009min"),
        (7_200, "2\u2009h"),
        (200_000, "2\u2009days"),
    ],
)
def test_an_age_counts_up_and_is_never_negative(seconds, shown) -> None:
    assert formats.age(timedelta(seconds=seconds)) == shown


def test_days_and_times_are_short() -> None:
    assert formats.day(date(2012, 3, 4)) == "4 Mar 2012"
    assert formats.clock_time(datetime(2026, 1, 31, 14, 2, 59, tzinfo=UTC)) == "14:02"
