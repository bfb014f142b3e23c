from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from alerts.checking import checked, end_of_day, until
from alerts.errors import InvalidRule
from alerts.kinds import Kind, Mode, Priority, Sessions, Way

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
ABOVE = {"kind": "above", "threshold": "190"}
MOVES = {"kind": "moves", "threshold": "5", "window_s": 300}
CHANNEL = {"kind": "leaves_channel", "lower": "90", "upper": "110"}
STALE = {"kind": "stale", "stale_after_s": 120}


def errors(fields):
    with pytest.raises(InvalidRule) as caught:
        checked(fields, NOW)
    return {name: error.code for name, error in caught.value.errors.items()}


def test_a_level_needs_a_price_and_has_sensible_defaults():
    assert checked(ABOVE, NOW) == {
        "kind": Kind.ABOVE,
        "threshold": Decimal(190),
        "threshold_percent": None,
        "lower": None,
        "upper": None,
        "window_s": None,
        "way": Way.EITHER,
        "stale_after_s": None,
        "sessions": Sessions.REGULAR,
        "mode": Mode.ONCE,
        "rearm_band": Decimal(0),
        "cooldown_s": 0,
        "priority": Priority.MEDIUM,
        "category": "",
        "note": "",
        "expires_at": None,
    }


@pytest.mark.parametrize(
    ("fields", "columns"),
    [
        (ABOVE, {"threshold": Decimal(190)}),
        ({"kind": "crosses_below", "threshold_percent": "-5.5"}, {"threshold_percent": Decimal("-5.5")}),
        (MOVES, {"threshold": Decimal(5), "window_s": 300, "way": Way.EITHER}),
        ({**MOVES, "way": "down"}, {"threshold": Decimal(5), "window_s": 300, "way": Way.DOWN}),
        (CHANNEL, {"lower": Decimal(90), "upper": Decimal(110)}),
        ({**CHANNEL, "kind": "enters_channel"}, {"lower": Decimal(90), "upper": Decimal(110)}),
        ({"kind": "volume", "threshold": "2.5"}, {"threshold": Decimal("2.5")}),
        ({"kind": "high_52w"}, {}),
        ({"kind": "low_52w"}, {}),
        (STALE, {"stale_after_s": 120}),
    ],
)
def test_each_kind_takes_what_it_needs_and_nothing_else(fields, columns):
    everything = {
        "lower": "1", "upper": "2", "window_s": 60, "way": "up", "stale_after_s": 600, "threshold": "7",
    }  # fmt: skip
    surplus = {} if "threshold_percent" in fields or "threshold" in fields else everything

    values = checked({**surplus, **fields}, NOW)

    told = {
        name: value for name, value in values.items() if name in everything or name == "threshold_percent"
    }
    assert {name: value for name, value in told.items() if value not in (None, Way.EITHER)} == {
        name: value for name, value in columns.items() if value is not Way.EITHER
    }


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, {"kind": "required"}),
        ({"kind": "ABOVE", "threshold": "1"}, {"kind": "invalid_choice"}),
        ({"kind": ["above"]}, {"kind": "invalid_choice"}),
        ({"kind": "above"}, {"threshold": "required"}),
        ({"kind": "above", "threshold": "", "threshold_percent": ""}, {"threshold": "required"}),
        ({**ABOVE, "threshold_percent": "5"}, {"threshold_percent": "invalid"}),
        ({"kind": "moves"}, {"threshold": "required", "window_s": "required"}),
        ({**MOVES, "window_s": 61}, {"window_s": "invalid_choice"}),
        ({**MOVES, "way": "sideways"}, {"way": "invalid_choice"}),
        ({**MOVES, "way": "down", "threshold": "100"}, {"threshold": "invalid"}),
        ({**MOVES, "threshold": "-5"}, {"threshold": "out_of_range"}),
        ({"kind": "leaves_channel"}, {"lower": "required", "upper": "required"}),
        ({**CHANNEL, "upper": "90"}, {"upper": "invalid"}),
        ({**CHANNEL, "rearm_band": "11"}, {"rearm_band": "invalid"}),
        ({"kind": "volume"}, {"threshold": "required"}),
        ({"kind": "volume", "threshold": "0"}, {"threshold": "out_of_range"}),
        ({"kind": "stale"}, {"stale_after_s": "required"}),
        ({**STALE, "stale_after_s": 59}, {"stale_after_s": "out_of_range"}),
        ({**STALE, "stale_after_s": 86_401}, {"stale_after_s": "out_of_range"}),
        ({**STALE, "stale_after_s": 60.5}, {"stale_after_s": "invalid"}),
        ({**ABOVE, "mode": "often"}, {"mode": "invalid_choice"}),
        ({**ABOVE, "sessions": 1}, {"sessions": "invalid_choice"}),
        ({**ABOVE, "priority": 1}, {"priority": "invalid_choice"}),
        ({**ABOVE, "rearm_band": "50.0001"}, {"rearm_band": "out_of_range"}),
        ({**ABOVE, "rearm_band": "-0.1"}, {"rearm_band": "out_of_range"}),
        ({**ABOVE, "rearm_band": "0.00001"}, {"rearm_band": "too_many_decimals"}),
        ({**ABOVE, "cooldown_s": 604_801}, {"cooldown_s": "out_of_range"}),
        ({**ABOVE, "cooldown_s": True}, {"cooldown_s": "invalid"}),
        ({**ABOVE, "category": "x" * 41}, {"category": "max_length"}),
        ({**ABOVE, "category": "a\nb"}, {"category": "invalid"}),
        ({**ABOVE, "note": "x" * 501}, {"note": "max_length"}),
        ({**ABOVE, "note": "a\x00b"}, {"note": "invalid"}),
        ({**ABOVE, "note": "a\u202eb"}, {"note": "invalid"}),
        ({**ABOVE, "note": 5}, {"note": "invalid"}),
        ({**ABOVE, "threshold": "0", "note": 5}, {"threshold": "out_of_range", "note": "invalid"}),
    ],
)
def test_each_error_names_its_field_and_all_are_told_at_once(fields, found):
    assert errors(fields) == found


