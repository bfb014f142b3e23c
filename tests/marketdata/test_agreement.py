from __future__ import annotations

from decimal import Decimal

from marketdata.agreement import Agreement, agreements


def prices(**named: str) -> dict[str, Decimal]:
    return {symbol: Decimal(price) for symbol, price in named.items()}


def test_each_pair_is_compared_over_what_both_know():
    found = agreements(
        {"one": prices(A="100", B="50", C="7"), "other": prices(A="101", B="50"), "third": prices(C="7")}
    )

    assert found == [
        Agreement("one", "other", 2, Decimal("0.500"), "A"),
        Agreement("one", "third", 1, Decimal("0.000"), "C"),
    ]


def test_the_distance_is_the_same_from_both_sides_and_half_a_percent_is_fine():
    (one,) = agreements({"one": prices(A="100"), "other": prices(A="100.5")})
    (two,) = agreements({"one": prices(A="100.51"), "other": prices(A="100")})

    assert (one.median_percent, one.fine) == (Decimal("0.500"), True)
    assert (two.median_percent, two.fine) == (Decimal("0.510"), False)


def test_one_provider_has_nobody_to_agree_with():
    assert agreements({"one": prices(A="1")}) == []
