"""What is published: a price that follows from the ticker and its number, so that whoever gets one can check it.

The load client computes the same (`right_price` in client.c). Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

Position = tuple[int, int]


def right_cents(ticker: int, number: int) -> int:
    """`ticker` is its place in the list of symbols; steps and range keep the text as long as that of a real price."""
    return 10_000 + (number * 37 + ticker * 1_009) % 80_000


def right_price(ticker: int, number: int) -> Decimal:
    return Decimal(right_cents(ticker, number)).scaleb(-2)


def right_millionths(ticker: int, number: int) -> int:
    return right_cents(ticker, number) * 10_000


@dataclass(frozen=True)
class Held:
    """What one connection holds of one symbol in the end; the price in millionths, None where it has none."""

    connection: int
    group: int
    open: bool
    close_code: int
    symbol: str
    position: Position | None
    price: int | None
