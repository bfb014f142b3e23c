from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.pricing import (
    FEMTO,
    Book,
    Line,
    TokenCall,
    cost_of,
    cost_of_tokens,
    fees_of,
    months_between,
    most_of_tokens,
    priced,
)

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)


@dataclass
class Bought:
    at: datetime = NOON
    provider: str = "massive"
    plan: str = "starter"
    endpoint: str = "quotes"
    units: Decimal = Decimal(1)
    unit: str = "request"


def line(usd: str, **fields) -> Line:
    return Line(
        **{"provider": "massive", "unit": "request", "valid_from": JANUARY, **fields}, usd=Decimal(usd)
    )


def cost(book: list[Line], **call) -> int | None:
    return next(priced([Bought(**call)], Book(book)))


def test_a_call_costs_its_units_times_the_price() -> None:
    assert cost([line("0.01")], units=Decimal("2.5")) == FEMTO * 25 // 1000


def test_the_smallest_unit_at_the_smallest_price_is_still_exact() -> None:
    assert cost([line("0.000000001")], units=Decimal("0.000001")) == 1


def test_what_the_book_does_not_know_is_unpriced_and_not_free() -> None:
    assert cost([]) is None
    assert cost([line("0.01", provider="finnhub")]) is None
    assert cost([line("0.01", unit="symbol")]) is None
    assert cost([line("0.01", plan="basic")]) is None


def test_nothing_is_a_price_where_the_book_says_so() -> None:
    assert cost([line("0")]) == 0


@pytest.mark.parametrize(
    ("plan", "endpoint", "usd"),
    [
        ("starter", "quotes", "4"),
        ("starter", "bars_1day", "3"),
        ("basic", "quotes", "2"),
        ("basic", "bars_1day", "1"),
    ],
)
def test_the_most_special_line_wins(plan, endpoint, usd) -> None:
    book = [
        line("1"),
        line("2", endpoint="quotes"),
        line("3", plan="starter"),
        line("4", plan="starter", endpoint="quotes"),
    ]

    assert cost(book, plan=plan, endpoint=endpoint) == int(usd) * FEMTO


def test_the_plan_is_more_special_than_the_endpoint() -> None:
    assert cost([line("2", endpoint="quotes"), line("3", plan="starter")]) == 3 * FEMTO


def test_the_price_of_the_moment_counts() -> None:
    book = [line("1", valid_to=NOON), line("2", valid_from=NOON)]

    assert cost(book, at=NOON - timedelta(microseconds=1)) == 1 * FEMTO
    assert cost(book, at=NOON) == 2 * FEMTO
    assert cost(book, at=JANUARY - timedelta(seconds=1)) is None


def test_a_special_line_that_is_over_leaves_the_call_to_a_general_one() -> None:
    assert cost([line("1"), line("2", plan="starter", valid_to=NOON)]) == FEMTO


def test_a_month_is_as_long_as_the_calendar_says() -> None:
    day = timedelta(days=1)
    assert months_between(JANUARY, JANUARY + day) == Fraction(1, 31)
    assert months_between(datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)) == Fraction(
        1, 28
    )
    assert months_between(JANUARY, datetime(2027, 1, 1, tzinfo=UTC)) == 12
    assert months_between(datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)) == Fraction(
        1, 31
    ) + Fraction(1, 28)


def test_no_time_costs_no_fee() -> None:
    assert months_between(NOON, NOON) == 0
    assert months_between(NOON, JANUARY) == 0


def test_a_fee_runs_while_its_line_is_valid() -> None:
    book = Book([line("31", unit="month", valid_from=NOON, valid_to=NOON + timedelta(days=2))])

    assert fees_of(book, JANUARY, datetime(2026, 2, 1, tzinfo=UTC)) == {"massive": 2 * FEMTO}


def test_a_fee_is_billed_beside_the_calls_and_not_for_each() -> None:
    book = Book([line("62", unit="month"), line("0")])

    assert fees_of(book, JANUARY, JANUARY + timedelta(days=1)) == {"massive": 2 * FEMTO}
    assert list(priced([Bought()], book)) == [0]


moments = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.lists(moments, min_size=3, max_size=3).map(sorted))
def test_two_windows_in_a_row_make_as_many_months_as_one(found) -> None:
    first, middle, last = found

    assert months_between(first, middle) + months_between(middle, last) == months_between(first, last)


@given(
    st.decimals(0, 10**9, places=6),
    st.decimals(0, 10**6, places=9),
)
def test_a_cost_is_the_exact_product(units, usd) -> None:
    assert Fraction(cost_of(units, usd), FEMTO) == Fraction(units) * Fraction(usd)


# --- language models


def tokens(input_: int = 0, cached: int = 0, output: int = 0, endpoint: str = "chat") -> TokenCall:
    return TokenCall(NOON, "openai", "gpt", endpoint, input_, cached, output)


def token_book(usd_in: str = "1", usd_cached: str | None = "1", usd_out: str = "1", **fields) -> list[Line]:
    amounts = {"ktoken_in": usd_in, "ktoken_cached": usd_cached, "ktoken_out": usd_out}
    return [
        line(usd, **{"provider": "openai", "plan": "gpt", "unit": unit, **fields})
        for unit, usd in amounts.items()
        if usd is not None
    ]


@given(
    st.tuples(*[st.integers(0, 10**12)] * 3),
    st.tuples(*[st.integers(0, 10**12)] * 3),
)
def test_tokens_cost_what_each_kind_of_them_costs_exactly(numbers, nano) -> None:
    plain, cached, output = numbers
    book = Book(token_book(*(f"{Decimal(each).scaleb(-9):f}" for each in nano)))

    # A nano-dollar for a thousand tokens is a thousand femto-dollars for one.
    expected = sum(number * each * 1000 for number, each in zip(numbers, nano, strict=True))
    assert cost_of_tokens(tokens(plain + cached, cached, output), book) == expected


def test_a_kind_of_tokens_that_was_not_used_needs_no_price() -> None:
    book = Book(token_book()[:1])

    assert cost_of_tokens(tokens(1000), book) == FEMTO
    assert cost_of_tokens(tokens(1000, 0, 1), book) is None
    assert cost_of_tokens(tokens(), Book([])) == 0


def test_tokens_from_a_cache_without_a_price_cost_as_any() -> None:
    assert cost_of_tokens(tokens(1000, 600), Book(token_book(usd_cached=None))) == FEMTO


def test_a_batch_has_its_own_price_where_the_book_has_one() -> None:
    book = Book([*token_book(), *token_book("0.5", "0.5", "0.5", endpoint="batch")])

    assert cost_of_tokens(tokens(1000, 0, 1000), book) == 2 * FEMTO
    assert cost_of_tokens(tokens(1000, 0, 1000, "batch"), book) == FEMTO
    assert cost_of_tokens(tokens(1000, 0, 1000, "batch"), Book(token_book())) == 2 * FEMTO


@given(
    st.integers(0, 10**9),
    st.integers(0, 100),
    st.integers(0, 10**9),
    st.tuples(*[st.integers(0, 10**9)] * 3),
)
def test_whatever_part_is_cached_it_never_costs_more_than_the_most(number, percent, output, nano) -> None:
    book = Book(token_book(*(f"{Decimal(each).scaleb(-9):f}" for each in nano)))
    call = tokens(number, number * percent // 100, output)

    assert cost_of_tokens(call, book) <= most_of_tokens(tokens(number, 0, output), book)


def test_the_most_is_unknown_where_a_price_is() -> None:
    assert most_of_tokens(tokens(1, 0, 1), Book(token_book()[:2])) is None
