from __future__ import annotations

from decimal import Decimal

import pytest

from marketdata.currency import normalised


@pytest.mark.parametrize(("minor", "major"), [("GBp", "GBP"), ("GBX", "GBP"), ("ZAc", "ZAR"), ("ILA", "ILS")])
def test_a_price_in_a_hundredth_becomes_one_in_the_currency(minor, major):
    assert normalised({"price": Decimal("7254.5"), "bid": None}, minor) == (
        {"price": Decimal("72.545"), "bid": None},
        major,
    )


@pytest.mark.parametrize("currency", ["USD", "GBP", "ZAR", "ILS", "gbp", ""])
def test_any_other_price_is_left_as_it_is(currency):
    prices = {"price": Decimal("72.545")}

    assert normalised(prices, currency) == (prices, currency)
