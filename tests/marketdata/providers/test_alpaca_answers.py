"""What Alpaca's JSON means, where the stand-in's is too tidy to show it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from marketdata.errors import Malformed, NotFound
from marketdata.providers.alpaca_answers import actions_of, bar_of, moment_of, ours, snapshot_of, spelled
from marketdata.providers.base import Interval
from marketdata.quotes import Action, ActionKind, Bar

NOON = "2026-01-06T17:00:00.123456789Z"
TRADE = {"t": NOON, "x": "V", "p": Decimal("187.3"), "s": 100, "c": ["@"], "i": 1, "z": "C"}
TODAY = {
    "t": "2026-01-06T05:00:00Z",
    "o": Decimal("185.5"),
    "h": 188,
    "l": 184,
    "c": Decimal("187.2"),
    "v": 9,
}
BEFORE = {"t": "2026-01-05T05:00:00Z", "o": 184, "h": 186, "l": 183, "c": Decimal("185.1"), "v": 8}
MINUTE = {"t": "2026-01-06T16:59:00Z", "o": 187, "h": 187, "l": 187, "c": Decimal("187.25"), "v": 5}
WHOLE = {"latestTrade": TRADE, "minuteBar": MINUTE, "dailyBar": TODAY, "prevDailyBar": BEFORE}


def test_symbols_are_spelled_as_ours_except_coins():
    assert [spelled(symbol) for symbol in ("AAPL", "BRK.B", "BTC-USD")] == ["AAPL", "BRK.B", "BTC/USD"]
    assert [ours(text) for text in ("AAPL", "BRK.B", "BTC/USD")] == ["AAPL", "BRK.B", "BTC-USD"]


def test_a_time_has_nanoseconds_and_a_zone():
    assert moment_of(NOON) == datetime(2026, 1, 6, 17, 0, 0, 123_456, UTC)
    with pytest.raises(ValueError, match="2026"):
        moment_of("2026-01-06T17:00:00")


def test_the_price_is_that_of_the_last_trade_and_the_day_is_told_beside_it():
    found = snapshot_of("AAPL", WHOLE)

    assert (found.price, found.as_of) == (Decimal("187.3"), moment_of(NOON))
    assert found.previous_close == Decimal("185.1")
    assert dict(found.figures) == {
        "open": Decimal("185.5"),
        "high": Decimal(188),
        "low": Decimal(184),
        "volume": 9,
        "bid": None,
        "ask": None,
    }


def test_before_the_first_bar_of_the_day_the_last_daily_bar_is_the_previous_close():
    early = {**TRADE, "t": "2026-01-07T11:00:00Z"}

    found = snapshot_of("AAPL", {**WHOLE, "latestTrade": early})

    assert found.previous_close == Decimal("187.2")
    assert set(found.figures.values()) == {None}


@pytest.mark.parametrize("codes", [["@", "W"], ["4"], ["@", "F", "Z"]])
def test_a_trade_that_does_not_move_the_price_leaves_it_to_the_last_minute(codes):
    found = snapshot_of("AAPL", {**WHOLE, "latestTrade": {**TRADE, "c": codes}})

    assert (found.price, found.as_of) == (Decimal("187.25"), moment_of("2026-01-06T16:59:00Z"))


@pytest.mark.parametrize(
    "missing", [{"latestTrade": None, "minuteBar": None}, {"latestTrade": {}, "minuteBar": {}}]
)
def test_without_a_trade_and_a_minute_the_day_has_the_price(missing):
    assert snapshot_of("AAPL", {**WHOLE, **missing}).price == Decimal("187.2")


@pytest.mark.parametrize("entry", [None, {}, {"latestTrade": {**TRADE, "p": 0}}, {"prevDailyBar": BEFORE}])
def test_no_price_is_not_found(entry):
    assert isinstance(snapshot_of("AAPL", entry), NotFound)


def test_a_price_below_zero_is_malformed():
    assert isinstance(snapshot_of("AAPL", {"latestTrade": {**TRADE, "p": -1}}), Malformed)


@pytest.mark.parametrize(
    "entry", [{"latestTrade": [1]}, {"latestTrade": {"p": 1}}, {"latestTrade": {"p": 1, "t": 5}}]
)
def test_another_shape_raises(entry):
    with pytest.raises((TypeError, LookupError)):
        snapshot_of("AAPL", entry)


def test_a_daily_bar_begins_at_new_yorks_midnight_and_is_ours_of_that_date():
    row = {**TODAY, "v": 123}

    assert bar_of("AAPL", Interval.DAY, row) == Bar(
        "AAPL",
        datetime(2026, 1, 6, tzinfo=UTC),
        Decimal("185.5"),
        Decimal(188),
        Decimal(184),
        Decimal("187.2"),
        123,
    )
    assert bar_of("BTC-USD", Interval.DAY, {**row, "t": "2026-01-06T00:00:00Z"}).start.day == 6
    assert bar_of("AAPL", Interval.MINUTE, row).start.hour == 5


@pytest.mark.parametrize("bad", [{"o": 0}, {"h": "NaN"}, {"l": -1}, {"c": None}, {"v": None}, {"v": -1}])
def test_a_bar_with_a_hole_is_none(bad):
    with pytest.raises(ValueError, match="187"):
        bar_of("AAPL", Interval.MINUTE, {**MINUTE, **bad})


def test_actions_of_every_kind():
    groups = json.loads(
        """{
        "cash_dividends": [{"symbol": "X", "rate": 0.25, "special": true, "ex_date": "2026-02-09",
            "record_date": "2026-02-10", "payable_date": "2026-02-13", "process_date": "2026-02-13"}],
        "forward_splits": [{"symbol": "X", "new_rate": 10, "old_rate": 1, "ex_date": "2024-06-10"}],
        "reverse_splits": [{"symbol": "X", "new_rate": 1, "old_rate": 50, "ex_date": "2024-06-11"}],
        "stock_dividends": [{"symbol": "X", "rate": 0.05, "ex_date": "2024-06-12"}],
        "name_changes": [{"old_symbol": "X", "new_symbol": "Y", "process_date": "2025-01-02"},
            {"old_symbol": "W", "new_symbol": "X", "process_date": "2020-01-02"}],
        "spin_offs": [{"source_symbol": "X"}]}""",
        parse_float=Decimal,
    )

    def split(day, before, after):
        return Action("X", ActionKind.SPLIT, day, split_from=Decimal(before), split_to=Decimal(after))

    assert list(actions_of("X", groups)) == [
        Action(
            "X",
            ActionKind.DIVIDEND,
            date(2026, 2, 9),
            amount=Decimal("0.25"),
            special=True,
            record_date=date(2026, 2, 10),
            pay_date=date(2026, 2, 13),
        ),
        split(date(2024, 6, 10), 1, 10),
        split(date(2024, 6, 11), 50, 1),
        split(date(2024, 6, 12), 1, "1.05"),
        Action("X", ActionKind.RENAME, date(2025, 1, 2), new_symbol="Y"),
    ]
    assert list(actions_of("X", {})) == []


@pytest.mark.parametrize("rate", [0, -1, "NaN", None])
def test_a_split_by_nothing_is_malformed(rate):
    row = {"symbol": "X", "new_rate": rate, "old_rate": 1, "ex_date": "2024-06-10"}
    with pytest.raises(ValueError, match="2024"):
        list(actions_of("X", {"forward_splits": [row]}))
