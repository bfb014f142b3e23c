from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from marketdata.tape.routing import Routes, Standing, routes, spread


def standing(*, relied_on=True, is_open=True):
    return Standing(relied_on=relied_on, is_open=is_open)


def routed(
    holders, *, rooms=None, refused=(), before=None, candidates=lambda _: ("first", "second"), **standings
):
    made = {"first": standing(), "second": standing(), **standings}
    return routes(holders, candidates, made, rooms or {}, set(refused), before or {})


GONE = standing(relied_on=False, is_open=False)
ON_PROBATION = standing(relied_on=False, is_open=True)


def test_the_preferred_provider_streams_everything_it_can():
    found = routed({"A": 1, "B": 2})

    assert found == Routes({"B": "first", "A": "first"})


def test_who_is_not_relied_on_is_passed_over_and_awaited():
    found = routed({"A": 1}, first=GONE)

    assert (found.provider_of, found.awaited) == ({"A": "second"}, {"first"})


def test_without_anybody_to_rely_on_an_open_one_is_taken_and_else_the_preferred_one():
    assert routed({"A": 1}, first=GONE, second=ON_PROBATION).provider_of == {"A": "second"}
    assert routed({"A": 1}, first=GONE, second=GONE).provider_of == {"A": "first"}


def test_on_probation_a_symbol_stays_where_it_is():
    found = routed({"A": 1}, first=ON_PROBATION, second=ON_PROBATION, before={"A": "second"})

    assert found.provider_of == {"A": "second"}


def test_the_busiest_have_room_and_the_others_go_to_the_next_or_are_polled():
    found = routed({"A": 1, "B": 5, "C": 3, "D": 2}, rooms={"first": 2, "second": 1})

    assert found.provider_of == {"B": "first", "C": "first", "D": "second"}
    assert found.over == {"first": 2, "second": 1}


def test_among_equals_who_streams_already_goes_on():
    holders = dict.fromkeys("ABCD", 1)
    first = routed(holders, rooms={"first": 2}, candidates=lambda _: ("first",))
    assert set(first.provider_of) == {"A", "B"}

    later = routed(
        {**holders, "AA": 1},
        rooms={"first": 2},
        candidates=lambda _: ("first",),
        before={"C": "first", "D": "first"},
    )

    assert set(later.provider_of) == {"C", "D"}


def test_what_a_provider_refuses_goes_to_the_next():
    found = routed({"A": 1, "B": 1}, refused=[("first", "A")])

    assert found.provider_of == {"A": "second", "B": "first"}
    assert found.awaited == set()


SYMBOLS = st.dictionaries(st.sampled_from("ABCDEFGH"), st.integers(0, 3), max_size=8)


@given(SYMBOLS, st.integers(0, 4), st.integers(0, 4), st.sampled_from([standing(), GONE, ON_PROBATION]))
def test_routes_are_stable_within_room_and_never_leave_room_unused(holders, first, second, condition):
    rooms = {"first": first, "second": second}
    found = routed(holders, rooms=rooms, first=condition)

    again = routed(holders, rooms=rooms, first=condition, before=found.provider_of)

    assert again == found
    assert len(found.provider_of) == min(len(holders), first + second)
    assert all(list(found.provider_of.values()).count(name) <= room for name, room in rooms.items())
    left_out = [holders[symbol] for symbol in holders if symbol not in found.provider_of]
    assert max(left_out, default=0) <= min((holders[symbol] for symbol in found.provider_of), default=3)


# --- relying on a provider


class Watched:
    def __init__(self):
        self.standing = Standing()
        self.now = 1000.0

    def goes(self, seconds, **condition):
        """Look each second, so long."""
        for _ in range(seconds):
            self.now += 1
            self.standing.look(self.now, **condition)
        return self.standing.relied_on


def test_away_for_half_a_minute_is_gone_and_open_for_a_minute_is_back():
    one = Watched()

    assert one.goes(30, is_open=False)
    assert not one.goes(1, is_open=False)
    assert not one.goes(60, is_open=True)
    assert one.goes(1, is_open=True)


def test_connections_that_are_lost_at_once_are_none():
    one = Watched()

    for _ in range(6):
        one.goes(4, is_open=True)
        one.goes(2, is_open=False)

    assert not one.standing.relied_on


def test_short_gaps_of_a_steady_connection_cost_nothing():
    one = Watched()

    for _ in range(10):
        assert one.goes(20, is_open=False)
        assert one.goes(10, is_open=True)


def test_who_refuses_us_is_gone_at_once():
    assert not Watched().goes(1, is_open=False, is_barred=True)


def test_who_falls_again_soon_after_is_trusted_later_each_time():
    one = Watched()
    waits = []
    for _ in range(7):
        one.goes(31, is_open=False)
        before = one.now
        while not one.goes(1, is_open=True):
            pass
        waits.append(one.now - before - 1)
    one.goes(700, is_open=True)
    one.goes(31, is_open=False)

    assert waits == [60, 120, 240, 480, 960, 1800, 1800]
    assert one.goes(61, is_open=True)


def test_of_whom_nothing_is_wanted_nothing_bad_is_thought():
    one = Watched()
    one.goes(31, is_open=False)

    assert one.goes(1, is_open=False, is_idle=True)


SYMBOLS = st.lists(st.sampled_from("ABCDEFGH"), unique=True)
ROOMS = st.dictionaries(st.integers(0, 2), st.none() | st.integers(0, 4), min_size=1)
BEFORE = st.dictionaries(st.sampled_from("ABCDEFGH"), st.integers(0, 2))
REFUSED = st.sets(st.tuples(st.integers(0, 2), st.sampled_from("ABCDEFGH")), max_size=4)


@given(SYMBOLS, ROOMS, BEFORE, REFUSED)
def test_each_symbol_is_on_one_connection_at_most_and_none_has_more_than_its_room(
    symbols, rooms, before, refused
):
    places = spread(symbols, rooms, before, refused)

    taken = Counter(places.values())
    assert all(rooms[place] is None or taken[place] <= rooms[place] for place in taken)
    assert set(places) <= set(symbols)
    assert not {(place, symbol) for symbol, place in places.items()} & refused
    for symbol in set(symbols) - places.keys():  # nowhere only where nobody has room for it
        assert all(room == taken[place] or (place, symbol) in refused for place, room in rooms.items())
    assert spread(symbols, rooms, places, refused) == places


def test_who_streams_stays_although_another_connection_has_room_again():
    assert spread(["A", "B"], {0: 2, 1: 2}, {"B": 1}, ()) == {"B": 1, "A": 0}


def test_with_less_room_the_most_important_stay():
    assert spread(["A", "B", "C"], {0: 1, 1: 1}, {"C": 0, "B": 0, "A": 1}, ()) == {"A": 1, "B": 0}
