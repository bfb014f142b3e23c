"""What stands on another base is no move: other providers, other units, splits, and trades that are taken back."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.acceptance import SOURCE_PATIENCE_US, UNIT_PATIENCE_US, Acceptance, Refusal, Split
from marketdata.quotes import Correction, change_of
from tests.marketdata.hostile import LIES, HostileTape
from tests.marketdata.test_acceptance import NOW, SECOND, fed, published, tick

MORNING = NOW - 500 * SECOND
FOUR_TO_ONE = Split(MORNING, Decimal(4))


def judged(judge, *prices, at, provider="test", now_us=NOW, **fields):
    """One second apart from `at` on; (what came out, the refusal of the last one)."""
    out, refusal = [], None
    for number, price in enumerate(prices):
        verdict = judge.judge(tick(price, at + number * SECOND, provider=provider, **fields), now_us)
        out += verdict.ticks
        refusal = verdict.refusal
    return out, refusal


def prices_of(ticks):
    return [str(one.price) for one in ticks]


# --- another provider


def test_a_near_price_of_another_provider_is_believed_at_once_and_begins_anew():
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)

    out, refusal = judged(judge, "100.4", "101", at=at + SECOND, provider="other")

    assert refusal is None
    assert [(str(one.price), one.rebased) for one in out] == [("100.4", True), ("101", False)]


def test_a_far_price_of_another_provider_waits_for_a_second_one_that_agrees():
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)

    assert judged(judge, "103", at=at + SECOND, provider="other") == ([], Refusal.SOURCE_HELD)
    out, _ = judged(judge, "103.1", "103.2", at=at + 2 * SECOND, provider="other")

    assert [(str(one.price), one.rebased) for one in out] == [
        ("103", True),
        ("103.1", False),
        ("103.2", False),
    ]


def test_a_bad_first_price_of_another_provider_is_never_shown():
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)

    out, _ = judged(judge, "130", "101", "101.1", at=at + SECOND, provider="other")

    assert prices_of(out) == ["101", "101.1"]


@pytest.mark.parametrize(("price", "shown"), [("103", ["103"]), ("130", [])])
def test_a_lone_far_price_of_another_provider_is_believed_after_a_while_unless_it_is_an_outlier(price, shown):
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)
    judged(judge, price, at=at + SECOND, provider="other")

    assert judge.overdue(NOW + SOURCE_PATIENCE_US - 1) == []
    out = judge.overdue(NOW + SOURCE_PATIENCE_US)

    assert (prices_of(out), [one.rebased for one in out]) == (shown, [True] * len(shown))
    assert judge.overdue(NOW + 2 * SOURCE_PATIENCE_US) == []


def test_while_the_former_provider_speaks_the_other_one_is_not_believed_after_a_while():
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)
    judged(judge, "103", at=at + SECOND, provider="other")
    judged(judge, "100.1", at=at + 2 * SECOND)

    assert judge.overdue(NOW + SOURCE_PATIENCE_US) == []


def test_an_older_price_never_replaces_a_newer_one_whoever_says_it():
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)

    late = judged(
        judge, "100", at=at - 15 * SECOND, provider="delayed", delayed_s=900, now_us=at + 30 * SECOND
    )
    caught_up = judged(judge, "100.2", at=at + SECOND, provider="delayed", delayed_s=900)

    assert late == ([], Refusal.OUT_OF_ORDER)
    assert (prices_of(caught_up[0]), caught_up[0][0].rebased) == (["100.2"], True)


def test_a_gap_that_the_former_provider_saw_as_well_needs_no_third_tick():
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)
    judged(judge, "65", at=at + SECOND)

    out, _ = judged(judge, "64.8", at=at + 2 * SECOND, provider="other")

    assert [(str(one.price), one.rebased) for one in out] == [("64.8", True)]


# --- another unit


@pytest.mark.parametrize("wrong", ["10000", "1", "9600", "1.04"])
def test_however_often_one_provider_repeats_a_mistake_of_units_it_is_not_believed(wrong):
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)

    out, refusal = judged(judge, *[wrong] * 50, at=at + SECOND)

    assert (out, refusal) == ([], Refusal.UNIT_MISTAKE)
    assert prices_of(judged(judge, "100.1", at=at + 60 * SECOND)[0]) == ["100.1"]


def test_what_stays_a_hundred_times_off_for_ten_minutes_is_believed():
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)
    judged(judge, "1", at=at + SECOND)

    too_soon = judged(judge, "1", at=at + 2 * SECOND, now_us=NOW + UNIT_PATIENCE_US - 1)
    at_last = judged(judge, "1.01", at=at + 3 * SECOND, now_us=NOW + UNIT_PATIENCE_US)

    assert too_soon == ([], Refusal.UNIT_MISTAKE)
    assert [(str(one.price), one.rebased) for one in at_last[0]] == [("1.01", True)]


def test_two_providers_that_agree_about_a_hundredth_are_believed():
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)
    judged(judge, "1", at=at + SECOND)

    out, _ = judged(judge, "1.01", at=at + 2 * SECOND, provider="other")

    assert prices_of(out) == ["1.01"]


def test_another_provider_that_says_pence_is_not_believed():
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)

    out, refusal = judged(judge, *["10010"] * 5, at=at + SECOND, provider="other")

    assert (out, refusal) == ([], Refusal.UNIT_MISTAKE)
    assert judge.overdue(NOW + 2 * SOURCE_PATIENCE_US) == []


def test_a_first_price_that_fits_its_own_previous_close_is_not_outvoted_by_a_mistake_of_units():
    judge = Acceptance()
    judge.judge(tick("100", NOW - 9 * SECOND, previous_close=Decimal(99)), NOW)

    assert judged(judge, "10000", "10001", at=NOW - 8 * SECOND) == ([], Refusal.UNIT_MISTAKE)


# --- splits


def before_the_split(judge, price="400"):
    judge.splits["AAPL"] = FOUR_TO_ONE
    fed(judge, [price] * 20, at=MORNING - 400 * SECOND)


def test_from_the_morning_of_a_split_its_price_is_believed_at_once_and_is_no_move():
    judge = Acceptance()
    before_the_split(judge)

    out, _ = judged(judge, "100.5", "100.6", at=MORNING)

    assert [(str(one.price), one.rebased) for one in out] == [("100.5", True), ("100.6", False)]


@pytest.mark.parametrize("close", ["396", "99"])
def test_the_day_change_is_against_the_close_in_prices_of_after_the_split(close):
    judge = Acceptance()
    before_the_split(judge)

    out, _ = judged(judge, "100", "101", at=MORNING, previous_close=Decimal(close))

    assert {one.previous_close for one in out} == {Decimal(99)}
    assert change_of(out[1].price, out[1].previous_close)[1] == Decimal("2.0202")


def test_a_tape_that_begins_after_the_split_adjusts_the_close_as_well():
    judge = Acceptance()
    judge.splits["AAPL"] = FOUR_TO_ONE

    (first,), _ = judged(judge, "100", at=MORNING + SECOND, previous_close=Decimal(396), high=Decimal(101))

    assert (first.price, first.previous_close, first.high) == (100, 99, 101)


def test_yesterdays_figures_that_come_along_in_the_morning_are_divided_too():
    judge = Acceptance()
    before_the_split(judge)
    day = {"open": Decimal(398), "high": Decimal(404), "low": Decimal(392)}

    (first,), _ = judged(judge, "100", at=MORNING, **day)

    assert (first.open, first.high, first.low) == (Decimal("99.5"), 101, 98)


def test_a_split_that_is_known_late_divides_nothing_twice():
    judge = Acceptance()
    fed(judge, ["400"] * 20, at=MORNING - 400 * SECOND)
    assert prices_of(judged(judge, "100", "100.1", at=MORNING)[0]) == ["100", "100.1"]
    judge.splits["AAPL"] = FOUR_TO_ONE

    (out,), _ = judged(judge, "100.2", at=MORNING + 5 * SECOND, previous_close=Decimal(400))

    assert (out.price, out.previous_close) == (Decimal("100.2"), 100)


@pytest.mark.parametrize("wrong", ["400", "10000", "1"])
def test_on_the_day_of_a_split_the_old_price_and_mistakes_of_units_stay_refused(wrong):
    judge = Acceptance()
    before_the_split(judge)
    judged(judge, "100", at=MORNING)

    assert judged(judge, *[wrong] * 3, at=MORNING + SECOND) == ([], Refusal.UNIT_MISTAKE)


def test_ticks_of_before_the_morning_are_compared_with_the_old_price():
    judge = Acceptance()
    before_the_split(judge)

    out, _ = judged(judge, "401", at=MORNING - SECOND)

    assert [(str(one.price), one.rebased) for one in out] == [("401", False)]


def test_on_the_days_after_a_split_its_factor_is_a_gap_like_any_other():
    judge = Acceptance()
    before_the_split(judge)
    judged(judge, "100", at=MORNING)
    judge.splits = {}

    out, _ = judged(judge, "400", "401", at=MORNING + SECOND, previous_close=Decimal(400))

    assert [(one.price, one.previous_close) for one in out] == [(400, 400), (401, 400)]


def test_a_reverse_split_is_believed_at_once_too():
    judge = Acceptance()
    judge.splits["AAPL"] = Split(MORNING, Decimal(1) / 50)
    fed(judge, ["0.40"] * 20, at=MORNING - 400 * SECOND)

    (out,), _ = judged(judge, "20.10", at=MORNING, previous_close=Decimal("0.40"))

    assert (out.price, out.previous_close, out.rebased) == (Decimal("20.10"), 20, True)


@pytest.mark.parametrize("ratio", [2, 3, 4, 10, 20])
def test_a_split_that_nobody_announced_is_believed_like_any_gap(ratio):
    judge = Acceptance()
    at = fed(judge, ["400"] * 20)
    price = str(Decimal(400) / ratio)

    assert len(judged(judge, price, price, at=at + SECOND)[0]) == 2


# --- trades that are taken back


def cancel(trade_id="", **fields):
    return Correction(
        **{"symbol": "AAPL", "provider": "test", "as_of_us": NOW, "trade_id": trade_id, **fields}
    )


def traded(judge, *trades):
    """Trades of (id, price), ten each, of a day's volume of a thousand."""
    return [
        judge.judge(tick(price, NOW - 100 * SECOND + number * SECOND, trade_id=trade_id, size=10), NOW)
        for number, (trade_id, price) in enumerate(trades)
    ]


