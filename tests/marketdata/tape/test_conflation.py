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
    conflator = Conflator()
    for price in (1, 2, 3):
        conflator.put(tick("AAPL", price))
        assert conflator.drain() == [(tick("AAPL", price), price)]
    conflator.put(tick("MSFT"))
    assert conflator.drain() == [(tick("MSFT"), 1)]


def test_what_is_put_back_yields_to_newer_ticks_and_gets_a_new_number():
    conflator = Conflator()
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


@given(OPERATIONS)
def test_whatever_happens_numbers_rise_strictly_and_the_newest_tick_comes_out(operations):
    conflator = Conflator()
    last_number: defaultdict[str, int] = defaultdict(int)
    newest: dict[str, Tick] = {}

    def drain() -> list[tuple[Tick, int]]:
        drained = conflator.drain()
        for one, number in drained:
            assert number > last_number[one.symbol]
            last_number[one.symbol] = number
        return drained

    for what, symbol, price in operations:
        if what == "put":
            newest[symbol] = tick(symbol, price)
            conflator.put(newest[symbol])
        elif what == "missing":
            conflator.put_missing(newest.setdefault(symbol, tick(symbol, price)))
        elif what == "fail":
            conflator.put_back(drain())
        else:
            for one, _ in drain():
                assert one == newest[one.symbol]


def test_that_the_price_has_another_base_is_told_with_the_tick_that_is_published():
    conflator = Conflator()
    first = tick("A", 1)
    conflator.put(replace(first, rebased=True))
    conflator.put(tick("A", 2))

    numbered = conflator.drain()
    conflator.put(tick("A", 3))
    conflator.put_back(numbered)

    assert [(one.price, one.rebased) for one, _ in numbered] == [(2, True)]
    assert [(one.price, one.rebased) for one, _ in conflator.drain()] == [(3, True)]
