from __future__ import annotations

from decimal import Decimal

import pytest

from core import clock
from marketdata.quotes import Correction, Tick
from marketdata.tape.intake import Intake
from marketdata.tape.out import Out
from tests.providers import make_quote

NOW = clock.now_us()


def tick(price: str = "100", *, provider: str = "first", after_us: int = 0, **fields) -> Tick:
    return Tick("AAPL", Decimal(price), 10, 1000, NOW + after_us, provider, **fields)


def intake(*, routed_to: str | None = "first", streamed_by: str | None = "first") -> Intake:
    return Intake(Out(0, 1, 1), routed_to=lambda _: routed_to, streamed_by=lambda _: streamed_by)


def waiting(one: Intake) -> list[tuple[str, str]]:
    return [(str(tick.price), tick.provider) for tick, _ in one.conflator.drain_all()]


def test_only_who_is_to_stream_a_symbol_is_heard():
    one = intake()

    one.take([tick(), tick("101", provider="second", after_us=1)], {"AAPL"}, NOW)
    one.take([Correction("AAPL", "second", NOW)], {"AAPL"}, NOW)
    one.take([tick("102", after_us=2)], set(), NOW)

    assert waiting(one) == [("100", "first")]
    assert {name: counts.refused for name, counts in one.counts.items()} == {
        "first": {"not_wanted": 1},
        "second": {"not_wanted": 2},
    }


@pytest.mark.parametrize(
    ("streamed_by", "source", "heard"),
    [("first", "first", False), ("first", "second", True), (None, "first", True), ("second", "first", True)],
)
def test_a_bought_quote_counts_unless_another_provider_streams_and_has_spoken(streamed_by, source, heard):
    one = intake(routed_to=source, streamed_by=streamed_by)
    one.take([tick(provider=source)], {"AAPL"}, NOW)
    one.conflator.drain_all()

    one.take_fetched(make_quote("AAPL", "100.10", provider="second"), clock.now_us())

    assert waiting(one) == ([("100.10", "second")] if heard else [])


def test_of_a_burst_the_last_value_is_published_and_everything_counts_for_the_bar():
    one = intake()
    minute = NOW - NOW % 60_000_000
    burst = [
        Tick("AAPL", Decimal(100) + Decimal(number % 100) / 100, 1, number, minute + number, "first")
        for number in range(50_000)
    ]

    one.take(burst, {"AAPL"}, NOW)

    assert waiting(one) == [("100.99", "first")]
    (bar,) = one.history.take_minute_bars()
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (
        100, Decimal("100.99"), 100, Decimal("100.99"), 50_000,
    )  # fmt: skip


# --- corrections


def bars(one: Intake) -> list[tuple[str, str, str, str, int]]:
    return [
        (str(bar.open), str(bar.high), str(bar.low), str(bar.close), bar.volume)
        for bar in one.history.take_minute_bars()
    ]


@pytest.mark.parametrize("price", ["NaN", "0", "-1", "10000", "1"])
@pytest.mark.parametrize("older", [0, 30])
def test_a_correction_that_cannot_be_true_changes_neither_the_price_nor_a_bar(price, older):
    """Neither of the last trade, nor of one that only the bar remembers."""
    one = intake()
    trades = [tick("100", after_us=number, trade_id=str(number)) for number in range(older + 2)]
    one.take(trades, {"AAPL"}, NOW)
    waiting(one)

    one.take([Correction("AAPL", "first", NOW, trade_id="1", price=Decimal(price))], {"AAPL"}, NOW)

    assert waiting(one) == []
    assert bars(one) == [("100", "100", "100", "100", 10 * len(trades))]
    assert one.counts["first"].refused == {"unknown_correction": 1}


def forgotten(one: Intake) -> None:
    """The trade "busted" of some minutes ago, of which neither the last prices nor a bar know any more."""
    minute = 60_000_000
    one.take([tick("110", after_us=-4 * minute, trade_id="busted")], {"AAPL"}, NOW)
    later = [tick("100", after_us=number * minute // 10, trade_id=str(number)) for number in range(-25, 1)]
    one.take(later, {"AAPL"}, NOW)
    waiting(one)
    bars(one)


@pytest.mark.parametrize(
    "correction",
    [
        Correction("AAPL", "first", NOW, trade_id="busted"),
        Correction("AAPL", "first", NOW - 240_000_000, was=Decimal(110)),
        Correction("AAPL", "first", NOW, trade_id="busted", price=Decimal(101)),
    ],
)
def test_alerts_hear_of_a_trade_that_is_taken_back_when_the_tape_has_forgotten_it(correction):
    one, said = intake(), []
    forgotten(one)
    one.out.put_correction = lambda told, now_us: said.append((told, now_us))

    one.take([correction], {"AAPL"}, NOW)

    assert said == [(correction, NOW)]
    assert (waiting(one), bars(one)) == ([], [])
    assert one.counts["first"].refused == {"unknown_correction": 1}


@pytest.mark.parametrize(
    "correction",
    [
        Correction("AAPL", "first", NOW - 240_000_000),
        Correction("AAPL", "first", NOW, trade_id="busted", price=Decimal("NaN")),
        Correction("AAPL", "second", NOW, trade_id="busted"),
        Correction("MSFT", "first", NOW, trade_id="busted"),
    ],
)
def test_alerts_do_not_hear_what_names_no_trade_cannot_be_true_or_is_nobodys_business(correction):
    one, said = intake(), []
    forgotten(one)
    one.out.put_correction = lambda told, _: said.append(told)

    one.take([correction], {"AAPL"}, NOW)

    assert said == []


def test_a_corrected_price_is_rounded_in_the_bar_as_everywhere():
    one = intake()
    one.take([tick("100", trade_id="1"), tick("101", after_us=1, trade_id="2")], {"AAPL"}, NOW)

    right = Decimal("100.1234567891234567")
    one.take([Correction("AAPL", "first", NOW, trade_id="2", price=right)], {"AAPL"}, NOW)

    assert waiting(one) == [("100.12345679", "first")]
    assert bars(one) == [("100", "100.12345679", "100", "100.12345679", 20)]


def test_a_minute_whose_only_trade_is_taken_back_later_does_not_keep_its_price():
    one = intake()
    minute = 60_000_000
    one.take(
        [
            tick("100", after_us=-2 * minute, trade_id="1"),
            tick("119", after_us=-minute, trade_id="2"),
            tick("101", trade_id="3"),
        ],
        {"AAPL"},
        NOW,
    )
    bars(one)

    one.take([Correction("AAPL", "first", NOW, trade_id="2")], {"AAPL"}, NOW)

    assert waiting(one) == [("101", "first")]
    assert bars(one) == [("101", "101", "101", "101", 0)]