def test_when_the_last_trade_is_taken_back_the_price_before_it_is_said_again():
    judge = Acceptance()
    traded(judge, ("1", "100"), ("2", "101"), ("3", "115"))

    known, instead = judge.correct(cancel("3"), NOW)

    assert known
    assert (instead.price, instead.size, instead.volume, instead.rebased) == (101, 0, 990, True)
    assert instead.as_of_us == NOW - 98 * SECOND


def test_an_earlier_trade_that_is_taken_back_changes_no_price_but_is_forgotten():
    judge = Acceptance()
    traded(judge, ("1", "100"), ("2", "119"), ("3", "101"))

    assert judge.correct(cancel("2"), NOW) == (True, None)
    assert [str(one.price) for one in judge._seen["AAPL"].recent] == ["100", "101"]


def test_a_last_trade_that_is_corrected_is_said_with_its_right_price():
    judge = Acceptance()
    traded(judge, ("1", "100"), ("2", "110"))

    known, instead = judge.correct(cancel("2", price=Decimal("100.5")), NOW)

    assert (known, instead.price, instead.volume) == (True, Decimal("100.5"), 1000)


@pytest.mark.parametrize("price", ["NaN", "0", "-1", "10000", "1"])
def test_a_correction_that_cannot_be_true_is_ignored(price):
    judge = Acceptance()
    traded(judge, ("1", "100"), ("2", "101"), ("3", "102"))

    assert judge.correct(cancel("3", price=Decimal(price)), NOW) == (False, None)
    assert judge._seen["AAPL"].last.price == 102


