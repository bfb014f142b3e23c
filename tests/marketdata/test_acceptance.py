from __future__ import annotations

from decimal import Decimal

import pytest

from marketdata import acceptance
from marketdata.acceptance import Acceptance, Refusal
from marketdata.quotes import Tick

NOW = 1_767_623_400_000_000
SECOND = 1_000_000


def tick(price, at=NOW, **fields):
    fields = {"symbol": "AAPL", "size": 100, "volume": 1000, "provider": "test", "sequence": 0, **fields}
    return Tick(price=price if isinstance(price, float) else Decimal(price), as_of_us=at, **fields)


def fed(judge, prices, at=NOW - 1000 * SECOND):
    """Feed prices one second apart; the time of the last one."""
    for i, price in enumerate(prices):
        judge.judge(tick(price, at + i * SECOND), NOW)
    return at + (len(prices) - 1) * SECOND


def published(judge, ticks, now_us=NOW):
    return [str(out.price) for one in ticks for out in judge.judge(one, now_us).ticks]


@pytest.mark.parametrize(
    ("price", "refusal"),
    [
        ("NaN", Refusal.NOT_FINITE),
        ("sNaN", Refusal.NOT_FINITE),
        ("Infinity", Refusal.NOT_FINITE),
        ("-Infinity", Refusal.NOT_FINITE),
        (float("nan"), Refusal.NOT_FINITE),
        (100.5, Refusal.NOT_FINITE),  # a float is an adapter's mistake
        ("0", Refusal.NOT_POSITIVE),
        ("-0", Refusal.NOT_POSITIVE),
        ("-1", Refusal.NOT_POSITIVE),
        ("1e-400", Refusal.NOT_POSITIVE),
        ("0.000000005", Refusal.NOT_POSITIVE),
        ("1e308", Refusal.TOO_BIG),
        ("1000000000000", Refusal.TOO_BIG),
    ],
)
def test_a_price_that_cannot_be_true_is_refused(price, refusal):
    judge = Acceptance()

    verdict = judge.judge(tick(price), NOW)

    assert verdict == ((), refusal)
    assert not verdict.accepted
    assert judge.refused == {refusal: 1}
    assert judge.accepted == 0


@pytest.mark.parametrize("price", ["0.00000001", "0.0001", "1234567.89", "999999999999.999", "1E+3"])
def test_small_and_big_prices_are_accepted_as_they_are(price):
    verdict = Acceptance().judge(tick(price), NOW)

    assert published(Acceptance(), [tick(price)]) == [str(Decimal(price))]
    assert verdict.accepted


@pytest.mark.parametrize(
    ("price", "rounded"),
    [
        ("12345678.12345678", "12345678.1234568"),
        ("12345678.123456781234", "12345678.1234568"),
        ("999999999999.99949", "999999999999.999"),
        ("123456.789012345", "123456.78901234"),  # no more than 8 decimals
        ("0.12345678", "0.12345678"),
        ("0.00000000500000000000000001", "1E-8"),
        ("999999999999.999499999999", "999999999999.999"),
    ],
)
def test_more_than_fifteen_digits_are_rounded_as_the_database_would(price, rounded):
    (out,) = Acceptance().judge(tick(price), NOW).ticks

    assert str(out.price) == rounded
    assert Decimal(repr(float(out.price))) == out.price


def test_what_rounds_to_more_than_a_column_holds_is_too_big():
    assert Acceptance().judge(tick("999999999999.9995"), NOW).refusal is Refusal.TOO_BIG


