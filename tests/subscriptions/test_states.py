from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from subscriptions.feeds import Minute, Source, State
from subscriptions.states import KEPT, NOWHERE, States


def state(number: int, epoch: int = 1, symbol: str = "AAPL") -> State:
    return State(symbol, (epoch, number), f'{{"s":"{symbol}","e":{epoch},"n":{number}}}')


def filled(*positions: tuple[int, int]) -> States:
    states = States()
    for epoch, number in positions:
        states.take(state(number, epoch))
    return states


def numbers(found: list[State] | None) -> list[int] | None:
    return None if found is None else [one.number for one in found]


def test_nothing_is_known_of_what_nobody_told():
    states = States()
    assert (states.latest("AAPL"), states.minute("AAPL"), states.position("AAPL")) == (None, None, NOWHERE)
    assert states.since("AAPL", (1, 1)) is None


def test_only_what_is_newer_is_taken():
    states = States()
    taken = [states.take(state(number, epoch)) for epoch, number in [(2, 5), (2, 5), (2, 4), (1, 9), (2, 6)]]
    assert taken == [True, False, False, False, True]
    assert states.position("AAPL") == (2, 6)


def test_who_missed_one_gets_one_and_who_missed_many_gets_all_in_order():
    states = filled(*((1, number) for number in range(1, 11)))
    assert numbers(states.since("AAPL", (1, 9))) == [10]
    assert numbers(states.since("AAPL", (1, 4))) == [5, 6, 7, 8, 9, 10]
    assert numbers(states.since("AAPL", (1, 10))) == []


def test_a_number_that_was_never_heard_makes_everything_before_it_unsure():
    states = filled((1, 1), (1, 2), (1, 4), (1, 5))
    assert numbers(states.since("AAPL", (1, 2))) is None
    assert numbers(states.since("AAPL", (1, 3))) == [4, 5]


def test_another_epoch_says_nothing_of_the_one_before():
    states = filled((1, 8), (1, 9), (2, 1), (2, 2))
    assert numbers(states.since("AAPL", (1, 9))) is None
    assert numbers(states.since("AAPL", (2, 1))) == [2]


def test_a_position_from_the_future_is_no_position():
    states = filled((2, 1), (2, 2))
    assert [states.since("AAPL", position) for position in ((2, 3), (3, 1), (2, 2**53))] == [None] * 3


def test_hostile_positions_are_no_positions():
    states = filled((1, 1), (1, 2))
    hostile = ((0, 0), (0, 9), (1, 0), (-1, 5), (1, -1), (-1, -1))
    assert [states.since("AAPL", position) for position in hostile] == [None] * 6


def test_a_quote_that_was_fetched_has_no_number_and_so_no_history():
    assert filled((0, 0)).since("AAPL", (0, 0)) is None


def test_no_more_is_kept_than_about_ten_seconds():
    states = filled(*((1, number) for number in range(1, 3 * KEPT + 1)))
    assert numbers(states.since("AAPL", (1, 2 * KEPT))) == list(range(2 * KEPT + 1, 3 * KEPT + 1))
    assert states.since("AAPL", (1, 2 * KEPT - 1)) is None


def test_what_nobody_follows_is_forgotten_with_its_minutes():
    states = filled((1, 1))
    states.take_minute(minute(60))
    states.forget("AAPL")
    states.forget("AAPL")
    assert (states.latest("AAPL"), states.minute("AAPL")) == (None, None)
    assert states.__dict__ == States().__dict__


def minute(start_s: int, epoch: int = 1) -> Minute:
    return Minute("AAPL", epoch, start_s, "1", "2", "0.5", "1.5", 100)


def test_of_minutes_only_a_newer_one_is_taken():
    states = States()
    taken = [states.take_minute(minute(*args)) for args in [(120,), (120,), (60,), (60, 2), (120, 1)]]
    assert taken == [True, False, False, True, False]


class Counting:
    """A feed that counts how often it has to write."""

    source = Source.QUOTE

    def __init__(self) -> None:
        self.written = 0

    def part(self, one: State) -> str:
        self.written += 1
        return one.text


def test_a_state_is_written_once_for_each_feed_and_read_once():
    feed, other, one = Counting(), Counting(), state(7)
    assert [one.part(feed), one.part(other), one.part(feed)] == [one.text] * 3
    assert (feed.written, other.written) == (1, 1)
    assert one.fields is one.fields
    assert one.fields == {"s": "AAPL", "e": 1, "n": 7}


def test_what_was_written_is_kept_of_the_newest_state_only():
    feed, states, one = Counting(), States(), state(1)
    states.take(one)
    one.part(feed), one.fields
    states.take(state(2))
    assert (one._parts, one._fields) == (None, None)
    assert one.part(feed) == one.text


POSITIONS = st.tuples(st.integers(1, 3), st.integers(1, 30))


@given(st.lists(POSITIONS, max_size=40), POSITIONS)
def test_what_is_said_to_be_missed_is_complete_or_nothing_is_said(heard, position):
    """Whatever was heard in whatever order: the answer is a run without a hole up to the newest, or no answer."""
    states = filled(*heard)
    found = states.since("AAPL", position)
    newest = max(heard, default=NOWHERE)
    assert states.position("AAPL") == newest
    if found is not None:
        assert newest[0] == position[0]
        assert [one.position for one in found] == [
            (position[0], number) for number in range(position[1] + 1, newest[1] + 1)
        ]