@pytest.mark.parametrize(
    "unknown", [cancel("9"), cancel("3", symbol="MSFT"), cancel("3", provider="other"), cancel(as_of_us=1)]
)
def test_a_correction_of_an_unknown_trade_changes_nothing(unknown):
    judge = Acceptance()
    traded(judge, ("1", "100"), ("3", "101"))

    assert judge.correct(unknown, NOW) == (False, None)
    assert judge._seen["AAPL"].last.price == 101


def test_a_trade_without_a_name_is_found_by_its_moment_and_price():
    judge = Acceptance()
    traded(judge, ("", "100"), ("", "101"))

    known, instead = judge.correct(cancel(as_of_us=NOW - 99 * SECOND, was=Decimal(101)), NOW)

    assert (known, instead.price) == (True, 100)


def test_a_trade_that_was_taken_back_does_not_come_again_nor_after_its_cancel():
    judge = Acceptance()
    traded(judge, ("1", "100"), ("2", "115"))
    judge.correct(cancel("2"), NOW)
    judge.correct(cancel("4"), NOW)
    again = tick("115", NOW - 99 * SECOND, trade_id="2", size=10)
    reordered = tick("116", NOW - 98 * SECOND, trade_id="4", size=10)

    assert [judge.judge(one, NOW).refusal for one in (again, reordered)] == [Refusal.TAKEN_BACK] * 2
    assert judge.correct(cancel("2"), NOW) == (False, None)


