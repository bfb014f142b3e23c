from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.positions import MAX_LENGTH, read, written

symbols = st.text(alphabet="ABCXYZ0123456789.-^=/", min_size=1, max_size=20)
numbers = st.integers(min_value=0, max_value=10**18 - 1)


def test_positions_are_grouped_by_epoch_in_a_fixed_order():
    positions = {"IBM": (4, 9), "BRK.B": (3, 77), "AAPL": (3, 1041)}

    assert written(positions) == "3,AAPL:1041,BRK.B:77;4,IBM:9"


@given(st.dictionaries(symbols, st.tuples(numbers, numbers), max_size=100))
def test_what_was_written_is_read_again(positions):
    assert read(written(positions)) == positions


def test_a_hundred_of_the_longest_are_within_the_length():
    positions = {f"{n:0>20}": (10**18 - 1, 10**18 - 1 - n) for n in range(100)}

    assert len(written(positions)) < MAX_LENGTH
    assert read(written(positions)) == positions


def test_an_event_is_one_line_whatever_the_symbols():
    assert written({"^GSPC": (1, 1), "EURUSD=X": (1, 2), "BRK/A": (2, 3)}).isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1",
        "1,",
        "1,AAPL",
        "1,AAPL:",
        "1,AAPL:-1",
        "-1,AAPL:1",
        "+1,AAPL:1",
        "1,AAPL:1;",
        ";1,AAPL:1",
        "1,AAPL:1,",
        "1,AAPL:1\n",
        "1,AAPL:1\x00",
        "1,aapl:1",
        "1,AAPL:1.5",
        "1,AAPL:1e3",
        "1,AAPL:１",
        "1,AAPL:NaN",
        "1,АAPL:1",
        "1," + "A" * 21 + ":1",
        "1,AAPL:" + "9" * 19,
        "9" * 5_000 + ",AAPL:1",
        '{"AAPL":[1,2]}',
        "1" * 100_000,
        "1" + ",A:1" * 10_000,
        "\ud800",
    ],
)
def test_any_other_text_is_no_position(text):
    assert read(text) == {}


@given(st.text())
def test_no_text_is_an_error(text):
    assert all(epoch >= 0 and number >= 0 for epoch, number in read(text).values())
