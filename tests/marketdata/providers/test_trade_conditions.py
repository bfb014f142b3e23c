from __future__ import annotations

import pytest

from marketdata.providers.trade_conditions import CTA, MASSIVE, UTP, moves_price, sip_letters


@pytest.mark.parametrize("codes", [None, [], ["@"], ["@", "I"], ["F", "T"], ["O"], ["6"], ["a new one"]])
def test_regular_odd_lot_and_extended_hours_trades_move_the_price(codes):
    assert moves_price(codes, CTA)
    assert moves_price(codes, UTP)


@pytest.mark.parametrize("code", list("CNRH4PV7ZUMQ9"))
def test_one_code_of_another_price_or_time_is_enough_on_both_tapes(code):
    assert not moves_price(["@", code], CTA)
    assert not moves_price([code], UTP)


def test_the_average_price_has_another_letter_on_each_tape():
    assert not moves_price(["B"], sip_letters("A"))
    assert not moves_price(["B"], sip_letters("B"))
    assert moves_price(["B"], sip_letters("C"))
    assert not moves_price(["W"], sip_letters("C"))
    assert moves_price(["W"], sip_letters("A"))


def test_the_numbers_say_the_same_as_the_letters():
    assert [moves_price([code], MASSIVE) for code in (0, 12, 14, 37, 41, 2, 10, 22, 33, 52, 53)] == [
        True
    ] * 5 + [False] * 6