@pytest.mark.parametrize(
    "text",
    [
        "x", " ", "1_000", "1,000", "１２", "1e3", "NaN", "Infinity", "-Infinity", "0x10", "1.", ".5", "1" * 5000,
        True, False, [], {}, ["1"], float("nan"), float("inf"), 1e-7j, b"1", "٣", "1 0", "1\n",
    ],
)  # fmt: skip
def test_what_only_resembles_a_number_is_none(text):
    assert errors({"kind": "above", "threshold": text}) in (
        {"threshold": "invalid"},
        {"threshold": "required"},
    )


@pytest.mark.parametrize(
    ("given", "price"),
    [
        ("190.50", "190.5"), (" 190.5 ", "190.5"), (190, "190"), (190.5, "190.5"), (Decimal("190.50000000"), "190.5"),
        ("0.00000001", "0.00000001"), (1e-8, "0.00000001"), ("999999999999.99999999", "999999999999.99999999"),
    ],
)  # fmt: skip
def test_a_price_may_be_text_or_a_number(given, price):
    assert checked({"kind": "above", "threshold": given}, NOW)["threshold"] == Decimal(price)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("0", "out_of_range"), ("-1", "out_of_range"), ("1000000000000", "out_of_range"), (2**62, "out_of_range"),
        (1e300, "out_of_range"), ("1.123456789", "too_many_decimals"), ("0.000000001", "too_many_decimals"),
        (1e-300, "too_many_decimals"),
    ],
)  # fmt: skip
def test_a_price_has_bounds(given, code):
    assert errors({"kind": "above", "threshold": given}) == {"threshold": code}


@pytest.mark.parametrize("percent", ["-99.9", "10000", "0", "0.0001"])
def test_percent_within_the_bounds_are_taken(percent):
    assert checked({"kind": "below", "threshold_percent": percent}, NOW)["threshold_percent"] == Decimal(
        percent
    )


@pytest.mark.parametrize("percent", ["-99.91", "10000.1", "0.00001"])
def test_percent_beyond_the_bounds_are_refused(percent):
    assert list(errors({"kind": "below", "threshold_percent": percent})) == ["threshold_percent"]


@pytest.mark.parametrize(
    "given",
    [
        "2026-03-04T16:00:00Z",
        "2026-03-04T11:00:00-05:00",
        "2026-03-04 16:00",
        datetime(2026, 3, 4, 16, tzinfo=UTC),
    ],
)
def test_an_expiry_is_a_moment_to_come(given):
    assert checked({**ABOVE, "expires_at": given}, NOW)["expires_at"] == NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    "given",
    [
        "2026-03-04T15:00:00Z", "2026-03-04", "tomorrow", "0000-00-00", "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00", 1772640000, True, [], "2026-02-29T00:00:00Z", "２０２６-12-31", "\x00",
    ],
)  # fmt: skip
def test_what_is_no_moment_to_come_is_refused(given):
    assert list(errors({**ABOVE, "expires_at": given})) == ["expires_at"]


def test_text_is_trimmed_and_a_note_may_have_lines():
    values = checked({**ABOVE, "note": " one\r\ntwo ", "category": "  ideas "}, NOW)

    assert (values["note"], values["category"]) == ("one\ntwo", "ideas")


def test_null_means_the_default():
    assert checked(
        {**ABOVE, "mode": None, "rearm_band": None, "note": None, "expires_at": None}, NOW
    ) == checked(ABOVE, NOW)


@pytest.mark.parametrize(
    ("value", "zone", "end"),
    [
        ("2026-03-07", "America/New_York", datetime(2026, 3, 8, 5, tzinfo=UTC)),
        ("2026-03-08", "America/New_York", datetime(2026, 3, 9, 4, tzinfo=UTC)),  # the clocks go forward
        ("20260308", "Asia/Tokyo", datetime(2026, 3, 8, 15, tzinfo=UTC)),
        ("2026-03-08T09:00:00Z", "Asia/Tokyo", "2026-03-08T09:00:00Z"),
        ("9999-12-31", "UTC", "9999-12-31"),
        ("2026-03-08", "Mars/Olympus", "2026-03-08"),
        ("tomorrow", "UTC", "tomorrow"),
        (20260308, "UTC", 20260308),
        (None, "UTC", None),
    ],
)
def test_a_bare_date_ends_with_its_day(value, zone, end):
    assert end_of_day(value, zone) == end


@pytest.mark.parametrize("day", ["2026-03-05", "20260305", "2026-W10-4"])
def test_a_bare_date_is_no_moment_where_the_zone_is_not_known(day):
    for read in (lambda: until(day, NOW), lambda: checked({**ABOVE, "expires_at": day}, NOW)):
        with pytest.raises(InvalidRule):
            read()


def test_a_snooze_is_a_moment_within_a_year():
    assert until("2026-03-05T15:00:00Z", NOW) == NOW + timedelta(days=1)
    for wrong in ("2026-03-04T15:00:00Z", "2028-01-01T00:00:00Z", "", None, 5):
        with pytest.raises(InvalidRule) as caught:
            until(wrong, NOW)
        assert list(caught.value.errors) == ["until"]