def test_seventeen_decimals_are_rounded_to_eight():
    assert published(Acceptance(), [tick("187.32000000000002123")]) == ["187.32000000"]
    assert Acceptance().judge(tick("0.000000009999999999"), NOW).ticks[0].price == Decimal("0.00000001")


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"size": -1}, Refusal.BAD_SIZE),
        ({"size": 2**63}, Refusal.BAD_SIZE),
        ({"volume": -1}, Refusal.BAD_SIZE),
        ({"volume": 2**63}, Refusal.BAD_SIZE),
        ({"at": NOW + 2 * SECOND + 1}, Refusal.FUTURE),
        ({"at": NOW * 1000}, Refusal.FUTURE),  # nanoseconds
        ({"at": 0}, Refusal.TOO_OLD),
        ({"at": NOW // SECOND}, Refusal.TOO_OLD),  # seconds
        ({"at": NOW // 1000}, Refusal.TOO_OLD),  # milliseconds
        ({"at": NOW - 7 * 86_400 * SECOND - 1}, Refusal.TOO_OLD),
    ],
)
def test_a_tick_with_an_impossible_size_or_time_is_refused(fields, refusal):
    assert Acceptance().judge(tick("100", **fields), NOW) == ((), refusal)


@pytest.mark.parametrize(
    "fields",
    [{"size": 0}, {"size": 2**63 - 1}, {"at": NOW + 2 * SECOND}, {"at": NOW - 7 * 86_400 * SECOND}],
)
def test_a_tick_at_the_very_edge_is_accepted(fields):
    assert Acceptance().judge(tick("100", **fields), NOW).accepted


def test_only_known_symbols_are_accepted_where_they_are_named():
    judge = Acceptance(known={"AAPL"})

    assert judge.judge(tick("100"), NOW).accepted
    assert judge.judge(tick("100", symbol="MSFT"), NOW).refusal is Refusal.UNKNOWN_SYMBOL


def test_an_older_tick_never_overwrites_a_newer_one():
    judge = Acceptance()
    judge.judge(tick("100", NOW), NOW)

    assert judge.judge(tick("101", NOW - 1), NOW).refusal is Refusal.OUT_OF_ORDER
    assert judge.judge(tick("102", NOW + 1), NOW).accepted


def test_ticks_of_one_moment_go_by_sequence_then_by_arrival():
    judge = Acceptance()

    assert judge.judge(tick("100", sequence=5), NOW).accepted
    assert judge.judge(tick("100.1", sequence=4), NOW).refusal is Refusal.OUT_OF_ORDER
    assert judge.judge(tick("100.2", sequence=6), NOW).accepted
    assert judge.judge(tick("100.3", sequence=6), NOW).accepted
    assert judge.judge(tick("100.4", sequence=1, provider="other"), NOW).accepted


def test_the_same_tick_again_is_a_duplicate_also_after_another_of_the_same_moment():
    judge = Acceptance()
    first, second = tick("100"), tick("100.1")

    verdicts = [judge.judge(one, NOW).refusal for one in [first, first, second, first, second]]

    assert verdicts == [None, Refusal.DUPLICATE, None, Refusal.DUPLICATE, Refusal.DUPLICATE]


def test_the_same_price_at_a_later_moment_is_news():
    judge = Acceptance()

    assert [judge.judge(tick("100", NOW + i), NOW).accepted for i in range(3)] == [True, True, True]


def test_a_halt_is_news_although_moment_and_price_stay():
    judge = Acceptance()
    judge.judge(tick("100"), NOW)

    assert judge.judge(tick("100", halted=True), NOW).accepted


def test_ties_are_remembered_up_to_a_bound():
    judge = Acceptance()
    for i in range(200):
        judge.judge(tick(Decimal(100) + Decimal(i) / 100), NOW)

    assert len(judge._seen["AAPL"].ties) == acceptance.MAX_TIES


@pytest.mark.parametrize("bad", ["9000", "0.8", "120.2", "79.8"])
def test_a_bad_print_is_held_and_dropped_when_the_next_tick_is_normal(bad):
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)

    ticks = [tick(bad, at + SECOND), tick("100.5", at + 2 * SECOND), tick("100.6", at + 3 * SECOND)]

    assert published(judge, ticks) == ["100.5", "100.6"]
    assert judge.refused == {Refusal.OUTLIER_HELD: 1}


@pytest.mark.parametrize("price", ["120", "80", "119.99", "80.01"])
def test_a_price_within_a_fifth_of_the_median_is_accepted(price):
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)

    assert judge.judge(tick(price, at + SECOND), NOW).accepted


@pytest.mark.parametrize(("gap", "then"), [("65", "64.5"), ("250", "251"), ("50", "46"), ("5", "5.1")])
def test_a_real_gap_comes_out_in_order_with_the_tick_that_confirms_it(gap, then):
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)

    held = judge.judge(tick(gap, at + SECOND), NOW)
    confirmed = judge.judge(tick(then, at + 2 * SECOND), NOW)
    after = judge.judge(tick(then, at + 3 * SECOND), NOW)

    assert held == ((), Refusal.OUTLIER_HELD)
    assert [str(one.price) for one in confirmed.ticks] == [gap, then]
    assert confirmed.accepted
    assert after.accepted
    assert judge.accepted == 23