def test_a_held_price_that_is_taken_back_confirms_nothing():
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)
    judge.judge(tick("65", at + SECOND, trade_id="bad"), NOW)

    assert judge.correct(cancel("bad"), NOW) == (True, None)

    assert judged(judge, "65", at=at + 2 * SECOND) == ([], Refusal.OUTLIER_HELD)


def test_without_any_other_price_a_symbol_begins_anew():
    judge = Acceptance()
    traded(judge, ("1", "9000"))

    assert judge.correct(cancel("1"), NOW) == (True, None)
    assert published(judge, [tick("100")]) == ["100"]


# --- a whole tape


class Judged:
    """A hostile tape before the judge; `out` is what came out."""

    def __init__(self, ratio):
        self.judge = Acceptance()
        self.judge.splits["AAPL"] = Split(MORNING, Decimal(ratio))
        self.out = []
        self.tape = HostileTape(
            "AAPL", "test", at_us=MORNING - 400 * SECOND, step_us=1000, price="400", now_us=MORNING
        )

    def play(self, *steps):
        for step in ("real", "real", *steps):
            for event in self.tape.play(step):
                if isinstance(event, Correction):
                    self.judge.correct(event, MORNING)
                else:
                    self.out += self.judge.judge(event, MORNING + SECOND).ticks


@given(st.lists(st.sampled_from(["real", *LIES]), max_size=120), st.sampled_from([2, 4, 10, 20]))
def test_whatever_lies_between_only_the_real_prices_are_shown(steps, ratio):
    """Before a split, after it, and after a real gap of that day."""
    judged = Judged(ratio)
    judged.play(*steps)
    judged.tape.at_us, judged.tape.price = MORNING, judged.tape.price / ratio
    judged.play(*steps)
    judged.tape.price = (judged.tape.price * Decimal("0.65")).quantize(Decimal("0.0001"))
    judged.play(*steps)

    assert [replace(one, rebased=False) for one in judged.out] == judged.tape.real
    assert sum(one.rebased for one in judged.out) == 1


# --- a real gap between lies


@pytest.mark.parametrize("lies", [["6500"], ["0.65"], ["6500", "0.65"]])
def test_a_gap_is_believed_although_every_other_price_is_a_lie(lies):
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)

    out, _ = judged(judge, *lies, "65", *lies, "64.9", *lies, "64.8", *lies, at=at + SECOND)

    assert prices_of(out) == ["65", "64.9", "64.8"]


def test_two_bad_prints_that_agree_are_not_believed_when_a_good_one_came_between():
    judge = Acceptance()
    at = fed(judge, ["100"] * 20)

    out, _ = judged(judge, "65", "100.1", "65", "100.2", at=at + SECOND)

    assert prices_of(out) == ["100.1", "100.2"]


# --- a baseline from before the split that may stand on the new base already


def lone_seed(price="100", close="99"):
    """A tape that began between the last close and the split, with one fetched price."""
    judge = Acceptance()
    judge.splits["AAPL"] = FOUR_TO_ONE
    judge.judge(tick(price, MORNING - 60 * SECOND, size=0, previous_close=Decimal(close)), NOW)
    return judge


@pytest.mark.parametrize("close", ["99", "396"])
def test_a_fetched_price_that_its_vendor_has_adjusted_already_is_not_divided_again(close):
    out, _ = judged(lone_seed(), "100.5", "100.6", at=MORNING, previous_close=Decimal(close))

    assert prices_of(out) == ["100.5", "100.6"]
    assert out[0].rebased
    assert {one.previous_close for one in out} == {Decimal(99)}


@pytest.mark.parametrize("close", ["99", "396"])
def test_a_fetched_price_that_is_not_adjusted_is_divided(close):
    judge = lone_seed("400", "396")

    out, _ = judged(judge, "400", "100.5", "100.6", at=MORNING, previous_close=Decimal(close))

    assert [(str(one.price), one.rebased) for one in out] == [("100.5", True), ("100.6", False)]
    assert {one.previous_close for one in out} == {Decimal(99)}
