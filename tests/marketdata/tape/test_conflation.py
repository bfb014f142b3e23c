from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from marketdata.quotes import Tick
from marketdata.tape.conflation import Conflator


def tick(symbol: str = "AAPL", price: int = 1) -> Tick:
    return Tick(symbol, Decimal(price), size=1, volume=1, as_of_us=price, provider="scripted")


def test_of_many_ticks_the_newest_of_each_symbol_is_left():
    conflator = Conflator()
    for price in range(1, 101):
        conflator.put(tick("AAPL", price))
    conflator.put(tick("MSFT", 7))

    assert len(conflator) == 2
    assert conflator.drain() == [(tick("AAPL", 100), 1), (tick("MSFT", 7), 1)]
    assert (len(conflator), conflator.drain()) == (0, [])


def test_numbers_rise_per_symbol_from_one():
    conflator = Conflator(slices=1)
    for price in (1, 2, 3):
        conflator.put(tick("AAPL", price))
        assert conflator.drain() == [(tick("AAPL", price), price)]
    conflator.put(tick("MSFT"))
    assert conflator.drain() == [(tick("MSFT"), 1)]


def test_what_is_put_back_yields_to_newer_ticks_and_gets_a_new_number():
    conflator = Conflator(slices=1)
    conflator.put(tick("AAPL", 1))
    conflator.put(tick("MSFT", 1))
    failed = conflator.drain()
    conflator.put(tick("AAPL", 2))

    conflator.put_back(failed)

    assert sorted(conflator.drain(), key=lambda one: one[0].symbol) == [
        (tick("AAPL", 2), 2),
        (tick("MSFT", 1), 2),
    ]


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["put", "missing", "drain", "fail"]), st.sampled_from("ABC"), st.integers(1, 9))
)


class Played:
    """A conflator whose every drain is checked."""

    def __init__(self, slices: int, most: int) -> None:
        self.conflator = Conflator(slices, most)
        self.newest: dict[str, Tick] = {}
        self._last_number: defaultdict[str, int] = defaultdict(int)

    def drain(self) -> list[tuple[Tick, int]]:
        drained = self.conflator.drain()
        for one, number in drained:
            assert number > self._last_number[one.symbol]
            assert one == self.newest[one.symbol]
            self._last_number[one.symbol] = number
        return drained

    def play(self, what: str, one: Tick) -> None:
        if what == "put":
            self.newest[one.symbol] = one
            self.conflator.put(one)
        elif what == "missing":
            self.conflator.put_missing(self.newest.setdefault(one.symbol, one))
        elif what == "fail":
            self.conflator.put_back(self.drain())
        else:
            self.drain()


@given(OPERATIONS, st.integers(1, 4), st.integers(1, 3))
def test_whatever_happens_numbers_rise_strictly_and_the_newest_tick_comes_out(operations, slices, most):
    played = Played(slices, most)
    for what, symbol, price in operations:
        played.play(what, tick(symbol, price))

    waiting = len(played.conflator)
    out = [one for _ in range(slices + 3) for one in played.drain()]  # three may find no place in a turn
    assert (len(out), len(played.conflator)) == (waiting, 0)


PUTS = st.lists(st.lists(st.sampled_from("ABCDE"), max_size=5), max_size=40)


@given(PUTS, st.integers(1, 5))
def test_who_was_quiet_is_said_at_once_and_who_is_busy_once_in_so_many_turns(turns, slices):
    conflator = Conflator(slices)
    said: dict[str, int] = {}
    waits_since: dict[str, int] = {}

    for turn, symbols in enumerate(turns):
        for symbol in symbols:
            conflator.put(tick(symbol, turn))
            waits_since.setdefault(symbol, turn)
        for one, _ in conflator.drain():
            assert turn == max(waits_since.pop(one.symbol), said.get(one.symbol, -slices) + slices)
            said[one.symbol] = turn
    assert all(turns and len(turns) <= said[one] + slices for one in waits_since)


def test_what_finds_no_place_in_a_turn_is_first_in_the_next():
    conflator = Conflator(slices=10, most=2)
    for symbol in "ABC":
        conflator.put(tick(symbol))
    first = [one.symbol for one, _ in conflator.drain()]
    conflator.put(tick("D"))

    assert (first, [one.symbol for one, _ in conflator.drain()]) == (["A", "B"], ["C", "D"])


@given(PUTS, st.integers(1, 5), st.lists(st.integers(1, 7), min_size=40, max_size=40))
def test_also_when_turns_are_made_up_for_together_nobody_is_said_too_soon_or_left_out(puts, slices, turns):
    conflator, now, said = Conflator(slices), 0, {}
    for symbols, gone_by in zip(puts, turns, strict=False):
        for symbol in symbols:
            conflator.put(tick(symbol))
        now += min(gone_by, slices)
        for one, _ in conflator.drain(gone_by):
            assert now - said.get(one.symbol, -slices) >= slices
            said[one.symbol] = now

    waiting = len(conflator)
    assert (len(conflator.drain(slices)), len(conflator)) == (waiting, 0)


def test_turns_that_are_made_up_for_have_each_their_places():
    conflator = Conflator(slices=10, most=2)
    for symbol in "ABCDE":
        conflator.put(tick(symbol))

    assert [len(conflator.drain(turns)) for turns in (2, 1, 1)] == [4, 1, 0]


def test_at_the_end_everything_comes_out_at_once():
    conflator = Conflator(slices=10, most=1)
    for symbol in "ABC":
        conflator.put(tick(symbol))
    conflator.drain()
    conflator.put(tick("A", 2))

    assert sorted(one.symbol for one, _ in conflator.drain_all()) == ["A", "B", "C"]
    assert (len(conflator), conflator.drain()) == (0, [])
    conflator.put(tick("A", 3))
    assert [conflator.drain() for _ in range(11)] == [[]] * 8 + [[(tick("A", 3), 3)], [], []]


def test_that_the_price_has_another_base_is_told_with_the_tick_that_is_published():
    conflator = Conflator(slices=1)
    first = tick("A", 1)
    conflator.put(replace(first, rebased=True))
    conflator.put(tick("A", 2))

    numbered = conflator.drain()
    conflator.put(tick("A", 3))
    conflator.put_back(numbered)

    assert [(one.price, one.rebased) for one, _ in numbered] == [(2, True)]
    assert [(one.price, one.rebased) for one, _ in conflator.drain()] == [(3, True)]