def test_after_a_gap_the_old_level_is_the_outlier():
    judge = Acceptance()
    at = fed(judge, ["100"] * 20 + ["65", "65.1"])

    assert judge.judge(tick("100", at + SECOND), NOW).refusal is Refusal.OUTLIER_HELD
    assert judge.judge(tick("65.2", at + 2 * SECOND), NOW).accepted


def test_bad_prints_that_disagree_never_come_out():
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)

    ticks = [tick(price, at + i * SECOND) for i, price in enumerate(["7000", "3", "5000", "2", "100"], 1)]

    assert published(judge, ticks) == ["100"]
    assert judge.refused == {Refusal.OUTLIER_HELD: 4}


def test_a_held_tick_does_not_confirm_itself():
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)
    outlier = tick("65", at + SECOND)

    assert judge.judge(outlier, NOW).refusal is Refusal.OUTLIER_HELD
    assert judge.judge(outlier, NOW).refusal is Refusal.DUPLICATE


def test_a_confirming_tick_that_is_older_than_the_held_one_comes_out_before_it():
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)
    judge.judge(tick("65", at + 2 * SECOND), NOW)

    verdict = judge.judge(tick("66", at + SECOND), NOW)

    assert [str(one.price) for one in verdict.ticks] == ["66", "65"]


def test_the_first_tick_has_no_baseline_and_a_wrong_one_is_outvoted():
    judge = Acceptance()

    ticks = [
        tick(price, NOW - 9 * SECOND + i * SECOND) for i, price in enumerate(["10000", "100", "101", "102"])
    ]

    assert published(judge, ticks) == ["10000", "100", "101", "102"]


def test_a_forgotten_symbol_starts_without_a_baseline():
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)

    judge.forget("AAPL")
    judge.forget("AAPL")

    assert judge.judge(tick("5", at + SECOND), NOW).accepted


def test_symbols_do_not_disturb_each_other():
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)

    assert judge.judge(tick("5", at, symbol="F"), NOW).accepted
    assert judge.judge(tick("101", at + SECOND), NOW).accepted


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(acceptance, "MAX_SYMBOLS", 3)
    judge = Acceptance()

    for i in range(10):
        judge.judge(tick("100", symbol=f"S{i}"), NOW)
    fed(judge, ["100"] * 100)

    assert list(judge._seen) == ["S8", "S9", "AAPL"]
    assert len(judge._seen["AAPL"].prices) == acceptance.WINDOW


@pytest.mark.parametrize("field", acceptance.SIDES)
@pytest.mark.parametrize("value", ["NaN", "Infinity", "0", "-1", "1e308"])
def test_a_broken_side_field_is_blanked_and_the_price_believed(field, value):
    judge = Acceptance()

    (accepted,) = judge.judge(tick("100", **{field: Decimal(value)}), NOW).ticks

    assert getattr(accepted, field) is None
    assert accepted.price == 100
    assert judge.blanked == 1


@pytest.mark.parametrize("open_", ["99", "NaN"])
def test_a_crossed_quote_is_blanked_and_a_locked_one_stays(open_):
    sides = {"bid": Decimal("100.2"), "ask": Decimal("100.1"), "open": Decimal(open_)}
    (crossed,) = Acceptance().judge(tick("100", **sides), NOW).ticks
    (locked,) = Acceptance().judge(tick("100", bid=Decimal("100.1"), ask=Decimal("100.1")), NOW).ticks

    assert (crossed.bid, crossed.ask) == (None, None)
    assert (locked.bid, locked.ask) == (Decimal("100.1"), Decimal("100.1"))


def test_a_previous_close_that_is_out_of_all_proportion_is_blanked():
    (accepted,) = Acceptance().judge(tick("100", previous_close=Decimal("0.00000001")), NOW).ticks

    assert accepted.previous_close is None


def test_a_fine_tick_comes_out_as_the_same_object():
    fine = tick("100.10", open=Decimal(99), high=Decimal(101), bid=Decimal("100.09"), ask=Decimal("100.11"))

    assert Acceptance().judge(fine, NOW).ticks == (fine,)
    assert Acceptance().judge(fine, NOW).ticks[0] is fine
