from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import costs
from dashboard.costs import NO_TICKER, PARTS, Amount, Purchase, Wish, attribute, rounded

DOLLAR = PARTS
AAPL, MSFT = "AAPL", "MSFT"


def bought(*symbols: str, at: int = 10, cost: int = DOLLAR, **fields) -> Purchase:
    return Purchase(at, fields.pop("provider", "massive"), symbols, cost, **fields)


def paid(found: costs.Attribution) -> dict[str, int]:
    return {user: amount.cost for user, amount in found.users.items()}


def test_those_who_wanted_it_pay_equal_parts() -> None:
    found = attribute([bought(AAPL)], [Wish("alice", AAPL, 0), Wish("bob", AAPL, 5)])

    assert paid(found) == {"alice": DOLLAR // 2, "bob": DOLLAR // 2}


def test_a_purchase_of_two_tickers_costs_each_of_them_half() -> None:
    found = attribute([bought(AAPL, MSFT)], [Wish("alice", AAPL, 0), Wish("bob", MSFT, 0)])

    assert {symbol: one.cost for symbol, one in found.tickers.items()} == {
        AAPL: DOLLAR // 2,
        MSFT: DOLLAR // 2,
    }
    assert paid(found) == {"alice": DOLLAR // 2, "bob": DOLLAR // 2}


def test_who_came_later_or_left_before_pays_nothing() -> None:
    wishes = [
        Wish("early", AAPL, 0, 10),  # the end is no longer part of it
        Wish("here", AAPL, 10, 11),
        Wish("late", AAPL, 11),
    ]

    assert paid(attribute([bought(AAPL, at=10)], wishes)) == {"early": 0, "here": DOLLAR, "late": 0}


def test_what_nobody_wanted_lies_with_nobody() -> None:
    found = attribute([bought(AAPL)], [Wish("alice", MSFT, 0)])

    assert (found.nobody, paid(found), found.house.cost) == (DOLLAR, {"alice": 0}, 0)


def test_the_house_is_one_more_who_wants_a_demo_ticker() -> None:
    found = attribute([bought(AAPL)], [Wish("alice", AAPL, 0)], house=[AAPL])

    assert (found.house.cost, paid(found), found.nobody) == (DOLLAR // 2, {"alice": DOLLAR // 2}, 0)


def test_the_house_alone_pays_all_of_it() -> None:
    assert attribute([bought(AAPL)], [], house=[AAPL]).house.cost == DOLLAR


def test_a_call_without_a_symbol_is_the_houses() -> None:
    found = attribute([bought()], [Wish("alice", AAPL, 0)])

    assert (found.house.cost, found.tickers[NO_TICKER].cost) == (DOLLAR, DOLLAR)


def test_a_person_whose_intervals_overlap_counts_once() -> None:
    wishes = [Wish("alice", AAPL, 0, 20), Wish("alice", AAPL, 5), Wish("bob", AAPL, 0)]

    found = attribute([bought(AAPL, at=10), bought(AAPL, at=30)], wishes)

    assert paid(found) == {"alice": DOLLAR, "bob": DOLLAR}


def test_an_interval_without_length_pays_nothing() -> None:
    assert attribute([bought(AAPL)], [Wish("alice", AAPL, 10, 10)]).nobody == DOLLAR


def test_what_does_not_divide_is_not_lost() -> None:
    wishes = [Wish(user, AAPL, 0) for user in "abc"]

    found = attribute([bought(AAPL, cost=DOLLAR + 1)], wishes)

    assert sum(paid(found).values()) == DOLLAR + 1
    assert max(paid(found).values()) - min(paid(found).values()) <= 2


def test_what_does_not_divide_over_several_purchases_and_tickers_is_not_lost_either() -> None:
    wishes = [Wish("alice", AAPL, 0), Wish("bob", AAPL, 0), Wish("carol", AAPL, 5), Wish("alice", MSFT, 0)]
    calls = [bought(AAPL, MSFT, "IBM", at=at, cost=DOLLAR + at) for at in range(10)]

    found = attribute(calls, wishes)

    assert found.attributed == sum(one.cost for one in calls)


def test_without_sharing_each_would_pay_the_ticker_alone() -> None:
    wishes = [Wish("alice", AAPL, 0), Wish("bob", AAPL, 0), Wish("bob", MSFT, 0)]

    found = attribute([bought(AAPL, MSFT, cost=2 * DOLLAR)], wishes, house=[MSFT])

    assert found.tickers[AAPL] == Amount(DOLLAR, 2 * DOLLAR)
    assert found.tickers[MSFT] == Amount(DOLLAR, 2 * DOLLAR)
    assert found.users["bob"] == Amount(DOLLAR, 2 * DOLLAR)
    assert found.house == Amount(DOLLAR // 2, DOLLAR)
    assert found.total == Amount(2 * DOLLAR, 4 * DOLLAR)


def test_symbols_are_counted_as_each_would_have_asked() -> None:
    wishes = [Wish("alice", AAPL, 0), Wish("bob", AAPL, 0)]

    found = attribute([bought(AAPL, MSFT, cost=0), bought(AAPL, cost=0), bought(cost=0)], wishes)

    assert found.asked == Amount(3, 5)


def test_what_nobody_wanted_is_no_saving() -> None:
    assert attribute([bought(AAPL)], []).total == Amount(DOLLAR, DOLLAR)


def test_costs_are_told_by_label_too() -> None:
    calls = [bought(AAPL, label="poll"), bought(AAPL, label="warm"), bought(label="check")]

    found = attribute(calls, [Wish("alice", AAPL, 0), Wish("bob", AAPL, 0)])

    assert found.labels == {
        "poll": Amount(DOLLAR, 2 * DOLLAR),
        "warm": Amount(DOLLAR, 2 * DOLLAR),
        "check": Amount(DOLLAR, DOLLAR),
    }


def test_a_fee_is_spread_by_use() -> None:
    calls = [
        bought(AAPL, cost=0, usage=3),
        bought(MSFT, cost=0, usage=1),
        bought(MSFT, cost=0, provider="yahoo"),
    ]

    found = attribute(calls, [Wish("alice", AAPL, 0)], fees={"massive": 4 * DOLLAR})

    assert (paid(found), found.nobody) == ({"alice": 3 * DOLLAR}, DOLLAR)
    assert found.fees == {"massive": Amount(4 * DOLLAR, 4 * DOLLAR)}


def test_a_fee_for_which_nothing_was_asked_is_the_houses() -> None:
    found = attribute([], [Wish("alice", AAPL, 0)], fees={"massive": DOLLAR})

    assert (found.house.cost, found.attributed) == (DOLLAR, DOLLAR)


def test_watchers_are_counted_once_each() -> None:
    wishes = [Wish("alice", AAPL, 0, 5), Wish("alice", AAPL, 7), Wish("bob", AAPL, 0)]

    assert attribute([], wishes).watchers == {AAPL: 2}


# -- against the plain reading of the rule, on anything

SYMBOLS = ["A", "B", "C", "D"]
times = st.integers(0, 40)
purchases = st.lists(
    st.builds(
        Purchase,
        at=times,
        provider=st.sampled_from(["massive", "finnhub"]),
        symbols=st.lists(st.sampled_from(SYMBOLS), unique=True, max_size=4).map(tuple),
        cost=st.integers(0, 10**30),
        usage=st.integers(0, 5),
        label=st.sampled_from(["poll", "warm"]),
    ),
    max_size=12,
)
wishes_of_several = st.lists(
    st.builds(
        Wish,
        user=st.sampled_from(["alice", "bob", "carol", "dave"]),
        symbol=st.sampled_from(SYMBOLS),
        start=times,
        end=st.none() | times,
    ),
    max_size=12,
)
houses = st.sets(st.sampled_from(SYMBOLS))
fees_of_several = st.dictionaries(st.sampled_from(["massive", "finnhub", "yahoo"]), st.integers(0, 10**30))


def wanting(wishes, symbol, at) -> set[str]:
    return {
        wish.user
        for wish in wishes
        if wish.symbol == symbol and wish.start <= at and (wish.end is None or at < wish.end)
    }


def by_the_rule(purchases, wishes, house) -> dict[str, Fraction]:
    found: dict[str, Fraction] = defaultdict(Fraction)
    for purchase in purchases:
        if not purchase.symbols:
            found["the house"] += purchase.cost
        for symbol in purchase.symbols:
            payers = wanting(wishes, symbol, purchase.at) | ({"the house"} if symbol in house else set())
            for payer in payers or {"nobody"}:
                found[payer] += Fraction(purchase.cost, len(purchase.symbols) * max(len(payers), 1))
    return found


@given(purchases, wishes_of_several, houses, fees_of_several)
def test_all_that_was_billed_is_attributed_to_the_last_part(bought, wishes, house, fees) -> None:
    found = attribute(bought, wishes, house=house, fees=fees)
    billed = sum(one.cost for one in bought) + sum(fees.values())

    assert found.attributed == billed
    assert found.total.cost == billed
    assert sum(one.cost for one in found.labels.values()) == sum(one.cost for one in bought)
    assert {name: one.cost for name, one in found.fees.items()} == fees
    assert sum(one.unshared for one in [*found.labels.values(), *found.fees.values()]) == found.total.unshared


@given(purchases, wishes_of_several, houses)
def test_each_pays_what_the_rule_says(bought, wishes, house) -> None:
    found = attribute(bought, wishes, house=house)
    expected = by_the_rule(bought, wishes, house)

    shares = {**paid(found), "the house": found.house.cost, "nobody": found.nobody}
    assert {name for name, share in shares.items() if abs(share - expected[name]) > 1000} == set()
    assert set(expected) <= set(shares)


@given(purchases, wishes_of_several, houses, fees_of_several)
def test_the_tickers_of_a_person_add_up_to_what_he_pays(bought, wishes, house, fees) -> None:
    found = attribute(bought, wishes, house=house, fees=fees)

    for user, amount in found.users.items():
        mine = [one for (name, _), one in found.user_tickers.items() if name == user]
        assert sum(one.cost for one in mine) == amount.cost
        assert sum(one.unshared for one in mine) == amount.unshared


@given(purchases, wishes_of_several, houses)
def test_what_each_would_pay_alone_adds_up_to_the_total_without_sharing(bought, wishes, house) -> None:
    found = attribute(bought, wishes, house=house)
    alone = sum(one.unshared for one in found.users.values())

    assert alone + found.house.unshared + found.nobody == found.total.unshared


@given(
    st.dictionaries(st.text("abc", min_size=1), st.integers(0, 10**6), max_size=8),
    st.integers(1, 1000),
)
def test_rounded_amounts_add_up_to_the_rounded_total(amounts, unit) -> None:
    total = sum(amounts.values())
    found = rounded(amounts, unit, total)

    assert sum(found.values()) == (2 * total + unit) // (2 * unit)
    assert all(abs(found[name] * unit - amount) <= unit for name, amount in amounts.items())


@pytest.mark.parametrize(("calls", "people"), [(2_000, 20), (20, 2_000)])
def test_the_work_follows_the_purchases_and_the_intervals_and_not_their_product(
    monkeypatch, calls, people
) -> None:
    looks = 0

    def counted(search):
        def look(*arguments):
            nonlocal looks
            looks += 1
            return search(*arguments)

        return look

    monkeypatch.setattr(costs, "bisect_left", counted(costs.bisect_left))
    monkeypatch.setattr(costs, "bisect_right", counted(costs.bisect_right))

    attribute(
        [bought(AAPL, at=at) for at in range(calls)],
        [Wish(f"user{number}", AAPL, number, number + 50) for number in range(people)],
    )

    # Two looks for each segment with a purchase and for each interval, and two more to give away what did not divide.
    assert looks <= 2 * min(calls, 2 * people + 1) + 4 * people
